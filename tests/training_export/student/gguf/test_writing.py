"""Files: what a GGUF says of itself, what is refused, and that no half of one is ever left."""

from __future__ import annotations

import resource
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="make test-train installs torch")

import numpy as np  # noqa: E402
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from tokenizers.processors import TemplateProcessing  # noqa: E402

from daemon.engine.llama import Log, Model  # noqa: E402
from daemon.prompts.registry import choose_format  # noqa: E402
from training_export.errors import ConversionRefused, ModelUnwritable  # noqa: E402
from training_export.student.evaluation.gate import read_limit, write_limit  # noqa: E402
from training_export.student.gguf.network import Network  # noqa: E402
from training_export.student.gguf.tensors import StateWeights, neighbouring  # noqa: E402
from training_export.student.gguf.vocabulary import SpecialTokens  # noqa: E402
from training_export.student.gguf.writing import About, Precision, write_gguf  # noqa: E402

pytestmark = pytest.mark.train


def metadata(path: Path) -> dict[str, str]:
    with closing(Model.load(str(path), Log(lambda _line: None), vocabulary_only=True)) as model:
        return model.facts().metadata


def test_the_file_says_what_it_is(whole_gguf: Path) -> None:
    found = metadata(whole_gguf)
    assert found["general.name"] == "small one"
    assert found["general.version"] == "7"
    assert found["general.license"] == "Apache-2.0"
    assert choose_format("", found, "whatever.gguf").name == "line_edits"
    assert read_limit(whole_gguf) == pytest.approx(0.25)


