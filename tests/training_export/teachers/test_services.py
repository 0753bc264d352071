"""The services as they answer, refuse, fail and stay away, spoken to through their SDKs."""

from __future__ import annotations

import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from daemon.errors import BadArgument
from training_export.errors import ExtraMissing, TeacherRefused
from training_export.teachers.api import Ending, Message, NotAnswered, NotAnsweredReason, Request
from training_export.teachers.opening import opened_service, opened_teacher
from training_export.teachers.pacing import Busy, Pacing, PacingLimits
from training_export.teachers.stand_in.conduct import Fault

BOTH = pytest.mark.parametrize("name", ["sonnet46", "gpt54", "compatible:some-model"])
REQUEST = Request((Message("user", "What is next?"),), 100)


def settings_of(settings_for, name, **changes):
    if name.startswith("compatible"):
        found = settings_for("openai:some-model", **changes)
        return replace(found, service="compatible")
    return settings_for(name, **changes)


def ask(settings, request=REQUEST):
    with opened_service(settings) as service:
        return service.answer(request)


@BOTH
def test_an_answer_comes_with_the_tokens_that_the_service_counted(name, stand_in, settings_for):
    reply = ask(settings_of(settings_for, name))
    assert reply.text == "I cannot see a region."
    assert (reply.error, reply.input_tokens, reply.output_tokens) == ("", 3, 5)
    assert len(stand_in.seen) == 1


