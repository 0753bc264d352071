"""What is answered: the model's own answer, what the rule proposes, or no edit, whichever the model finds likeliest.

A small model is a better judge than author: it may find the renamed rest likelier than the text it wrote itself, token
by token. What is compared are probabilities of whole answers (``scoring.py``); of equals, "no edit" wins, and then the
model's own. Only formats whose answer is no copy of the region take part: there an answer costs a few tokens, and
its probability is known. Where the model says outright that nothing changes, that is the end of it: the rule is not
even asked. Knows formats through their interface only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.engine.expected import answer_for
from daemon.engine.messages import Candidate, Origin
from daemon.engine.proposals import proposals
from daemon.prompts.base import FileEdits, NewRegion

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from capture.inputs import PredictionInputs
    from daemon.engine.decoder import Decoded, DecodeRequest
    from daemon.engine.messages import StopReason
    from daemon.engine.scoring import Score, Scorer, Scores
    from daemon.prompts.base import Prompt, PromptFormat

    Tokenize = Callable[[str], list[int]]


@dataclass(frozen=True, slots=True)
class Ranked:
    """What was chosen among, the likeliest first, and what the judgement cost.

    With a ``stop`` it was interrupted: then nothing was chosen.
    """

    candidates: tuple[Candidate, ...]
    stop: StopReason | None = None
    tokens_evaluated: int = 0
    forward_passes: int = 0


class Ranking:
    """Ranks the answers of one model and format; ``spells`` turns the text of an answer into tokens."""

    def __init__(self, prompt_format: PromptFormat, scorer: Scorer, spells: Tokenize) -> None:
        self._format = prompt_format
        self._scorer = scorer
        self._spells = spells

    def concerns(self, prompt: Prompt) -> bool:
        """Whether answers to this prompt can be ranked; they are then decoded with ``keeps_first``."""
        return self._scorer.most > 0 and not prompt.answer_copies_region and bool(prompt.region_text)

    def rank(
        self,
        inputs: PredictionInputs,
        prompt: Prompt,
        request: DecodeRequest,
        decoded: Decoded,
        meaning: NewRegion | FileEdits | str,
    ) -> Ranked | None:
        """The candidates, or None where there is nothing to choose: no word for "no edit", or nothing decoded.

        ``decoded`` is the answer to ``request``, right after it was decoded, and ``meaning`` the edit that it is, or
        why it is none. One that is no edit, or less likely than was asked for, is none of the candidates.
        Raises LlamaError.
        """
        unchanged = self._tokens(inputs, prompt, prompt.region_text)
        if decoded.first is None or unchanged is None or isinstance(meaning, FileEdits):
            return None
        nothing = self._score(request, decoded, [unchanged], -math.inf)
        found = [_candidate(Origin.MODEL, None, nothing.of_each[0])]
        if nothing.stop is not None or list(decoded.tokens) == unchanged:
            return _ranked(found, nothing)
        floor = max(found[0].probability, math.exp(request.least_log_probability))
        own = meaning.text if isinstance(meaning, NewRegion) else None
        if own is not None and decoded.log_probability >= request.least_log_probability:
            found.append(Candidate(Origin.MODEL, own, math.exp(decoded.log_probability)))
            floor = max(floor, found[-1].probability)
        proposed = self._proposed(inputs, prompt, own)
        scores = self._score(request, decoded, list(proposed.values()), math.log(floor) if floor else -math.inf)
        found += [_candidate(Origin.RULE, text, score) for text, score in zip(proposed, scores.of_each, strict=True)]
        return _ranked(found, nothing, scores)

    def _proposed(self, inputs: PredictionInputs, prompt: Prompt, own: str | None) -> dict[str, list[int]]:
        """What the rule proposes and the model did not write itself, and the answers that say so."""
        answers = {text: self._tokens(inputs, prompt, text) for text in proposals(inputs, prompt.region) if text != own}
        return {text: tokens for text, tokens in answers.items() if tokens is not None}

    def _tokens(self, inputs: PredictionInputs, prompt: Prompt, region_text: str) -> list[int] | None:
        """The whole answer for this region; None where the format cannot say it, or has no marker to end it with."""
        answer = answer_for(self._format, inputs, prompt, region_text)
        return self._spells(answer) if answer is not None and answer.endswith(prompt.stop) else None

    def _score(self, request: DecodeRequest, decoded: Decoded, answers: list[list[int]], above: float) -> Scores:
        return self._scorer.score(request.prompt, decoded, answers, above=above, deadline=request.deadline)


def _candidate(origin: Origin, text: str | None, score: Score) -> Candidate:
    return Candidate(origin, text, math.exp(score.log_probability), score.is_exact)


def _ranked(found: Sequence[Candidate], *scores: Scores) -> Ranked:
    return Ranked(
        tuple(sorted(found, key=lambda candidate: (-candidate.probability, not candidate.is_exact))),  # stable
        next((part.stop for part in scores if part.stop is not None), None),
        sum(part.tokens_evaluated for part in scores),
        sum(part.forward_passes for part in scores),
    )
