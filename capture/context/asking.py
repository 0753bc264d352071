"""One source of definitions as a session asks it: one question at a time, the newest next.

A question about another place ends the one under way; more names of the same place wait for it. Within a place no name
that was answered is asked again, and any other not at once: a source that is not ready, or was interrupted by an edit,
may know more a moment later. Knows nothing of what becomes of the answers.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from capture.context.definitions import Definition, Identifier

if TYPE_CHECKING:
    from capture.context.definitions import DefinitionSource

ASK_AGAIN_SECONDS = 0.5

Found = Mapping[str, Sequence[Definition]]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. ``place`` is a number of its own for every place of a document that somebody works at."""

    uri: str
    path: str
    place: int
    identifiers: tuple[Identifier, ...]


class Asker:
    """Asks ``source``; ``take`` gets what was asked and what was found, and says which names that answers.

    ``clock`` gives seconds that never go backwards.
    """

    def __init__(
        self,
        source: DefinitionSource,
        take: Callable[[Question, Found], Collection[str]],
        clock: Callable[[], float],
    ) -> None:
        self._source = source
        self._take = take
        self._clock = clock
        self._task: asyncio.Task[Found] | None = None
        self._place = -1  # of the last question that was put
        self._not_before: dict[str, float] = {}  # when names of that place may be asked again
        self._forgotten = 0  # so often
        self._next: Question | None = None

    def ask(self, question: Question) -> None:
        """Put ``question`` now or, where one is under way, after it; one that waits already is forgotten."""
        self._next = question
        if self._task is None:
            self._start()
        elif question.place != self._place:
            self._task.cancel()

    def asks(self, source: DefinitionSource) -> bool:
        """Whether this is who asks ``source``."""
        return self._source is source

    def forget(self) -> None:
        """The source knows something new: names count as not asked yet."""
        self._not_before.clear()
        self._forgotten += 1

    async def close(self) -> None:
        """End what is under way and wait for its end."""
        self._next = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _start(self) -> None:
        question, self._next = self._next, None
        if question is None:
            return
        if question.place != self._place:
            self._place = question.place
            self._not_before.clear()
        now = self._clock()
        identifiers = tuple(item for item in question.identifiers if self._not_before.get(item.name, now) <= now)
        if identifiers:
            task = asyncio.ensure_future(self._source.definitions(question.path, identifiers))
            self._task = task
            task.add_done_callback(partial(self._done, replace(question, identifiers=identifiers), self._forgotten))

    def _done(self, question: Question, forgotten: int, task: asyncio.Task[Found]) -> None:
        self._task = None
        if not task.cancelled():
            again = self._clock() + ASK_AGAIN_SECONDS
            answered = self._take(question, task.result())
            # An answer from before the source knew more is no reason not to ask.
            for identifier in question.identifiers if forgotten == self._forgotten else ():
                self._not_before[identifier.name] = math.inf if identifier.name in answered else again
        self._start()
