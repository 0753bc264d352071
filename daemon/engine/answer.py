"""One answer as it grows: its bytes, where it ends, and how sure the model is of what it changes.

Knows tokens, stop markers and the text that an unchanged answer would have; nothing of caches, drafts or prompts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.engine.draft import Follower
from daemon.engine.logits import Probabilities
from daemon.engine.messages import StopReason
from daemon.engine.rejoin import Rejoin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.engine.llama import Logits, Model


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The answer that changes nothing, where that is a copy of the region.

    ``text`` ends before the stop marker (UTF-8), ``tokens`` hold the marker too.
    """

    text: bytes
    tokens: Sequence[int]


class GrowingAnswer:
    """The answer so far; ``stop`` says why it ended, once it has.

    ``log_probability`` sums over all tokens without an ``unchanged`` text; with one, over those that differ from
    a copy of it, up to and including the first that agrees again. ``log_probabilities`` are those it sums over.
    """

    def __init__(self, model: Model, markers: tuple[bytes, ...], unchanged: Unchanged | None) -> None:
        self._model = model
        self._markers = markers
        self._longest_marker = max(map(len, markers), default=0)
        self._copy = None if unchanged is None else Follower(unchanged.tokens, self._ends_line)
        self._rejoin = None if unchanged is None else Rejoin(unchanged.text)
        self._differs = False
        self.tokens: list[int] = []
        self.text = bytearray()
        self.log_probability = 0.0
        self.log_probabilities: list[float] = []
        self.stop: StopReason | None = None

    def take(self, token: int, logits: Logits) -> None:
        """Add ``token``, the most probable one by ``logits``; raises LlamaError when they are not numbers."""
        self.take_drawn(token, Probabilities(logits, best=token))

    def take_drawn(self, token: int, probabilities: Probabilities) -> None:
        """Add ``token``, which need not be the most probable one."""
        self.tokens.append(token)
        if self._counts(token):
            self.log_probabilities.append(probabilities.logarithm(token))
            self.log_probability += self.log_probabilities[-1]
        self._append(token)
        if self._rejoin is not None and self.stop is None:
            joined = self._rejoin.rest(self.text)
            if joined is not None:
                kept_bytes, rest = joined
                self.text[kept_bytes:] = rest
                self.stop = StopReason.REJOINED

    def ending(self, max_answer_tokens: int, room_tokens: int) -> StopReason | None:
        """Why the answer goes no further, None where it does: ``stop``, its budget, or ``room_tokens`` for it used up.

        The last token needs no room: nothing follows it.
        """
        if self.stop is not None:
            return self.stop
        if len(self.tokens) >= max_answer_tokens:
            return StopReason.ANSWER_BUDGET
        return StopReason.CONTEXT_FULL if len(self.tokens) > room_tokens else None

    def _counts(self, token: int) -> bool:
        """Whether the token's probability is one of the change's."""
        if self._copy is None:
            return True
        goes_on_copying = token == self._copy.expected and (self._copy.run > 0 or not self._differs)
        self._copy.advance(self.tokens)
        self._differs = not goes_on_copying
        return self._differs

    def _append(self, token: int) -> None:
        """Add the token's bytes; cut at the first marker, which may be one token or span several."""
        searched = max(0, len(self.text) - self._longest_marker + 1)
        ends = self._model.ends_generation(token)
        before = len(self.text)
        self.text += self._model.piece(token)
        found = [at for marker in self._markers if (at := self.text.find(marker, searched)) >= 0]
        if found:
            del self.text[min(found) :]
            self.stop = StopReason.STOP_MARKER
        elif ends:
            del self.text[before:]
            self.stop = StopReason.END_OF_SEQUENCE

    def _ends_line(self, token: int) -> bool:
        return b"\n" in self._model.piece(token)
