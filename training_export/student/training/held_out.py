"""How good the network is on examples it does not learn from: what greedy decoding would get right, by task.

A whole answer is right exactly if each of its tokens is the likeliest behind those before it, so one pass tells. Knows
nothing of optimisers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from transformers import PreTrainedModel

from training_export.student.training.arrays import ArraySet
from training_export.student.training.batches import padded
from training_export.student.training.device import Device
from training_export.student.training.losses import ANSWER_ONLY, answer_alone
from training_export.student.training.network import hidden_states, logits

BATCH_TOKENS: Final = 4096
HASHED: Final = np.uint64(1 << 32)


@dataclass(frozen=True, slots=True)
class Look:
    """``exact``: the share of answers that are right, ``loss``: nats a token of the answers; by task, and of all."""

    exact: float
    loss: float
    cases: int
    by_task: Mapping[str, float] = field(default_factory=dict)
    defeating_rule: float | None = None  # exact among the cases that are known to defeat the plain rule

    def to_json(self) -> dict[str, Any]:
        """For the log."""
        told: dict[str, Any] = {"exact": round(self.exact, 4), "loss": round(self.loss, 4), "cases": self.cases}
        if self.defeating_rule is not None:
            told["exact_where_the_rule_fails"] = round(self.defeating_rule, 4)
        return told | {"by_task": {task: round(share, 4) for task, share in self.by_task.items()}}


def is_held_out(files: NDArray[np.uint64], share: float) -> NDArray[np.bool_]:
    """Which files are kept back: about so many, and always the same."""
    return (files % HASHED).astype(np.float64) < share * float(HASHED)


def choose(examples: ArraySet, rows: NDArray[np.int64], per_task: int, seed: int) -> list[int]:
    """So many of each task, spread over the rows; always the same for the same seed."""
    shuffled = np.random.default_rng([seed, 1]).permutation(rows)
    tasks = examples.rows["task"][shuffled]
    return [int(row) for task in np.unique(tasks) for row in shuffled[tasks == task][:per_task]]


@torch.no_grad()
def look(model: PreTrainedModel, examples: ArraySet, indices: Sequence[int], device: Device) -> Look:
    """Ask the network for all of these answers at once."""
    was_training = model.training
    model.train(mode=False)
    right: dict[str, list[bool]] = defaultdict(list)
    defeating: list[bool] = []
    loss, tokens = 0.0, 0
    for chosen in _batches(examples, indices):
        rows = [answer_alone(examples[index]) for index in chosen]
        batch = padded(rows, ANSWER_ONLY).to(device.torch_device)
        learnt = batch.weights > 0
        with device.autocast():
            found = logits(model, hidden_states(model, batch)[learnt]).float()
        targets = batch.targets[learnt]
        loss += functional.cross_entropy(found, targets, reduction="sum").item()
        tokens += len(targets)
        is_right = found.argmax(-1) == targets
        places = learnt.nonzero()[:, 0]
        for number, index in enumerate(chosen):
            whole = bool(is_right[places == number].all())
            right[rows[number].task].append(whole)
            if examples.rows["defeats_rule"][index]:
                defeating.append(whole)
    model.train(was_training)
    everything = [one for found_right in right.values() for one in found_right]
    return Look(
        exact=_share(everything),
        loss=loss / max(1, tokens),
        cases=len(everything),
        by_task={task: _share(found_right) for task, found_right in sorted(right.items())},
        defeating_rule=_share(defeating) if defeating else None,
    )


def _batches(examples: ArraySet, indices: Iterable[int]) -> Iterable[list[int]]:
    ordered = sorted(indices, key=lambda index: int(examples.rows["length"][index]))
    batch: list[int] = []
    for index in ordered:
        if batch and (len(batch) + 1) * int(examples.rows["length"][index]) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _share(right: Sequence[bool]) -> float:
    return sum(right) / len(right) if right else 0.0
