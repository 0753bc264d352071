"""A student in the shape of a larger model: the same answers, at the price of the larger model's passes.

    python -m bench.widen MODEL.gguf {0.5b,1.5b} {f32,q8_0,q4_0}

The student's weights are placed into zero tensors of the larger shape: a padded width whose norms are rescaled, layers
that add nothing, and tokens that a bias keeps from ever winning. What is computed is what the student computes, up to
the rounding of the order of sums. Four bits are too few for a small model, so a matrix is spread over copies of its
input: each holds what the ones before it rounded away. Written once into the user's cache directory.

Two things differ from the model whose shape it is. The student has four key-value heads, and rotary positions allow no
two of them in one; so there are more of those (``Shape.key_value_heads``; 2 to 3 % more weights). And the embedding
stays in eight bits where the rest has four, as tools that quantise to four bits do, too.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from daemon import paths
from daemon.registry import checksum

Matrix = NDArray[np.float32]
Kind = gguf.GGMLQuantizationType

RECIPE = 2  # part of a cached file's name: raise it when what is written changes
ARCHITECTURE = "qwen2"
NEVER = np.float32(-1e9)  # the logit of a padding token
QUANTISATIONS = {"f32": Kind.F32, "q8_0": Kind.Q8_0, "q4_0": Kind.Q4_0}
FILE_TYPES = {
    "f32": gguf.LlamaFileType.ALL_F32,
    "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
    "q4_0": gguf.LlamaFileType.MOSTLY_Q4_0,
}


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a ``qwen2`` model. ``heads * head_size`` is ``width``; ``key_value_heads`` divides ``heads``."""

    layers: int
    width: int
    hidden: int
    heads: int
    key_value_heads: int
    vocabulary: int

    @property
    def head_size(self) -> int:
        """Dimensions of one head."""
        return self.width // self.heads


SHAPES = {
    "0.5b": Shape(layers=24, width=896, hidden=4864, heads=14, key_value_heads=7, vocabulary=151_936),
    "1.5b": Shape(layers=28, width=1536, hidden=8960, heads=12, key_value_heads=4, vocabulary=151_936),
}


class CannotWiden(ValueError):
    """The model does not fit into the shape; the message says why."""


class Source:
    """A GGUF to widen: its metadata, its shape and its weights as float32."""

    def __init__(self, path: Path) -> None:
        """Raises CannotWiden for a model of another architecture."""
        self._reader = gguf.GGUFReader(path)
        self._tensors = {tensor.name: tensor for tensor in self._reader.tensors}
        if self.value("general.architecture") != ARCHITECTURE:
            raise CannotWiden(f"{path} is no {ARCHITECTURE} model")
        self.shape = Shape(
            layers=self.number("block_count"),
            width=self.number("embedding_length"),
            hidden=self.number("feed_forward_length"),
            heads=self.number("attention.head_count"),
            key_value_heads=self.number("attention.head_count_kv"),
            vocabulary=len(self.value("tokenizer.ggml.tokens")),
        )
        self.norm_epsilon: float = self.value(f"{ARCHITECTURE}.attention.layer_norm_rms_epsilon")

    def value(self, key: str) -> Any:
        """One value of the metadata."""
        return self._reader.fields[key].contents()

    def number(self, key: str) -> int:
        """One size of the architecture."""
        return int(self.value(f"{ARCHITECTURE}.{key}"))

    def weights(self, name: str) -> Matrix:
        """A tensor as float32: (rows, columns) for a matrix, where a row makes one output."""
        tensor = self._tensors[name]
        values: Matrix = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        return values

    def copy_metadata(self, writer: gguf.GGUFWriter, replaced: set[str]) -> None:
        """Write every value but those that are replaced."""
        for name, field in self._reader.fields.items():
            if name.startswith("GGUF.") or name == "general.architecture" or name in replaced:
                continue
            kind = field.types[0]
            element = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), kind, element)


