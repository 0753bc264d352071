"""Greedy decoding that evaluates no token twice and, where an answer repeats what it was asked about, few at a time.

The owner of one context. A pass evaluates the last token and a draft of what may follow; the tokens the model
itself would have chosen stay, the first that it would not is replaced, and what was drafted behind it is forgotten.
Knows tokens, stop markers and budgets; nothing of prompts, edits or processes.
"""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from daemon.engine.abort import AbortCause, AbortFlag
from daemon.engine.answer import GrowingAnswer, Unchanged
from daemon.engine.cache import PromptCache
from daemon.engine.draft import Drafts
from daemon.engine.llama import Context, DecodeStatus, LlamaError, Model
from daemon.engine.logits import Probabilities
from daemon.engine.messages import Counters, StopReason
from daemon.engine.pace import READ_BATCHES, MeasuredCosts, Pace, PassCosts, batch_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.engine.llama import Logits

# From 64 tokens on ggml's attention works in tiles that round coarsely (logits were seen to change by 2 % of the
# largest): prompts are read so by everybody, but a token of the answer never is.
DRAFTED_PASS_TOKENS = 63
# A lead of the best token over the next below which the size of a pass may decide which is best (see ``_Decoding``).
# Measured on Q8_0, Q4_0, Q4_K, F16 and F32 (docs/LOG.md): leads change by at most 0.006 (mostly by nothing at all) with
# one thread and flash attention, and by at most 0.08 with several or without it.
NEAR_TIE_LOGITS, COARSE_NEAR_TIE_LOGITS = 0.03, 0.1
WARM_UP_SIZES = (1, 2, 4, 8, 16, 32, 63)
WARM_UP_ROUNDS, READING_ROUNDS = 5, 3
# As much as a small model's prompt; attention to it makes the passes of one dearer. A large model has no time for it.
WARM_UP_CONTEXT_TOKENS, FILLING_BATCH_TOKENS = 256, 16


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """What to decode.

    ``stop`` are the markers (UTF-8) that end the answer, ``deadline`` is a time of the decoder's clock. ``drafts``
    are texts the answer may repeat, the likeliest first. ``unchanged`` is the answer that would change nothing,
    where that is a copy: it allows the early stop and makes the confidence that of the change. ``can_be_superseded``
    is false for work that nobody waits for: then the prompt is read in batches as large as the context takes. Once the
    answer's log-probability, which only falls, is below ``least_log_probability``, decoding stops. With ``keeps_first``
    what the model said of the answer's first token is kept, for those who compare the answer with others.
    """

    prompt: Sequence[int]
    stop: tuple[bytes, ...]
    max_answer_tokens: int
    drafts: Sequence[Sequence[int]] = ()
    unchanged: Unchanged | None = None
    deadline: float = math.inf
    can_be_superseded: bool = True
    least_log_probability: float = -math.inf
    keeps_first: bool = False


@dataclass(frozen=True, slots=True)
class Decoded:
    """What came out: the bytes before the stop marker (perhaps cut inside a character, if unfinished).

    ``log_probability`` is the sum over all answer tokens, the one that ended the answer included; with
    ``unchanged`` over those of the change alone (see ``GrowingAnswer``); ``log_probabilities`` are what it sums over.
    ``tokens`` are all that the model chose; ``first`` is what it said of the first, where that was asked for.
    """

    answer: bytes
    stop: StopReason
    counters: Counters
    log_probability: float
    tokens: Sequence[int] = ()
    log_probabilities: Sequence[float] = ()
    first: Probabilities | None = None


