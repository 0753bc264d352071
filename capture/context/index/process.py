"""The hub's handle on one index worker process: start it, tell it, hear it, end it.

Knows nothing of what is told, nor of restarts.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

import capture

if TYPE_CHECKING:
    import logging
    from collections.abc import AsyncIterator, Sequence

WORKER_COMMAND = (sys.executable, "-m", "capture.context.index.worker")
# `python -m` puts its working folder first on the import path, so it must not be a folder of the user's.
WORKING_FOLDER = Path(capture.__file__).parent.parent
MAX_LINE_BYTES = 64 * 1024 * 1024  # an answer is bounded (``answers.MAX_ANSWER_BYTES``); the limit only has to exist
MAX_UNREAD_BYTES = 1024 * 1024  # of what the worker was told
CLOSE_SECONDS = 2.0  # for a worker to notice the end of its input; it then is killed


class IndexProcess:
    """A running index worker."""

    def __init__(self, process: Process, log: logging.Logger) -> None:
        assert process.stdin is not None  # noqa: S101  asked for in ``start``; tells mypy
        assert process.stdout is not None  # noqa: S101  the same
        assert process.stderr is not None  # noqa: S101  the same
        self._process = process
        self._input, self._output, self._messages = process.stdin, process.stdout, process.stderr
        self._log = log
        self._errors = asyncio.create_task(self._read_errors())

    @classmethod
    async def start(cls, command: Sequence[str], log: logging.Logger) -> IndexProcess:
        """Start ``command``; its standard error goes to ``log``. Raises OSError."""
        starting = asyncio.create_task(_start(command))
        try:
            await _settle(starting)
        except asyncio.CancelledError:
            if starting.exception() is None:
                await cls(starting.result(), log).end()
            raise
        return cls(starting.result(), log)

    @property
    def process_id(self) -> int:
        """The worker's process id."""
        return self._process.pid

    @property
    def is_behind(self) -> bool:
        """Whether the worker has more to read than it should be given."""
        return self._input.transport.get_write_buffer_size() > MAX_UNREAD_BYTES

    def tell(self, message: dict[str, Any]) -> None:
        """Send one message; to a worker that has ended, nothing happens."""
        if not self._input.is_closing():
            self._input.write(orjson.dumps(message) + b"\n")

    async def replies(self) -> AsyncIterator[dict[str, Any]]:
        """What the worker says, until it ends."""
        while (line := await self._output.readline()).endswith(b"\n"):
            yield orjson.loads(line)

    async def end(self) -> str:
        """End the process if it still runs, by the end of its input or by force, and say how it ended.

        Where the caller is cancelled meanwhile, the process is ended nevertheless.
        """
        ending = asyncio.create_task(self._end())
        await _settle(ending)
        return ending.result()

    async def _end(self) -> str:
        self._input.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
        code = await self._process.wait()
        await self._errors
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return f"the index worker ended {how}"

    async def _read_errors(self) -> None:
        async for line in self._messages:
            self._log.info("%s", line.decode(errors="replace").rstrip())


async def _start(command: Sequence[str]) -> Process:
    return await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=WORKING_FOLDER, limit=MAX_LINE_BYTES
    )


async def _settle(task: asyncio.Task[Any]) -> None:
    """Wait until ``task`` is done, however often the caller is cancelled; the cancellation is raised then.

    Left half-way, starting and ending a process would leave the process, or pipes to it.
    """
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
