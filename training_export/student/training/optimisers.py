"""What updates the weights, and how fast: Muon for the blocks' matrices, AdamW for all else.

Muon orthogonalises the momentum of a matrix (Jordan et al. 2024; torch's own). With it this student reached in 0.4 M
tokens what AdamW alone had not reached in 1 M. Knows nothing of data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel

from training_export.student.training.network import block_matrices
from training_export.student.training.recipe import Optimiser, OptimiserKind, Schedule

MOMENTUM, BETAS = 0.95, (0.9, 0.97)


@dataclass(frozen=True, slots=True)
class Optimisers:
    """All of a training's, each with its full rate."""

    all: tuple[torch.optim.Optimizer, ...]
    rates: tuple[float, ...]
    parameters: tuple[nn.Parameter, ...]

    def step(self, factor: float, clip_norm: float) -> float:
        """One update at ``factor`` of the full rates, and no gradients behind it; returns the gradients' norm."""
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, clip_norm)
        for optimiser, rate in zip(self.all, self.rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        return float(norm)


def optimisers(model: PreTrainedModel, settings: Optimiser, *, has_adapters: bool) -> Optimisers:
    """For everything that is trained. Adapters are AdamW's: their matrices are products' halves."""
    trained = [value for value in model.parameters() if value.requires_grad]
    matrices = [] if has_adapters or settings.kind is OptimiserKind.ADAMW else list(block_matrices(model))
    known = {id(value) for value in matrices}
    others = [value for value in trained if id(value) not in known]
    made: list[torch.optim.Optimizer] = []
    rates: list[float] = []
    if matrices:
        rate = settings.matrix_rate
        made.append(torch.optim.Muon(matrices, lr=rate, momentum=MOMENTUM, weight_decay=settings.weight_decay))
        rates.append(rate)
    made.append(torch.optim.AdamW(others, lr=settings.adam_rate, betas=BETAS, weight_decay=0.0))
    rates.append(settings.adam_rate)
    return Optimisers(tuple(made), tuple(rates), tuple(trained))


def rate_factor(settings: Optimiser, step: int, steps: int) -> float:
    """The part of the full rate at a step (from 0): warm-up, then as the schedule says, ``final_part`` at the end."""
    if step < settings.warm_up_steps:
        return (step + 1) / settings.warm_up_steps
    if settings.schedule is Schedule.COSINE:
        passed = (step - settings.warm_up_steps) / max(1, steps - settings.warm_up_steps)
        falling = (1 + math.cos(math.pi * min(1.0, passed))) / 2
    else:
        decay_start = int(steps * (1 - settings.decay_part))
        falling = 1.0 if step < decay_start else (steps - step) / max(1, steps - decay_start)
    return settings.final_part + (1 - settings.final_part) * max(0.0, falling)
