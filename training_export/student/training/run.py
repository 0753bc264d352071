"""A training as it goes on: steps, looks at held-out examples, checkpoints, and when it ends.

Everything that changes from step to step is in a checkpoint, so an interrupted run and one that was not come to the
same weights. Knows nothing of where examples and networks come from.
"""

from __future__ import annotations

import itertools
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final

import torch
from transformers import PreTrainedModel

from training_export.errors import TrainingDiverged, TrainingRefused
from training_export.student.training.arrays import ArraySet
from training_export.student.training.checkpoints import (
    BEST_NAME,
    newest_checkpoint,
    read_state,
    write_checkpoint,
    write_state,
)
from training_export.student.training.device import Device, operations
from training_export.student.training.held_out import Look, look
from training_export.student.training.log import Log
from training_export.student.training.objectives import Objective
from training_export.student.training.optimisers import Optimisers, rate_factor
from training_export.student.training.order import Order, Place
from training_export.student.training.recipe import Recipe, Stage
from training_export.student.training.run_files import CHECKPOINTS_FOLDER
from training_export.student.training.view import View

LOG_STEPS: Final = 20
SAVE_SECONDS: Final = 240.0
NEW, STANDARD = "held_out", "replay"  # the sets that are looked at


class Ending(Enum):
    """Why a run has stopped."""

    DONE = "all steps are done"
    EARLY = "it no longer became better"
    TIME = "the time is up"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Cases of a set that nothing is learnt from."""

    examples: ArraySet
    indices: Sequence[int]


@dataclass(frozen=True, slots=True)
class Stopping:
    """When to stop, and what counts as better.

    ``patience`` looks in a row without a better one end the run (0: none do). ``keeps_best``: what counts at the end is
    the best look's network, not the last. ``may_lose``: how far the exact share on `STANDARD` may fall below where it
    began for a network to count as better.
    """

    patience: int = 0
    keeps_best: bool = False
    may_lose: float = 0.01


@dataclass(slots=True)
class Progress:
    """What a checkpoint holds beside weights: where the run is, and how it went."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    stage: int = 0
    place: Place | None = None
    best: tuple[float, float] | None = None  # exact, -loss
    best_step: int = 0
    looks_without_better: int = 0
    standard_at_start: float | None = None

    def to_json(self) -> dict[str, Any]:
        """For a checkpoint."""
        told = {name: getattr(self, name) for name in self.__slots__}
        return told | {"place": None if self.place is None else self.place.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Progress:
        """Read that form."""
        place = None if value["place"] is None else Place.from_json(value["place"])
        best = None if value["best"] is None else (value["best"][0], value["best"][1])
        return cls(**{**value, "place": place, "best": best})


@dataclass(slots=True)
class Run:
    """One training. ``make_order`` gives the steps of a stage from a place on."""

    folder: Path
    recipe: Recipe
    model: PreTrainedModel
    optimisers: Optimisers
    objective: Objective
    device: Device
    make_order: Callable[[Stage, int, Place | None], Order]
    held_out: Mapping[str, HeldOut]
    stopping: Stopping
    settings: Mapping[str, Any]
    view: View
    progress: Progress = field(default_factory=Progress)
    _log: Log = field(init=False)
    _tally: _Tally = field(init=False)
    _current: tuple[int, Order] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._log = Log(self.folder)
        self._tally = _Tally()

    def restore(self) -> bool:
        """Go on from the newest checkpoint; false where there is none. Raises TrainingRefused for another shape."""
        state = newest_checkpoint(self.folder / CHECKPOINTS_FOLDER)
        if state is None:
            return False
        _load_weights(self.model, state["weights"], self.folder)
        for optimiser, saved in zip(self.optimisers.all, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        torch.set_rng_state(state["random"])
        if self.device.is_gpu and state["random_gpu"] is not None:
            torch.cuda.set_rng_state(state["random_gpu"])
        self.progress = Progress.from_json(state["progress"])
        self._log.cut_behind(self.progress.step)
        return True

    def go_on(self, *, until: float | None = None) -> Ending:
        """Train to the end, or until the monotonic clock says ``until``; a checkpoint is behind every ending.

        Raises TrainingDiverged, RunUnwritable. The first Ctrl-C ends it behind the step at hand, the second at once.
        """
        ending = Ending.DONE
        saved_at = began = time.monotonic()
        before = self.progress.seconds
        ends = list(itertools.accumulate(stage.steps for stage in self.recipe.stages))
        with _asked_to_end() as asked:
            if self.progress.step == 0 and self.stopping.keeps_best:
                self._look()
            while self.progress.step < self.recipe.steps:
                order = self._order(ends)
                self._step(order)
                self.progress.seconds = before + time.monotonic() - began
                is_last = self.progress.step == self.recipe.steps
                is_due = self.progress.step % self.recipe.look_steps == 0 or is_last
                if is_due or self.progress.step % LOG_STEPS == 0:
                    self._write_line(self._look() if is_due else {})
                if self._is_hopeless():
                    ending = Ending.EARLY
                elif asked.is_set():
                    ending = Ending.INTERRUPTED
                elif until is not None and time.monotonic() >= until and not is_last:
                    ending = Ending.TIME
                if ending is not Ending.DONE:
                    self._write_line({})
                    break
                if time.monotonic() - saved_at > SAVE_SECONDS or self.progress.step in ends:
                    self.save()
                    saved_at = time.monotonic()
            self.save()
        return ending

    def take_best(self) -> None:
        """Where the best network counts: make it the run's."""
        path = self.folder / CHECKPOINTS_FOLDER / BEST_NAME
        if self.stopping.keeps_best and path.exists():
            _load_weights(self.model, read_state(path), self.folder)

    def save(self) -> None:
        """Write a checkpoint; raises RunUnwritable."""
        state = {
            "settings": dict(self.settings),
            "weights": _weights(self.model),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers.all],
            "random": torch.get_rng_state(),
            "random_gpu": torch.cuda.get_rng_state() if self.device.is_gpu else None,
            "progress": self.progress.to_json(),
        }
        write_checkpoint(self.folder / CHECKPOINTS_FOLDER, self.progress.step, state)

    def _order(self, ends: Sequence[int]) -> Order:
        """The order of the stage that the next step is of."""
        stage = next(index for index, end in enumerate(ends) if self.progress.step < end)
        if stage != self.progress.stage:
            self.progress.stage, self.progress.place = stage, None
        if self._current is None or self._current[0] != stage:
            self._current = (stage, self.make_order(self.recipe.stages[stage], stage, self.progress.place))
        return self._current[1]

    def _step(self, order: Order) -> None:
        rows = order.next()
        factor = rate_factor(self.recipe.optimiser, self.progress.step, self.recipe.steps)
        began = time.perf_counter()
        loss, learnt = self.objective.backward(self.model, rows, self.progress.step)
        if not math.isfinite(loss):
            raise TrainingDiverged(self._diverged("the loss"))
        norm = self.optimisers.step(factor, self.recipe.optimiser.clip_norm)
        if not math.isfinite(norm):
            raise TrainingDiverged(self._diverged("the gradient"))
        lengths = [len(row.tokens) for batch in rows for row in batch]
        self.progress.step += 1
        self.progress.tokens += sum(lengths)
        self.progress.place = order.place
        self._tally.add(loss, factor, norm, lengths, learnt, time.perf_counter() - began)
        self.view.step(self.progress.step, self.recipe.steps, self.progress.seconds, loss)

    def _diverged(self, what: str) -> str:
        return (
            f"{what} is no number at step {self.progress.step + 1}; the last good checkpoint in {self.folder} is kept: "
            "begin in another folder with a lower --rate, or look for broken examples"
        )

    def _write_line(self, looks: Mapping[str, Look]) -> None:
        if not self._tally.losses:
            return
        line = {"step": self.progress.step, **self._tally.line(self.model, self.device)}
        line |= {"tokens": self.progress.tokens, "seconds": round(self.progress.seconds, 1)}
        line |= {name: found.to_json() for name, found in looks.items()}
        self._tally = _Tally()
        self._log.write(line)
        self.view.line(line)

    def _look(self) -> dict[str, Look]:
        """Ask for every held-out answer, and keep the network where it is the best so far."""
        looks = {
            name: look(self.model, chosen.examples, chosen.indices, self.device)
            for name, chosen in self.held_out.items()
            if chosen.indices
        }
        progress = self.progress
        standard = looks.get(STANDARD)
        if standard is not None and progress.standard_at_start is None:
            progress.standard_at_start = standard.exact
        new = looks.get(NEW)
        if new is None:
            return looks
        score = (new.exact, -new.loss)
        floor = 0.0 if progress.standard_at_start is None else progress.standard_at_start - self.stopping.may_lose
        is_allowed = standard is None or standard.exact >= floor
        if is_allowed and (progress.best is None or score > progress.best):
            progress.best, progress.best_step, progress.looks_without_better = score, progress.step, 0
            if self.stopping.keeps_best:
                write_state(self.folder / CHECKPOINTS_FOLDER / BEST_NAME, _weights(self.model))
        else:
            progress.looks_without_better += 1
        return looks

    def _is_hopeless(self) -> bool:
        return 0 < self.stopping.patience <= self.progress.looks_without_better


class _Tally:
    """What a line of the log sums up."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.lengths: list[int] = []
        self.learnt = 0
        self.seconds = 0.0
        self.factor = self.norm = 0.0

    def add(self, loss: float, factor: float, norm: float, lengths: Sequence[int], learnt: int, seconds: float) -> None:
        self.losses.append(loss)
        self.lengths += lengths
        self.learnt += learnt
        self.seconds += seconds
        self.factor, self.norm = factor, norm

    def line(self, model: PreTrainedModel, device: Device) -> dict[str, Any]:
        """``matrix_share``: of the rate at which this device multiplies large matrices."""
        tokens = sum(self.lengths)
        needed = operations(model, tokens, self.learnt, tokens / len(self.lengths))
        return {
            "loss": round(sum(self.losses) / len(self.losses), 4),
            "rate": round(self.factor, 4),
            "gradient_norm": round(self.norm, 3),
            "tokens_per_second": round(tokens / self.seconds),
            "matrix_share": round(needed / self.seconds / device.matrix_rate, 4),
        }


def _weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Of what is trained; adapters alone where there are some."""
    return {name: value.detach() for name, value in model.named_parameters() if value.requires_grad}


def _load_weights(model: PreTrainedModel, saved: Mapping[str, torch.Tensor], folder: Path) -> None:
    own = _weights(model)
    if set(own) != set(saved):
        other = min(set(own) ^ set(saved))
        raise TrainingRefused(
            f"the checkpoint in {folder} is of another network ({other}); choose another folder with --out"
        )
    with torch.no_grad():
        for name, value in own.items():
            if value.shape != saved[name].shape:
                shapes = f"{name} is {tuple(saved[name].shape)} there and {tuple(value.shape)} here"
                raise TrainingRefused(
                    f"the checkpoint in {folder} is of another shape ({shapes}); choose another folder with --out"
                )
            value.copy_(saved[name])


@contextmanager
def _asked_to_end() -> Iterator[threading.Event]:
    """Set by Ctrl-C and SIGTERM, once: a step is never broken off in its middle unless one insists."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(_signal: int, _frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
