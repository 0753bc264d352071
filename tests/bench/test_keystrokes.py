"""The open-loop client, the systems it types into, and the queue in front of the peers."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
from dataclasses import replace
from itertools import pairwise
from unittest.mock import ANY

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import report
from bench.cells import Cell, type_sessions
from bench.client import OpenLoopClient, Record, ServerEnded, Typing
from bench.peers.completion import Cancelled, PromptTooLong
from bench.peers.llama_cpp_python import LlamaCppPython
from bench.peers.llama_server_build import binary_path
from bench.peers.newest_wins import NewestWins
from bench.peers.table import PEERS
from bench.session import read_sessions
from bench.systems import LLAMA_SERVER_CHOICES, SYSTEMS
from capture.editing.positions import ContentChange, Position, Range
from daemon.registry import EMBEDDED_PATH

# A language server that answers as its one argument says; it counts what it hears and tells it with its status.
SCRIPTED_SERVER = """
import os, sys
import orjson
from daemon.lsp.framing import FrameParser, decode_body, encode_message

manner, heard, last, late = sys.argv[1], {}, None, []

def answer(number, result):
    os.write(1, encode_message({"jsonrpc": "2.0", "id": number, "result": result}))

def predicted(message):
    if manner != "edits":
        return []
    at = message["params"]["position"]
    command = {"title": "", "command": "foretype.didAccept", "arguments": ["an id"]}
    return [{"range": {"start": at, "end": at}, "text": "X", "command": command}]

parser = FrameParser()
while data := os.read(0, 65536):
    for body in parser.feed(data):
        message = decode_body(body)
        method = message["method"]
        heard[method] = heard.get(method, 0) + 1
        asked = heard.get("textDocument/copilotInlineEdit", 0)
        if method == "textDocument/copilotInlineEdit":
            if manner == "dies" and asked == 3:
                os._exit(1)
            if manner == "late" and asked > 1:
                late.append(message)
            else:
                if manner != "refuses":
                    evaluated = 0 if manner in ("too long", "reuses") else asked
                    last = {"counters": {"prompt_tokens": 9, "tokens_evaluated": evaluated}, "seconds": asked}
                    last["reused"] = "asked again" if manner == "reuses" else ""
                answer(message["id"], {"edits": predicted(message)})
        elif method == "$/cancelRequest":
            for waiting in late:
                answer(waiting["id"], {"edits": []})
            late.clear()
        elif method == "foretype/status":
            reason = "the engine is broken" if manner == "refuses" else ""
            answer(message["id"], {"reason": reason, "last": last, "totals": {"heard": heard}})
        elif "id" in message:
            answer(message["id"], {"capabilities": {}})
        elif method == "exit":
            os._exit(0)
"""


@pytest.fixture
def typed(tmp_path):
    """``await typed(manner, session)``: the records of a session typed into the scripted server, and what it heard."""

    async def run(manner, session):
        command = [sys.executable, "-c", SCRIPTED_SERVER, manner]
        client = await OpenLoopClient.start(command, os.environ, tmp_path / "log")
        try:
            typing = Typing(client, session, last_answer_seconds=0.2, rest_seconds=0.1)
            await typing.open()
            records = await typing.run()
            status = await client.request("foretype/status", {})
        finally:
            await client.leave()
        return records, status["totals"]["heard"]

    return run


def session(name="python_parser", keystroke_count=12, every_ms=5):
    """The beginning of a session, pressed faster than anybody types."""
    [found] = read_sessions([name])
    keys = found.keystrokes[:keystroke_count]
    return replace(found, keystrokes=tuple(replace(key, at_ms=every_ms * at) for at, key in enumerate(keys)))


async def test_every_key_is_sent_in_order_and_none_before_it_is_due(typed):
    records, heard = await typed("none", session())
    assert [record.kind for record in records] == [key.kind for key in session().keystrokes]
    assert all(record.sent_ms >= record.due_ms for record in records)
    changes = sum(key.change is not None for key in session().keystrokes)
    assert heard["textDocument/didChange"] == changes
    assert heard["textDocument/copilotInlineEdit"] == 1 + len(records)


async def test_the_schedule_does_not_wait_for_answers(typed):
    records, _ = await typed("late", session())
    assert [record.outcome for record in records] == ["superseded"] * len(records)
    assert [record.answered_ms is None for record in records] == [False] * (len(records) - 1) + [True]
    assert all(record.answered_ms >= after.sent_ms for record, after in pairwise(records))


async def test_an_answer_in_time_carries_its_own_counters(typed):
    records, _ = await typed("none", session(every_ms=60))
    answered = [record for record in records if record.outcome == "none"]
    assert len(answered) > len(records) / 2
    numbers = [record.counters["tokens_evaluated"] for record in answered]
    assert numbers == sorted(set(numbers))
    assert not any(record.reused for record in answered)


async def test_an_answer_that_no_model_gave_is_refused_and_not_fast(typed):
    records, _ = await typed("refuses", session(every_ms=60))
    assert {record.outcome for record in records} <= {"refused", "superseded"}
    figures = report.summarise(records)
    assert figures["refusals"].keys() == {"the engine is broken"}
    assert figures["within_300_ms"] == 0
    assert figures["wait_ms"]["p50"] is None


async def test_an_answer_for_which_nothing_was_evaluated_is_refused(typed):
    """So our daemon says that a prompt is too long: at once, and with the prompt's length among the counters."""
    records, _ = await typed("too long", session(every_ms=60))
    assert {record.outcome for record in records} <= {"refused", "superseded"}
    assert not any(record.reused for record in records)


