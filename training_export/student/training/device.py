"""What a training runs on, in which numbers, and how fast that multiplies matrices at best.

Knows nothing of networks, but how many operations one takes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

import torch
from transformers import PreTrainedModel

from training_export.errors import TrainingRefused

CPU_SIZE, GPU_SIZE = 1024, 8192
REPEATS: Final = 5
OPERATIONS_PER_PRODUCT: Final = 2
FORWARD_AND_BACKWARD: Final = 3  # backward takes two products for each of forward's


@dataclass(frozen=True, slots=True)
class Device:
    """``matrix_rate``: operations a second of a large product in ``number_type``, as measured here."""

    torch_device: torch.device
    number_type: torch.dtype
    matrix_rate: float
    name: str

    def autocast(self) -> torch.autocast:
        """Products in the device's numbers, everything delicate in 32 bits."""
        is_used = self.number_type is not torch.float32
        return torch.autocast(self.torch_device.type, dtype=self.number_type if is_used else None, enabled=is_used)

    @property
    def is_gpu(self) -> bool:
        """Whether it is one."""
        return self.torch_device.type == "cuda"


def chosen_device(wanted: str, number_type: str = "") -> Device:
    """``wanted`` is auto, cpu or cuda; bfloat16 where it is the faster, or what ``number_type`` says.

    Raises TrainingRefused for a GPU that is not there.
    """
    has_gpu = torch.cuda.is_available()
    if wanted == "cuda" and not has_gpu:
        raise TrainingRefused("--device cuda: torch sees no GPU; install a build of torch for it, or give --device cpu")
    device = torch.device("cuda" if has_gpu and wanted != "cpu" else "cpu")
    types = {"bfloat16": torch.bfloat16, "float32": torch.float32}
    candidates = [types[number_type]] if number_type else list(types.values())
    rates = [(matrix_rate(device, kind), kind) for kind in candidates]
    rate, kind = max(rates, key=lambda pair: pair[0])
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    return Device(device, kind, rate, name)


def matrix_rate(device: torch.device, kind: torch.dtype) -> float:
    """Operations a second of the fastest of a few large products."""
    size = GPU_SIZE if device.type == "cuda" else CPU_SIZE
    left, right = (torch.ones(size, size, device=device, dtype=kind) for _ in range(2))
    best = float("inf")
    for _ in range(REPEATS):
        _wait(device)
        began = time.perf_counter()
        left @ right
        _wait(device)
        best = min(best, time.perf_counter() - began)
    return float(OPERATIONS_PER_PRODUCT * size**3 / best)


def operations(model: PreTrainedModel, tokens: int, learnt_tokens: int, mean_length: float) -> float:
    """Of forward and backward over so many tokens, matrix products alone: blocks, attention, and the logits computed.

    Attention looks at half of ``mean_length`` on average, twice (scores and values).
    """
    config: Any = model.config
    blocks = sum(value.numel() for value in model.model.layers.parameters() if value.ndim == 2)
    attention = 2 * config.num_hidden_layers * config.hidden_size * mean_length / 2
    head = config.vocab_size * config.hidden_size
    products = tokens * (blocks + attention) + learnt_tokens * head
    return float(FORWARD_AND_BACKWARD * OPERATIONS_PER_PRODUCT * products)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
