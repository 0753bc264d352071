"""Which tokens the KV cache holds, prompt by prompt: the window at work, the one before, another file.

Each prompt is a sequence of the context; a stretch that two of them begin with lies in the cache once. A new prompt
goes on in the sequence that shares the most with it, or begins a new one with the shared stretch, so that going
back to an earlier prompt evaluates nothing. What was used longest ago makes room. Knows no answers and no limits
of time; it never evaluates anything itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.engine.llama import Context

COMPARED_TOKENS = 32


@dataclass(slots=True)
class _Held:
    """One sequence: its tokens, the cell each lies in, and how many of them were prompt when it was last used."""

    tokens: list[int] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)
    prompt_tokens: int = 0
    used_at: int = 0


class PromptCache:
    """The owner of a context's memory; ``held`` are the tokens of the sequence at work, ``sequence`` is its number.

    The last ``spare_sequences`` of the context are left to others, who empty them before anything else is evaluated.
    """

    def __init__(self, context: Context, spare_sequences: int = 0) -> None:
        self._context = context
        self._sequences = [_Held() for _ in range(context.sequences - spare_sequences)]
        self._uses: Counter[int] = Counter()  # of each cell, by sequences
        self._next_cell = 0  # cells have names of our own: llama.cpp does not say where it puts a token
        self._time = 0
        self.sequence = 0

    @property
    def held(self) -> Sequence[int]:
        """The tokens of the sequence at work."""
        return self._sequences[self.sequence].tokens

    @property
    def prompts(self) -> list[list[int]]:
        """The tokens of every sequence that holds any."""
        return [list(held.tokens) for held in self._sequences if held.tokens]

    @property
    def cells_used(self) -> int:
        """How many cells are taken; a shared one counts once."""
        return len(self._uses)

    def begin(self, prompt: Sequence[int]) -> None:
        """Set the sequence at work for ``prompt``: ``held`` is then the longest known start of it, less its last token.

        The last token is always evaluated, for its logits.
        """
        self._time += 1
        wanted = list(prompt[:-1])
        shared, best = max(
            (common_prefix(held.tokens, wanted), held.used_at, index) for index, held in enumerate(self._sequences)
        )[::2]
        source = self._sequences[best]
        if len(self._sequences) == 1 or _goes_on(source, shared):
            self.sequence = best
        else:
            self.sequence = self._longest_unused(best if shared else None)
            self._forget(self.sequence)
            if shared:
                self._context.share(best, self.sequence, shared)
                target = self._sequences[self.sequence]
                target.tokens, target.cells = source.tokens[:shared], source.cells[:shared]
                self._uses.update(target.cells)
        self._sequences[self.sequence].used_at = self._time
        self.keep(shared)
        self._sequences[self.sequence].prompt_tokens = len(prompt)

    def keep(self, count: int) -> None:
        """Forget all but the first ``count`` tokens of the sequence at work; all where memory cannot forget a part.

        Also right after an evaluation that was given up.
        """
        held = self._sequences[self.sequence]
        if not self._context.keep(count, self.sequence):
            self._context.keep(0, self.sequence)
            count = 0
        self._release(held.cells[count:])
        del held.tokens[count:], held.cells[count:]

    def has_room(self, count: int) -> bool:
        """Whether ``count`` more tokens fit, once prompts that were not used for long are forgotten."""
        while self.cells_used + count > self._context.cells:
            others = [index for index, held in enumerate(self._sequences) if held.tokens and index != self.sequence]
            if not others:
                return False
            self._forget(min(others, key=lambda index: self._sequences[index].used_at))
        return True

    def extend(self, tokens: Sequence[int]) -> None:
        """The context has evaluated ``tokens`` behind the held ones."""
        held = self._sequences[self.sequence]
        cells = range(self._next_cell, self._next_cell + len(tokens))
        self._next_cell += len(tokens)
        held.tokens.extend(tokens)
        held.cells.extend(cells)
        self._uses.update(cells)

    def clear(self) -> None:
        """Forget everything."""
        self._context.clear()
        self._sequences = [_Held() for _ in self._sequences]
        self._uses.clear()

    def _longest_unused(self, spared: int | None) -> int:
        """The sequence to give up, any but ``spared``: an empty one, or that used longest ago."""
        candidates = (index for index in range(len(self._sequences)) if index != spared)
        return min(candidates, key=lambda index: (bool(self._sequences[index].tokens), self._sequences[index].used_at))

    def _forget(self, sequence: int) -> None:
        self._context.keep(0, sequence)
        held = self._sequences[sequence]
        self._release(held.cells)
        held.tokens, held.cells = [], []

    def _release(self, cells: Sequence[int]) -> None:
        self._uses.subtract(cells)
        for cell in cells:
            if not self._uses[cell]:
                del self._uses[cell]


def _goes_on(held: _Held, shared: int) -> bool:
    """Whether a prompt that shares so much is the same prompt typed on: the rest of the old one is then given up.

    Below half of it the two are different windows, and worth keeping both.
    """
    return shared == len(held.tokens) or 2 * shared >= held.prompt_tokens


def common_prefix(held: list[int], wanted: list[int]) -> int:
    """How many tokens from the start the two have in common."""
    limit = min(len(held), len(wanted))
    for start in range(0, limit, COMPARED_TOKENS):  # whole stretches at a time: done for each sequence at every key
        end = min(start + COMPARED_TOKENS, limit)
        if held[start:end] != wanted[start:end]:
            return next(index for index in range(start, end) if held[index] != wanted[index])
    return limit
