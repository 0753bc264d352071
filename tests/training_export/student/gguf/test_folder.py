"""Folders: what transformers or a training run saved becomes a GGUF through the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="make test-train installs torch")

import llama_cpp  # noqa: E402
import numpy as np  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from training_export.commands.model_export import application  # noqa: E402
from training_export.errors import ConversionRefused, OutputRefused  # noqa: E402
from training_export.student.gguf.folder import read_folder  # noqa: E402

pytestmark = pytest.mark.train


def save(small: Any, folder: Path, **options: Any) -> Path:
    small.module.save_pretrained(folder, **options)
    small.trained.tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def export(*arguments: object) -> Any:
    found = CliRunner().invoke(application, [str(argument) for argument in arguments])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


@pytest.mark.parametrize("options", [{}, {"max_shard_size": "100KB"}], ids=["one file", "several"])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_saved_model_becomes_a_file_that_computes_the_same(
    options: dict[str, Any], kind: Any, small_model: Any, tmp_path: Path
) -> None:
    small = small_model("llama", "llama-bpe", tie_word_embeddings=False)
    small.module.to(kind)
    folder = save(small, tmp_path / "saved", **options)
    assert (len(list(folder.glob("*.safetensors"))) > 1) == bool(options)
    path = tmp_path / "model.gguf"
    found = export(folder, "-o", path, "--type", "f32", "--prompt-format", "zeta2", "--json")
    assert json.loads(found.stdout)["kinds"] == {"F32": 16}

    # Read anew: turning the module back would leave its rotary frequencies rounded.
    small.module = small.module.from_pretrained(folder, dtype=torch.float32).eval()
    model = llama_cpp.Llama(str(path), n_ctx=64, type_k=0, type_v=0, flash_attn=False, logits_all=True, verbose=False)
    tokens = list(range(2, 42))
    model.eval(tokens)
    assert np.abs(np.array(model.scores[:40]) - small.logits(tokens)).max() < 2e-3
    assert model.metadata["foretype.prompt_format"] == "zeta2"
    assert model.metadata["general.name"] == "saved"
    model.close()


def test_a_run_says_what_it_was_taught_and_its_end_of_text_ends_answers(small_model: Any, tmp_path: Path) -> None:
    small = small_model("qwen2", tie_word_embeddings=True)
    small.module.generation_config.eos_token_id = 1
    small.module.config.foretype_prompt_format = "line_edits"
    save(small, tmp_path / "run" / "model")
    found = read_folder(tmp_path / "run")
    assert found.prompt_format == "line_edits"
    assert found.trained.special.ends == (0, 1)


def test_what_is_quantised_says_what_fell_back(small_model: Any, tmp_path: Path) -> None:
    folder = save(small_model("qwen2"), tmp_path / "saved")
    found = export(folder, "-o", tmp_path / "model.gguf", "--type", "q4_k_m")
    assert "no multiple of 256, and cannot be q4_k_m: llama.cpp made them" in found.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.gguf", "saved"]


def test_a_file_that_is_there_is_not_replaced_unasked(small_model: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_text("mine")
    folder = save(small_model("qwen2"), tmp_path / "saved")
    with pytest.raises(OutputRefused, match="--force"):
        export(folder, "-o", path)
    assert path.read_text() == "mine"
    export(folder, "-o", path, "--force")
    assert path.read_bytes()[:4] == b"GGUF"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "config.json").unlink(), "holds no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json cannot be read"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "has no tokenizer.json"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer.json cannot be read"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no model.safetensors"),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(b"12345678" * 9),
            "model.safetensors cannot be read",
        ),
        (
            lambda folder: [(folder / "config.json").unlink(), (folder / "adapter_config.json").touch()],
            "merge the adapter",
        ),
    ],
)
def test_a_folder_that_is_not_whole_is_told_what_it_lacks(
    spoil: Any, said: str, small_model: Any, tmp_path: Path
) -> None:
    folder = save(small_model("qwen2"), tmp_path / "saved")
    read_folder(folder)
    spoil(folder)
    with pytest.raises(ConversionRefused, match=said):
        read_folder(folder)
