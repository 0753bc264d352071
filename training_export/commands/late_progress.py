"""A line of progress on standard error that appears only when the work has taken two seconds.

Standard output is never touched: it may be a pipe with examples in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

QUIET_SECONDS: Final = 2.0


@contextmanager
def late_progress(what: str, things: str = "examples") -> Iterator[Callable[[int], None]]:
    """While the block runs it may call what it gets with the number of ``things`` done so far."""
    console = Console(stderr=True)
    progress = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), console=console, transient=True, redirect_stdout=False
    )
    task = progress.add_task(what)
    started = time.monotonic()

    def done(count: int) -> None:
        if not progress.live.is_started:
            if not console.is_terminal or time.monotonic() - started < QUIET_SECONDS:
                return
            progress.start()
        progress.update(task, description=f"{what}: {count:,} {things}")

    try:
        yield done
    finally:
        if progress.live.is_started:  # stopping what never started would print an empty line
            progress.stop()
