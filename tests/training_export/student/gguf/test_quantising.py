"""Quantising through llama.cpp: what comes out, what falls back, and what is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="make test-train installs torch")

from hypothesis import given
from hypothesis import strategies as st

from daemon.engine.llama import Log, Model
from daemon.errors import BadArgument
from training_export.errors import ConversionRefused, ModelUnusable
from training_export.student.gguf.measuring import Computing, opened_model
from training_export.student.gguf.metadata import matrices_of
from training_export.student.gguf.quantisation import Quantisation, read_names
from training_export.student.gguf.quantising import Quantised, quantise
from training_export.student.gguf.texts import Text
from training_export.student.gguf.writing import About, write_gguf

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def wide(small_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of 256 and 512 numbers, which all quantisations take."""
    sizes = {"hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 4, "num_key_value_heads": 2}
    path = tmp_path_factory.mktemp("wide") / "wide.gguf"
    write_gguf(
        small_model("llama", tie_word_embeddings=False, **sizes).trained, path, About("wide", prompt_format="zeta2")
    )
    return path


@pytest.fixture(scope="module")
def made(wide: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Quantisation, Quantised]:
    folder = tmp_path_factory.mktemp("made")
    return {name: quantise(wide, folder / f"{name}.gguf", name) for name in Quantisation}


@pytest.mark.parametrize("quantisation", Quantisation)
def test_every_way_makes_a_file_that_runs_and_nothing_falls_back(
    quantisation: Quantisation, wide: Path, made: dict[Quantisation, Quantised]
) -> None:
    found = made[quantisation]
    assert found.fell_back == ""
    assert found.size_bytes == found.path.stat().st_size
    assert sum(found.kinds.values()) == len(matrices_of(wide))
    named = quantisation.value.upper().removesuffix("_M").removesuffix("_S")
    assert next(iter(found.kinds)) == named, "most matrices are of that kind"
    text = Text(tuple(range(2, 40)), 20)
    with opened_model(found.path, Computing(threads=1), 64) as opened:
        assert len(opened.log_probabilities(text)) == 37


def test_less_is_smaller(made: dict[Quantisation, Quantised]) -> None:
    order = [Quantisation(name) for name in ("f32", "f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k")]
    sizes = [made[name].size_bytes for name in order]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)


def test_rows_that_do_not_fit_fall_back_and_it_is_said(whole_gguf: Path, tmp_path: Path) -> None:
    """96 and 160 numbers a row: blocks of 32, not of 256."""
    made = quantise(whole_gguf, tmp_path / "small.gguf", Quantisation.Q4_K_M)
    kinds = ", ".join(f"{count} {kind.lower()}" for kind, count in made.kinds.items())
    assert made.fell_back == (
        "15 of 15 matrices have rows of 96, 160 numbers, no multiple of 256, and cannot be q4_k_m: llama.cpp made"
        f" them {kinds}"
    )
    assert not {kind for kind in made.kinds if kind.endswith("_K")}
    assert quantise(whole_gguf, tmp_path / "plain.gguf", Quantisation.Q4_0).fell_back == ""


def test_what_the_file_says_of_itself_stays(whole_gguf: Path, tmp_path: Path) -> None:
    made = quantise(whole_gguf, tmp_path / "small.gguf", Quantisation.Q8_0)
    with closing(Model.load(str(made.path), Log(lambda _line: None), vocabulary_only=True)) as model:
        found = model.facts().metadata
    assert found["foretype.prompt_format"] == "line_edits"
    assert float(found["foretype.min_confidence"]) == 0.25
    assert found["general.name"] == "small one"


def test_what_is_quantised_is_not_quantised_again(whole_gguf: Path, tmp_path: Path) -> None:
    made = quantise(whole_gguf, tmp_path / "small.gguf", Quantisation.Q4_0)
    with pytest.raises(ConversionRefused, match=r"is quantised already .*; quantise the f32 or f16 file"):
        quantise(made.path, tmp_path / "again.gguf", Quantisation.Q8_0)
    assert not (tmp_path / "again.gguf").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "is empty"), (b"nothing of the kind", "is not a GGUF"), (None, "does not exist")],
)
def test_what_is_no_model_is_refused(content: bytes | None, said: str, tmp_path: Path) -> None:
    source = tmp_path / "source.gguf"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(ModelUnusable, match=said):
        quantise(source, tmp_path / "small.gguf", Quantisation.Q8_0)


def test_a_truncated_model_is_refused(whole_gguf: Path, tmp_path: Path) -> None:
    source = tmp_path / "source.gguf"
    source.write_bytes(whole_gguf.read_bytes()[:-100_000])
    with pytest.raises(ModelUnusable, match=r"source\.gguf"):
        quantise(source, tmp_path / "small.gguf", Quantisation.Q8_0)
    assert list(tmp_path.iterdir()) == [source]


WAITING = """
import subprocess, sys
from pathlib import Path
from training_export.running.interruption import interruptible
from training_export.student.gguf import quantising
from training_export.student.gguf.quantisation import Quantisation
quantising._WORKER = sys.argv[3]  # one that never ends
with interruptible():
    quantising.quantise(Path(sys.argv[1]), Path(sys.argv[2]), Quantisation.Q8_0)
"""


@pytest.mark.parametrize("request_to_end", [signal.SIGINT, signal.SIGTERM])
def test_who_stops_waiting_ends_the_process_that_quantises(
    request_to_end: signal.Signals, whole_gguf: Path, tmp_path: Path, interruptible: None
) -> None:
    target = tmp_path / "made" / "small.gguf"
    target.parent.mkdir()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "never_ends.py").write_text(
        f"import os, time\nopen({str(pipe)!r}, 'w').write(str(os.getpid()))\ntime.sleep(1000)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", WAITING, str(whole_gguf), str(target), "never_ends"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    worker = int(pipe.read_text())
    assert list(target.parent.iterdir()), "the file is begun"
    process.send_signal(request_to_end)
    assert process.wait(30) != 0
    assert list(target.parent.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_names_are_read_in_their_order_each_once() -> None:
    assert read_names(" Q8_0,q4_k_m,,q8_0") == (Quantisation.Q8_0, Quantisation.Q4_K_M)
    with pytest.raises(BadArgument, match="'q9' is no quantisation; there are: f32, f16"):
        read_names("q8_0,q9")
    with pytest.raises(BadArgument, match="with commas between them"):
        read_names(" , ")


@given(st.lists(st.sampled_from(Quantisation), min_size=1, unique=True))
def test_any_names_come_back(names: list[Quantisation]) -> None:
    assert list(read_names(", ".join(names))) == names
