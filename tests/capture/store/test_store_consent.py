"""Who takes consent back and purges finds nothing afterwards, however close that is to a commit of another process."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from capture.consent.book import ConsentBook
from capture.consent.policy import PolicyFile
from capture.file_lock import FileLock
from capture.store import stored
from capture.store.answers import Stored

PATIENCE_SECONDS = 20
TIMES = 30


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    return str(folder)


@pytest.fixture
def open_book(tmp_path):
    """The consents as one thread reads them."""
    return lambda: ConsentBook(tmp_path / "config" / "consent.json", PolicyFile(tmp_path / "no-policy.toml"))


@pytest.fixture
def book(open_book):
    return open_book()


@pytest.fixture
def start_consenting(start_child, book, path, root):
    """Start another process that gives or takes consent."""
    return lambda *arguments: start_child("consenting_child.py", arguments[0], book.path, path, root, *arguments[1:])


def traces_of(path, texts):
    return {(file.name, text) for file in path.parent.iterdir() for text in texts if text in file.read_bytes()}


def test_what_is_not_allowed_any_more_is_refused_and_no_file_is_made_for_it(path, store, samples):
    refused = store.submit(samples.sample(), lambda: False).result(PATIENCE_SECONDS)
    assert refused.reason == "no_consent"
    assert store.status().refused == {"no_consent": 1}
    assert not path.parent.exists()


def test_one_that_is_not_allowed_takes_no_other_along_and_makes_none_go(path, open_store, read, samples):
    store = open_store()
    lock_holder = threading.Event()

    def wait():
        assert lock_holder.wait(PATIENCE_SECONDS)
        return True

    first = store.submit(samples.sample(), wait)  # the others are put into one batch behind it
    numbers = range(9)
    futures = [store.submit(samples.sample(), lambda number=number: number % 3 != 0) for number in numbers]
    lock_holder.set()
    answers = [future.result(PATIENCE_SECONDS) for future in (first, *futures)]
    assert [isinstance(answer, Stored) for answer in answers] == [True, *(number % 3 != 0 for number in numbers)]
    assert [row.id for row in read(stored.summaries)] == [one.id for one in answers if isinstance(one, Stored)]


def test_consent_that_ends_while_a_snapshot_waits_for_the_disk_counts(
    path, store, put, read, samples, book, root, start_consenting
):
    consent = book.grant(root, "local")
    put(store, samples.sample(workspace_id=consent.workspace_id))
    others = FileLock(path.with_suffix(".writing.lock"))
    assert others.take()
    is_asked = threading.Event()

    def still_allowed():
        is_asked.set()
        return book.for_workspace(root) is not None

    waiting = store.submit(samples.sample(workspace_id=consent.workspace_id), still_allowed)
    assert is_asked.wait(PATIENCE_SECONDS)
    child = start_consenting("revoke")
    assert child.stdout.readline() == b"revoked\n"
    others.close()  # now both want it: who stores and who purges
    assert waiting.result(PATIENCE_SECONDS).reason == "no_consent"
    assert child.communicate(timeout=PATIENCE_SECONDS)[0] == b"purged 1\n"
    assert read(stored.summaries) == []


def test_what_is_written_while_consent_ends_is_there_for_the_purge(
    path, store, put, read, samples, book, root, start_consenting
):
    consent = book.grant(root, "local")
    put(store, samples.sample())
    children = []

    def still_allowed():
        with sqlite3.connect(path, timeout=0) as other:
            is_writing = is_locked(other)
        other.close()
        if is_writing:  # asked within the transaction: consent ends now, and the purge begins
            assert book.for_workspace(root) is not None
            children.append(start_consenting("revoke"))
            assert children[0].stdout.readline() == b"revoked\n"
        return True

    snapshot = samples.sample(workspace_id=consent.workspace_id, path="src/xyzzy_planted.py")
    assert store.submit(snapshot, still_allowed).result(PATIENCE_SECONDS) == Stored(snapshot.id, snapshot.sha256())
    assert children[0].communicate(timeout=PATIENCE_SECONDS)[0] == b"purged 1\n"
    assert len(read(stored.summaries)) == 1
    assert not traces_of(path, [b"xyzzy_planted", consent.workspace_id.encode()])


def is_locked(connection):
    """Whether somebody else is in a transaction that writes."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        return error.sqlite_errorname == "SQLITE_BUSY"
    connection.execute("ROLLBACK")
    return False


def test_consent_that_comes_and_goes_leaves_only_what_there_is_consent_for(
    path, store, read, samples, open_book, book, root, start_consenting
):
    of_the_store = open_book()
    child = start_consenting("again", TIMES)
    said = []
    listener = threading.Thread(target=lambda: said.extend(line.split() for line in child.stdout))
    listener.start()
    is_over = False
    while not is_over:
        is_over = not listener.is_alive()  # then consent stays, and one more is stored
        consent = book.for_workspace(root)
        if consent is None:
            continue

        def still_allowed(begun_under=consent):
            now = of_the_store.for_workspace(root)
            return now is not None and now.workspace_id == begun_under.workspace_id

        store.submit(samples.sample(workspace_id=consent.workspace_id), still_allowed).result(PATIENCE_SECONDS)
    assert child.wait(PATIENCE_SECONDS) == 0, child.stderr.read().decode()
    granted, *ended = [word.decode() for word in said[-1][1:]]
    purged = [int(words[1]) for words in said if words[0] == b"purged"]
    assert len(purged) == len(ended) == TIMES
    assert min(purged) >= 1
    assert {row.workspace_id for row in read(stored.summaries)} == {granted}
