"""The open-loop client, the queue in front of the peers, the figures, and the plan of the benchmark."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from dataclasses import replace
from itertools import pairwise
from unittest.mock import ANY

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import keystrokes, report
from bench.client import OpenLoopClient, Record, ServerEnded, Typing
from bench.keystrokes import Bench, Cell, plan, planned_seconds, type_sessions, write_json
from bench.peers.completion import Cancelled
from bench.peers.llama_cpp_python import LlamaCppPython
from bench.peers.llama_server_build import binary_path
from bench.peers.newest_wins import NewestWins
from bench.session import read_sessions
from bench.systems import COMPARED, LLAMA_SERVER_SETTINGS, SYSTEMS, llama_server
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
                    last = {"counters": {"tokens_evaluated": asked}, "seconds": asked}
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
            typing = Typing(client, session, last_answer_seconds=0.2)
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
@pytest.mark.parametrize("setting", LLAMA_SERVER_SETTINGS)
async def test_llama_server_predicts_that_rename_with_every_setting(tmp_path, setting):
    assert await predicts_the_rename(tmp_path, llama_server(setting))


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


# --- the figures ---


def record(sent_ms, answered_ms=None, outcome="none", **others):
    return Record("s", "type", sent_ms, sent_ms, answered_ms, outcome, **others)


def test_a_missed_key_waits_for_the_first_answer_that_was_still_wanted():
    records = [
        record(0, 150, "superseded"),
        record(100, 250, "superseded"),
        record(200, 240),
        record(300, 310, "edit"),
        record(400),
    ]
    assert report.waits_ms(replace(r, outcome="superseded") if r.answered_ms is None else r for r in records) == [
        240,
        140,
        40,
        10,
        float("inf"),
    ]
    assert report.answer_times_ms(records) == [40, 10]


def test_a_key_of_one_session_never_waits_for_an_answer_of_the_next():
    records = [record(0, outcome="superseded"), replace(record(5, 6), session="t")]
    assert report.waits_ms(records) == [float("inf"), 1]


@given(st.lists(st.integers(0, 1000), min_size=1), st.integers(1, 100))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values, percent):
    found = report.percentile(values, percent)
    assert found in values
    assert 100 * sum(value <= found for value in values) >= percent * len(values)
    assert 100 * sum(value < found for value in values) < percent * len(values)


def test_shares_are_of_all_keys_and_reused_answers_are_no_answers_of_the_model():
    counters = {"tokens_evaluated": 20}
    records = [
        record(0, 50, "edit", counters=counters),
        record(100, 450, counters={"tokens_evaluated": 40}),
        record(500, 501, "edit", reused=True),
        record(600, 700, "superseded"),
    ]
    figures = report.summarise(records)
    assert (figures["within_100_ms"], figures["within_300_ms"]) == (0.5, 0.5)
    assert (figures["missed"], figures["reused"]) == (0.25, 0.25)
    assert figures["answered_by_model_ms"]["p95"] == 350
    assert figures["tokens_evaluated_median"] == 20
    assert figures["counters"] == {"tokens_evaluated": 60}


def cell_result(system, wait, totals=None):
    figures = report.summarise([record(0, wait, counters={"tokens_evaluated": 1})])
    cost = {"cpu_seconds_per_1000": 1.0, "rss_bytes": 2**20}
    return {"key": system, "model": "m", "system": system, "summary": figures, "cost": cost, "totals": totals or {}}


def test_the_table_says_how_many_times_longer_the_others_wait():
    table = report.table([cell_result("foretype", 10), cell_result("other", 35)])
    assert "other waits 3.50 at p50 and 3.50 at p95 times as long as foretype" in table


def test_the_table_says_what_was_done_in_vain_and_nothing_where_that_is_not_known():
    ours = {"aborted": 3, "tokens_in_vain": 451, "ahead": {"tokens_in_vain": 77}}
    theirs = {"aborted": 5, "tokens_in_vain": None}
    table = report.table([cell_result("foretype", 10, ours), cell_result("other", 35, theirs)]).splitlines()
    titles = next(line for line in table if "in vain" in line)

    def shown(system, title):
        row = next(line for line in table if line.split() and line.split()[0] == system and "waits" not in line)
        end = titles.index(title) + len(title)
        return row[:end].split()[-1]

    columns = ("aborted", "in vain", "ahead")
    assert [shown("foretype", title) for title in columns] == ["3", "451", "77"]
    assert [shown("other", title) for title in columns] == ["5", "-", "-"]


# --- the plan ---


def options(**others):
    chosen = {"quick": False, "models": [], "systems": [], "sessions": [], "keystrokes": 0}
    return argparse.Namespace(**{**chosen, **others})


def test_the_full_plan_has_every_system_and_session_and_takes_less_than_two_hours():
    cells = plan(options())
    assert {cell.system for cell in cells} == set(COMPARED)
    students = [cell for cell in cells if cell.model == "student"]
    assert all(len(cell.sessions) == len(read_sessions()) for cell in students)
    assert planned_seconds(cells, setting="") < 2 * 3600


def test_the_full_plan_with_a_second_student_takes_less_than_two_hours():
    models = ["student", "second.gguf", *keystrokes.WIDENED_MODELS, "second.gguf@0.5b-q8_0", "second.gguf@1.5b-q4_0"]
    assert planned_seconds(plan(options(models=models)), setting="") < 2 * 3600


def test_the_quick_plan_takes_less_than_five_minutes():
    assert planned_seconds(plan(options(quick=True)), keystrokes.QUICK_SETTING) < 300


def test_an_unknown_system_is_named_with_those_there_are():
    with pytest.raises(ValueError, match=r"no system copilot; there are: foretype"):
        plan(options(systems=["copilot"]))


def test_a_cell_that_was_measured_is_not_measured_again(tmp_path, capsys):
    cell = Cell("no-such-model.gguf", "foretype", ())
    kept = {"environment": {"at": "yesterday", "threads": 1}, "summary": {}}
    write_json(tmp_path / f"{cell.key}.json", kept)
    assert Bench(tmp_path, 1).measure(cell) == kept
    assert "measured before, at yesterday" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"no model no-such-model\.gguf"):
        Bench(tmp_path, 2).measure(cell)


def test_other_sessions_are_another_cell():
    found = read_sessions(["python_basket", "python_parser"])
    cells = [Cell("m", "s", sessions) for sessions in ((), (found[0],), (found[1],), (found[0].first(50),))]
    assert len({cell.key for cell in cells}) == len(cells)


def test_a_model_that_cannot_be_made_is_refused_with_what_can():
    with pytest.raises(ValueError, match=r"of 0\.5b, 1\.5b and f32, q8_0, q4_0"):
        keystrokes.model_path("student@7b-q8_0")
    assert keystrokes.model_path("student") == EMBEDDED_PATH


def test_what_is_written_reads_back_and_leaves_nothing_half(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1})
    assert orjson.loads((tmp_path / "a.json").read_bytes()) == {"b": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