async def test_an_answer_that_was_reused_is_an_answer(typed):
    records, _ = await typed("reuses", session(every_ms=60))
    answered = [record for record in records if record.outcome == "none"]
    assert len(answered) > len(records) / 2
    assert all(record.reused for record in answered)


async def test_an_accept_counts_when_its_change_was_shown(typed):
    """The scripted server always predicts an X at the cursor; so does this session's every second key."""
    found = session(every_ms=80)
    at = found.keystrokes[0].cursor
    behind = Position(at.line, at.character_utf16 + 1)
    accept = replace(
        found.keystrokes[0], at_ms=80, kind="accept", change=ContentChange(Range(at, at), "X"), cursor=behind
    )
    other = replace(accept, at_ms=160, change=ContentChange(Range(at, at), "Y"))
    records, heard = await typed("edits", replace(found, keystrokes=(found.keystrokes[0], accept, other)))
    assert [record.accepted for record in records] == [False, True, False]
    assert heard["workspace/executeCommand"] == 1
    assert heard["textDocument/didShowInlineEdit"] == 3
    assert [record.outcome for record in records] == ["edit", "edit", "edit"]


async def test_a_server_that_dies_ends_the_measurement(typed):
    with pytest.raises(ServerEnded):
        await typed("dies", session(every_ms=60))


async def test_a_server_that_dies_over_the_last_key_ends_the_measurement(typed):
    with pytest.raises(ServerEnded):
        await typed("dies", session(keystroke_count=2))


async def test_a_server_may_leave_while_its_last_answer_is_due(typed):
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    records, _ = await typed("late", session(keystroke_count=2))
    gc.collect()
    assert records[-1].answered_ms is None
    assert complaints == []


async def test_a_server_that_does_not_leave_is_killed_with_what_it_started(tmp_path):
    script = SCRIPTED_SERVER.replace("os._exit(0)", "time.sleep(60)").replace("import os, sys", "import os, sys, time")
    started = "import subprocess; child = subprocess.Popen(['sleep', '60'])\n" + script
    client = await OpenLoopClient.start(
        [sys.executable, "-c", started, "none"], os.environ, tmp_path / "log", leave_seconds=0.5
    )
    [child] = psutil.Process(client._process.pid).children()
    await client.leave()
    assert client._process.returncode == -signal.SIGKILL
    _, alive = psutil.wait_procs([child], timeout=10)
    assert all(process.status() == psutil.STATUS_ZOMBIE for process in alive), "or nobody collects what is dead here"


async def test_a_session_that_misses_its_text_is_refused(typed):
    found = session("python_parser", 200, every_ms=1)
    broken = replace(found, keystrokes=(*found.keystrokes[:-1], replace(found.keystrokes[0], at_ms=200)))
    with pytest.raises(ValueError, match="does not lead to the text"):
        await typed("none", broken)


# --- real systems ---


@pytest.mark.parametrize("name", ["foretype", "llama-cpp-python", "llama-cpp-python stopping"])
async def test_a_real_system_answers_a_session(tmp_path, name):
    [found] = read_sessions(["python_parser"])
    system, cell = SYSTEMS[name], Cell("student", name, (found.first(16),))
    env = system.environment(tmp_path / "home", EMBEDDED_PATH, 1)
    result = await type_sessions(cell, system.command(EMBEDDED_PATH, 1), env, tmp_path / "log")
    figures = result["summary"]
    assert figures["keystrokes"] == 16
    assert figures["failed"] == 0
    assert figures["refused"] == 0, figures["refusals"]
    last = Record.from_json(result["records"][-1])
    assert last.outcome in ("edit", "none")
    assert last.counters["tokens_evaluated"] > 0
    assert result["cost"]["cpu_seconds_per_1000"] > 0
    assert result["cost"]["rss_bytes"] > EMBEDDED_PATH.stat().st_size


