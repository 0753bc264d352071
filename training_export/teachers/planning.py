"""What happens before a stage that asks a teacher runs: what it will cost, and its questions into batches.

Which questions a stage will ask, it says itself: see `AskingStage`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from training_export.errors import AnswersUnderway
from training_export.example import Example
from training_export.stage import Stage
from training_export.teachers import batch_rows
from training_export.teachers.api import NotAnswered, Request
from training_export.teachers.batches import Courier, Fetched, Limits
from training_export.teachers.cache import AnswerCache, opened_cache
from training_export.teachers.money import Price, dearest, likely_input_tokens
from training_export.teachers.opening import opened_service
from training_export.teachers.prompt import NotAskable
from training_export.teachers.settings import TeacherSettings

LIKELY_OUTPUT_TOKENS: Final = 600  # of an answer, where none was seen yet: an explanation and a region


class AskingStage(Stage, Protocol):
    """A stage that asks a teacher, and can say what before it does."""

    @property
    def teacher(self) -> TeacherSettings:
        """Who is asked; never a GGUF, which has no questions."""
        ...

    def requests(self, example: Example) -> tuple[Request, ...]:
        """All it would ask about an example; raises NotAskable where it would ask nothing because it cannot."""
        ...


@dataclass(slots=True)
class Plan:
    """What a run would ask, each question counted once. ``price`` is for one by one, or for batches."""

    price: Price | None
    examples: int = 0
    not_askable: int = 0
    to_ask: int = 0
    found: int = 0
    in_batches: int = 0
    input_tokens: int = 0
    most_output_tokens: int = 0
    most_dollars: float = 0.0
    found_output_tokens: int = 0

    @property
    def output_tokens(self) -> int:
        """An estimate by the answers found, else by a rule of thumb."""
        mean = self.found_output_tokens / self.found if self.found_output_tokens else LIKELY_OUTPUT_TOKENS
        return min(round(self.to_ask * mean), self.most_output_tokens)

    @property
    def dollars(self) -> float | None:
        """An estimate; None where no price is known."""
        return None if self.price is None else self.price.of(self.input_tokens, self.output_tokens)

    def to_json(self) -> dict[str, Any]:
        """For a program to read."""
        return {
            "examples": self.examples,
            "not_askable": self.not_askable,
            "requests": self.to_ask,
            "found": self.found,
            "in_batches": self.in_batches,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "dollars": self.dollars,
            "most_dollars": None if self.price is None else self.most_dollars,
        }


def plan(stage: AskingStage, examples: Iterable[Example], *, in_batches: bool) -> Plan:
    """What `stage` would ask about these examples; nobody is asked. Memory grows by a key for each question."""
    price = stage.teacher.known_price
    planned = Plan(price.in_batches() if price is not None and in_batches else price)
    seen: set[bytes] = set()
    with opened_cache(stage.teacher.cache) as cache:
        for example in examples:
            planned.examples += 1
            try:
                requests = stage.requests(example)
            except NotAskable:
                planned.not_askable += 1
                continue
            for request in requests:
                key = stage.teacher.identity.key(request)
                if bytes.fromhex(key) not in seen:
                    seen.add(bytes.fromhex(key))
                    _count(planned, request, key, cache)
    return planned


def _count(planned: Plan, request: Request, key: str, cache: AnswerCache) -> None:
    found = cache.look_up(key)
    if found is not None:
        planned.found += 1
        planned.found_output_tokens += found["output_tokens"]
    elif cache.read(partial(batch_rows.is_in_batch, key)):
        planned.in_batches += 1
    else:
        planned.to_ask += 1
        planned.input_tokens += likely_input_tokens(request)
        planned.most_output_tokens += request.max_tokens
        planned.most_dollars += 0.0 if planned.price is None else dearest(request, planned.price)


def ask_in_batches(
    stage: AskingStage,
    examples: Iterable[Example],
    *,
    wait: bool,
    tell: Callable[[str], None],
    limits: Limits | None = None,
) -> Fetched:
    """Put all questions of `stage` into the cache, send them as batches, and fetch what is done.

    Afterwards the stage finds its answers with ``only_found``. Raises as `Courier.carry` does, and AnswersUnderway
    where the service is not available now.
    """
    teacher = stage.teacher
    with opened_cache(teacher.cache) as cache, opened_service(teacher) as service:
        courier = Courier(teacher, service.batches, cache, tell=tell, limits=limits)
        try:
            return courier.carry(_questions(stage, examples), wait=wait)
        except NotAnswered as error:
            raise AnswersUnderway(f"{error}; the same command goes on later") from error


def _questions(stage: AskingStage, examples: Iterable[Example]) -> Iterator[tuple[str, Request]]:
    identity = stage.teacher.identity
    for example in examples:
        try:
            requests = stage.requests(example)
        except NotAskable:
            continue  # the stage will say so
        for request in requests:
            yield identity.key(request), request
