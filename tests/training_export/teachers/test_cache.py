"""The cache: what is in it is found by all, and nobody asks what somebody else is asking."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_export.errors import AnswersUnusable
from training_export.teachers.api import Ending, Identity, Message, Reply, Request
from training_export.teachers.cache import Claim, opened_cache

WHO = Identity("anthropic", "claude")
REPLY = Reply("text", input_tokens=3, output_tokens=4)
TEXTS = st.text(max_size=20)
REQUESTS = st.builds(
    Request,
    st.lists(st.builds(Message, st.sampled_from(["user", "assistant"]), TEXTS), min_size=1, max_size=3).map(tuple),
    st.integers(1, 10**6),
    st.none() | st.floats(0, 2),
    st.integers(0, 99),
)
ASKER = """
import sys, time
from pathlib import Path
from training_export.teachers.cache import opened_cache
with opened_cache(Path(sys.argv[1])) as cache:
    print(cache.claim("question", "teacher"), flush=True)
    sys.stdin.readline()
    cache.store("question", {"text": "theirs"})
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "teachers" / "answers.sqlite3"


@pytest.fixture
def cache(path):
    with opened_cache(path) as found:
        yield found


@pytest.fixture
def other_process(path):
    """Another process that has claimed the question; it answers when it is told to."""
    process = subprocess.Popen(
        [sys.executable, "-c", ASKER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().strip() == "Claim.MINE"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


@given(REQUESTS)
def test_a_request_comes_back_from_its_json(request):
    assert Request.from_json(request.to_json()) == request


@given(REQUESTS, REQUESTS)
def test_two_requests_share_a_key_exactly_if_they_are_equal(one, other):
    assert (WHO.key(one) == WHO.key(other)) == (one == other)


def test_whoever_answers_shapes_the_key():
    request = Request((Message("user", "a"),), 1)
    identities = [WHO, Identity("openai", "claude"), Identity("anthropic", "b"), Identity("anthropic", "claude", "u")]
    assert len({identity.key(request) for identity in identities}) == 4


@given(TEXTS, st.sampled_from(Ending), TEXTS, st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_reply_comes_back_as_something_found_that_cost_nothing(text, ending, detail, read, written):
    found = Reply.from_json(Reply(text, ending, detail, read, written, 5.0).to_json())
    assert found == Reply(text, ending, detail, read, written, 0.0, is_new=False)


def test_what_was_stored_is_found_after_it_was_closed(path):
    with opened_cache(path) as cache:
        assert cache.claim("question", "t") is Claim.MINE
        cache.store("question", REPLY.to_json())
    with opened_cache(path) as cache:
        assert cache.claim("question", "t") == REPLY.to_json()
        assert cache.look_up("question") == REPLY.to_json()
        assert cache.look_up("another") is None
        assert (cache.counters.found, cache.counters.claimed) == (2, 0)


def test_only_its_owner_may_read_it(path, cache):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_many_threads_with_one_question_ask_it_once(cache):
    asked = []

    def ask(_):
        while True:
            claimed = cache.claim("question", "t")
            if claimed is Claim.MINE:
                asked.append(threading.get_ident())
                cache.store("question", {"text": "a"})
                return {"text": "a"}
            if claimed is not Claim.THEIRS:
                return claimed
            cache.wait("question")

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(64))) == [{"text": "a"}] * 64
    assert len(asked) == 1


def test_who_waits_may_ask_where_the_first_gave_up(cache):
    cache.claim("question", "t")
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(cache.wait, "question")
        cache.give_up("question")
        waiting.result(timeout=10)
    assert cache.claim("question", "t") is Claim.MINE


def test_a_question_that_another_process_asks_is_left_to_it(cache, other_process):
    assert cache.claim("question", "t") is Claim.THEIRS
    other_process.stdin.write("\n")
    other_process.stdin.flush()
    other_process.wait()
    assert cache.claim("question", "t") == {"text": "theirs"}


def test_a_question_of_a_process_that_died_is_asked_again(cache, other_process):
    other_process.kill()
    other_process.wait()
    assert cache.claim("question", "t") is Claim.MINE


def test_what_is_claimed_when_it_is_closed_is_free_for_others(path):
    with opened_cache(path) as cache:
        cache.claim("question", "t")
    with opened_cache(path) as cache:
        assert cache.claim("question", "t") is Claim.MINE


def test_a_damaged_file_is_named_with_the_cure(path):
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(AnswersUnusable, match=r"answers\.sqlite3.*--cache FILE"), opened_cache(path):
        pass


def test_a_file_of_somebody_else_is_not_touched(path):
    path.parent.mkdir()
    subprocess.run([sys.executable, "-c", f"import sqlite3; c = sqlite3.connect({str(path)!r}); c.execute('create table a (b)')"], check=True)  # fmt: skip
    before = path.read_bytes()
    with pytest.raises(AnswersUnusable, match="no file of foretype's"), opened_cache(path):
        pass
    assert path.read_bytes() == before