class Decoder:
    """The owner of one context: knows which tokens its cache holds, whatever interrupts it.

    ``costs`` is what passes cost, measured while it runs unless given; ``read_batch_tokens`` the most a pass takes
    while a prompt is read, chosen in ``warm_up`` unless given. ``pass_clock`` times passes: the processor time of this
    thread, which takes part in them, says more on a busy machine; where another device computes, take a real clock.
    ``near_tie_logits`` is ``COARSE_NEAR_TIE_LOGITS`` where passes of other sizes round more coarsely. The last
    ``spare_sequences`` of the context hold no cached prompts (``scoring.py`` uses them).
    """

    def __init__(
        self,
        model: Model,
        context: Context,
        abort: AbortFlag,
        clock: Callable[[], float] = time.monotonic,
        costs: PassCosts | None = None,
        read_batch_tokens: int = 0,
        pass_clock: Callable[[], float] = time.thread_time,
        near_tie_logits: float = NEAR_TIE_LOGITS,
        spare_sequences: int = 0,
    ) -> None:
        self.model = model
        self.context = context
        self.cache = PromptCache(context, spare_sequences)
        self.spare_sequences = spare_sequences
        self.pace = Pace(costs or MeasuredCosts())
        self._read_batch_tokens = read_batch_tokens
        self._abort = abort
        self._clock = clock
        self._pass_clock = pass_clock
        self.near_tie_logits = near_tie_logits

    def decode(self, request: DecodeRequest) -> Decoded:
        """The greedy answer to ``request``.

        Raises LlamaError when llama.cpp fails or the model's output is not a number; the cache is then empty.
        """
        if not request.prompt:
            raise LlamaError("the prompt holds no tokens")
        if len(request.prompt) >= self.context.context_tokens:
            return Decoded(b"", StopReason.CONTEXT_FULL, Counters(prompt_tokens=len(request.prompt)), 0.0)
        try:
            return _Decoding(self, request).run()
        except LlamaError:
            self.cache.clear()
            raise

    def warm_up(self, seconds: float) -> None:
        """Touch pages and kernels, measure passes of growing size, and choose the batch for reading.

        Measuring takes about so long, and filling the cache before it at most a third of that; the cache is then empty.

        Raises LlamaError for a model that cannot compute.
        """
        self.decode(DecodeRequest(prompt=(0,), stop=(), max_answer_tokens=1))
        largest = min(self.context.batch_tokens, self.context.context_tokens - 1)
        sizes = [size for size in WARM_UP_SIZES if size <= largest]
        context_tokens = self._fill(min(WARM_UP_CONTEXT_TOKENS, self.context.context_tokens - largest), seconds / 3)
        ends = time.perf_counter() + seconds
        for size in sizes * WARM_UP_ROUNDS:
            self.cache.keep(context_tokens)
            self.evaluate([0] * size, logits=size)
            if time.perf_counter() > ends:
                break
        if not self._read_batch_tokens:
            # Once and for all: it rounds otherwise in other batches, and answers should not change from day to day.
            self._read_batch_tokens = batch_for(self._reading_seconds(context_tokens, largest, seconds))
        self.cache.clear()

    def _fill(self, most_tokens: int, seconds: float) -> int:
        """Evaluate something, for about so long; says how many tokens the cache then holds, at most ``most_tokens``."""
        self.cache.keep(0)
        batch_tokens = min(FILLING_BATCH_TOKENS, self.context.batch_tokens)
        ends = time.perf_counter() + seconds
        while len(self.cache.held) + batch_tokens <= most_tokens and time.perf_counter() < ends:
            self.evaluate([0] * batch_tokens, logits=0)
        return len(self.cache.held)

    def _reading_seconds(self, context_tokens: int, largest: int, seconds: float) -> dict[int, float]:
        """What passes over a prompt take, by size, behind ``context_tokens``; of the smallest at least."""
        ends = time.perf_counter() + seconds
        taken: dict[int, list[float]] = {}
        for size in [size for size in READ_BATCHES if size <= largest or size == READ_BATCHES[0]] * READING_ROUNDS:
            self.cache.keep(context_tokens)
            started = self._pass_clock()
            self.evaluate([0] * min(size, largest), logits=1)
            taken.setdefault(size, []).append(self._pass_clock() - started)
            if time.perf_counter() > ends:
                break
        return {size: statistics.median(found) for size, found in taken.items()}

    def read_batch(self, *, can_be_superseded: bool) -> int:
        """The most tokens of a prompt that one pass takes."""
        if not can_be_superseded:
            return self.context.batch_tokens
        return min(self.context.batch_tokens, self._read_batch_tokens or READ_BATCHES[-1])

    def interruption(self, deadline: float) -> StopReason | None:
        """Whether somebody wants decoding to end, and why."""
        cause = self._abort.cause
        if cause is AbortCause.DEADLINE or (cause is AbortCause.NONE and self._clock() > deadline):
            return StopReason.DEADLINE
        return None if cause is AbortCause.NONE else StopReason.ABORTED

    def evaluate(self, tokens: Sequence[int], *, logits: int) -> DecodeStatus:
        """One pass over ``tokens`` behind the held ones; after an abort the cache holds what it held before."""
        held = len(self.cache.held)
        started = self._pass_clock()
        status = self.context.decode(tokens, held, logits=logits, sequence=self.cache.sequence)
        seconds = self._pass_clock() - started
        if status is DecodeStatus.ABORTED:
            self.cache.keep(held)
            return status
        self.cache.extend(tokens)
        if logits and len(tokens) <= DRAFTED_PASS_TOKENS:
            self.pace.costs.record(len(tokens), seconds)
        return status


