"""Many answers to one prompt: it is read once, and the answers are decoded side by side, a token of each in a pass.

Answers that still agree are one sequence of the context. Where they part, each way goes on in a sequence of its own,
which shares the cells of what came before; one that has ended leaves the batch. So every different text is computed
once, however many samples say it. What may not fit side by side is decoded in groups, one after the other.

What can be repeated: the same request to the same model on the same machine with as many threads gives the same
samples bit for bit, whatever was asked before. Each sample draws from a generator of its own, made of the seed and the
sample's number, so it would be the same among more or fewer samples, too, if passes of other sizes did not round
otherwise (``docs/LOG.md``). Mostly it is; where a draw falls close to the border between two tokens, rounding decides,
and the sample goes another way from there.

Knows tokens, stop markers and budgets; nothing of prompts, edits or processes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from daemon.engine.answer import GrowingAnswer
from daemon.engine.llama import DecodeStatus, LlamaError
from daemon.engine.logits import Distribution, Probabilities
from daemon.engine.messages import Counters, SampleRequest, StopReason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.engine.llama import Context, Logits, Model

    Interruption = Callable[[float], StopReason | None]

PROMPT_SEQUENCE = 0
# With 64 tokens in a pass ggml's attention begins to round coarsely: as for drafts, no token of an answer is in one.
SIDE_BY_SIDE = 63
RECURRENT_SIDE_BY_SIDE = 15  # a recurrent state is whole for every sequence: megabytes each, in a large model


@dataclass(frozen=True, slots=True)
class SamplingTask:
    """What to sample; fields as in ``DecodeRequest``."""

    prompt: Sequence[int]
    stop: tuple[bytes, ...]
    max_answer_tokens: int
    request: SampleRequest
    deadline: float = math.inf


@dataclass(frozen=True, slots=True)
class Sampled:
    """One answer: the bytes before the stop marker (perhaps cut inside a character, if unfinished).

    ``log_probability`` is what the model itself gives the answer, at temperature 1 and without ``top_p``: the sum over
    its ``tokens``, the one that ended it included.
    """

    answer: bytes
    stop: StopReason
    log_probability: float
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SampledAnswers:
    """All samples of a task, by their numbers, and what they cost together."""

    samples: tuple[Sampled, ...]
    counters: Counters


class Sampler:
    """Draws samples from one model in a context of its own, so that what predictions have cached stays.

    The context is opened when the first sample is asked for; it needs two sequences or more and cells for a longest
    one. ``interruption`` says for a deadline whether somebody wants sampling to end, and why.
    """

    def __init__(self, model: Model, open_context: Callable[[], Context], interruption: Interruption) -> None:
        self.model = model
        self.interruption = interruption
        self._open_context = open_context
        self._context: Context | None = None

    def sample(self, task: SamplingTask) -> SampledAnswers:
        """The samples, whole or as far as they came: see their ``stop``.

        Raises LlamaError when llama.cpp fails or the model's output is not a number.
        """
        if not task.prompt:
            raise LlamaError("the prompt holds no tokens")
        if self._context is None:
            self._context = self._open_context()
        return _Sampling(self, self._context, task).run()

    def close(self) -> None:
        """Free the context."""
        if self._context is not None:
            self._context.close()
            self._context = None


class _Sample:
    """One sample on its way."""

    def __init__(self, model: Model, task: SamplingTask, number: int) -> None:
        self.answer = GrowingAnswer(model, task.stop, None)
        self.random = Random(f"{task.request.seed} {number}")  # noqa: S311  nothing is kept secret with it
        self.stop: StopReason | None = None

    def sampled(self, interrupted: StopReason | None) -> Sampled:
        """What came of it; ``interrupted`` is why it did not come to its own end."""
        stop = self.stop or interrupted
        assert stop is not None  # noqa: S101  sampling goes on until every sample has ended or it is interrupted
        return Sampled(bytes(self.answer.text), stop, self.answer.log_probability, tuple(self.answer.tokens))


@dataclass(slots=True)
class _Branch:
    """Samples that agree up to ``token``, which comes behind the ``held`` tokens of their sequence."""

    sequence: int
    held: int
    token: int
    samples: list[_Sample]


class _Sampling:
    """One task on its way."""

    def __init__(self, sampler: Sampler, context: Context, task: SamplingTask) -> None:
        self._context = context
        self._task = task
        self._interruption = sampler.interruption
        self._samples = [_Sample(sampler.model, task, number) for number in range(task.request.count)]
        self._room_tokens = context.context_tokens - len(task.prompt)
        self._free = list(range(PROMPT_SEQUENCE + 1, context.sequences))
        self._interrupted: StopReason | None = None
        self._evaluated = self._passes = 0

    def run(self) -> SampledAnswers:
        """Read the prompt, then decode group by group."""
        if self._room_tokens <= 0:
            self._interrupted = StopReason.CONTEXT_FULL
        else:
            self._context.clear()  # cells that lie elsewhere than the last time would make sums round otherwise
            self._read()
        if self._interrupted is None:
            first = self._context.logits()[-1].copy()
            size = self._group_size()
            for start in range(0, len(self._samples), size):
                self._decode(self._samples[start : start + size], first)
        samples = tuple(sample.sampled(self._interrupted) for sample in self._samples)
        counters = Counters(
            prompt_tokens=len(self._task.prompt),
            answer_tokens=sum(len(sample.tokens) for sample in samples),
            tokens_evaluated=self._evaluated,
            forward_passes=self._passes,
            aborted=int(self._interrupted is StopReason.ABORTED),
        )
        return SampledAnswers(samples, counters)

    def _group_size(self) -> int:
        """How many samples fit side by side even if no two agree and each takes all it may."""
        most = min(self._task.max_answer_tokens, self._room_tokens + 1) - 1  # the last token is never evaluated
        fitting: int = (self._context.cells - len(self._task.prompt)) // max(1, most)
        return min(len(self._free), fitting)

    def _read(self) -> None:
        """Evaluate the prompt in batches as large as they may be: no keystroke makes it useless."""
        prompt, size = self._task.prompt, self._context.batch_tokens
        for start in range(0, len(prompt), size):
            tokens = prompt[start : start + size]
            is_last = start + size >= len(prompt)
            self._evaluate(
                len(tokens),
                partial(self._context.decode, tokens, start, logits=int(is_last), sequence=PROMPT_SEQUENCE),
            )

    def _decode(self, samples: list[_Sample], first: Logits) -> None:
        """Decode samples side by side, from the logits of their first token on, unless there is to be an end."""
        if self._interrupted is not None:
            return
        held = len(self._task.prompt)
        root = _Branch(self._copy(PROMPT_SEQUENCE, held), held - 1, self._task.prompt[-1], samples)
        branches = self._part(root, first)
        while branches and self._interrupted is None:
            decode = partial(
                self._context.decode_side_by_side,
                [branch.token for branch in branches],
                [branch.held for branch in branches],
                [branch.sequence for branch in branches],
            )
            if self._evaluate(len(branches), decode):
                rows = self._context.logits()
                branches = [
                    following
                    for branch, row in zip(branches, rows, strict=True)
                    for following in self._part(branch, row)
                ]

    def _part(self, branch: _Branch, row: Logits) -> list[_Branch]:
        """Draw the next token of each sample of a branch that was evaluated; those that differ go ways of their own."""
        request = self._task.request
        probabilities = Probabilities(row)
        distribution = Distribution(probabilities, request.temperature, request.top_p)
        by_token: dict[int, list[_Sample]] = {}
        for sample in branch.samples:
            token = distribution.token(sample.random.random)
            sample.answer.take_drawn(token, probabilities)
            sample.stop = sample.answer.ending(self._task.max_answer_tokens, self._room_tokens)
            if sample.stop is None:
                by_token.setdefault(token, []).append(sample)
        held = branch.held + 1
        following = [
            _Branch(self._copy(branch.sequence, held) if index else branch.sequence, held, token, samples)
            for index, (token, samples) in enumerate(by_token.items())
        ]
        if not following:
            self._context.keep(0, branch.sequence)
            self._free.append(branch.sequence)
        return following

    def _copy(self, source: int, held: int) -> int:
        """A free sequence that now holds what ``source`` holds, in the same cells."""
        target = self._free.pop()
        self._context.share(source, target, held)
        return target

    def _evaluate(self, tokens: int, decode: Callable[[], DecodeStatus]) -> bool:
        """Let one pass over so many tokens run, unless somebody wants an end; whether it was done."""
        self._interrupted = self._interrupted or self._interruption(self._task.deadline)
        if self._interrupted is not None:
            return False
        status = decode()
        self._evaluated += tokens
        self._passes += 1
        if status is DecodeStatus.ABORTED:
            self._interrupted = self._interruption(self._task.deadline) or StopReason.ABORTED
        return self._interrupted is None
