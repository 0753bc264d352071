"""Refusals before a model is loaded: what can be told from the file and the machine, each with its cure.

Reads the first bytes of the file only; what is inside (architecture, tensors, vocabulary) is judged by
llama.cpp's own vocabulary-only load, in the worker process, and refused there. Knows nothing of llama.cpp's
API. Source of the header layout: the GGUF specification (ggml, docs/gguf.md), version 3.
"""

from __future__ import annotations

import os
import stat
import struct
from typing import TYPE_CHECKING

import psutil

from daemon.engine.errors import ModelRefused
from daemon.engine.ways import KvType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HEADER = struct.Struct("<4sIQQ")  # magic, version, tensor count, metadata count
MAGIC = b"GGUF"
VERSION = 3
BIG_ENDIAN_VERSION = 3 << 24
SMALLEST_TENSOR_BYTES = 32  # name length, dimensions, one extent, type, offset
SMALLEST_METADATA_BYTES = 13  # key length, type, one byte
COMPUTE_RESERVE_BYTES = 64 * 1024 * 1024  # graph buffers and the library itself; measured 15 to 40 MB


def check_file(path: Path) -> None:
    """Raises ModelRefused unless ``path`` is a readable file whose header can be a GGUF's."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for its writer
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise ModelRefused(f"{path} is {kind}; name the GGUF file itself")
        with path.open("rb") as file:
            header = file.read(HEADER.size)
    except FileNotFoundError:
        raise ModelRefused(f"{path} does not exist; check the path or pull the model again") from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ModelRefused(f"{path} cannot be read ({reason}); check its permissions") from None
    _check_header(path, header, status.st_size)


def _check_header(path: Path, header: bytes, size_bytes: int) -> None:
    if not header:
        raise ModelRefused(f"{path} is empty; download it again")
    if header[:4] != MAGIC[: len(header)]:
        raise ModelRefused(f"{path} is not a GGUF file; convert the model with llama.cpp or choose another")
    if len(header) < HEADER.size:
        raise ModelRefused(f"{path} is truncated ({size_bytes} bytes); download it again")
    _, version, tensors, metadata = HEADER.unpack(header)
    if version == BIG_ENDIAN_VERSION:
        raise ModelRefused(f"{path} is a big-endian GGUF; download the little-endian file")
    if version != VERSION:
        raise ModelRefused(f"{path} is GGUF version {version}, not {VERSION}; convert it with a current llama.cpp")
    if tensors == 0:
        raise ModelRefused(f"{path} holds no tensors (a vocabulary file?); choose the model's own file")
    if HEADER.size + tensors * SMALLEST_TENSOR_BYTES + metadata * SMALLEST_METADATA_BYTES > size_bytes:
        raise ModelRefused(
            f"{path} is truncated or damaged: {size_bytes} bytes cannot hold the {tensors} tensors and"
            f" {metadata} metadata entries it announces; download it again"
        )


def needed_bytes(
    size_bytes: int, metadata: Mapping[str, str], context_tokens: int, kv_type: KvType = KvType.F16
) -> int:
    """Memory for the weights, a KV cache of ``context_tokens`` and the compute buffers.

    The cache holds, per token and layer, one key and one value for each KV head. A number the metadata
    lacks or garbles counts as zero: llama.cpp then refuses the file or uses its own default.
    """
    architecture = metadata.get("general.architecture", "")

    def number(key: str) -> int:
        text = metadata.get(f"{architecture}.{key}", "")
        return int(text) if text.isdecimal() else 0

    heads = number("attention.head_count")
    key_values = number("attention.head_count_kv") or heads
    head_width = number("embedding_length") // heads if heads else 0
    key_width = number("attention.key_length") or head_width
    value_width = number("attention.value_length") or head_width
    values_per_token = number("block_count") * key_values * (key_width + value_width)
    return size_bytes + int(values_per_token * kv_type.bytes_per_value * context_tokens) + COMPUTE_RESERVE_BYTES


def available_bytes() -> int:
    """Memory that can be had without swapping."""
    return int(psutil.virtual_memory().available)


def check_memory(path: Path, needed: int, available: int, further_cure: str = "") -> None:
    """Raises ModelRefused when ``needed`` bytes are not ``available``."""
    if needed > available:
        raise ModelRefused(
            f"{path} needs about {needed / 1e9:.1f} GB of memory and {available / 1e9:.1f} GB are free;"
            f" close other programs or choose a smaller model or quantisation{further_cure}"
        )
