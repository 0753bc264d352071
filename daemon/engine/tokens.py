"""Tokens of prompts and of their lines, remembered: from one keystroke to the next nearly all lines stay as they are.

A prompt is cut behind the control tokens of its format where the model's own tokenizer cuts too, so that the tokens of
the parts, one after the other, are those of the whole. Knows nothing of prompts beyond these control tokens.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from daemon.engine.llama import Model

REMEMBERED_TEXTS = 1024
REMEMBERED_CHARACTERS = 2048  # of one text; longer ones seldom come again


class Tokenizer:
    """One model's tokens; ``separators`` are the texts behind which a prompt may be cut, if the model allows it."""

    def __init__(self, model: Model, separators: Iterable[str]) -> None:
        self._model = model
        cuts = model.cuts_behind(separators)
        self._cut = re.compile("|".join(map(re.escape, cuts)) or "(?!)")

        @lru_cache(maxsize=REMEMBERED_TEXTS)
        def remembered(text: str) -> tuple[int, ...]:
            return tuple(model.tokenize(text))

        self._remembered = remembered

    def count(self, text: str) -> int:
        """How many tokens ``text`` takes, control tokens recognised."""
        return len(self._part(text))

    def tokens(self, text: str) -> list[int]:
        """The tokens of ``text``, control tokens recognised."""
        return [token for part in self._parts(text) for token in self._part(part)]

    def prompt_tokens(self, text: str) -> list[int]:
        """The same of a whole prompt, with the beginning the model asks for."""
        return self._model.with_beginning(self.tokens(text))

    def _part(self, text: str) -> tuple[int, ...]:
        if len(text) > REMEMBERED_CHARACTERS:
            return tuple(self._model.tokenize(text))
        return self._remembered(text)

    def _parts(self, text: str) -> Iterator[str]:
        start = 0
        for found in self._cut.finditer(text):
            yield text[start : found.end()]
            start = found.end()
        if start < len(text):
            yield text[start:]
