"""The student from weights to GGUF, with a model small enough to make in a second."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="make test-train installs torch")

import numpy as np  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

from daemon.prompts.line_edits import LINES  # noqa: E402
from training_export.student.circuit import install  # noqa: E402
from training_export.student.corpus import SourceFile, read_corpus  # noqa: E402
from training_export.student.examples import Example, corpus_names, training_stream  # noqa: E402
from training_export.student.gguf_export import write_gguf  # noqa: E402
from training_export.student.model import Student, StudentConfig  # noqa: E402
from training_export.student.tokenizer import train_tokenizer  # noqa: E402
from training_export.student.train import optimisers, weighted_loss  # noqa: E402

pytestmark = pytest.mark.train

VOCABULARY = 700
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def files() -> list[SourceFile]:
    found, _ = read_corpus()
    return [file for file in found if file.origin == "python-standard-library" and file.split == "train"][:40]


@pytest.fixture(scope="module")
def tokenizer(files: list[SourceFile]) -> Tokenizer:
    return train_tokenizer((file.text for file in files[:20]), VOCABULARY)


@pytest.fixture(scope="module")
def examples(files: list[SourceFile], tokenizer: Tokenizer) -> list[Example]:
    return list(itertools.islice(training_stream(files, corpus_names(files), tokenizer, seed=5), 24))


def line_tokens(tokenizer: Tokenizer) -> list[int]:
    return [tokenizer.token_to_id(token) for token in LINES]


def student(tokenizer: Tokenizer) -> Student:
    torch.manual_seed(3)
    model = Student(StudentConfig(vocabulary_size=tokenizer.get_vocab_size(), layers=4, hidden=256))
    install(model, line_tokens(tokenizer))
    return model


def test_a_fresh_student_copies_what_it_has_seen_before(tokenizer: Tokenizer) -> None:
    """The circuit set by hand works before any training, on tokens no text ever put in that order."""
    model = student(tokenizer)
    first = tokenizer.token_to_id("a")
    tokens = torch.randint(first, VOCABULARY, (4, 50), generator=torch.Generator().manual_seed(1))
    tokens = torch.cat([tokens, tokens], 1)
    with torch.no_grad():
        hidden, _ = model(tokens)
        chosen = model.logits(hidden)[:, 50:-1].argmax(-1)
    assert (chosen == tokens[:, 51:]).float().mean() > 0.9


def test_training_lowers_the_loss_and_leaves_pinned_weights_alone(
    tokenizer: Tokenizer, examples: list[Example]
) -> None:
    torch.manual_seed(3)
    model = Student(StudentConfig(vocabulary_size=tokenizer.get_vocab_size(), layers=4, hidden=256))
    pins = install(model, line_tokens(tokenizer))
    marks = torch.zeros(tokenizer.get_vocab_size(), dtype=torch.bool)
    marks[line_tokens(tokenizer)] = True
    losses = []
    optimizers = optimisers(model)
    for _ in range(12):
        loss = weighted_loss(model, examples[:8], marks, CPU)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        for pin in pins:
            pin.hold()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert all(torch.equal(pin.parameter[pin.mask], pin.values[pin.mask]) for pin in pins)


def test_the_stream_is_the_same_for_the_same_seed(
    files: list[SourceFile], tokenizer: Tokenizer, examples: list[Example]
) -> None:
    again = training_stream(files, corpus_names(files), tokenizer, seed=5)
    assert list(itertools.islice(again, 6)) == examples[:6]


def test_a_name_has_the_same_tokens_wherever_it_stands(tokenizer: Tokenizer) -> None:
    alone = tokenizer.encode("total_price").tokens
    for text in (" total_price", "(total_price", "self.total_price", "    total_price"):
        tokens = tokenizer.encode(text).tokens
        assert tokens[-len(alone) :] == alone


def test_llama_cpp_reads_what_was_written(tokenizer: Tokenizer, examples: list[Example], tmp_path: Path) -> None:
    """Token ids and the model's choices agree between torch and llama.cpp on the GGUF."""
    llama_cpp = pytest.importorskip("llama_cpp")
    model = student(tokenizer).eval()
    path = tmp_path / "student.gguf"
    write_gguf(model, tokenizer, path, version="test")
    loaded = llama_cpp.Llama(str(path), n_ctx=1024, logits_all=True, verbose=False)
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
            ours = model.logits(model(torch.tensor([example.tokens]))[0])[0].numpy()
        agreed.append((theirs.argmax(-1) == ours.argmax(-1)).mean())
    loaded.close()
    assert np.mean(agreed) > 0.97, "Q8_0 may turn a near tie, not more"
