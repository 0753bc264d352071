"""What a person sees of a run: a line on standard error while it lasts, one sentence at its end.

The line is there only on a terminal, and only once the work has taken two seconds. Standard output is left to examples.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from rich.console import Console

    from training_export.running.runner import Summary

QUIET_SECONDS: Final = 2.0
_listener: ContextVar[Callable[[Summary], None] | None] = ContextVar("listener", default=None)


class ProgressLine(AbstractContextManager["ProgressLine"]):
    """``score ━━━━╸ 1,200 examples 85.3/s 0:02:11 left, 3 failed, dollars: 0.4100``."""

    def __init__(self, what: str, total_bytes: int | None, *, is_shown: bool = True) -> None:
        from rich.console import Console  # noqa: PLC0415 (rich only where it is used)

        self._console: Console = Console(stderr=True)
        self._is_shown = is_shown and self._console.is_terminal
        self._what = what
        self._total_bytes = total_bytes
        self._started = time.monotonic()
        self._progress: Any = None

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def update(self, read_bytes: int, counts: Mapping[str, float], tallies: Mapping[str, float]) -> None:
        """How much of the input is behind us, how many ``examples``, ``reused``, ``failed``, ``rejected`` so far."""
        if not self._is_shown:
            return
        seconds = time.monotonic() - self._started
        if self._progress is None:
            if seconds < QUIET_SECONDS:
                return
            self._start()
        text = f"{counts['examples']:,.0f} examples {counts['examples'] / seconds:,.1f}/s{aside(counts, tallies)}"
        self._progress.update(self._task, completed=read_bytes, counted=text)

    def _start(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[counted]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            redirect_stdout=False,
        )
        self._task = self._progress.add_task(self._what, total=self._total_bytes, counted="")
        self._progress.start()


@contextmanager
def listening(listener: Callable[[Summary], None]) -> Iterator[None]:
    """Whoever runs a command within the block is told the summaries that it reports, too."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def report(summary: Summary, *, as_json: bool = False) -> None:
    """One line about a run that has ended, on standard error; as JSON on standard output."""
    listener = _listener.get()
    if listener is not None:
        listener(summary)
    if as_json:
        sys.stdout.write(orjson.dumps(summary.to_json()).decode() + "\n")
        sys.stdout.flush()
        return
    sys.stderr.write(f"foretype: {sentence(summary)}\n")


def sentence(summary: Summary) -> str:
    """``score: 1,200 examples to out.jsonl, 800 reused, 3 failed, 2 rejected, tokens: 5,310``."""
    output = "standard output" if summary.output == "-" else summary.output
    counts = {"reused": summary.reused, "failed": summary.failed, "rejected": summary.rejected}
    ending = "" if summary.examples == 1 else "s"
    return f"{summary.stage}: {summary.examples:,} example{ending} to {output}{aside(counts, summary.tallies)}"


def aside(counts: Mapping[str, float], tallies: Mapping[str, float]) -> str:
    """What there is of the rest, each behind a comma."""
    told = [f", {counts[what]:,.0f} {what}" for what in ("reused", "failed", "rejected") if counts[what]]
    return "".join(told + [f", {name}: {_number(tallies[name])}" for name in sorted(tallies)])


def _number(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) else f"{number:,.4f}"
