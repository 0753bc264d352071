"""Greedy decoding over one KV cache that outlives the request: what the cache holds is never evaluated twice.

Knows tokens, stop markers and budgets; nothing of prompts, edits or processes. It does not draft yet: a
request already brings the tokens an answer is likely to copy (``draft_source``).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from daemon.engine.abort import AbortCause, AbortFlag
from daemon.engine.llama import Context, DecodeStatus, LlamaError, Logits, Model
from daemon.engine.messages import Counters, StopReason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """What to decode.

    ``stop`` are the markers (UTF-8) that end the answer, ``deadline`` is a time of the decoder's clock, and
    ``draft_source`` holds the region's tokens.
    """

    prompt: Sequence[int]
    stop: tuple[bytes, ...]
    max_answer_tokens: int
    draft_source: Sequence[int] = ()
    deadline: float = math.inf


@dataclass(frozen=True, slots=True)
class Decoded:
    """What came out: the bytes before the stop marker (perhaps cut inside a character, if unfinished).

    ``log_probability`` is the sum over all answer tokens, the one that ended the answer included.
    """

    answer: bytes
    stop: StopReason
    counters: Counters
    log_probability: float


class Decoder:
    """The owner of one context: knows which tokens its cache holds, whatever interrupts it."""

    def __init__(
        self, model: Model, context: Context, abort: AbortFlag, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._model = model
        self._context = context
        self._abort = abort
        self._clock = clock
        self._held: list[int] = []  # token by token what the KV cache holds

    def decode(self, request: DecodeRequest) -> Decoded:
        """The greedy answer to ``request``.

        Raises LlamaError when llama.cpp fails or the model's output is not a number; the cache is then empty.
        """
        try:
            return self._decode(request)
        except LlamaError:
            self._held = []
            self._context.clear()
            raise

    def _decode(self, request: DecodeRequest) -> Decoded:
        prompt = request.prompt
        counters = Counters(prompt_tokens=len(prompt))
        if not prompt:
            raise LlamaError("the prompt holds no tokens")
        if len(prompt) >= self._context.context_tokens:
            return Decoded(b"", StopReason.CONTEXT_FULL, counters, 0.0)
        self._keep(common_prefix(self._held, prompt[:-1]))  # the last token is always evaluated: for its logits
        counters = replace(counters, tokens_reused=len(self._held))
        answer = _Answer(self._model, request.stop)
        stop = None
        pending = prompt[len(self._held) :]
        while stop is None:
            stop, counters = self._evaluate(pending, request.deadline, counters)
            if stop is not None:
                break
            token = answer.take(self._context.last_logits())
            stop = answer.stop or self._limit(request, len(answer.tokens))
            pending = (token,)
        aborted = int(stop is StopReason.ABORTED)
        counters = replace(counters, answer_tokens=len(answer.tokens), aborted=aborted)
        return Decoded(bytes(answer.text), stop, counters, answer.log_probability)

    def _keep(self, count: int) -> None:
        """Forget all but the first ``count`` tokens; a memory that cannot forget a part is emptied."""
        if not self._context.keep(count):
            self._context.clear()
            count = 0
        del self._held[count:]

    def _evaluate(
        self, tokens: Sequence[int], deadline: float, counters: Counters
    ) -> tuple[StopReason | None, Counters]:
        """Put ``tokens`` behind the held ones, with logits for the last; or say what came between."""
        size = self._context.batch_tokens
        for start in range(0, len(tokens), size):
            interruption = self._interruption(deadline)
            if interruption is not None:
                return interruption, counters
            batch = tokens[start : start + size]
            status = self._context.decode(batch, len(self._held), logits=start + size >= len(tokens))
            counters = replace(
                counters,
                tokens_evaluated=counters.tokens_evaluated + len(batch),
                forward_passes=counters.forward_passes + 1,
            )
            if status is DecodeStatus.ABORTED:
                self._keep(len(self._held))
                return self._interruption(deadline) or StopReason.ABORTED, counters
            self._held.extend(batch)
        return None, counters

    def _interruption(self, deadline: float) -> StopReason | None:
        cause = self._abort.cause
        if cause is AbortCause.DEADLINE or (cause is AbortCause.NONE and self._clock() > deadline):
            return StopReason.DEADLINE
        return None if cause is AbortCause.NONE else StopReason.ABORTED

    def _limit(self, request: DecodeRequest, answer_tokens: int) -> StopReason | None:
        if answer_tokens >= request.max_answer_tokens:
            return StopReason.ANSWER_BUDGET
        if len(self._held) >= self._context.context_tokens:
            return StopReason.CONTEXT_FULL
        return None


class _Answer:
    """An answer as it grows."""

    def __init__(self, model: Model, markers: tuple[bytes, ...]) -> None:
        self._model = model
        self._markers = markers
        self._longest_marker = max(map(len, markers), default=0)
        self.tokens: list[int] = []
        self.text = bytearray()
        self.log_probability = 0.0
        self.stop: StopReason | None = None

    def take(self, logits: Logits) -> int:
        """Add the most probable token and say which it is."""
        token = int(logits.argmax())
        best = float(logits[token])  # numpy's argmax finds a NaN if there is one
        if not math.isfinite(best):
            raise LlamaError("the model's output is not a number: the file is damaged; download it again")
        self.tokens.append(token)
        self.log_probability -= math.log(float(np.exp(logits - best).sum()))
        self._append(token)
        return token

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


def common_prefix(held: Sequence[int], wanted: Sequence[int]) -> int:
    """How many tokens from the start the two have in common."""
    limit = min(len(held), len(wanted))
    for index in range(limit):
        if held[index] != wanted[index]:
            return index
    return limit
