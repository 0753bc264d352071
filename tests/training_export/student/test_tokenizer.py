"""The student's tokenizer cuts names where copying needs it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tokenizers", reason="make test-train installs tokenizers")

from training_export.student.tokenizer import train_tokenizer

pytestmark = pytest.mark.train

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def tokenizer():
    texts = [path.read_text() for path in sorted((ROOT / "daemon").rglob("*.py"))]
    return train_tokenizer(texts, 700, ())


@pytest.mark.parametrize("before", [" ", "(", "self.", "    ", "\n", '"'])
def test_a_name_has_the_same_tokens_wherever_it_stands(tokenizer, before):
    alone = tokenizer.encode("cursor_offset").tokens
    assert len(alone) < len("cursor_offset")  # merges were learned at all
    tokens = tokenizer.encode(f"{before}cursor_offset").tokens
    assert tokens[-len(alone) :] == alone
