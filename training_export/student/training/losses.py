"""What is made smaller: the weighted cross-entropy of targets, or the preference loss of answers against worse ones.

Logits are computed only where a position is learnt. Knows nothing of optimisers and files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from training_export.student.training.arrays import Row
from training_export.student.training.batches import Batch, Weighing, padded
from training_export.student.training.encoding import Role
from training_export.student.training.network import hidden_states, logits

ANSWER_ONLY = Weighing([0.0] * int(Role.ANSWER) + [1.0] * (len(Role) - int(Role.ANSWER)), prompt_part=1)


def weighted_loss(model: PreTrainedModel, batch: Batch) -> tuple[Tensor, Tensor]:
    """The sum of the cross-entropies (nats) times their weights, and the sum of the weights."""
    chosen = batch.weights > 0
    found = logits(model, hidden_states(model, batch)[chosen])
    losses = functional.cross_entropy(found.float(), batch.targets[chosen], reduction="none")
    return (losses * batch.weights[chosen]).sum(), batch.weights.sum()


def answer_log_probabilities(model: PreTrainedModel, rows: Sequence[Row], device: torch.device) -> Tensor:
    """The logarithm of the probability of each row's whole answer, (rows)."""
    batch = padded(rows, ANSWER_ONLY).to(device)
    chosen = batch.weights > 0
    found = logits(model, hidden_states(model, batch)[chosen]).float()
    each = -functional.cross_entropy(found, batch.targets[chosen], reduction="none")
    places = chosen.nonzero()[:, 0]
    return torch.zeros(len(rows), device=device).index_add(0, places, each)


def preference_loss(
    chosen: Tensor, rejected: Tensor, chosen_before: Tensor, rejected_before: Tensor, beta: float
) -> Tensor:
    """Direct preference optimisation (Rafailov et al. 2023, equation 7), for each pair (pairs).

    All four are logarithms of probabilities of whole answers; "before" is of the network that the training began with.
    """
    return -functional.logsigmoid(beta * ((chosen - chosen_before) - (rejected - rejected_before)))


def with_rejected_answer(row: Row) -> Row:
    """The same prompt with the worse answer; only the answer is learnt."""
    start = row.answer_start
    tokens = np.concatenate([row.tokens[:start], row.rejected])
    roles = np.zeros(len(tokens), np.uint8)
    roles[start - 1 : -1] = Role.ANSWER
    targets = np.append(tokens[1:], tokens[-1:])
    return replace(row, tokens=tokens, targets=targets, roles=roles)


def answer_alone(row: Row) -> Row:
    """The row with nothing to learn but its answer."""
    roles = np.zeros(len(row.tokens), np.uint8)
    roles[row.answer_start - 1 : -1] = Role.ANSWER
    targets = np.append(row.tokens[1:], row.tokens[-1:])
    return replace(row, roles=roles, targets=targets)