@BOTH
def test_a_conversation_keeps_its_turns(name, stand_in, settings_for):
    turns = (Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    ask(settings_of(settings_for, name), Request(turns, 100))
    sent = stand_in.seen[0].body["messages"]
    assert [(turn["role"], turn["content"]) for turn in sent] == [("user", "a"), ("assistant", "b"), ("user", "c")]


@BOTH
@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", 429, "0.01"),
        Fault("status", 429),
        Fault("status", 500),
        Fault("status", 529),
        Fault("cut"),
        Fault("nonsense"),
        Fault("garbage"),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_what_passes_is_waited_out(name, fault, stand_in, settings_for):
    stand_in.conduct.faults.extend([fault] * 3)
    assert ask(settings_of(settings_for, name)).text == "I cannot see a region."
    assert len(stand_in.seen) == 4


@BOTH
def test_a_refusal_and_a_truncation_are_replies_with_an_error(name, stand_in, settings_for):
    stand_in.conduct.faults.extend([Fault("refusal"), Fault("truncation")])
    settings = settings_of(settings_for, name)
    refused, truncated = ask(settings), ask(settings)
    assert refused.ending is Ending.REFUSED
    assert "refused: no" in refused.error
    assert truncated.ending is Ending.TRUNCATED
    assert truncated.text
    assert "cut off after 5 tokens" in truncated.error


@BOTH
def test_a_request_that_the_service_does_not_take_is_a_reply_with_an_error(name, stand_in, settings_for):
    stand_in.conduct.faults.append(Fault("status", 400))
    reply = ask(settings_of(settings_for, name))
    assert reply.ending is Ending.REJECTED
    assert "400" in reply.error
    assert "as told" in reply.error


@BOTH
def test_no_answer_in_time_is_not_asked_again_at_once(name, stand_in, settings_for):
    stand_in.conduct.faults.append(Fault("hang"))
    with pytest.raises(NotAnswered, match=r"no answer within 0\.2 seconds") as found:
        ask(settings_of(settings_for, name, timeout_seconds=0.2))
    assert found.value.reason is NotAnsweredReason.TIMED_OUT
    assert len(stand_in.seen) == 1


@BOTH
@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_what_every_request_would_meet_ends_the_run_with_the_cause(name, status, stand_in, settings_for):
    stand_in.conduct.faults.append(Fault("status", status))
    with pytest.raises(TeacherRefused, match=str(status)):
        ask(settings_of(settings_for, name))


def test_a_key_that_is_refused_is_not_shown(stand_in, settings_for, keys):
    stand_in.conduct.refused_key = keys
    with pytest.raises(TeacherRefused, match="does not accept the key") as found:
        ask(settings_for())
    assert keys not in str(found.value)


@pytest.mark.parametrize("name", ["sonnet46", "gpt54"])
def test_a_missing_key_is_named(name, settings_for, monkeypatch, tmp_path):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(TeacherRefused, match=r"set (ANTHROPIC|OPENAI)_API_KEY"):
        ask(settings_for(name))


def test_an_account_without_credit_is_not_waited_for(stand_in, settings_for):
    stand_in.conduct.faults.append(Fault("status", 429, code="insufficient_quota"))
    with pytest.raises(TeacherRefused, match="no credit"):
        ask(settings_for("gpt54"))


def test_a_temperature_reaches_openai_and_is_refused_for_anthropic(stand_in, settings_for):
    warm = replace(REQUEST, temperature=0.5)
    ask(settings_for("gpt54"), warm)
    assert stand_in.seen[0].body["temperature"] == 0.5
    with pytest.raises(BadArgument, match="leave --temperature out"):
        ask(settings_for(), warm)


def test_the_limit_has_the_name_that_each_server_knows(stand_in, settings_for):
    ask(settings_for("gpt54"))
    ask(settings_of(settings_for, "compatible:some-model"))
    assert [sorted(seen.body) for seen in stand_in.seen] == [
        ["max_completion_tokens", "messages", "model"],
        ["max_tokens", "messages", "model"],
    ]


def test_a_compatible_server_may_ask_for_no_key(stand_in, settings_for, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    assert ask(settings_of(settings_for, "compatible:some-model")).text
    assert stand_in.seen[0].key == "none"


def test_patience_ends_and_the_example_may_be_asked_another_time(stand_in, settings_for):
    stand_in.conduct.faults.extend([Fault("status", 429, "3600")])
    with pytest.raises(NotAnswered, match="not available: HTTP 429") as found:
        ask(settings_for())
    assert found.value.reason is NotAnsweredReason.UNAVAILABLE
    assert len(stand_in.seen) == 1, "who is told to come back in an hour does not try before that"


def test_a_request_that_breaks_the_server_is_given_up_after_a_few_tries(stand_in, settings_for):
    stand_in.conduct.faults.extend([Fault("status", 500)] * 99)
    with pytest.raises(NotAnswered):
        ask(settings_for())
    assert len(stand_in.seen) == PacingLimits().attempts


def test_a_service_that_answers_nothing_ends_the_run(stand_in, settings_for):
    stand_in.conduct.faults.extend([Fault("status", 500)] * 99)
    with opened_service(settings_for()) as service:
        for _ in range(PacingLimits().hopeless - 1):
            with pytest.raises(NotAnswered):
                service.answer(REQUEST)
        with pytest.raises(TeacherRefused, match="answered nothing for a while"):
            service.answer(REQUEST)


def test_nobody_listens_at_the_address(settings_for, stand_in):
    settings = replace(settings_for(), endpoint="http://127.0.0.1:9")
    quick = replace(settings.pacing, patience_seconds=0.05)
    with pytest.raises(NotAnswered, match="Connection"):
        ask(replace(settings, pacing=quick))


def test_the_key_is_in_no_log_and_no_cache(stand_in, settings_for, keys, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    with opened_teacher(settings_for()) as teacher:
        teacher.answer(REQUEST)
    assert stand_in.seen[0].key == keys
    assert keys not in caplog.text
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"I cannot see a region." in kept
    assert keys.encode() not in kept


def test_while_the_service_is_overloaded_one_thread_tries_for_all():
    """Eight meet an overload together; until it is over, no two are there at the same time."""
    pacing = Pacing(PacingLimits(patience_seconds=20.0, first_pause_seconds=0.01, longest_pause_seconds=0.02))
    together = threading.Barrier(8)
    lock = threading.Lock()
    tried, inside, most_inside = 0, 0, 0

    def service():
        nonlocal tried, inside, most_inside
        with lock:
            tried += 1
            number = tried
        if number <= 8:
            together.wait()
            raise Busy("full", concerns_all=True)
        with lock:
            inside += 1
            if number <= 13:
                most_inside = max(most_inside, inside)
        try:
            if number <= 13:
                threading.Event().wait(0.01)
                raise Busy("full", concerns_all=True)
            return "answer"
        finally:
            with lock:
                inside -= 1

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: pacing.call(service), range(8)))
    assert answers == ["answer"] * 8
    assert tried == 8 + 5 + 8
    assert most_inside == 1


@pytest.mark.parametrize(("name", "library"), [("sonnet46", "anthropic"), ("gpt54", "openai"), ("gpt54", "tenacity")])
def test_without_the_extra_the_cure_is_named(name, library, settings_for, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    for module in ("anthropic_service", "openai_service"):
        monkeypatch.delitem(sys.modules, f"training_export.teachers.{module}", raising=False)
    with pytest.raises(ExtraMissing, match=r"pip install 'foretype\[teacher\]'"):
        ask(settings_for(name))
