"""The guard on ``processId``: a session does not outlive its editor.

The number may be from another machine or container (remote editing), so one that was never seen alive means
nothing and is ignored. Knows nothing of sessions.
"""

from __future__ import annotations

import asyncio

import psutil

POLL_SECONDS = 3.0  # what other servers use; EOF is the quick signal, this one is for pipes a sibling holds


async def wait_for_death(process_id: int, *, poll_seconds: float = POLL_SECONDS) -> None:
    """Return when the process is dead; never return when it was not alive to begin with."""
    try:
        process = psutil.Process(process_id)
    except psutil.NoSuchProcess:
        await asyncio.Event().wait()
        return
    while _is_alive(process):  # noqa: ASYNC110  (only a parent is told of a death; the editor is no child)
        await asyncio.sleep(poll_seconds)


def _is_alive(process: psutil.Process) -> bool:
    """Whether it runs; a reused number or a zombie does not count."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True  # it is somebody else's, and it is there
