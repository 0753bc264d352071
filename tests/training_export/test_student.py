"""The student from weights to GGUF, with a model small enough to make in a second."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="make test-train installs torch")

import numpy as np  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

from training_export.student.corpus import SourceFile, read_corpus  # noqa: E402
from training_export.student.examples import Example, corpus_names, training_stream  # noqa: E402
from training_export.student.gguf_export import write_gguf  # noqa: E402
from training_export.student.model import Student  # noqa: E402
from training_export.student.recipe import RECIPES  # noqa: E402
from training_export.student.tokenizer import train_tokenizer  # noqa: E402
from training_export.student.train import Run, optimisers  # noqa: E402

pytestmark = pytest.mark.train

VOCABULARY = 700
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def files() -> list[SourceFile]:
    found, _ = read_corpus()
    return [file for file in found if file.origin == "python-standard-library" and file.split == "train"][:40]


@pytest.fixture(scope="module", params=RECIPES)
def recipe(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def tokenizer(files: list[SourceFile], recipe: str) -> Tokenizer:
    return train_tokenizer((file.text for file in files[:20]), VOCABULARY, RECIPES[recipe].control_tokens)


@pytest.fixture(scope="module")
def examples(files: list[SourceFile], tokenizer: Tokenizer, recipe: str) -> list[Example]:
    return list(itertools.islice(training_stream(files, corpus_names(files), tokenizer, RECIPES[recipe], seed=5), 24))


def student(tokenizer: Tokenizer, recipe: str) -> Student:
    torch.manual_seed(3)
    config = RECIPES[recipe].config
    return Student(replace(config, vocabulary_size=tokenizer.get_vocab_size(), layers=4, hidden=256))


def test_training_lowers_the_loss_and_a_checkpoint_goes_on_where_it_was(
    tokenizer: Tokenizer, examples: list[Example], recipe: str, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    run = Run(recipe, student(tokenizer, recipe), [], CPU)
    run.optimizers = optimisers(run.model)
    losses = [run.take_step(examples[:8], 1.0) for _ in range(12)]
    run.save(tmp_path)
    other = Run(recipe, student(tokenizer, recipe), [], CPU)
    other.optimizers = optimisers(other.model)
    other.restore(tmp_path)

    assert losses[-1] < 0.8 * losses[0]
    assert other.step == run.step == 12
    assert other.take_step(examples[8:16], 1.0) == run.take_step(examples[8:16], 1.0)


def test_the_stream_is_the_same_for_the_same_seed(
    files: list[SourceFile], tokenizer: Tokenizer, recipe: str, examples: list[Example]
) -> None:
    again = training_stream(files, corpus_names(files), tokenizer, RECIPES[recipe], seed=5)
    assert list(itertools.islice(again, 6)) == examples[:6]


def test_a_name_has_the_same_tokens_wherever_it_stands(tokenizer: Tokenizer) -> None:
    alone = tokenizer.encode("total_price").tokens
    for text in (" total_price", "(total_price", "self.total_price", "    total_price"):
        tokens = tokenizer.encode(text).tokens
        assert tokens[-len(alone) :] == alone


def test_llama_cpp_reads_what_was_written(
    tokenizer: Tokenizer, recipe: str, examples: list[Example], tmp_path: Path
) -> None:
    """Token ids and the model's choices agree between torch and llama.cpp on the GGUF."""
    llama_cpp = pytest.importorskip("llama_cpp")
    model = student(tokenizer, recipe).eval()
    path = tmp_path / "student.gguf"
    write_gguf(model, tokenizer, path, prompt_format=recipe, version="test")
    loaded = llama_cpp.Llama(str(path), n_ctx=1536, logits_all=True, verbose=False)
    agreed = []
    for example in examples:
        text = tokenizer.decode(example.tokens, skip_special_tokens=False)
        ids = loaded.tokenize(text.encode(), add_bos=False, special=True)
        assert ids == tokenizer.encode(text).ids
    for example in examples[:4]:
        loaded.reset()
        loaded.eval(example.tokens)
        theirs = np.array(loaded.scores[: len(example.tokens)])
        with torch.no_grad():
            ours = model.logits(model(torch.tensor([example.tokens])))[0].numpy()
        agreed.append((theirs.argmax(-1) == ours.argmax(-1)).mean())
    loaded.close()
    assert np.mean(agreed) > 0.97, "Q8_0 may turn a near tie, not more"
