"""Answers that were paid for, kept so that none is paid for twice: by any run, thread or process of this machine.

A question has a row from the moment somebody asks it. Who comes second waits for the first, unless that one died: a
process is known by its id and when it started. A question that waits for a batch keeps its text until it is answered,
an answered one does not. The file is private, in the data folder, and holds code that was in examples; no key of any
service is ever in it. Knows nothing of services and money.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson
import psutil

from capture.store.error import StorageError
from capture.store.sqlite import Connection, Database, Schema, open_for_writing
from training_export.errors import AnswersUnusable

APPLICATION_ID: Final = 0x66744131  # "ftA1"
SCHEMA: Final = Schema(
    APPLICATION_ID,
    (
        (
            # asked_by: the process that asks now. batch: where it was sent to. request: its text, while it waits for a
            # batch or in one. tries: how often a batch came back without an answer. wanted: the newest run that sends
            # batches asks it; what an earlier one left behind is not sent.
            """
            CREATE TABLE answers (
                key TEXT PRIMARY KEY,
                teacher TEXT NOT NULL,
                asked_by TEXT,
                batch TEXT REFERENCES batches (label) ON DELETE SET NULL,
                request TEXT,
                reply TEXT,
                tries INTEGER NOT NULL DEFAULT 0,
                wanted INTEGER NOT NULL DEFAULT 0
            ) WITHOUT ROWID, STRICT
            """,
            # label: ours, made before it is sent. id: the service's, once it is known.
            """
            CREATE TABLE batches (
                label TEXT PRIMARY KEY,
                teacher TEXT NOT NULL,
                begun TEXT NOT NULL,
                requests INTEGER NOT NULL,
                id TEXT
            ) WITHOUT ROWID, STRICT
            """,
            "CREATE INDEX waiting ON answers (teacher, batch) WHERE request IS NOT NULL",
        ),
    ),
)
FOLDER: Final = "teacher-answers"
LOOK_AGAIN_SECONDS: Final = 0.25  # another process asks the same: SQLite cannot tell when it is done

DAMAGED_CURE: Final = (
    "it is damaged; delete it (answers in it are then asked again), or choose another with --cache FILE"
)

T = TypeVar("T")


def default_path(folder: Path) -> Path:
    """Where answers for files in this folder are kept: beside them, so that what becomes of one becomes of both."""
    return folder / FOLDER / "answers.sqlite3"


class Claim(Enum):
    """What became of an attempt to be the one who asks."""

    MINE = "mine"
    THEIRS = "theirs"  # somebody asks it at this moment
    IN_BATCH = "in a batch"


@dataclass(slots=True)
class Counters:
    """What this cache did since it was opened."""

    found: int = 0
    claimed: int = 0
    stored: int = 0


class AnswerCache:
    """Replies by key, as JSON values. For several threads; see ``opened_cache``."""

    def __init__(self, database: Database, thread: ThreadPoolExecutor) -> None:
        self.counters = Counters()
        self._database = database
        self._thread = thread  # a Database is for one thread
        self._changed = threading.Condition()
        self._mine: set[str] = set()

    def look_up(self, key: str) -> dict[str, Any] | None:
        """The reply, None where there is none yet."""
        found: dict[str, Any] | None = self.read(partial(_look_up, key))
        with self._changed:
            self.counters.found += found is not None
        return found

    def claim(self, key: str, teacher: str) -> dict[str, Any] | Claim:
        """The reply; or, where there is none, whether it is now on the caller to ask.

        Who is to ask must ``store`` the reply or ``give_up``. Does not wait: see ``wait``.
        """
        with self._changed:
            if key in self._mine:
                return Claim.THEIRS
            found = self.read(partial(_look_up, key))  # cheaper than a transaction, and mostly enough
            claimed = self.write(partial(_claim, key, teacher)) if found is None else found
            if claimed is Claim.MINE:
                self._mine.add(key)
                self.counters.claimed += 1
            self.counters.found += not isinstance(claimed, Claim)
        return claimed

    def store(self, key: str, reply: dict[str, Any]) -> None:
        """Keep the reply to a question that was claimed; it is on the disk when this returns."""
        self.write(partial(store_replies, {key: reply}))
        with self._changed:
            self.counters.stored += 1
        self._done(key)

    def give_up(self, key: str) -> None:
        """There will be no reply to a question that was claimed; somebody else may ask."""
        self.write(partial(_give_up, key))
        self._done(key)

    def wait(self, key: str) -> None:
        """Until something may have happened to a question that others ask."""
        with self._changed:
            if key in self._mine:
                self._changed.wait_for(lambda: key not in self._mine)
            else:
                self._changed.wait(LOOK_AGAIN_SECONDS)

    def read(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` reads; with ``write`` for the batches (``batch_rows``), which have statements of their own."""
        return self._thread.submit(self._reading, work).result()

    def write(self, work: Callable[[Connection], T]) -> T:
        """One transaction, on the disk when this returns."""
        return self._thread.submit(self._writing, work).result()

    def give_up_all(self) -> None:
        """What is still claimed will not be answered here."""
        for key in tuple(self._mine):
            self.give_up(key)

    def _done(self, key: str) -> None:
        with self._changed:
            self._mine.discard(key)
            self._changed.notify_all()

    def _reading(self, work: Callable[[Connection], T]) -> T:
        with _explained(self._database.path), self._database.reading() as connection:
            return work(connection)

    def _writing(self, work: Callable[[Connection], T]) -> T:
        with _explained(self._database.path), self._database.writing() as connection:
            return work(connection)


