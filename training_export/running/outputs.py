"""The output of a stage: it appears whole under its name or not at all, and what was rejected in a file beside it.

While a stage runs, everything it writes is in a private folder beside the output, ``OUT.work``; whoever holds the lock
in it is the only one that writes this output. What a run that was killed has left there is taken over by the next.
Knows nothing of stages.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Final

import orjson

from capture.file_lock import PRIVATE_FILE_MODE, FileLock
from training_export.errors import ExamplesUnwritable, OutputRefused, RunInterrupted, StoppedAtBadLine
from training_export.example import Example
from training_export.example_format.files import Rejected, suffix_of
from training_export.example_format.opening import compressing
from training_export.running.interruption import interruptible
from training_export.running.results import RESULTS_NAME, holds_findings
from training_export.running.sources import REJECTED_SUFFIX, Sources

STANDARD_OUTPUT: Final = "-"
WORK_SUFFIX: Final = ".work"
LOCK_NAME, PART_NAME, REJECTED_NAME = "lock", "output.part", "rejected.part"
PRIVATE_DIRECTORY_MODE: Final = 0o700


class OutputLock(FileLock):
    """A lock in a folder that goes away when the work is done."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._path = path

    def is_current(self) -> bool:
        """Whether the locked file is still the one of that name; else its folder was cleared meanwhile."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except FileNotFoundError:
            return False


class WorkFolder:
    """``OUT.work``, held by this run until `working_on` ends."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(target.name + WORK_SUFFIX)

    @property
    def results_path(self) -> Path:
        """The work file of a stage."""
        return self.path / RESULTS_NAME

    def take(self) -> OutputLock:
        """Make it and lock it; raises OutputRefused where another run has it."""
        while True:
            with suppress(FileExistsError):
                self.path.mkdir(PRIVATE_DIRECTORY_MODE)
            try:
                lock = OutputLock(self.path / LOCK_NAME)
            except FileNotFoundError:
                continue  # another run has just finished and taken the folder away
            if not lock.take():
                lock.close()
                raise OutputRefused(f"another run is writing {self.target}; wait for it, or give another output")
            if lock.is_current():
                return lock
            lock.close()

    def clear(self) -> None:
        """Remove it and what runs put there; what others put there stays."""
        for found in self.path.iterdir():
            if not found.is_dir():
                found.unlink()
        with suppress(OSError):
            self.path.rmdir()


