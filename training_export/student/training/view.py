"""What a person sees of a training: a live view on a terminal, plain lines elsewhere; all of it on standard error.

Knows nothing of how training is done.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

SETS: Final = {"held_out": "held out", "replay": "standard"}


class View(Protocol):
    """Is told how it goes."""

    def step(self, step: int, steps: int, seconds: float, loss: float) -> None:
        """One step more."""
        ...

    def line(self, line: Mapping[str, Any]) -> None:
        """A line of the log."""
        ...

    def note(self, text: str) -> None:
        """Something worth a sentence."""
        ...


class PlainView:
    """A line of text for each of the log's, for pipes and files."""

    def step(self, step: int, steps: int, seconds: float, loss: float) -> None:
        """Nothing: lines come often enough."""

    def line(self, line: Mapping[str, Any]) -> None:
        """See `View`."""
        self.note(plain(line))

    def note(self, text: str) -> None:
        """See `View`."""
        sys.stderr.write(f"foretype: {text}\n")
        sys.stderr.flush()


class SilentView:
    """Says nothing; for tests and callers with eyes of their own."""

    def step(self, step: int, steps: int, seconds: float, loss: float) -> None:
        """Nothing."""

    def line(self, line: Mapping[str, Any]) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


class LiveView:
    """Drawn anew with every step, at most four times a second."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._bar = Progress(
            TextColumn("step"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=self._console,
        )
        self._task = self._bar.add_task("step", left="")
        self._first: tuple[int, float] | None = None
        self._newest: dict[str, Any] = {}
        self._looks: dict[str, Mapping[str, Any]] = {}
        self._live = Live(
            console=self._console, refresh_per_second=4, get_renderable=self._drawn, redirect_stdout=False
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def step(self, step: int, steps: int, seconds: float, loss: float) -> None:
        """See `View`."""
        if self._first is None:
            self._first = (step, seconds)
        done = step - self._first[0]
        left = "" if not done else f"{clock((seconds - self._first[1]) / done * (steps - step))} left"
        self._newest["loss"] = loss
        self._bar.update(self._task, completed=step, total=steps, left=left)

    def line(self, line: Mapping[str, Any]) -> None:
        """See `View`."""
        self._newest |= line
        self._looks |= {name: line[name] for name in SETS if name in line}

    def note(self, text: str) -> None:
        """See `View`."""
        self._console.print(f"foretype: {text}", markup=False, highlight=False)

    def _drawn(self) -> Group:
        newest = self._newest
        figures = [f"loss {newest['loss']:.3f}"] if "loss" in newest else []
        if "tokens_per_second" in newest:
            figures += [f"rate {newest['rate']:.3f}", f"{newest['tokens']:,} tokens"]
            figures += [f"{newest['tokens_per_second']:,} tokens/s", f"{newest['matrix_share']:.0%} of the matrix rate"]
        table = Table(box=None, pad_edge=False)
        for column in ("", "exact", "loss", "by task"):
            table.add_column(column)
        for name, found in self._looks.items():
            tasks = "  ".join(f"{task} {share:.0%}" for task, share in found["by_task"].items())
            table.add_row(SETS[name], f"{found['exact']:.1%}", f"{found['loss']:.3f}", tasks)
        return Group(self._bar, Text("   ".join(figures)), *([table] if self._looks else []))


def plain(line: Mapping[str, Any]) -> str:
    """``step 250: loss 1.204, rate 0.8, 3,012 tokens/s (12% of the matrix rate); held out 61.2% exact (...)``."""
    told = f"step {line['step']}: loss {line['loss']:.3f}, rate {line['rate']:.3f}, "
    told += f"{line['tokens_per_second']:,} tokens/s ({line['matrix_share']:.0%} of the matrix rate)"
    for name, shown in SETS.items():
        if name in line:
            tasks = ", ".join(f"{task} {share:.0%}" for task, share in line[name]["by_task"].items())
            told += f"; {shown} {line[name]['exact']:.1%} exact ({tasks}), loss {line[name]['loss']:.3f}"
    return told


def clock(seconds: float) -> str:
    """``1:02:03``, or ``2:03`` below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