@contextmanager
def opened_cache(path: Path) -> Iterator[AnswerCache]:
    """The cache in this file, made if need be; raises AnswersUnusable."""
    with ThreadPoolExecutor(1, thread_name_prefix="answers") as thread:
        with _explained(path):
            database = thread.submit(open_for_writing, path, SCHEMA).result()
        answers = AnswerCache(database, thread)
        try:
            yield answers
        finally:
            try:
                answers.give_up_all()
            finally:
                thread.submit(database.close).result()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        cure = DAMAGED_CURE if error.reason == "damaged" else error.explanation
        raise AnswersUnusable(f"the teachers' answers cannot be kept in {path}: {cure}") from error


def _look_up(key: str, connection: Connection) -> dict[str, Any] | None:
    row = connection.execute("SELECT reply FROM answers WHERE key = ?", (key,)).fetchone()
    return None if row is None or row["reply"] is None else orjson.loads(row["reply"])


def _claim(key: str, teacher: str, connection: Connection) -> dict[str, Any] | Claim:
    row = connection.execute("SELECT asked_by, batch, request, reply FROM answers WHERE key = ?", (key,)).fetchone()
    if row is not None and row["reply"] is not None:
        found: dict[str, Any] = orjson.loads(row["reply"])
        return found
    if row is not None and row["batch"] is not None:
        return Claim.IN_BATCH
    if row is not None and row["asked_by"] is not None and is_alive(row["asked_by"]):
        return Claim.THEIRS
    connection.execute(
        "INSERT INTO answers (key, teacher, asked_by) VALUES (?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET asked_by = excluded.asked_by",
        (key, teacher, _process(os.getpid())),
    )
    return Claim.MINE


def store_replies(replies: Mapping[str, Mapping[str, Any]], connection: Connection) -> None:
    """Answer questions that have a row."""
    connection.executemany(
        "UPDATE answers SET reply = ?, request = NULL, batch = NULL, asked_by = NULL WHERE key = ?",
        [(orjson.dumps(reply).decode(), key) for key, reply in replies.items()],
    )


def _give_up(key: str, connection: Connection) -> None:
    """What waits for a batch goes on waiting."""
    connection.execute("UPDATE answers SET asked_by = NULL WHERE key = ? AND request IS NOT NULL", (key,))
    connection.execute("DELETE FROM answers WHERE key = ? AND reply IS NULL AND request IS NULL", (key,))


@cache
def _process(process_id: int) -> str:
    """A name that no later process has: ids are used again."""
    return f"{process_id} {psutil.Process(process_id).create_time():.2f}"


def is_alive(name: str) -> bool:
    """Whether the process that gave itself this name still runs."""
    process_id, started = name.split()
    try:
        return f"{psutil.Process(int(process_id)).create_time():.2f}" == started
    except psutil.NoSuchProcess:
        return False
