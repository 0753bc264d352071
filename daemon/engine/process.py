"""The hub's handle on one engine worker process: start it, ask it, end it.

One request at a time; its owner (``client.EngineClient``) sees to that. Knows nothing of models, restarts or
predictions.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

import daemon
from daemon.engine.abort import AbortFlag
from daemon.engine.errors import EngineError, WorkerDied

if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence

WORKER_COMMAND = (sys.executable, "-m", "daemon.engine.worker")
# `python -m` puts its working folder first on the import path, so it must not be a folder of the user's.
WORKING_FOLDER = Path(daemon.__file__).parent.parent
MAX_LINE_BYTES = 64 * 1024 * 1024  # an answer is a region of a file; the limit only has to exist
CLOSE_SECONDS = 2.0  # for a worker to notice the end of its input; it then is killed


class WorkerProcess:
    """A running worker."""

    def __init__(self, process: Process, flag: AbortFlag, log: logging.Logger) -> None:
        self.flag = flag
        self._process = process
        self._log = log
        self._last_line = ""
        self._errors = asyncio.create_task(self._read_errors())
        self.ended = asyncio.create_task(self._wait())

    @classmethod
    async def start(cls, command: Sequence[str], log: logging.Logger) -> WorkerProcess:
        """Start ``command`` with an abort flag; its standard error goes to ``log``. Raises OSError."""
        flag = AbortFlag.create()
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                str(flag.descriptor),
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                pass_fds=(flag.descriptor,),
                cwd=WORKING_FOLDER,
                env={**os.environ, "GGML_NO_BACKTRACE": "1"},
                limit=MAX_LINE_BYTES,
            )
        except OSError:
            flag.close()
            raise
        return cls(process, flag, log)

    @property
    def process_id(self) -> int:
        """The worker's process id."""
        return self._process.pid

    async def request(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send one message and wait for its reply.

        Raises WorkerDied when the process ends instead and EngineError when the message holds text that is no
        Unicode (half a surrogate pair).
        """
        assert self._process.stdin is not None  # noqa: S101  asked for in ``start``; tells mypy
        assert self._process.stdout is not None  # noqa: S101  the same
        try:
            line = orjson.dumps(message)
        except orjson.JSONEncodeError as error:
            raise EngineError(f"the text around the cursor is not valid Unicode ({error})") from None
        try:
            self._process.stdin.write(line + b"\n")
            await self._process.stdin.drain()
            reply = await self._process.stdout.readline()
        except ConnectionError:
            reply = b""
        if not reply.endswith(b"\n"):
            raise WorkerDied(await self.ended)
        value: dict[str, Any] = orjson.loads(reply)
        return value

    async def close(self) -> None:
        """End the process: by the end of its input, and by force where that is not noticed in time."""
        assert self._process.stdin is not None  # noqa: S101  asked for in ``start``
        self._process.stdin.close()
        await asyncio.wait({self.ended}, timeout=CLOSE_SECONDS)
        self.kill()
        await self.ended

    def kill(self) -> None:
        """End the process now; ``ended`` is done soon after."""
        if self._process.returncode is None:
            self._process.kill()

    async def _wait(self) -> str:
        """Wait for the end and say how it came about, with the last line the worker printed."""
        code = await self._process.wait()
        await self._errors
        self.flag.close()
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return f"the engine worker ended {how}" + (f"; last in its log: {self._last_line}" if self._last_line else "")

    async def _read_errors(self) -> None:
        assert self._process.stderr is not None  # noqa: S101  asked for in ``start``
        async for line in self._process.stderr:
            self._last_line = line.decode(errors="replace").strip() or self._last_line
            self._log.info("%s", self._last_line)
