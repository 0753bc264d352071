"""The student from weights to GGUF, with a model small enough to make in a second."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="make test-train installs torch")

import numpy as np  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

from training_export.student.copying import LOOKS, look_back  # noqa: E402
from training_export.student.corpus import SourceFile, corpus_names, read_corpus  # noqa: E402
from training_export.student.examples import Example, stream  # noqa: E402
from training_export.student.gguf_export import write_gguf  # noqa: E402
from training_export.student.model import Student, rotate  # noqa: E402
from training_export.student.recipe import RECIPES  # noqa: E402
from training_export.student.tokenizer import train_tokenizer  # noqa: E402
from training_export.student.train import Material, Run, optimisers  # noqa: E402

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
    return list(itertools.islice(short_examples(files, tokenizer, recipe), 24))


def short_examples(files: list[SourceFile], tokenizer: Tokenizer, recipe: str) -> Iterator[Example]:
    """Those of the first stage that teaches edits."""
    chosen = RECIPES[recipe]
    stage = next(stage for stage in chosen.stages if "rename" in stage.tasks and not stage.random_copies)
    return stream(files, corpus_names(files), tokenizer, chosen, stage, seed=5)


@pytest.fixture(scope="module")
def copying_tokenizer(files: list[SourceFile]) -> Tokenizer:
    return train_tokenizer((file.text for file in files[:20]), VOCABULARY, RECIPES["zeta2"].control_tokens)


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
    assert list(itertools.islice(short_examples(files, tokenizer, recipe), 6)) == examples[:6]


def test_a_resumed_run_goes_on_with_the_batch_that_would_have_come(
    files: list[SourceFile], copying_tokenizer: Tokenizer
) -> None:
    recipe = RECIPES["zeta2"]
    short = replace(recipe, stages=tuple(replace(stage, steps=2) for stage in recipe.stages[:2]))
    material = Material(files, [], corpus_names(files), copying_tokenizer)
    whole = list(itertools.islice(material.batches(short, 5, 0), 6))
    assert {example.task for batch in whole[:2] for example in batch} == {"random"}
    assert "random" not in {example.task for batch in whole[2:] for example in batch}
    for first_step in range(5):
        rest = itertools.islice(material.batches(short, 5, first_step), 6 - first_step)
        assert list(rest) == whole[first_step:]


def test_an_answer_without_meaning_repeats_its_region_and_nothing_else_is_learnt(copying_tokenizer: Tokenizer) -> None:
    recipe = RECIPES["zeta2"]
    example = next(stream([], [], copying_tokenizer, recipe, recipe.stages[0], seed=1))
    region, answer = example.tokens[: example.answer_start], example.tokens[example.answer_start :]
    assert region[1 : len(answer)] == answer[:-1], "behind the mark that begins a prompt"
    learnt = [index for index, weight in enumerate(example.weights) if weight]
    assert learnt == list(range(example.answer_start - 1, len(example.tokens) - 1))


def test_the_heads_of_a_student_that_is_to_copy_look_back_as_far_as_they_are_set_to() -> None:
    torch.manual_seed(0)
    model = Student(RECIPES["zeta2"].config)
    look_back(model)
    attention = model.blocks[0].get_submodule("attention")
    hidden = model.blocks[0].attention_norm(model.embedding(torch.randint(0, 4096, (1, 64))))
    shape = (1, 64, model.config.heads, model.config.head_size)
    cosine, sine = model.get_buffer("cosine")[:64], model.get_buffer("sine")[:64]
    query = rotate(attention.query(hidden).view(shape).transpose(1, 2), cosine, sine)
    key = rotate(attention.key(hidden).view(shape).transpose(1, 2), cosine, sine)
    last = (query[0, :, -1:] @ key[0].transpose(1, 2))[:, 0] / model.config.head_size**0.5
    weights = last.softmax(-1).flip(-1)  # by distance
    for head, look in enumerate(LOOKS[0][:3]):
        assert weights[head, look.distance_tokens] > 0.9
    blurred = weights[3, 4:13]
    assert blurred.sum() > 0.4
    assert blurred.max() < 0.2


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
    loaded = llama_cpp.Llama(str(path), n_ctx=2560, logits_all=True, verbose=False)
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
