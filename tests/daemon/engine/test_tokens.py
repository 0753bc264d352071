"""Remembered tokens are those llama.cpp gives for the whole text, whatever came before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.engine.llama import Model
from daemon.engine.tokens import REMEMBERED_CHARACTERS, Tokenizer
from daemon.prompts.line_region import CONTROL_TOKENS
from daemon.registry import EMBEDDED_PATH

TEXTS = st.lists(
    st.sampled_from(CONTROL_TOKENS)
    | st.sampled_from(
        ("\n", " ", "    ", "def total(self):", "<|", "|>", "line_1|>", "<|line_", "é", "\U0001f600", ".")
    )
    | st.text(max_size=8),
    max_size=24,
).map("".join)


@pytest.fixture(scope="module")
def student(llama_log) -> Model:
    return Model.load(str(EMBEDDED_PATH), llama_log, vocabulary_only=True)


@pytest.fixture(scope="module")
def tokenizer(student):
    return Tokenizer(student, CONTROL_TOKENS)


def test_a_prompt_of_the_student_may_be_cut_behind_every_token_of_its_format(student):
    assert student.cuts_behind(CONTROL_TOKENS) == list(CONTROL_TOKENS)


def test_what_is_no_control_token_is_no_place_to_cut(student):
    assert student.cuts_behind(["def", "<|no such token|>", "\n", ""]) == []


@given(TEXTS)
def test_the_parts_have_the_tokens_of_the_whole(student, tokenizer, text):
    assert tokenizer.tokens(text) == student.tokenize(text)
    assert tokenizer.count(text) == len(student.tokenize(text))
    assert tokenizer.prompt_tokens(text) == student.tokenize(text, add_beginning=True)


def test_a_text_too_long_to_remember_has_the_same_tokens(student, tokenizer):
    text = "total = total + 1\n" * REMEMBERED_CHARACTERS
    assert tokenizer.tokens(text) == student.tokenize(text)
    assert tokenizer.count(text) == len(student.tokenize(text))


def test_a_line_is_handed_to_the_model_once(student, monkeypatch):
    tokenizer = Tokenizer(student, CONTROL_TOKENS)
    asked = []
    tokenize = student.tokenize
    monkeypatch.setattr(student, "tokenize", lambda text: asked.append(text) or tokenize(text))
    for _ in range(3):
        tokenizer.tokens("first line<|line_0|>second line<|line_1|>")
        tokenizer.count("first line<|line_0|>")
    assert asked == ["first line<|line_0|>", "second line<|line_1|>"]


def test_what_was_given_may_be_changed_by_who_got_it(student, tokenizer):
    tokenizer.tokens("total<|end|>").clear()
    assert tokenizer.tokens("total<|end|>") == student.tokenize("total<|end|>")
