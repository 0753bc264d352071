"""What ten thousand open snapshots cost a window: no timer and no task of their own, and git no more than files."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import replace

import pytest

from capture.consent.book import ConsentBook
from capture.consent.policy import PolicyFile
from capture.editing.positions import ContentChange, Position, Range
from capture.store.store import Store
from daemon.engine.messages import EngineAnswer
from daemon.lsp.capturing import Capturing
from daemon.lsp.documents import Documents
from daemon.prediction import Nothing
from daemon.scheduler import Answered
from daemon.snapshot_keeper import SnapshotKeeper

FILES, ROWS = 50, 200
TEXT = "".join(f"value_{row} = {row}\n" for row in range(ROWS))


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    return folder


@pytest.fixture
def book(tmp_path, project):
    book = ConsentBook(tmp_path / "config" / "consent.json", PolicyFile(tmp_path / "policy.toml"))
    book.grant(str(project), "local")
    return book


@pytest.fixture
async def keeper(book, tmp_path, settings, set_settings):
    set_settings("settle_seconds = 60\n")
    keeper = SnapshotKeeper(Store(tmp_path / "data" / "snapshots.sqlite3"), book, lambda: settings.current)
    yield keeper
    await keeper.close()


@pytest.fixture
async def capturing(services, settings, project):
    """``capturing.documents`` are the window's; what is open when the test ends is forgotten."""
    documents = None
    made = Capturing(services, lambda: documents, lambda: settings.current, lambda _: None)
    made.documents = documents = Documents(observer=made)
    documents.set_folders([project.as_uri()])
    yield made
    made._settling.discard()
    await made.close()


@pytest.fixture
def git_calls(tmp_path, monkeypatch):
    """How often git was run, by the words it was given; a call that ends is in the list."""
    calls, folder = tmp_path / "git-calls", tmp_path / "bin"
    folder.mkdir()
    git = folder / "git"
    git.write_text(f'#!/bin/sh\necho "$@" >> "{calls}"\nexec "{shutil.which("git")}" "$@"\n')
    git.chmod(0o700)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return lambda: calls.read_text().splitlines() if calls.exists() else []


def nothing_at(capturing, document, rows):
    """The model said of each of these rows that nothing is to be done: a snapshot is opened."""
    inputs = capturing.documents.inputs(document, Position(ROWS // 2, 0), (), (), capturing._settings())
    assert inputs.cursor_excerpt == TEXT
    starts = [TEXT.index(f"value_{row} =") for row in rows]
    for start in starts:
        answer = EngineAnswer(1, start, TEXT.index("\n", start), new_region_text=None, reason="nothing to do")
        capturing.returned(document, Answered(inputs, answer), Nothing(answer.reason))


def pending_timers():
    return [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]


async def test_ten_thousand_open_snapshots_are_one_deadline_and_a_question_a_file(capturing, project, git_calls):
    documents = capturing.documents
    opened = [documents.open((project / f"{number}.py").as_uri(), "python", 1, TEXT) for number in range(FILES)]
    tasks, timers = len(asyncio.all_tasks()), len(pending_timers())
    for document in opened:
        nothing_at(capturing, document, range(ROWS))
    assert capturing.open_count == FILES * ROWS == 10_000
    assert len(asyncio.all_tasks()) == tasks + 1  # that of the questions to git
    await asyncio.sleep(0)
    assert len(pending_timers()) <= timers + 2  # the first deadline, and the pause before git is asked
    await asyncio.wait([capturing._looks._task])
    asked = len(git_calls())
    assert asked == FILES  # one that says that it is no repository; however long the opening took
    assert len(asyncio.all_tasks()) == tasks
    elsewhere = documents.open((project / "elsewhere.py").as_uri(), "python", 1, "")
    counts, deadlines = replace(capturing._settling.counts), capturing._settling.deadlines.pushes
    for version in range(2, 1002):
        documents.change(elsewhere.uri, version, [ContentChange(Range(Position(0, 0), Position(0, 0)), "x")])
    await asyncio.sleep(0)
    assert (capturing._settling.counts, capturing._settling.deadlines.pushes) == (counts, deadlines)
    assert len(pending_timers()) == timers + 1
    assert len(git_calls()) == asked
