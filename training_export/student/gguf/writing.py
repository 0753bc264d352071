"""Writes a trained network with its tokenizer as a GGUF that llama.cpp computes and tokenises exactly so.

Tensors are written one after the other, so a model need not fit into memory twice. Before the file gets its name,
llama.cpp reads the vocabulary and must cut difficult texts into the tokenizer's own tokens. Quantising is another step
(``quantising.py``). Knows nothing of training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import gguf
import numpy as np
from tokenizers import Tokenizer

from daemon.prompts.registry import METADATA_KEY
from training_export.errors import ConversionRefused
from training_export.student.evaluation.gate import KEY as LEAST_CONFIDENCE_KEY
from training_export.student.gguf.files import appearing
from training_export.student.gguf.network import LinearScaling, Network
from training_export.student.gguf.same_tokens import check_tokens
from training_export.student.gguf.tensors import NamedTensor, Weights, tensors_of
from training_export.student.gguf.vocabulary import SpecialTokens, vocabulary_of, write_vocabulary

Step = Callable[[str], None]
_FLOAT16_MAX: Final = float(np.finfo(np.float16).max)


class Precision(StrEnum):
    """How matrices are written. Everything of one dimension is float32."""

    F32 = "f32"
    F16 = "f16"


_FILE_TYPES: Final = {
    Precision.F32: gguf.LlamaFileType.ALL_F32,
    Precision.F16: gguf.LlamaFileType.MOSTLY_F16,
}


@dataclass(frozen=True, slots=True)
class About:
    """What the file says of itself.

    ``prompt_format``: the format in ``daemon/prompts`` that the model was taught, so that the daemon never guesses;
    empty for a model that was taught none. ``least_confidence``: below it no edit of this model is shown.
    """

    name: str
    version: str = ""
    prompt_format: str = ""
    licence: str = ""
    least_confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class Trained:
    """All there is of a trained model."""

    network: Network
    weights: Weights
    tokenizer: Tokenizer
    special: SpecialTokens


def write_gguf(
    trained: Trained,
    path: Path,
    about: About,
    *,
    precision: Precision = Precision.F32,
    step: Step = lambda _what: None,
) -> None:
    """Write ``path``, which appears when it is complete and checked; ``step`` is told what is being done.

    Raises ConversionRefused for what llama.cpp would compute or tokenise otherwise, ModelUnwritable for a full disk.
    """
    tensors = tensors_of(trained.network, trained.weights)
    vocabulary = vocabulary_of(trained.tokenizer, trained.network.vocabulary_size, trained.special)
    with appearing(path) as part:
        writer = gguf.GGUFWriter(str(part), trained.network.architecture.value)
        try:
            _write_metadata(writer, trained.network, about, precision)
            write_vocabulary(writer, vocabulary, trained.special)
            _write_tensors(writer, tensors, precision, step)
        finally:
            writer.close()
        step("comparing tokens with llama.cpp's")
        check_tokens(part, trained.tokenizer)


def _write_metadata(writer: gguf.GGUFWriter, network: Network, about: About, precision: Precision) -> None:
    writer.add_type("model")
    writer.add_name(about.name)
    writer.add_version(about.version)
    writer.add_license(about.licence)
    writer.add_string(METADATA_KEY, about.prompt_format)
    writer.add_float32(LEAST_CONFIDENCE_KEY, about.least_confidence)
    writer.add_context_length(network.context_tokens)
    writer.add_embedding_length(network.width)
    writer.add_block_count(network.layers)
    writer.add_feed_forward_length(network.hidden)
    writer.add_head_count(network.heads)
    writer.add_head_count_kv(network.key_value_heads)
    writer.add_key_length(network.head_size)
    writer.add_value_length(network.head_size)
    writer.add_layer_norm_rms_eps(network.norm_epsilon)
    writer.add_rope_dimension_count(network.head_size)
    writer.add_rope_freq_base(network.rotary_base)
    if isinstance(network.rotary_scaling, LinearScaling):
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(network.rotary_scaling.factor)
    writer.add_vocab_size(network.vocabulary_size)
    writer.add_file_type(_FILE_TYPES[precision])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _write_tensors(writer: gguf.GGUFWriter, tensors: Sequence[NamedTensor], precision: Precision, step: Step) -> None:
    for tensor in tensors:
        kind = np.dtype(np.float16 if _is_half(tensor, precision) else np.float32)
        size_bytes = int(np.prod(tensor.shape)) * kind.itemsize
        writer.add_tensor_info(tensor.name, tensor.shape, kind, size_bytes)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for number, tensor in enumerate(tensors):
        step(f"writing tensor {number + 1} of {len(tensors)}")
        array = tensor.make()
        if _is_half(tensor, precision):
            if np.abs(array).max(initial=0.0) > _FLOAT16_MAX:
                raise ConversionRefused(f"{tensor.name} holds numbers too large for float16; write it as f32")
            writer.write_tensor_data(array.astype(np.float16))
        else:
            writer.write_tensor_data(np.ascontiguousarray(array))


def _is_half(tensor: NamedTensor, precision: Precision) -> bool:
    return precision is Precision.F16 and len(tensor.shape) > 1
