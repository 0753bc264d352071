"""A start for copying: heads of the first blocks that look a few tokens back, before anything is learnt.

A later block copies what once followed the tokens just written; for that, every token must know those before it, and
a dozen of them where code repeats itself. Where a network begins so, copying is learnt in half the steps. Nothing is
held: training may change all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from training_export.student.model import Attention, Student, StudentConfig


@dataclass(frozen=True, slots=True)
class Look:
    """How far back a head looks, and the rotary pairs it tells distances with: fast ones are exact, slow ones blur.

    Its score is highest at ``distance_tokens``; ``strength`` is the length of its query and its key in every pair.
    """

    distance_tokens: int
    first_pair: int
    end_pair: int
    strength: float


# By block. First the last three tokens, each by a head, and a blur of some ten; then what those tell further back.
LOOKS = (
    (Look(1, 0, 10, 7.0), Look(2, 0, 10, 7.0), Look(3, 0, 10, 7.0), Look(8, 6, 12, 4.0)),
    (Look(4, 0, 10, 7.0), Look(8, 0, 10, 7.0)),
)


def look_back(model: Student) -> None:
    """Set biases of the first blocks' queries and keys; written for rotary bases of about a million."""
    for block, looks in zip(model.blocks, LOOKS, strict=False):
        attention = block.get_submodule("attention")
        assert isinstance(attention, Attention)  # noqa: S101  tells mypy
        for head, look in enumerate(looks):
            _set(attention, head, look, model.config)


def _set(attention: Attention, head: int, look: Look, config: StudentConfig) -> None:
    half = config.head_size // 2
    pairs = torch.arange(half)
    strength = torch.where((pairs >= look.first_pair) & (pairs < look.end_pair), look.strength, 0.0)
    # A key points along the first axis of each pair; a query is turned back by the distance.
    angle = -look.distance_tokens * config.rotary_base ** (-pairs.float() / half)
    rows = slice(head * config.head_size, (head + 1) * config.head_size)
    with torch.no_grad():
        attention.key.bias[rows] = torch.cat([strength, torch.zeros(half)])
        attention.query.bias[rows] = torch.cat([strength * angle.cos(), strength * angle.sin()])
