"""One step's gradients: of the weighted answers (SFT), or of preferring answers to worse ones (DPO).

A step's micro-batches are added up so that the gradient is that of all its examples at once. Knows nothing of what
the gradients are used for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import torch
from transformers import PreTrainedModel

from training_export.student.training.arrays import Row
from training_export.student.training.batches import Weighing, packed, padded
from training_export.student.training.device import Device
from training_export.student.training.losses import (
    answer_alone,
    answer_log_probabilities,
    preference_loss,
    weighted_loss,
    with_rejected_answer,
)
from training_export.student.training.order import Step

SALT_STRIDE: Final = 7919  # so that neighbouring steps learn other positions of their prompts


class Objective(Protocol):
    """Puts gradients where they belong."""

    def backward(self, model: PreTrainedModel, step: Step, number: int) -> tuple[float, int]:
        """Gradients of step ``number``; returns the loss and for how many positions logits were computed."""
        ...


class Supervised:
    """The mean cross-entropy (nats) of a step's targets by their weights."""

    def __init__(self, weighing: Weighing, device: Device, *, is_packed: bool) -> None:
        self._weighing = weighing
        self._device = device
        self._together = packed if is_packed else padded

    def backward(self, model: PreTrainedModel, step: Step, number: int) -> tuple[float, int]:
        """See `Objective`."""
        batches = [
            self._together(rows, self._weighing, number * SALT_STRIDE + index * 31) for index, rows in enumerate(step)
        ]
        weight = sum(float(batch.weights.sum()) for batch in batches)
        loss = 0.0
        learnt = 0
        for batch in batches:
            if not bool((batch.weights > 0).any()):
                continue
            with self._device.autocast():
                total, _ = weighted_loss(model, batch.to(self._device.torch_device))
            part = total / weight
            part.backward()  # type: ignore[no-untyped-call]  # torch does not type it
            loss += part.item()
            learnt += int((batch.weights > 0).sum())
        return loss, learnt


class Preference:
    """Direct preference optimisation against the network that the training began with, which is asked again each time.

    ``supervised_part`` times the expected answer's mean cross-entropy is added: without it both answers may become less
    likely.
    """

    def __init__(self, before: PreTrainedModel, device: Device, beta: float, supervised_part: float) -> None:
        self._before = before.requires_grad_(requires_grad=False)
        self._before.train(mode=False)
        self._device = device
        self._beta = beta
        self._supervised_part = supervised_part

    def backward(self, model: PreTrainedModel, step: Step, number: int) -> tuple[float, int]:
        """See `Objective`."""
        del number  # answers are always learnt whole
        pairs = sum(len(rows) for rows in step)
        loss = 0.0
        learnt = 0
        for rows in step:
            both = [answer_alone(row) for row in rows] + [with_rejected_answer(row) for row in rows]
            each, lengths = self._each(model, both, len(rows))
            part = each.sum() / pairs
            part.backward()  # type: ignore[no-untyped-call]  # torch does not type it
            loss += part.item()
            learnt += lengths
        return loss, learnt

    def _each(self, model: PreTrainedModel, both: Sequence[Row], count: int) -> tuple[torch.Tensor, int]:
        device = self._device.torch_device
        with self._device.autocast():
            now = answer_log_probabilities(model, both, device)
            with torch.no_grad():
                then = answer_log_probabilities(self._before, both, device)
        each = preference_loss(now[:count], now[count:], then[:count], then[count:], self._beta)
        lengths = torch.tensor([len(row.tokens) - row.answer_start for row in both], device=device)
        return each - self._supervised_part * now[:count] / lengths[:count], int(lengths.sum())
