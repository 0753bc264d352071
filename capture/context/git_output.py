"""What git prints about a repository, read a piece at a time from a process of its own.

Without what a repository's configuration could make git start or fetch, and about the repository that is asked about,
whatever the environment says. Knows nothing of what is asked.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Iterable

T = TypeVar("T")

MAX_OUTPUT_BYTES = 32 * 1024 * 1024
ENDING_SECONDS = 1.0  # between the end of its output and its own
_READ_BYTES = 64 * 1024  # at a time, so that whoever reads holds up nobody
# A repository must not make us run its programs (a signature checker, a file system monitor) nor use the network to
# fetch what a partial clone lacks.
_HARMLESS = (
    "--no-pager",
    "--no-optional-locks",
    *("-c", "core.fsmonitor=false"),
    *("-c", "log.showSignature=false"),
    *("-c", "protocol.allow=never"),
)


async def git_output(git: str, arguments: Iterable[str], *, limit_seconds: float) -> AsyncIterator[bytes]:
    """What ``git`` prints, until it ends, printed ``MAX_OUTPUT_BYTES`` or took too long; nothing where there is none.

    Read it to its end, or be cancelled: either leaves no process.
    """
    starting = asyncio.ensure_future(_start(git, *_HARMLESS, *arguments))
    try:
        process = await _finished(starting)
    except asyncio.CancelledError:
        await _finished(asyncio.ensure_future(_end(starting.result())))
        raise
    if process is None:
        return
    try:
        async for data in _read(process, limit_seconds):
            yield data
    finally:
        await _finished(asyncio.ensure_future(_end(process)))


async def _start(*command: str) -> Process | None:
    try:
        return await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=_environment()
        )
    except (OSError, ValueError):  # there is no git, or the path holds a NUL
        return None


async def _end(process: Process | None) -> None:
    """One that closed its output ends by itself; one that was cut off is killed."""
    if process is None:
        return
    if process.stdout is not None and process.stdout.at_eof():
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDING_SECONDS):
                await process.wait()
    if process.returncode is None:
        with suppress(ProcessLookupError):  # it ended just now
            # Not by its own method, which would look for its exit status before asyncio does.
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()


async def _finished(task: asyncio.Future[T]) -> T:
    """What the task gives. Whoever waits may be cancelled, but not before it is done: no process is left behind."""
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _read(process: Process, limit_seconds: float) -> AsyncIterator[bytes]:
    assert process.stdout is not None  # noqa: S101  asked for; tells mypy
    left_bytes = MAX_OUTPUT_BYTES
    deadline = asyncio.get_running_loop().time() + limit_seconds
    while left_bytes > 0:
        try:
            async with asyncio.timeout_at(deadline):
                data = await process.stdout.read(_READ_BYTES)
        except TimeoutError:
            return
        if not data:
            return
        left_bytes -= len(data)
        yield data


def _environment() -> dict[str, str]:
    """Ours without what would point git to another repository, and without any way to ask somebody."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
