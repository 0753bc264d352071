"""``foretype acp`` as a client starts it: real bridge, real hub, the embedded student."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

URI = "file:///shop.py"
BEFORE = """def total_of(items):
    result = 0
    for item in items:
        result += item.price
    return result
"""
NEW_NAME = "total"


@pytest.fixture
def client(world):
    """``client(*words)``: the process, and a function that asks it one thing."""
    started = []

    def start(*words):
        process = subprocess.Popen(
            [sys.executable, "-m", "daemon.main", "acp", *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=world.env, cwd=world.project, text=True,
        )  # fmt: skip
        started.append(process)

        def send(method, params, **more):
            process.stdin.write(json.dumps({"jsonrpc": "2.0", "method": method, "params": params, **more}) + "\n")
            process.stdin.flush()

        def ask(method, params):
            send(method, params, id=method)
            reply = json.loads(process.stdout.readline())
            assert reply["id"] == method
            return reply["result"]

        return process, send, ask

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def typed_rename(send, ask, session_id):
    """The first mention of `result` becomes `total`, key by key; returns the edits of what is suggested then."""
    document = {"sessionId": session_id, "uri": URI}
    send("document/didOpen", {**document, "languageId": "python", "version": 0, "text": BEFORE})
    steps = [(4, 10, ""), *((4 + index, 4 + index, letter) for index, letter in enumerate(NEW_NAME))]
    for version, (start, end, text) in enumerate(steps, 1):
        where = {"start": {"line": 1, "character": start}, "end": {"line": 1, "character": end}}
        change = {"range": where, "text": text}
        send("document/didChange", {**document, "version": version, "contentChanges": [change]})
    question = {"position": {"line": 1, "character": 4 + len(NEW_NAME)}, "triggerKind": "automatic"}
    found = ask("nes/suggest", {**document, "version": len(steps), **question})
    return [edit for suggestion in found["suggestions"] for edit in suggestion["edits"]]


@pytest.mark.parametrize("words", [(), ("--standalone",)], ids=["hub", "standalone"])
def test_a_rename_is_suggested_and_the_end_of_input_ends_it_well(client, words):
    process, send, ask = client(*words)
    assert "nes" in ask("initialize", {"protocolVersion": 1})["agentCapabilities"]
    edits = typed_rename(send, ask, ask("nes/start", {})["sessionId"])
    assert edits
    assert all(NEW_NAME in edit["newText"] for edit in edits)
    process.stdin.close()
    assert process.wait(timeout=20) == 0


def test_its_windows_share_the_hub_with_those_of_lsp(client, world):
    editor = world.editor()
    editor.initialize()
    _, _, ask = client()
    ask("initialize", {"protocolVersion": 1, "clientInfo": {"name": "somebody", "version": "1"}})
    assert len(world.hubs()) == 1
    names = {session["editor"] for session in world.status()["predictions"]["sessions"].values()}
    assert "somebody" in names


def test_its_help_says_what_it_speaks(world):
    assert "Agent Client Protocol" in world.foretype("acp", "--help").stdout
    assert "acp" in world.foretype("--help").stdout