class Widened:
    """A source in a larger shape, tensor by tensor."""

    def __init__(self, source: Source, shape: Shape, kind: Kind) -> None:
        """Raises CannotWiden when it does not fit."""
        small = source.shape
        if small.heads != small.key_value_heads:
            raise CannotWiden("the model's heads share keys and values")
        if shape.head_size not in (small.head_size, 2 * small.head_size):
            raise CannotWiden("a head must be as large as the model's or twice as large: else its rotation is another")
        fits = (
            (shape.layers, small.layers),
            (shape.width, small.width),
            (shape.hidden, small.hidden),
            (shape.key_value_heads, small.heads),
            (shape.vocabulary, small.vocabulary),
        )
        if any(large < size for large, size in fits) or shape.heads % shape.key_value_heads:
            raise CannotWiden("the shape is not larger than the model everywhere")
        self._source, self._shape, self._kind = source, shape, kind
        self._copies = shape.width // small.width  # of the hidden state
        self._head_copies = shape.heads // shape.key_value_heads  # of each attention head
        self._hidden_copies = shape.hidden // small.hidden  # of the feed-forward state
        # A norm divides by the mean over the padded width; this takes the padding and the copies out again.
        self._norm_share = self._copies * small.width / shape.width

    def metadata(self) -> dict[str, int]:
        """The sizes that differ, by their keys."""
        shape = self._shape
        sizes = {
            "block_count": shape.layers,
            "embedding_length": shape.width,
            "feed_forward_length": shape.hidden,
            "attention.head_count": shape.heads,
            "attention.head_count_kv": shape.key_value_heads,
            "attention.key_length": shape.head_size,
            "attention.value_length": shape.head_size,
            "rope.dimension_count": shape.head_size,
            "vocab_size": shape.vocabulary,
        }
        return {f"{ARCHITECTURE}.{key}": size for key, size in sizes.items()}

    @property
    def norm_epsilon(self) -> float:
        """What is added under a norm's root."""
        return self._source.norm_epsilon * self._norm_share

    def write_tensors(self, writer: gguf.GGUFWriter) -> None:
        """Hand every tensor to the writer."""
        shape = self._shape
        embedding = self._source.weights("token_embd.weight")
        everywhere = self._hidden_state_places()
        wide = np.zeros((len(embedding), shape.width), np.float32)
        for columns in everywhere:
            wide[:, columns] = embedding
        kind = self._kind if self._kind == Kind.F32 else Kind.Q8_0
        _add(writer, "token_embd.weight", _encoded(wide, np.arange(len(wide)), shape.vocabulary, kind), kind)
        bias = np.full(shape.vocabulary, NEVER, np.float32)
        bias[: len(embedding)] = 0
        writer.add_tensor("output.bias", bias)
        # The embedding is the output matrix, too: only one copy may count there.
        writer.add_tensor("output_norm.weight", self._norm(self._source.weights("output_norm.weight"), everywhere[:1]))
        for layer in range(self._source.shape.layers):
            self._write_layer(writer, layer)
        self._write_idle_layers(writer)

    def _write_layer(self, writer: gguf.GGUFWriter, layer: int) -> None:
        source, everywhere = self._source, self._hidden_state_places()
        prefix = f"blk.{layer}."
        for name in ("attn_norm.weight", "ffn_norm.weight"):
            writer.add_tensor(prefix + name, self._norm(source.weights(prefix + name), everywhere))
        rotated, unrotated = self._head_places()
        # Scores are divided by the root of a head's size, which is the padded one's.
        score_scale = np.float32(math.sqrt(self._shape.head_size / source.shape.head_size))
        queries = [self._of_query_heads(rotated, copy) for copy in range(self._head_copies)]
        values = [self._of_query_heads(unrotated, copy) for copy in range(self._head_copies)]
        width, key_width = self._shape.width, self._shape.key_value_heads * self._shape.head_size
        projections = (
            ("attn_q", queries, width, score_scale),
            ("attn_k", [self._of_key_heads(rotated)], key_width, np.float32(1)),
            ("attn_v", [self._of_key_heads(unrotated)], key_width, np.float32(1)),
        )
        for name, rows, row_count, scale in projections:
            weights = scale * source.weights(f"{prefix}{name}.weight")
            self._matrix(writer, f"{prefix}{name}.weight", weights, rows, row_count, everywhere, width)
            bias = np.zeros(row_count, np.float32)
            for places in rows:
                bias[places] = scale * source.weights(f"{prefix}{name}.bias")
            writer.add_tensor(f"{prefix}{name}.bias", bias)
        output = source.weights(f"{prefix}attn_output.weight")
        self._matrix(writer, f"{prefix}attn_output.weight", output, everywhere, width, values, width)
        small, hidden = source.shape.hidden, self._shape.hidden
        copies = [np.arange(small) + copy * small for copy in range(self._hidden_copies)]
        for name in ("ffn_gate.weight", "ffn_up.weight"):
            weights = source.weights(prefix + name)
            self._matrix(writer, prefix + name, weights, copies, hidden, everywhere, width)
        down = source.weights(f"{prefix}ffn_down.weight")
        self._matrix(writer, f"{prefix}ffn_down.weight", down, everywhere, width, copies, hidden)

    def _write_idle_layers(self, writer: gguf.GGUFWriter) -> None:
        """Layers of zeros: evaluated like any other, they add nothing."""
        shape = self._shape
        key_width = shape.key_value_heads * shape.head_size
        none = np.arange(0)
        square = _encoded(np.zeros((0, shape.width), np.float32), none, shape.width, self._kind)
        narrow = _encoded(np.zeros((0, shape.width), np.float32), none, key_width, self._kind)
        wide = _encoded(np.zeros((0, shape.width), np.float32), none, shape.hidden, self._kind)
        down = _encoded(np.zeros((0, shape.hidden), np.float32), none, shape.width, self._kind)
        ones, zeros = np.ones(shape.width, np.float32), np.zeros(shape.width, np.float32)
        for layer in range(self._source.shape.layers, shape.layers):
            prefix = f"blk.{layer}."
            matrices = {"attn_q": square, "attn_k": narrow, "attn_v": narrow, "attn_output": square}
            matrices |= {"ffn_gate": wide, "ffn_up": wide, "ffn_down": down}
            for name, encoded in matrices.items():
                _add(writer, f"{prefix}{name}.weight", encoded, self._kind)
            for name, bias in {"attn_q": zeros, "attn_k": zeros[:key_width], "attn_v": zeros[:key_width]}.items():
                writer.add_tensor(f"{prefix}{name}.bias", bias)
            writer.add_tensor(f"{prefix}attn_norm.weight", ones)
            writer.add_tensor(f"{prefix}ffn_norm.weight", ones)

    def _matrix(
        self,
        writer: gguf.GGUFWriter,
        name: str,
        weights: Matrix,
        rows: list[NDArray[np.intp]],
        row_count: int,
        columns: list[NDArray[np.intp]],
        column_count: int,
    ) -> None:
        """Write ``weights`` with each output at all of its ``rows``, spread over the copies of its input."""
        wide = self.spread(weights, columns, column_count)
        encoded = _encoded(np.concatenate([wide] * len(rows)), np.concatenate(rows), row_count, self._kind)
        _add(writer, name, encoded, self._kind)

    def spread(self, weights: Matrix, columns: list[NDArray[np.intp]], column_count: int) -> Matrix:
        """``weights`` for an input that lies at all these columns: each part holds what the earlier ones lost."""
        wide = np.zeros((len(weights), column_count), np.float32)
        left = weights
        for places in columns:
            part = np.zeros_like(wide)
            part[:, places] = left
            rounded = _rounded(part, self._kind)[:, places]
            wide[:, places] = rounded
            left = left - rounded
        return wide

    def _norm(self, weights: Matrix, places: list[NDArray[np.intp]]) -> Matrix:
        wide = np.zeros(self._shape.width, np.float32)
        for columns in places:
            wide[columns] = weights * np.float32(math.sqrt(self._norm_share))
        return wide

    def _hidden_state_places(self) -> list[NDArray[np.intp]]:
        width = self._source.shape.width
        return [np.arange(width) + copy * width for copy in range(self._copies)]

    def _head_places(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Where a head's dimensions lie in a padded head: those that are rotated, and those of values.

        Dimension ``i`` turns with ``i + half``. In a head twice as large every second pair turns as fast as a pair of
        the small one does.
        """
        size, half = self._source.shape.head_size, self._source.shape.head_size // 2
        if self._shape.head_size == size:
            return np.arange(size), np.arange(size)
        return np.concatenate([np.arange(0, size, 2), size + np.arange(0, size, 2)])[: 2 * half], np.arange(size)

    def _of_query_heads(self, places: NDArray[np.intp], copy: int) -> NDArray[np.intp]:
        starts = (np.arange(self._source.shape.heads) * self._head_copies + copy) * self._shape.head_size
        return (starts[:, None] + places).ravel()

    def _of_key_heads(self, places: NDArray[np.intp]) -> NDArray[np.intp]:
        starts = np.arange(self._source.shape.heads) * self._shape.head_size
        return (starts[:, None] + places).ravel()


def widen(source_path: Path, shape: Shape, quantisation: str, target: Path) -> Path:
    """Write ``source_path`` in ``shape`` to ``target``; raises CannotWiden. Half a file is never left there."""
    source = Source(source_path)
    widened = Widened(source, shape, QUANTISATIONS[quantisation])
    unfinished = target.with_suffix(".unfinished")
    writer = gguf.GGUFWriter(str(unfinished), ARCHITECTURE)
    epsilon = f"{ARCHITECTURE}.attention.layer_norm_rms_epsilon"
    sizes = widened.metadata()
    tokens = ("tokenizer.ggml.tokens", "tokenizer.ggml.token_type")
    source.copy_metadata(writer, {*sizes, *tokens, epsilon, "general.file_type"})
    for key, value in sizes.items():
        writer.add_uint32(key, value)
    writer.add_float32(epsilon, widened.norm_epsilon)
    writer.add_file_type(FILE_TYPES[quantisation])
    names, kinds = (source.value(key) for key in tokens)
    padding = range(len(names), shape.vocabulary)
    writer.add_token_list([*names, *(f"[padding {index}]" for index in padding)])
    writer.add_token_types([*kinds, *(gguf.TokenType.UNUSED for _ in padding)])
    widened.write_tensors(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return unfinished.rename(target)


def widened_path(source_path: Path, shape_name: str, quantisation: str) -> Path:
    """The cached file, made if there is none; raises CannotWiden."""
    folder = paths.cache_directory() / "bench" / "models"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{source_path.stem}-{checksum(source_path)[:12]}-{shape_name}-{quantisation}-{RECIPE}.gguf"
    target = folder / name
    return target if target.exists() else widen(source_path, SHAPES[shape_name], quantisation, target)


def _rounded(array: Matrix, kind: Kind) -> Matrix:
    """What is left of ``array`` after it was stored as ``kind``."""
    if kind == Kind.F32:
        return array
    restored: Matrix = gguf.quants.dequantize(gguf.quants.quantize(array, kind), kind).astype(np.float32)
    return restored


def _encoded(rows: Matrix, places: NDArray[np.intp], row_count: int, kind: Kind) -> NDArray[Any]:
    """A matrix of ``row_count`` rows as stored: ``rows`` at their places, zeros elsewhere."""
    zero = np.zeros((1, rows.shape[1]), np.float32)
    encode = (lambda array: array) if kind == Kind.F32 else (lambda array: gguf.quants.quantize(array, kind))
    encoded: NDArray[Any] = np.tile(encode(zero), (row_count, 1))
    if len(rows):
        encoded[places] = encode(rows)
    return encoded


def _add(writer: gguf.GGUFWriter, name: str, encoded: NDArray[Any], kind: Kind) -> None:
    writer.add_tensor(name, encoded, raw_dtype=None if kind == Kind.F32 else kind)


def main() -> int:
    """Widen and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("shape", choices=sorted(SHAPES))
    parser.add_argument("quantisation", choices=sorted(QUANTISATIONS))
    options = parser.parse_args()
    try:
        print(widened_path(options.model, options.shape, options.quantisation))
    except CannotWiden as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
