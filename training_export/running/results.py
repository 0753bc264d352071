"""The work file: findings by key, on the disk as soon as they are there, so that a killed run goes on where it was.

It lies in the output's work folder and goes away with it. Findings are written by one thread, which takes whatever has
come meanwhile in one commit; they are read by as many workers as there are. Knows nothing of examples.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from capture.store.error import StorageError
from capture.store.sqlite import Database, Schema, open_for_reading, open_for_writing
from training_export.errors import ExamplesUnwritable, OutputRefused
from training_export.running.kept import Finding

RESULTS_NAME: Final = "results.sqlite"
_APPLICATION_ID: Final = 0x66745246  # "ftRF"
SCHEMA: Final = Schema(
    _APPLICATION_ID,
    (
        (
            "CREATE TABLE findings (key TEXT PRIMARY KEY, content BLOB NOT NULL, has_failed INTEGER NOT NULL)",
            "CREATE TABLE stage (name TEXT NOT NULL, took_over INTEGER NOT NULL)",
        ),
    ),
)
_END: Final = None
_EVERYBODY: Final = 1 << 30
_INSERT: Final = "INSERT OR REPLACE INTO findings VALUES (?, ?, ?)"


class Reader:
    """Asks for findings, while others are written. For one thread."""

    def __init__(self, path: Path) -> None:
        """Raises StorageError."""
        self._database = open_for_reading(path, SCHEMA)

    def get(self, key: str) -> Finding | None:
        """What is kept under this key; raises StorageError."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT content, has_failed FROM findings WHERE key = ?", (key,)).fetchall()
        return Finding(key, rows[0]["content"], bool(rows[0]["has_failed"])) if rows else None

    def close(self) -> None:
        """Close it."""
        self._database.close()


def prepare(
    path: Path, stage_name: str, earlier: Iterable[Finding], *, forgets: bool, retries_failed: bool, force: bool
) -> int:
    """Make the work file ready for a stage; returns how many findings it holds.

    ``earlier`` are those of the output that is there; they are taken over once, so that a run that goes on does not
    read them again. ``forgets`` drops everything, ``retries_failed`` the failures. Raises OutputRefused where it holds
    the unfinished work of another stage and neither ``forgets`` nor ``force`` gives that up; ExamplesUnwritable.
    """
    if forgets:
        for file in path.parent.glob(f"{path.stem}.*"):
            file.unlink()
    with _explained(), _opened(path) as database:
        with database.reading() as connection:
            rows = connection.execute("SELECT name, took_over FROM stage").fetchall()
        others = [row["name"] for row in rows if row["name"] != stage_name]
        if others and not (forgets or force):
            raise OutputRefused(
                f"{path.parent} holds unfinished work of `{others[0]}`: finish that, or give it up with --force"
            )
        with database.writing() as connection:
            if others or forgets:
                connection.execute("DELETE FROM findings")
            elif retries_failed:
                connection.execute("DELETE FROM findings WHERE has_failed")
            took_over = not others and any(row["took_over"] for row in rows)
            if not took_over and not forgets:
                rest = (finding for finding in earlier if not (retries_failed and finding.has_failed))
                connection.executemany(_INSERT.replace("REPLACE", "IGNORE"), map(_row, rest))
            connection.execute("DELETE FROM stage")
            connection.execute("INSERT INTO stage VALUES (?, 1)", (stage_name,))
        return _count(database)


def holds_findings(path: Path) -> bool:
    """Whether a run has left findings there; raises ExamplesUnwritable where that cannot be told."""
    if not path.exists():
        return False
    with _explained(), _opened(path) as database:
        return _count(database) > 0


class Keeper:
    """Writes findings in a thread of its own, from whatever threads they come."""

    def __init__(self, path: Path, max_unwritten: int) -> None:
        """``max_unwritten`` chunks' findings are not on the disk at any time, being written or waiting for it.

        Who has more waits: a slow disk makes a run slow, and does not make a kill cost more.
        """
        self._path = path
        self._waiting: queue.SimpleQueue[Sequence[Finding] | None] = queue.SimpleQueue()
        self._unwritten = threading.Semaphore(max_unwritten)
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._write, name="keeper of findings", daemon=True)
        self._thread.start()

    def keep(self, findings: Sequence[Finding]) -> None:
        """They are on the disk soon, in the time that a commit takes or two; `close` waits for it."""
        if findings:
            self._unwritten.acquire()
            self._waiting.put(findings)

    def check(self) -> None:
        """Raises ExamplesUnwritable where something could not be kept."""
        if self._error is not None:
            raise ExamplesUnwritable(f"cannot keep what was found: {self._error}") from self._error

    def close(self) -> None:
        """All that came is on the disk when this returns; raises ExamplesUnwritable where it is not."""
        self._waiting.put(_END)
        self._thread.join()
        self.check()

    def _write(self) -> None:
        try:
            with _opened(self._path) as database:
                is_ended = False
                while not is_ended:
                    batch, is_ended = self._next()
                    with database.writing() as connection:
                        connection.executemany(_INSERT, (_row(finding) for findings in batch for finding in findings))
                    if batch:
                        self._unwritten.release(len(batch))
        except Exception as error:  # noqa: BLE001 (it is raised again where somebody sees it)
            self._error = error
            self._unwritten.release(_EVERYBODY)  # whoever keeps more must not wait for ever

    def _next(self) -> tuple[list[Sequence[Finding]], bool]:
        """All that is waiting, once there is something, and whether that was the last."""
        batch: list[Sequence[Finding]] = []
        more = self._waiting.get()
        while more is not _END:
            batch.append(more)
            try:
                more = self._waiting.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True


@contextmanager
def _opened(path: Path) -> Iterator[Database]:
    database = open_for_writing(path, SCHEMA)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        cure = "; --fresh begins anew" if error.reason in {"damaged", "foreign", "newer"} else ""
        raise ExamplesUnwritable(f"cannot keep what is found: {error}{cure}") from error


def _count(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute("SELECT count(*) FROM findings").fetchall()[0][0])


def _row(finding: Finding) -> tuple[str, bytes, int]:
    return finding.key, finding.content, int(finding.has_failed)