def test_its_limit_of_confidence_can_be_set_later(small_model: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    write_gguf(small_model("llama").trained, path, About("x"))
    assert read_limit(path) == 0
    write_limit(path, 0.4)
    assert float(metadata(path)["foretype.min_confidence"]) == pytest.approx(0.4)


@pytest.mark.parametrize(("adds", "wanted"), [(True, [1, 0, 0]), (False, [0, 0])])
def test_a_beginning_is_put_first_where_the_tokenizer_does(
    adds: bool, wanted: list[int], tokenizer_of: Any, small_model: Any, tmp_path: Path
) -> None:
    tokenizer = tokenizer_of("llama-bpe")
    if adds:
        tokenizer.post_processor = TemplateProcessing(single="<|start|> $A", special_tokens=[("<|start|>", 1)])
    trained = replace(small_model("llama", tokenizer=tokenizer).trained, special=SpecialTokens((0,), beginning=1))
    path = tmp_path / "model.gguf"
    write_gguf(trained, path, About("x"))
    with closing(Model.load(str(path), Log(lambda _line: None), vocabulary_only=True)) as model:
        assert model.tokenize("<|end_of_text|><|end_of_text|>", add_beginning=True) == wanted


def changed_state(small: Any, **changes: Any) -> Any:
    """The same with weights replaced, or taken out where they are None."""
    state = {**small.module.state_dict(), **{name.replace("__", "."): value for name, value in changes.items()}}
    kept = {name: value for name, value in state.items() if value is not None}
    return replace(small.trained, weights=StateWeights(kept))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model__norm__weight": None}, "model.norm.weight is missing"),
        ({"lora_A": torch.zeros(2)}, "lora_A is not part of this architecture"),
        ({"model__norm__weight": torch.zeros(3)}, r"has the shape \(3,\), and the config makes it \(96,\)"),
        ({"model__norm__weight": torch.full((96,), torch.nan)}, "no number"),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_what_was_there_stays(
    changes: dict[str, Any], said: str, small_model: Any, tmp_path: Path
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"what was there before")
    with pytest.raises(ConversionRefused, match=said):
        write_gguf(changed_state(small_model("qwen2"), **changes), path, About("x"))
    assert path.read_bytes() == b"what was there before"
    assert list(tmp_path.iterdir()) == [path]


def test_numbers_too_large_for_half_precision_are_refused_there_alone(small_model: Any, tmp_path: Path) -> None:
    huge = {"model.layers.0.mlp.up_proj.weight": torch.full((160, 96), 1e5)}
    trained = changed_state(small_model("qwen2"), **huge)
    with pytest.raises(ConversionRefused, match="too large for float16; write it as f32"):
        write_gguf(trained, tmp_path / "half.gguf", About("x"), precision=Precision.F16)
    write_gguf(trained, tmp_path / "whole.gguf", About("x"))
    assert [path.name for path in tmp_path.iterdir()] == ["whole.gguf"]


def test_what_interrupts_writing_leaves_nothing(small_model: Any, tmp_path: Path) -> None:
    class Stopped(BaseException):
        pass

    def stop(what: str) -> None:
        if "tensor 9" in what:
            assert any(part.stat().st_size > 1000 for part in tmp_path.iterdir()), "it was being written"
            raise Stopped

    with pytest.raises(Stopped):
        write_gguf(small_model("qwen2").trained, tmp_path / "model.gguf", About("x"), step=stop)
    assert list(tmp_path.iterdir()) == []


FILL = """
import pickle, resource, sys
from pathlib import Path
from training_export.errors import ForetypeError
from training_export.student.gguf.quantisation import Quantisation
from training_export.student.gguf.quantising import quantise
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    quantise(Path(sys.argv[1]), Path(sys.argv[2]), Quantisation.Q8_0)
except ForetypeError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def test_a_quantised_file_that_is_not_taken_leaves_nothing(whole_gguf: Path, tmp_path: Path) -> None:
    """A limit of the system's, met in the middle of the file as a full disk would be."""
    target = tmp_path / "small.gguf"
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(whole_gguf), str(target)], capture_output=True, text=True, check=False
    )
    assert done.stderr.startswith(f"ModelUnwritable: cannot write {target}")
    assert "MB are free there" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_whole_file_that_is_not_taken_leaves_nothing(small_model: Any, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    path = tmp_path / "model.gguf"
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(ModelUnwritable, match="nothing of it was kept: make room"):
            write_gguf(small_model("qwen2").trained, path, About("x"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(small_model: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelUnwritable, match=f"there is no folder {tmp_path / 'none'}"):
        write_gguf(small_model("qwen2").trained, tmp_path / "none" / "model.gguf", About("x"))


CONFIG = {
    "model_type": "llama",
    "num_attention_heads": 4,
    "hidden_size": 64,
    "vocab_size": 100,
    "num_hidden_layers": 1,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "gemma3"}, "a gemma3 cannot be written; qwen2 and llama can"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
        ({"model_type": "qwen2", "use_sliding_window": True}, "sliding window"),
        ({"layer_types": ["sliding_attention"]}, "sliding window"),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, "kind 'yarn'"),
        (
            {"model_type": "qwen2", "rope_parameters": {"rope_type": "llama3"}},
            "kind 'llama3' cannot be written for qwen2",
        ),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "part of each head"),
        ({"quantization_config": {"bits": 4}}, "quantised already"),
        ({"hidden_size": None}, "no usable hidden_size"),
    ],
)
def test_a_network_that_llama_cpp_would_compute_otherwise_is_refused(changes: dict[str, Any], said: str) -> None:
    Network.from_config(CONFIG)
    with pytest.raises(ConversionRefused, match=said):
        Network.from_config({**CONFIG, **changes})


@given(heads=st.integers(1, 4), half=st.integers(1, 6), columns=st.integers(0, 3))
def test_the_two_dimensions_that_are_rotated_together_become_neighbours(heads: int, half: int, columns: int) -> None:
    rows = np.arange(heads * 2 * half, dtype=np.float32)
    array = np.repeat(rows[:, None], columns, axis=1) if columns else rows
    moved = neighbouring(array, heads)
    assert moved.shape == array.shape
    if columns:
        assert (moved == moved[:, :1]).all()
        moved = moved[:, 0]
    pairs = moved.reshape(heads, half, 2)
    assert (pairs[..., 1] - pairs[..., 0] == half).all()
    assert sorted(moved) == list(rows)
