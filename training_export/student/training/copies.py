"""Examples without meaning: random tokens between the marks of a prompt, and the same tokens again as the answer.

Nothing but copying helps. Where they are drawn from a few tokens, only a long match tells places apart.
"""

from __future__ import annotations

import math

import numpy as np
from tokenizers import Tokenizer

from daemon.prompts.base import PromptFormat
from training_export.student.tokenizer import special_tokens
from training_export.student.training.arrays import Row
from training_export.student.training.encoding import Role, end_of_text_id

FEWEST_TOKENS, KINDS = 16, (8, 256)  # of a region, and how many different ones it has
TASK = "random"


class RandomCopies:
    """Makes them for one format and vocabulary."""

    def __init__(self, prompt_format: PromptFormat, tokenizer: Tokenizer) -> None:
        self._smallest = len(special_tokens(tokenizer))
        self._size = tokenizer.get_vocab_size()
        self._end = end_of_text_id(tokenizer)
        begin, middle = prompt_format.delimiters
        self._begin, self._middle = (tokenizer.encode(text).ids for text in (begin, middle))

    def one(self, random: np.random.Generator, max_tokens: int) -> Row:
        """One of at most so many tokens."""
        kinds = evenly_by_magnitude(random, *KINDS)
        alphabet = random.integers(self._smallest, self._size, kinds)
        longest = (max_tokens - len(self._begin) - len(self._middle) - 1) // 2
        region = random.choice(alphabet, evenly_by_magnitude(random, FEWEST_TOKENS, longest))
        answer = [*region, self._end]
        tokens = np.array([*self._begin, *region, *self._middle, *answer], np.uint32)
        start = len(tokens) - len(answer)
        roles = np.zeros(len(tokens), np.uint8)
        roles[start - 1 : -1] = Role.ANSWER
        return Row(tokens, np.append(tokens[1:], tokens[-1:]), roles, np.zeros(0, np.uint32), start, TASK)


def evenly_by_magnitude(random: np.random.Generator, least: int, most: int) -> int:
    """A number between these: as often from 8 to 16 as from 64 to 128."""
    return int(math.exp(random.uniform(math.log(least), math.log(most))))