class Lines:
    """Examples go here, one a line."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.count = 0
        self._stream = stream

    def write(self, line: Example | str | bytes) -> None:
        """An example, or the text of its line without the end. Raises ExampleRejected for what JSON cannot hold."""
        text = line.to_line() if isinstance(line, Example) else line
        with _explained("the output"):
            self._stream.write((text.encode() if isinstance(text, str) else text) + b"\n")
        self.count += 1


class Rejections:
    """Lines that are no examples, counted and written where they are not lost."""

    def __init__(self, stream: IO[bytes] | None, *, strict: bool = False) -> None:
        """Without a stream they are said on standard error."""
        self.count = 0
        self._stream = stream
        self._strict = strict

    def add(self, rejected: Rejected) -> None:
        """One more; raises StoppedAtBadLine where the run is strict."""
        if self._strict:
            raise StoppedAtBadLine(str(rejected))
        self.count += 1
        if self._stream is None:
            sys.stderr.write(f"rejected: {rejected}\n")
            return
        line = {
            "source": rejected.source, "line": rejected.line, "field": rejected.field, "reason": rejected.reason
        }  # fmt: skip
        if rejected.text:
            line["text"] = rejected.text.decode(errors="backslashreplace")
        self._stream.write(orjson.dumps(line) + b"\n")


@contextmanager
def working_on(output: str, inputs: Sources | None = None, *, force: bool = False) -> Iterator[WorkFolder | None]:
    """Be the only one that writes this output while the block runs; None for standard output.

    When the block ends well, the folder is gone; else what it holds is kept for the next run. ``force`` allows an
    output that is one of the inputs, which is replaced when all of it was read. Raises OutputRefused,
    ExamplesUnwritable.
    """
    if output == STANDARD_OUTPUT:
        yield None
        return
    target = Path(output).resolve()
    _check(output, target)
    if inputs is not None and inputs.is_among(target) and not force:
        raise OutputRefused(f"{output} is one of the inputs; give another output, or --force to replace it")
    work = WorkFolder(target)
    try:
        lock = work.take()
    except OSError as error:
        raise ExamplesUnwritable(f"cannot write {output}: {work.path}: {error.strerror}") from error
    try:
        yield work
        work.clear()
    except BaseException:
        if not holds_findings(work.results_path):
            work.clear()
        raise
    finally:
        lock.close()


@contextmanager
def writing(output: str, work: WorkFolder | None, *, strict: bool = False) -> Iterator[tuple[Lines, Rejections]]:
    """Where lines and rejected ones go; both files appear when the block ends well, else they are as they were.

    Without rejected lines there is no file for them, and that of an earlier run is removed.
    """
    if work is None:
        stream = sys.stdout.buffer
        yield Lines(stream), Rejections(None, strict=strict)
        stream.flush()
        return
    target, rejected_path = work.target, rejected_beside(work.target)
    with ExitStack() as stack:
        with _explained(output):
            file = stack.enter_context(_part(work.path / PART_NAME))
            rejected_file = stack.enter_context(_part(work.path / REJECTED_NAME))
            stream = stack.enter_context(compressing(file, target.name))
        rejections = Rejections(rejected_file, strict=strict)
        yield Lines(stream), rejections
        with _explained(output):
            stream.close() if stream is not file else file.flush()
            os.fsync(file.fileno())
            rejected_file.flush()
            os.fsync(rejected_file.fileno())
            _give_permissions(work.path / PART_NAME, target)
            _give_permissions(work.path / REJECTED_NAME, rejected_path)
            if rejections.count:
                (work.path / REJECTED_NAME).replace(rejected_path)
            else:
                rejected_path.unlink(missing_ok=True)
            (work.path / PART_NAME).replace(target)
            _sync_folder(target.parent)


@contextmanager
def selection(
    output: str, inputs: Sources | None = None, *, strict: bool = False, force: bool = False
) -> Iterator[tuple[Lines, Rejections]]:
    """`working_on` and `writing` for commands that are no stages: an output that is there needs ``force``.

    Ctrl-C and a request to end leave everything as it was; they raise RunInterrupted.
    """
    if output != STANDARD_OUTPUT and Path(output).exists() and not force:
        raise OutputRefused(f"{output} exists; --force replaces it")
    try:
        with interruptible(), working_on(output, inputs, force=force) as work:
            if work is not None and holds_findings(work.results_path) and not force:
                raise OutputRefused(
                    f"{work.path} holds unfinished work of a stage; finish it, or give it up with --force"
                )
            with writing(output, work, strict=strict) as written:
                yield written
    except KeyboardInterrupt as error:
        raise RunInterrupted("interrupted; nothing was written") from error


def rejected_beside(output: Path) -> Path:
    """``moments.jsonl.rejected.jsonl`` for ``moments.jsonl``: outputs of different names never share one."""
    return output.with_name(output.name + REJECTED_SUFFIX)


def _check(output: str, target: Path) -> None:
    if target.is_dir():
        raise OutputRefused(f"{output} is a folder; name a file in it, ending in .jsonl, .jsonl.gz or .jsonl.zst")
    if suffix_of(target.name) != ".jsonl":
        raise OutputRefused(f"{output} must end in .jsonl, .jsonl.gz or .jsonl.zst, or be - for standard output")
    if not target.parent.is_dir():
        raise OutputRefused(f"there is no folder {target.parent}")


@contextmanager
def _part(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("wb") as file:
            yield file
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _explained(output: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExamplesUnwritable(f"cannot write {output}: {error.strerror}") from error


def _give_permissions(part: Path, target: Path) -> None:
    """Those of the file that is replaced; a new one, with somebody's code in it, is its owner's alone."""
    part.chmod(target.stat().st_mode & 0o777 if target.exists() else PRIVATE_FILE_MODE)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
