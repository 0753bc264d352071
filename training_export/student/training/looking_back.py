"""A start for copying: heads of the first blocks that look a few tokens back, before anything is learnt.

A later block copies what once followed the tokens just written; for that, every token must know those before it, and
a dozen of them where code repeats itself. Where a network begins so, copying is learnt in half the steps. Nothing is
held: training may change all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import Qwen2ForCausalLM


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


def look_back(model: Qwen2ForCausalLM) -> None:
    """Set biases of the first blocks' queries and keys; written for rotary bases of about a million."""
    config = model.config
    head_size = config.hidden_size // config.num_attention_heads
    parameters: Any = config.rope_parameters
    base = float(parameters["rope_theta"])
    for block, looks in zip(model.model.layers, LOOKS, strict=False):
        for head, look in enumerate(looks):
            key, query = _biases(look, head_size // 2, base)
            rows = slice(head * head_size, (head + 1) * head_size)
            with torch.no_grad():
                block.self_attn.k_proj.bias[rows] = key
                block.self_attn.q_proj.bias[rows] = query


def _biases(look: Look, half: int, base: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Of a head's key and query, (2 * half) each."""
    pairs = torch.arange(half)
    strength = torch.where((pairs >= look.first_pair) & (pairs < look.end_pair), look.strength, 0.0)
    # A key points along the first axis of each pair; a query is turned back by the distance.
    angle = -look.distance_tokens * base ** (-pairs.float() / half)
    key = torch.cat([strength, torch.zeros(half)])
    return key, torch.cat([strength * angle.cos(), strength * angle.sin()])
