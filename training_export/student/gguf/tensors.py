"""Which tensors a GGUF of a network holds, and how each comes of the trained weights.

Weights have the names that transformers gives them. Names in the GGUF are those of the ``gguf`` package's own table.
llama.cpp rotates neighbouring dimensions of a head for ``llama``, where transformers rotates one half against the
other: rows of queries and keys are reordered for that. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import gguf
import numpy as np
from numpy.typing import NDArray

from training_export.errors import ConversionRefused
from training_export.student.gguf.network import Architecture, Network

Floats = NDArray[np.float32]

EMBEDDING: Final = "model.embed_tokens.weight"
OUTPUT: Final = "lm_head.weight"
ROTARY_FACTORS: Final = "rope_freqs.weight"
_NOT_WEIGHTS: Final = "rotary_emb.inv_freq"  # older files carry what follows from the config
_SUFFIXES: Final = (".weight", ".bias")
_MODELS: Final = {Architecture.QWEN2: gguf.MODEL_ARCH.QWEN2, Architecture.LLAMA: gguf.MODEL_ARCH.LLAMA}


class Weights(Protocol):
    """Trained weights by transformers' names, read one at a time."""

    def names(self) -> Collection[str]:
        """All of them."""
        ...

    def shape(self, name: str) -> tuple[int, ...]:
        """Without reading it."""
        ...

    def array(self, name: str) -> Floats:
        """As float32."""
        ...


class StateWeights:
    """A module's ``state_dict()``."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        self._state = state

    def names(self) -> Collection[str]:
        """See `Weights`."""
        return self._state.keys()

    def shape(self, name: str) -> tuple[int, ...]:
        """See `Weights`."""
        return tuple(self._state[name].shape)

    def array(self, name: str) -> Floats:
        """See `Weights`."""
        found: Floats = self._state[name].detach().float().cpu().numpy()
        return found


@dataclass(frozen=True, slots=True)
class NamedTensor:
    """One tensor of the GGUF; ``make`` computes it, float32 of that shape, when it is written."""

    name: str
    shape: tuple[int, ...]
    make: Callable[[], Floats]


def tensors_of(network: Network, weights: Weights) -> list[NamedTensor]:
    """Everything that is written, in the order in which it is.

    Raises ConversionRefused where weights are missing, left over or of another shape than the network's.
    """
    expected = dict(_expected(network))
    names = {name for name in weights.names() if not name.endswith(_NOT_WEIGHTS)}
    if network.is_tied:
        names.discard(OUTPUT)
    _check(expected, names, weights)
    tensors = [_tensor(network, weights, name, shape) for name, (shape, _) in expected.items() if name in names]
    if network.architecture is Architecture.QWEN2:
        tensors += [
            NamedTensor(_gguf_name(network, name), shape, _zeros(shape))
            for name, (shape, _) in expected.items()
            if name.endswith(".bias") and name not in names
        ]
    factors = network.rotary_factors()
    if factors is not None:
        tensors.append(NamedTensor(ROTARY_FACTORS, factors.shape, lambda: factors))
    return tensors


def _expected(network: Network) -> Iterator[tuple[str, tuple[tuple[int, ...], bool]]]:
    """Every name the network may have, with its shape and whether it must be there."""
    query, key_value = network.heads * network.head_size, network.key_value_heads * network.head_size
    matrices = {
        "self_attn.q_proj": (query, network.width),
        "self_attn.k_proj": (key_value, network.width),
        "self_attn.v_proj": (key_value, network.width),
        "self_attn.o_proj": (network.width, query),
        "mlp.gate_proj": (network.hidden, network.width),
        "mlp.up_proj": (network.hidden, network.width),
        "mlp.down_proj": (network.width, network.hidden),
    }
    has_bias = list(matrices) if network.architecture is Architecture.LLAMA else list(matrices)[:3]
    yield EMBEDDING, ((network.vocabulary_size, network.width), True)
    for layer in range(network.layers):
        block = f"model.layers.{layer}."
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{block}{name}.weight", ((network.width,), True)
        for name, shape in matrices.items():
            yield f"{block}{name}.weight", (shape, True)
            if name in has_bias:
                yield f"{block}{name}.bias", (shape[:1], False)
    yield "model.norm.weight", ((network.width,), True)
    if not network.is_tied:
        yield OUTPUT, ((network.vocabulary_size, network.width), True)


def _check(expected: Mapping[str, tuple[tuple[int, ...], bool]], names: Collection[str], weights: Weights) -> None:
    missing = [name for name, (_, is_needed) in expected.items() if is_needed and name not in names]
    if missing:
        raise ConversionRefused(f"{_listed(missing)} missing from the weights; write them all into one folder or state")
    unknown = sorted(set(names) - set(expected))
    if unknown:
        raise ConversionRefused(
            f"{_listed(unknown)} not part of this architecture: llama.cpp would leave that out; merge adapters first"
        )
    for name in names:
        wanted, found = expected[name][0], weights.shape(name)
        if wanted != found:
            raise ConversionRefused(f"{name} has the shape {found}, and the config makes it {wanted}; they must agree")


def _tensor(network: Network, weights: Weights, name: str, shape: tuple[int, ...]) -> NamedTensor:
    heads = 0
    if network.architecture is Architecture.LLAMA:
        heads = network.heads * (".q_proj." in name) + network.key_value_heads * (".k_proj." in name)

    def make() -> Floats:
        array = weights.array(name)
        if not np.isfinite(array).all():
            raise ConversionRefused(f"{name} holds what is no number (NaN or infinity); take an earlier checkpoint")
        return neighbouring(array, heads) if heads else array

    return NamedTensor(_gguf_name(network, name), shape, make)


def _zeros(shape: tuple[int, ...]) -> Callable[[], Floats]:
    return lambda: np.zeros(shape, np.float32)


def _gguf_name(network: Network, name: str) -> str:
    names = gguf.get_tensor_name_map(_MODELS[network.architecture], network.layers)
    found: str | None = names.get_name(name, try_suffixes=_SUFFIXES)
    if found is None:
        raise ConversionRefused(f"the gguf package knows no tensor for {name}; install another version of it")
    return found


def neighbouring(array: Floats, heads: int) -> Floats:
    """Rows of each head reordered: i and i + size / 2, which are rotated together, become 2 i and 2 i + 1."""
    halves = array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(array.shape))


def _listed(names: Collection[str], most: int = 3) -> str:
    shown = ", ".join(list(names)[:most])
    others = len(names) - most
    return f"{shown} and {others:,} more are" if others > 0 else f"{shown} {'are' if len(names) > 1 else 'is'}"