class _Decoding:
    """One request on its way.

    The text is that of plain decoding, one token a pass, although kernels may round otherwise in larger passes:
    where the best token leads by less than such rounding can make, and anything since ``_plain_held`` was evaluated
    otherwise than plain decoding would have, all of that is evaluated again, plainly.
    """

    def __init__(self, decoder: Decoder, request: DecodeRequest) -> None:
        self._decoder = decoder
        self._cache = decoder.cache
        self._request = request
        self._answer = GrowingAnswer(decoder.model, request.stop, request.unchanged)
        drafts = [self._without_end(draft) for draft in request.drafts]
        self._drafts = Drafts(drafts, lambda token: b"\n" in decoder.model.piece(token))
        self._evaluated = self._passes = self._drafted = self._accepted = 0
        self._plain_held = 0
        self._first: Probabilities | None = None

    def run(self) -> Decoded:
        """Decode until something ends it."""
        prompt = self._request.prompt
        self._cache.begin(prompt)
        reused = self._plain_held = len(self._cache.held)
        stop = self._read(prompt[reused:])
        while stop is None:
            stop = self._pass()
        counters = Counters(
            prompt_tokens=len(prompt),
            answer_tokens=len(self._answer.tokens),
            tokens_evaluated=self._evaluated,
            tokens_reused=reused,
            forward_passes=self._passes,
            drafted=self._drafted,
            accepted=self._accepted,
            aborted=int(stop is StopReason.ABORTED),
        )
        answer = self._answer
        return Decoded(
            bytes(answer.text),
            stop,
            counters,
            answer.log_probability,
            answer.tokens,
            answer.log_probabilities,
            self._first,
        )

    def _without_end(self, draft: Sequence[int]) -> Sequence[int]:
        """The draft less a token that ends the answer: nothing follows it, so it need not be evaluated."""
        if not draft:
            return draft
        longest = max(map(len, self._request.stop), default=0)
        end = b"".join(map(self._decoder.model.piece, draft[max(0, len(draft) - longest) :]))
        ends = end.endswith(self._request.stop) or self._decoder.model.ends_generation(draft[-1])
        return draft[:-1] if ends else draft

    @property
    def _known(self) -> list[int]:
        return [*self._request.prompt, *self._answer.tokens]

    def _read(self, tokens: Sequence[int]) -> StopReason | None:
        """Evaluate ``tokens`` of the prompt in batches, all but the last batch: that one carries a draft."""
        size = self._decoder.read_batch(can_be_superseded=self._request.can_be_superseded)
        for start in range(0, len(tokens) - size, size):
            stop = self._evaluate(tokens[start : start + size], logits=0)
            if stop is not None:
                return stop
        self._plain_held = len(self._cache.held)
        return None

    def _pass(self) -> StopReason | None:
        """Evaluate what is known and a draft, and take the tokens that the model chooses."""
        held = len(self._cache.held)
        pending = self._known[held:]
        draft = self._draft(len(pending))
        stop = self._evaluate([*pending, *draft], logits=len(draft) + 1)
        if stop is not None:
            return stop
        self._drafted += len(draft)
        if draft:
            passes = self._passes
            stop = self._take_right(held + len(pending), draft)
            self._decoder.pace.settle(self._passes - passes)
            return stop
        if self._plain_held == held:
            self._plain_held += len(pending)
        return self._take_right(held + len(pending), ())

    def _take_right(self, held: int, draft: Sequence[int]) -> StopReason | None:
        """Take tokens as long as the draft is right, and the first that it is not.

        ``held`` is how much the cache holds without the draft.
        """
        rows = self._decoder.context.logits()
        best: list[int] = rows.argmax(axis=1).tolist()
        for index, token in enumerate(best):
            if self._is_doubtful(token, rows[index]):
                return self._take_plainly()
            stop = self._take(token, rows[index])
            is_right = index < len(draft) and token == draft[index]
            self._accepted += is_right
            if stop is not None or not is_right:
                if index < len(draft):
                    self._cache.keep(held + index + is_right)
                return stop
        raise AssertionError("the last row belongs to no drafted token")

    def _draft(self, pending: int) -> Sequence[int]:
        decoder, request = self._decoder, self._request
        most = min(
            min(DRAFTED_PASS_TOKENS, decoder.context.batch_tokens) - pending,
            request.max_answer_tokens - len(self._answer.tokens) - 1,
            decoder.context.context_tokens - len(self._cache.held) - pending,
        )
        if most <= 0 or not decoder.model.can_forget:
            return ()
        draft = self._drafts.propose(most)
        if not draft.tokens:
            return ()
        return draft.tokens[: decoder.pace.draft_tokens(pending, len(draft.tokens), draft.source, draft.run)]

    def _is_doubtful(self, token: int, row: Logits) -> bool:
        if self._plain_held == len(self._cache.held):
            return False
        return int(np.count_nonzero(row > row[token] - self._decoder.near_tie_logits)) > 1

    def _take_plainly(self) -> StopReason | None:
        """Evaluate again what plain decoding would have evaluated otherwise, as it would, and take one token."""
        known = self._known
        prompt_tokens = len(self._request.prompt)
        self._cache.keep(self._plain_held)
        while (held := len(self._cache.held)) < len(known):
            tokens = known[held : max(prompt_tokens, held + 1)]
            stop = self._evaluate(tokens, logits=int(held + len(tokens) == len(known)))
            if stop is not None:
                return stop
        self._plain_held = len(known)
        row = self._decoder.context.logits()[0]
        return self._take(int(row.argmax()), row)

    def _take(self, token: int, row: Logits) -> StopReason | None:
        """Add the token to the answer; says whether that ends it."""
        if self._request.keeps_first and not self._answer.tokens:
            self._first = Probabilities(row.copy(), best=token)  # the row itself goes with the next pass
        self._answer.take(token, row)
        drafted, is_right = self._drafts.advance(token)
        if drafted.tokens:
            self._decoder.pace.learn(drafted.source, drafted.run, right=is_right)
        room_tokens = self._decoder.context.context_tokens - len(self._request.prompt)
        stop = self._answer.ending(self._request.max_answer_tokens, room_tokens)
        if stop is None and self._answer.log_probability < self._request.least_log_probability:
            return StopReason.UNSURE
        return stop

    def _evaluate(self, tokens: Sequence[int], *, logits: int) -> StopReason | None:
        """One pass behind what is held; or say what came between."""
        interruption = self._decoder.interruption(self._request.deadline)
        if interruption is not None:
            return interruption
        if not self._cache.has_room(len(tokens)):
            return StopReason.CONTEXT_FULL
        status = self._decoder.evaluate(tokens, logits=logits)
        self._evaluated += len(tokens)
        self._passes += 1
        if status is DecodeStatus.ABORTED:
            return self._decoder.interruption(self._request.deadline) or StopReason.ABORTED
        return None
