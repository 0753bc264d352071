"""A file that is no model we can run is refused with its name, the reason and a cure."""

from __future__ import annotations

import os
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.engine.errors import ModelRefused
from daemon.engine.guard import check_file, check_memory, needed_bytes


def header(version: int = 3, tensors: int = 1, metadata: int = 1) -> bytes:
    return struct.pack("<4sIQQ", b"GGUF", version, tensors, metadata)


@pytest.mark.parametrize(
    ("content", "reason", "cure"),
    [
        (b"", "is empty", "download it again"),
        (b"PK\x03\x04 some archive of more than 24 bytes", "is not a GGUF file", "choose another"),
        (b"GGUF\x03\x00", "is truncated", "download it again"),
        (header(version=1) + bytes(100), "version 1", "convert it"),
        (struct.pack(">4sIQQ", b"GGUF", 3, 1, 1) + bytes(100), "big-endian", "little-endian"),
        (header(tensors=0) + bytes(100), "holds no tensors", "choose the model's own file"),
        (header(tensors=300) + bytes(100), "cannot hold the 300 tensors", "download it again"),
        (header(metadata=2**63) + bytes(100), "truncated or damaged", "download it again"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_by_name(tmp_path, content, reason, cure):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)

    with pytest.raises(ModelRefused) as refusal:
        check_file(path)

    assert str(path) in str(refusal.value)
    assert reason in str(refusal.value)
    assert cure in str(refusal.value)


def test_a_folder_a_pipe_and_a_missing_file_are_refused(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(ModelRefused, match="is a folder"):
        check_file(tmp_path)
    with pytest.raises(ModelRefused, match="not a regular file"):
        check_file(pipe)
    with pytest.raises(ModelRefused, match="does not exist"):
        check_file(tmp_path / "missing.gguf")


def test_a_real_model_passes(tiny_model):
    check_file(tiny_model)


@given(content=st.binary(max_size=64) | st.binary(max_size=40).map(lambda tail: b"GGUF" + tail))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_bytes_a_file_without_a_header_is_refused(tmp_path, content):
    path = tmp_path / "any.gguf"
    path.write_bytes(content)
    if content.startswith(b"GGUF\x03\x00\x00\x00") and len(content) > 24:
        return  # may be the start of a header that is right; the cases above say when it is not

    with pytest.raises(ModelRefused) as refusal:
        check_file(path)

    assert str(path) in str(refusal.value)


def test_memory_is_weights_plus_key_value_cache_plus_buffers(tmp_path):
    """24 layers, 2 KV heads of 64, float16: 24 * 2 * (64 + 64) * 2 = 12,288 bytes a token, as Qwen2.5-0.5B."""
    metadata = {
        "general.architecture": "qwen2",
        "qwen2.block_count": "24",
        "qwen2.embedding_length": "896",
        "qwen2.attention.head_count": "14",
        "qwen2.attention.head_count_kv": "2",
    }
    without_cache = needed_bytes(500_000_000, metadata, 0)
    assert without_cache > 500_000_000
    assert needed_bytes(500_000_000, metadata, 1000) - without_cache == 12_288_000

    check_memory(tmp_path, 1000, 1000)
    with pytest.raises(ModelRefused, match=r"needs about 8\.0 GB of memory and 4\.0 GB are free"):
        check_memory(tmp_path, 8_000_000_000, 4_000_000_000)
