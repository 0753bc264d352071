"""One request to the worker and its reply, kept to a deadline and abortable at any moment.

Whatever happens to the caller, ``exchange`` returns only when the worker owes nothing any more: that is what
makes the abort flag safe (see ``abort.py``). Knows nothing of what is asked.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from daemon.engine.abort import AbortCause
from daemon.engine.errors import DeadlineExceeded, WorkerDied

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.engine.process import WorkerProcess


async def exchange(
    worker: WorkerProcess,
    message: dict[str, Any],
    *,
    deadline_seconds: float,
    grace_seconds: float,
    on_reply: Callable[[dict[str, Any]], None] = lambda _reply: None,
) -> dict[str, Any]:
    """The worker's reply to ``message``; ``on_reply`` hears it even where the caller was cancelled and gets none.

    At the deadline the abort flag is raised, and at once where the caller is cancelled; a worker that has
    not replied ``grace_seconds`` later is killed. Raises DeadlineExceeded then, and what ``worker.request``
    raises.
    """
    worker.flag.set(AbortCause.NONE)  # the worker owes nothing: nobody else can be meant by this flag
    request = asyncio.create_task(_heard(worker, message, on_reply))
    watchdog = _Watchdog(worker, deadline_seconds, grace_seconds)
    try:
        await _settle(request, on_cancel=watchdog.cancel_request)
        return request.result()
    except WorkerDied:
        if watchdog.has_killed:
            raise DeadlineExceeded(
                f"the engine worker did not answer within {deadline_seconds:g} s and was ended"
            ) from None
        raise
    finally:
        watchdog.stop()


class _Watchdog:
    """Raises the abort flag at the deadline and, where that does not help, kills the worker."""

    def __init__(self, worker: WorkerProcess, deadline_seconds: float, grace_seconds: float) -> None:
        self.has_killed = False
        self._worker = worker
        self._grace_seconds = grace_seconds
        self._loop = asyncio.get_running_loop()
        self._soft = self._loop.call_later(deadline_seconds, worker.flag.set, AbortCause.DEADLINE)
        self._hard = self._loop.call_later(deadline_seconds + grace_seconds, self._kill)

    def cancel_request(self) -> None:
        """Nobody waits any more: raise the flag now, and kill that much earlier."""
        self.stop()
        self._worker.flag.set(AbortCause.CANCELLED)
        self._hard = self._loop.call_later(self._grace_seconds, self._kill)

    def stop(self) -> None:
        """The answer is there."""
        self._soft.cancel()
        self._hard.cancel()

    def _kill(self) -> None:
        self.has_killed = True
        self._worker.kill()


async def _heard(
    worker: WorkerProcess, message: dict[str, Any], on_reply: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    reply = await worker.request(message)
    on_reply(reply)
    return reply


async def _settle(task: asyncio.Task[dict[str, object]], on_cancel: Callable[[], None]) -> None:
    """Wait until ``task`` is done, however often the caller is cancelled; the cancellation is raised then."""
    cancelled = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
            on_cancel()
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # a death on the way is recorded elsewhere and raised to nobody
        raise cancelled
