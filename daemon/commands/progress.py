"""A spinner on standard error, for what may take longer than two seconds."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """Show ``what`` while the block runs; the block may call what it gets to say what it does now."""
    console = Console(stderr=True)
    with console.status(f"{what} ...") as status:
        yield lambda now: status.update(f"{now} ...")