async def test_a_peer_that_cannot_load_its_model_ends_the_measurement(tmp_path):
    [found] = read_sessions(["python_parser"])
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(EMBEDDED_PATH.read_bytes()[: EMBEDDED_PATH.stat().st_size // 2])
    command = SYSTEMS["llama-cpp-python"].command(broken, 1)
    with pytest.raises(ServerEnded):
        await type_sessions(Cell("broken", "llama-cpp-python", (found,)), command, dict(os.environ), tmp_path / "log")
    assert "model is corrupted or incomplete" in (tmp_path / "log").read_text()


async def predicts_the_rename(tmp_path, system):
    """Whether a system that was given all the time it wants shows the first change that this session accepts."""
    [found] = read_sessions(["python_parser"])
    at = next(at for at, key in enumerate(found.keystrokes) if key.kind == "accept")
    client = await OpenLoopClient.start(
        system.command(EMBEDDED_PATH, 1), system.environment(tmp_path / "home", EMBEDDED_PATH, 1), tmp_path / "log"
    )
    try:
        typing = Typing(client, session("python_parser", at, every_ms=1), last_answer_seconds=30)
        await typing.open()
        await typing.run()
        totals = (await client.request("foretype/status", {}))["totals"]
        assert totals["predictions"] > totals["aborted"] >= 0
        evaluated, in_vain = totals["tokens_evaluated"], totals["tokens_in_vain"]
        assert (evaluated is None) == (in_vain is None)
        assert evaluated is None or evaluated > in_vain >= 0
        return typing.is_shown(found.keystrokes[at].change)
    finally:
        await client.leave()


@pytest.mark.parametrize("name", ["foretype", "llama-cpp-python", "llama-cpp-python lookup"])
async def test_foretype_and_its_peers_predict_the_same_rename(tmp_path, name):
    assert await predicts_the_rename(tmp_path, SYSTEMS[name])


@pytest.mark.system
@pytest.mark.skipif(not binary_path().exists(), reason="llama-server is not built")
@pytest.mark.parametrize(
    ("what", "choice"), [(what, choice) for what, choices in LLAMA_SERVER_CHOICES.items() for choice in choices]
)
async def test_llama_server_predicts_that_rename_with_every_setting(tmp_path, what, choice):
    server = SYSTEMS["llama-server"]
    assert await predicts_the_rename(tmp_path, server.with_setting({**server.default_setting, what: choice}))


async def test_llama_cpp_python_predicts_that_rename_with_flash_attention(tmp_path):
    assert await predicts_the_rename(tmp_path, SYSTEMS["llama-cpp-python"].with_setting({"flash attention": "on"}))


def test_a_peer_that_stops_between_tokens_is_cancelled_and_answers_the_next(monkeypatch):
    llama = LlamaCppPython(str(EMBEDDED_PATH), context_tokens=512, threads=1, stops_between_tokens=True)
    prompt = "def total(items):\n"
    whole = llama.complete(prompt, ("<|end|>",), 40)
    llama.cancel()  # of what is over: the next one begins anew
    assert llama.complete(prompt, ("<|end|>",), 40) == replace(whole, counters=ANY)
    unbounded = 500 - whole.counters["prompt_tokens"]
    begun, evaluate = threading.Event(), llama._llama.eval
    monkeypatch.setattr(llama._llama, "eval", lambda tokens: begun.set() or evaluate(tokens))
    cancelling = threading.Thread(target=lambda: begun.wait() and llama.cancel())
    cancelling.start()
    with pytest.raises(Cancelled) as cancelled:
        llama.complete(prompt, (), unbounded)
    cancelling.join()
    assert 0 < cancelled.value.tokens_evaluated < unbounded
    assert llama.complete(prompt, ("<|end|>",), 40).text == whole.text
    llama.close()


@pytest.mark.parametrize(
    "name",
    [
        "llama-cpp-python",
        pytest.param(
            "llama-server",
            marks=[
                pytest.mark.system,
                pytest.mark.skipif(not binary_path().exists(), reason="llama-server is not built"),
            ],
        ),
    ],
)
def test_a_peer_says_that_a_prompt_is_too_long_and_answers_the_next(name):
    asked = PEERS[name](str(EMBEDDED_PATH), context_tokens=512, threads=1)
    try:
        with pytest.raises(PromptTooLong):
            asked.complete("def total(items):\n" * 200, ("<|end|>",), 40)
        assert asked.complete("def total(items):\n", ("<|end|>",), 40).counters["answer_tokens"] > 0
    finally:
        asked.close()


# --- the queue ---


@given(st.lists(st.booleans()))
def test_each_question_is_taken_or_turned_away_and_the_newest_is_taken(steps):
    turned_away, taken, asked = [], [], 0
    queue = NewestWins(turned_away.append)
    waiting = False
    for asks in steps:
        if asks:
            asked += 1
            queue.put(asked)
            waiting = True
        elif waiting:
            taken.append(queue.take())
            assert taken[-1] == asked
            waiting = False
    left = [asked] if waiting else []
    assert sorted([*taken, *turned_away, *left]) == list(range(1, asked + 1))


def test_closing_the_queue_ends_who_waits():
    queue = NewestWins(lambda _question: None)
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(queue.take()))
    waiting.start()
    queue.close()
    waiting.join(10)
    assert answers == [None]
