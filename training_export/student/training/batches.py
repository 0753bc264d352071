"""Rows as tensors: padded beside each other, or packed one behind the other so that nothing is padding.

Packed rows see only themselves (a block-diagonal mask) and count their positions from zero. Knows nothing of networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training_export.student.training.arrays import Row
from training_export.student.training.encoding import Role


@dataclass(frozen=True, slots=True)
class Batch:
    """``tokens``, ``targets`` int64 and ``weights`` float32, all (rows, tokens).

    ``positions`` (rows, tokens) where they are not simply counted; ``mask`` (rows, 1, tokens, tokens) bool, true where
    a token may look, where that is not simply everything before it. ``token_count``: padding not counted.
    """

    tokens: Tensor
    targets: Tensor
    weights: Tensor
    positions: Tensor | None
    mask: Tensor | None
    token_count: int

    def to(self, device: torch.device) -> Self:
        """The same on a device."""
        return type(self)(
            self.tokens.to(device),
            self.targets.to(device),
            self.weights.to(device),
            None if self.positions is None else self.positions.to(device),
            None if self.mask is None else self.mask.to(device),
            self.token_count,
        )


class Weighing:
    """Roles to weights. Of the prompt's positions every ``prompt_part``-th is learnt, others each time."""

    def __init__(self, table: Sequence[float], prompt_part: int) -> None:
        self._table = np.array(table, np.float32)
        self._prompt_part = prompt_part

    def weights(self, roles: NDArray[np.uint8], salt: int) -> NDArray[np.float32]:
        """float32 (tokens)."""
        found: NDArray[np.float32] = self._table[roles]
        if self._prompt_part > 1:
            passed_over = (np.arange(len(roles)) * 7 + salt) % self._prompt_part != 0
            found[(roles == Role.PROMPT) & passed_over] = 0.0
        return found


def padded(rows: Sequence[Row], weighing: Weighing, salt: int = 0) -> Batch:
    """One row each, filled up to the longest."""
    longest = max(len(row.tokens) for row in rows)
    tokens, targets = (np.zeros((len(rows), longest), np.int64) for _ in range(2))
    weights = np.zeros((len(rows), longest), np.float32)
    for index, row in enumerate(rows):
        size = len(row.tokens)
        tokens[index, :size], targets[index, :size] = row.tokens, row.targets
        weights[index, :size] = weighing.weights(row.roles, salt + index)
    where = None
    if any(row.gap_tokens for row in rows):
        positions = np.tile(np.arange(longest), (len(rows), 1))
        for index, row in enumerate(rows):
            positions[index, row.answer_start :] += row.gap_tokens
        where = _tensor(positions)
    count = sum(len(row.tokens) for row in rows)
    return Batch(_tensor(tokens), _tensor(targets), _tensor(weights), where, None, count)


def packed(rows: Sequence[Row], weighing: Weighing, salt: int = 0) -> Batch:
    """All in one row, each blind for the others."""
    sizes = np.array([len(row.tokens) for row in rows])
    blocks = np.repeat(np.arange(len(rows)), sizes)
    positions = np.concatenate([_positions(row) for row in rows])
    before = np.arange(len(blocks))
    mask = (blocks[:, None] == blocks[None, :]) & (before[:, None] >= before[None, :])
    weights = np.concatenate([weighing.weights(row.roles, salt + index) for index, row in enumerate(rows)])
    return Batch(
        tokens=_tensor(np.concatenate([row.tokens for row in rows]).astype(np.int64)[None]),
        targets=_tensor(np.concatenate([row.targets for row in rows]).astype(np.int64)[None]),
        weights=_tensor(weights[None]),
        positions=_tensor(positions[None]),
        mask=_tensor(mask[None, None]),
        token_count=len(blocks),
    )


def _positions(row: Row) -> NDArray[np.int64]:
    found = np.arange(len(row.tokens))
    found[row.answer_start :] += row.gap_tokens
    return found


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(array)
