"""What llama.cpp must know of a network to compute it: its architecture and sizes, read from a Hugging Face config.

Whatever llama.cpp would compute otherwise than transformers does is refused here. Knows nothing of weights or files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from training_export.errors import ConversionRefused

Value = TypeVar("Value")

_PLAIN_ATTENTION: Final = ("full_attention",)


class Architecture(StrEnum):
    """The families that are written, by llama.cpp's names, which are Hugging Face's too."""

    QWEN2 = "qwen2"
    LLAMA = "llama"


@dataclass(frozen=True, slots=True)
class LinearScaling:
    """Positions divided by ``factor``."""

    factor: float


@dataclass(frozen=True, slots=True)
class Llama3Scaling:
    """Slow rotations slowed down by ``factor``, fast ones left, those between in part (Llama 3.1)."""

    factor: float
    low_frequency_factor: float
    high_frequency_factor: float
    original_context_tokens: int


@dataclass(frozen=True, slots=True)
class Network:
    """Sizes of a decoder: pre-norm blocks of rotary attention and SwiGLU.

    ``is_tied``: the output matrix is the embedding.
    """

    architecture: Architecture
    vocabulary_size: int
    width: int
    layers: int
    hidden: int
    heads: int
    key_value_heads: int
    head_size: int
    context_tokens: int
    rotary_base: float
    norm_epsilon: float
    is_tied: bool
    rotary_scaling: LinearScaling | Llama3Scaling | None = None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Network:
        """Read a Hugging Face config as JSON (``config.to_dict()``); raises ConversionRefused."""
        kind = config.get("model_type")
        if kind not in set(Architecture):
            raise ConversionRefused(
                f"a {kind or 'model without model_type'} cannot be written; {' and '.join(Architecture)} can"
            )
        _check_computation(config)
        heads = _stated(config, "num_attention_heads", int)
        width = _stated(config, "hidden_size", int)
        rotary = _rotary_parameters(config)
        return cls(
            architecture=Architecture(kind),
            vocabulary_size=_stated(config, "vocab_size", int),
            width=width,
            layers=_stated(config, "num_hidden_layers", int),
            hidden=_stated(config, "intermediate_size", int),
            heads=heads,
            key_value_heads=config.get("num_key_value_heads") or heads,
            head_size=config.get("head_dim") or width // heads,
            context_tokens=_stated(config, "max_position_embeddings", int),
            rotary_base=float(rotary["rope_theta"]),
            norm_epsilon=_stated(config, "rms_norm_eps", float),
            is_tied=bool(config.get("tie_word_embeddings", False)),
            rotary_scaling=_scaling(Architecture(kind), rotary),
        )

    def rotary_factors(self) -> NDArray[np.float32] | None:
        """What each frequency is divided by, (head_size / 2,); None where all are as they are.

        The formula is that of Llama 3.1 (transformers, ``modeling_rope_utils.py``, "llama3").
        """
        scaling = self.rotary_scaling
        if not isinstance(scaling, Llama3Scaling):
            return None
        half = self.head_size // 2
        wavelengths = 2 * math.pi * self.rotary_base ** (np.arange(half, dtype=np.float64) / half)
        low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
        part = np.clip((scaling.original_context_tokens / wavelengths - low) / (high - low), 0.0, 1.0)
        factors: NDArray[np.float32] = (1 / ((1 - part) / scaling.factor + part)).astype(np.float32)
        return factors


def _check_computation(config: Mapping[str, Any]) -> None:
    activation = config.get("hidden_act", "silu")
    if activation != "silu":
        raise ConversionRefused(f"hidden_act is {activation!r}; llama.cpp computes this architecture with 'silu'")
    layer_types = set(config.get("layer_types") or _PLAIN_ATTENTION)
    if config.get("use_sliding_window") or layer_types != set(_PLAIN_ATTENTION):
        raise ConversionRefused("sliding window attention cannot be written; train with use_sliding_window = false")
    if config.get("quantization_config"):
        raise ConversionRefused("the weights are quantised already; write the GGUF from the ones they were made of")


def _rotary_parameters(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """In the form of transformers 5; before, they stood in two places."""
    older = {"rope_theta": config.get("rope_theta", 10_000.0), **(config.get("rope_scaling") or {})}
    return {**older, **(config.get("rope_parameters") or {})}


def _scaling(architecture: Architecture, rotary: Mapping[str, Any]) -> LinearScaling | Llama3Scaling | None:
    if rotary.get("partial_rotary_factor", 1.0) != 1.0:
        raise ConversionRefused("rotary positions on a part of each head cannot be written for this architecture")
    kind = rotary.get("rope_type", rotary.get("type", "default"))
    if kind == "default":
        return None
    if kind == "linear":
        return LinearScaling(float(rotary["factor"]))
    if kind == "llama3" and architecture is Architecture.LLAMA:
        return Llama3Scaling(
            float(rotary["factor"]),
            float(rotary["low_freq_factor"]),
            float(rotary["high_freq_factor"]),
            int(rotary["original_max_position_embeddings"]),
        )
    raise ConversionRefused(
        f"rotary scaling of the kind {kind!r} cannot be written for {architecture};"
        " default and linear can, and llama3 for llama"
    )


def _stated(config: Mapping[str, Any], key: str, kind: type[Value]) -> Value:
    found = config.get(key)
    if kind is float and isinstance(found, int):
        found = float(found)
    if not isinstance(found, kind) or isinstance(found, bool):
        raise ConversionRefused(f"the config has no usable {key} ({found!r}); take the config.json of the training")
    return found
