"""A widened student answers as the student does: exactly in F32, and as good as always in eight and four bits."""

from __future__ import annotations

import llama_cpp
import numpy as np
import pytest

from bench.agreement import answers, prompts
from bench.session import read_sessions
from bench.widen import SHAPES, CannotWiden, Shape, Source, Widened, widen, widened_path
from daemon.registry import EMBEDDED_PATH

# Small enough for a test, padded in every direction; one with heads of the student's size, one with heads twice that.
SAME_HEADS = Shape(layers=8, width=896, hidden=1600, heads=14, key_value_heads=7, vocabulary=4200)
LARGER_HEADS = Shape(layers=7, width=1536, hidden=1600, heads=12, key_value_heads=4, vocabulary=4128)
F32 = 0  # of the KV cache: in half precision it would round more than the sums do
SMALL_SHAPES = pytest.mark.parametrize("shape", [SAME_HEADS, LARGER_HEADS], ids=["64", "128"])


@pytest.fixture(scope="module")
def student_f32(tmp_path_factory):
    """The student with its weights as they are computed with, in F32."""
    target = tmp_path_factory.mktemp("student") / "student-f32.gguf"
    return widen(EMBEDDED_PATH, Source(EMBEDDED_PATH).shape, "f32", target)


@pytest.fixture(scope="module")
def moments():
    """Prompts and what the student answers."""
    found = asked(every=7)
    texts = answers(EMBEDDED_PATH, found)
    assert len(set(texts)) > 3, "these moments ask for different answers"
    assert len(texts) - texts.count(None) >= 20, "so many of them are not given up"
    return found, texts


def asked(every):
    """Prompts of the student's from moments of the sessions."""
    return prompts(EMBEDDED_PATH, read_sessions(["python_basket", "python_parser", "python_tests"]), every)


def logits(path, prompt_texts):
    """For each prompt the logits behind every token of it."""
    llama = llama_cpp.Llama(
        str(path), n_ctx=1024, n_threads=1, n_threads_batch=1, logits_all=True, type_k=F32, type_v=F32, verbose=False
    )
    found = []
    for text in prompt_texts:
        llama.reset()
        tokens = llama.tokenize(text.encode(), add_bos=False, special=True)
        llama.eval(tokens)
        found.append(llama.scores[: len(tokens)].copy())
    llama.close()
    return found


@SMALL_SHAPES
def test_in_f32_every_logit_of_a_real_token_is_the_students(tmp_path, student_f32, shape):
    texts = [prompt.text for prompt in asked(every=150)]
    assert len(texts) == 3
    wide = widen(EMBEDDED_PATH, shape, "f32", tmp_path / "wide.gguf")
    small_vocabulary = Source(EMBEDDED_PATH).shape.vocabulary
    for theirs, ours in zip(logits(student_f32, texts), logits(wide, texts), strict=True):
        real, padding = ours[:, :small_vocabulary], ours[:, small_vocabulary:]
        assert np.abs(real - theirs).max() < 1e-3, "rounding of sums; a logit is of the order of 10"
        assert (real.argmax(axis=1) == theirs.argmax(axis=1)).all()
        assert padding.shape[1] == shape.vocabulary - small_vocabulary
        assert padding.max() < -1e8, "no padding token can ever win"


@pytest.mark.parametrize(("shape", "quantisation"), [(SAME_HEADS, "q4_0"), (LARGER_HEADS, "q8_0")])
def test_quantised_answers_are_the_students(tmp_path, moments, shape, quantisation):
    found, mine = moments
    wide = widen(EMBEDDED_PATH, shape, quantisation, tmp_path / "wide.gguf")
    equal = sum(answer == text for answer, text in zip(answers(wide, found), mine, strict=True))
    assert equal >= len(mine) - 1, "two tokens that are as good as equally likely may fall the other way"


def test_a_widened_file_says_what_it_is_and_keeps_what_the_daemon_reads(tmp_path):
    wide = Source(widen(EMBEDDED_PATH, LARGER_HEADS, "q4_0", tmp_path / "wide.gguf"))
    student = Source(EMBEDDED_PATH)
    assert wide.shape == LARGER_HEADS
    for key in ("foretype.prompt_format", "foretype.min_confidence", "tokenizer.ggml.merges", "qwen2.context_length"):
        assert wide.value(key) == student.value(key)
    tokens = wide.value("tokenizer.ggml.tokens")
    assert tokens[: student.shape.vocabulary] == student.value("tokenizer.ggml.tokens")
    assert len(set(tokens)) == LARGER_HEADS.vocabulary


def test_four_bits_spread_over_copies_lose_less_than_four_bits():
    rng = np.random.default_rng(1)
    weights = rng.standard_normal((4, 256)).astype(np.float32)
    widened = Widened(Source(EMBEDDED_PATH), SAME_HEADS, 2)  # Q4_0
    copies = [np.arange(256) + copy * 256 for copy in range(3)]
    spread = widened.spread(weights, copies, 896)
    once, thrice = spread[:, copies[0]], sum(spread[:, places] for places in copies)
    assert np.abs(thrice - weights).max() < np.abs(once - weights).max() / 50


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_the_student_fits_into_the_shapes_that_are_offered(name):
    metadata = Widened(Source(EMBEDDED_PATH), SHAPES[name], 0).metadata()
    assert metadata["qwen2.embedding_length"] == SHAPES[name].width
    assert metadata["qwen2.block_count"] == SHAPES[name].layers


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [
        (Shape(24, 128, 4864, 2, 2, 151_936), "not larger"),
        (Shape(24, 896, 4864, 14, 2, 151_936), "not larger"),
        (Shape(24, 960, 4864, 10, 5, 151_936), "rotation"),
    ],
)
def test_a_shape_that_cannot_hold_the_student_is_refused(tmp_path, shape, complaint):
    with pytest.raises(CannotWiden, match=complaint):
        widen(EMBEDDED_PATH, shape, "f32", tmp_path / "wide.gguf")
    assert list(tmp_path.iterdir()) == []


def test_what_was_widened_before_is_not_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(SHAPES, "small", SAME_HEADS)
    first = widened_path(EMBEDDED_PATH, "small", "q8_0")
    written = first.stat().st_mtime_ns
    assert tmp_path in first.parents
    assert widened_path(EMBEDDED_PATH, "small", "q8_0") == first
    assert first.stat().st_mtime_ns == written
