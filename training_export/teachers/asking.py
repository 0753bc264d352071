"""A teacher that is asked nothing twice and not beyond the budget: what stages are given.

Knows nothing of which service it is.
"""

from __future__ import annotations

import threading
from dataclasses import replace

from training_export.errors import TeacherRefused
from training_export.teachers.api import Ending, Identity, NotAnswered, NotAnsweredReason, Reply, Request, Teacher
from training_export.teachers.cache import AnswerCache, Claim
from training_export.teachers.money import Ledger

REJECTIONS_TO_END: int = 5  # without a single answer: then it is not due to the examples


class CachedTeacher:
    """Answers from the cache, else asks ``teacher``, pays, and keeps the reply."""

    def __init__(self, teacher: Teacher, identity: Identity, cache: AnswerCache, ledger: Ledger) -> None:
        self._teacher = teacher
        self._identity = identity
        self._cache = cache
        self._ledger = ledger
        self._lock = threading.Lock()
        self._rejected = 0
        self._answered = False

    @property
    def name(self) -> str:
        """The teacher's."""
        return self._teacher.name

    def answer(self, request: Request) -> Reply:
        """See ``Teacher.answer``; waits where another thread or process is asking the same."""
        key = self._identity.key(request)
        while True:
            claimed = self._cache.claim(key, self._identity.label)
            if claimed is Claim.MINE:
                return self._ask(key, request)
            if claimed is Claim.THEIRS:
                self._cache.wait(key)
            elif claimed is Claim.IN_BATCH:
                raise NotAnswered(NotAnsweredReason.WAITING, "the question is in a batch; fetch it with --batch")
            else:
                return Reply.from_json(claimed)

    def _ask(self, key: str, request: Request) -> Reply:
        try:
            with self._ledger.reserved(request):
                reply = self._teacher.answer(request)
                dollars = self._ledger.pay(reply)
        except BaseException:
            self._cache.give_up(key)
            raise
        if reply.ending is Ending.REJECTED:  # costs nothing, and the reason may be gone the next time
            self._cache.give_up(key)
        else:
            self._cache.store(key, reply.to_json())
        self._count(reply)
        return replace(reply, dollars=dollars)

    def _count(self, reply: Reply) -> None:
        with self._lock:
            self._answered = self._answered or reply.ending is not Ending.REJECTED
            self._rejected += reply.ending is Ending.REJECTED
            if self._rejected >= REJECTIONS_TO_END and not self._answered:
                raise TeacherRefused(
                    f"the service rejected the first {self._rejected} requests, so that it is hardly due to the"
                    f" examples; the last: {reply.detail}"
                )


class FoundAnswers:
    """Answers from the cache alone: for after a batch."""

    def __init__(self, name: str, identity: Identity, cache: AnswerCache) -> None:
        self._name = name
        self._identity = identity
        self._cache = cache

    @property
    def name(self) -> str:
        """The teacher's."""
        return self._name

    def answer(self, request: Request) -> Reply:
        """See ``Teacher.answer``; NotAnswered for what is not there yet."""
        found = self._cache.look_up(self._identity.key(request))
        if found is None:
            raise NotAnswered(NotAnsweredReason.WAITING, "the teacher has not answered in a batch yet")
        return Reply.from_json(found)
