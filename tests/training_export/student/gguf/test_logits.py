"""Numbers: llama.cpp must compute from the file what torch computes from the weights."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="make test-train installs torch")

import llama_cpp  # noqa: E402
import numpy as np  # noqa: E402

from training_export.student.gguf.writing import About, Precision, write_gguf  # noqa: E402

pytestmark = pytest.mark.train

TOKENS = 200
# Of logits up to 20: sums of a few hundred float32 products, added up in another order. With a cache of float16, as the
# daemon has it, it is 1,000 times as much.
TOLERANCE = 2e-3

LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
NETWORKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "qwen2, tied": ("qwen2", "gpt-2", {"num_key_value_heads": 6, "tie_word_embeddings": True}),
    "qwen2, untied, grouped": ("qwen2", "qwen2", {"num_key_value_heads": 2, "tie_word_embeddings": False}),
    "qwen2, another base": ("qwen2", "qwen2", {"rope_theta": 1e6, "tie_word_embeddings": True, "num_key_value_heads": 1}),
    "llama, tied": ("llama", "smollm", {"num_key_value_heads": 6, "tie_word_embeddings": True}),
    "llama, untied, grouped": ("llama", "llama-bpe", {"num_key_value_heads": 3, "tie_word_embeddings": False}),
    "llama, biases, wide heads": (
        "llama", "gpt-2", {"num_key_value_heads": 2, "attention_bias": True, "mlp_bias": True, "head_dim": 24},
    ),
    "llama, positions scaled": (
        "llama", "gpt-2", {"rope_parameters": {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 4.0}},
    ),
    "llama, positions scaled as in 3.1": ("llama", "llama-bpe", {"num_key_value_heads": 3, "rope_parameters": LLAMA3}),
}  # fmt: skip


def in_llama_cpp(path: Path, tokens: list[int]) -> np.ndarray:
    """The logits of all tokens, with nothing kept in less than float32."""
    model = llama_cpp.Llama(
        str(path),
        n_ctx=TOKENS + 1,
        type_k=llama_cpp.GGML_TYPE_F32,
        type_v=llama_cpp.GGML_TYPE_F32,
        flash_attn=False,
        logits_all=True,
        n_threads=1,
        verbose=False,
    )
    model.eval(tokens)
    found = np.array(model.scores[: len(tokens)])
    model.close()
    return found


def some_tokens(size: int) -> list[int]:
    return Random(3).choices(range(size), k=TOKENS)


@pytest.mark.parametrize("name", NETWORKS)
def test_llama_cpp_computes_what_torch_computes(name: str, small_model: Any, tmp_path: Path) -> None:
    architecture, cutting, options = NETWORKS[name]
    small = small_model(architecture, cutting, **options)
    path = tmp_path / "model.gguf"
    write_gguf(small.trained, path, About("x"))
    tokens = some_tokens(small.trained.network.vocabulary_size)
    ours, theirs = small.logits(tokens), in_llama_cpp(path, tokens)
    assert np.abs(ours).max() > 5, "else a small difference means nothing"
    assert np.abs(ours - theirs).max() < TOLERANCE


def test_a_network_read_otherwise_is_far_off(small_model: Any, tmp_path: Path) -> None:
    """The tolerance tells them apart: the same weights with positions scaled otherwise."""
    scaled = {"rope_parameters": {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 1.05}}
    path = tmp_path / "model.gguf"
    write_gguf(small_model("llama", **scaled).trained, path, About("x"))
    plain = small_model("llama")
    tokens = some_tokens(plain.trained.network.vocabulary_size)
    assert np.abs(plain.logits(tokens) - in_llama_cpp(path, tokens)).max() > 100 * TOLERANCE


def test_half_precision_is_what_was_asked_for(small_model: Any, tmp_path: Path) -> None:
    small = small_model("qwen2", tie_word_embeddings=True)
    paths = {precision: tmp_path / f"{precision}.gguf" for precision in Precision}
    for precision, path in paths.items():
        write_gguf(small.trained, path, About("x"), precision=precision)
    tokens = some_tokens(small.trained.network.vocabulary_size)
    difference = np.abs(small.logits(tokens) - in_llama_cpp(paths[Precision.F16], tokens)).max()
    assert TOLERANCE < difference < 1, "rounded, and nothing worse"
    assert paths[Precision.F16].stat().st_size < 0.6 * paths[Precision.F32].stat().st_size
