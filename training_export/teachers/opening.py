"""Opens the teacher that settings name, behind the cache and the budget. SDKs are imported when one is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from daemon.errors import BadArgument
from training_export.errors import ExtraMissing
from training_export.teachers.api import Teacher
from training_export.teachers.asking import CachedTeacher, FoundAnswers
from training_export.teachers.cache import opened_cache
from training_export.teachers.money import Ledger
from training_export.teachers.pacing import Pacing
from training_export.teachers.service import Service
from training_export.teachers.settings import TeacherSettings

NO_WORDS: Final = "a GGUF predicts edits and answers no questions; choose another teacher"


@contextmanager
def opened_teacher(settings: TeacherSettings) -> Iterator[Teacher]:
    """What a stage asks. Raises BadArgument, TeacherRefused (no key) and AnswersUnusable."""
    if settings.service == "gguf":
        raise BadArgument(NO_WORDS)
    with opened_cache(settings.cache) as cache:
        if settings.only_found:
            yield FoundAnswers(settings.name, settings.identity, cache)
            return
        with opened_service(settings) as service:
            ledger = Ledger(settings.known_price, settings.budget_dollars)
            yield CachedTeacher(service, settings.identity, cache, ledger)


@contextmanager
def opened_service(settings: TeacherSettings) -> Iterator[Service]:
    """The service itself: each request is sent and paid. Raises BadArgument and TeacherRefused."""
    try:
        opened, pacing = _opener(settings), Pacing(settings.pacing)
    except ImportError as error:
        raise ExtraMissing(f"asking {settings.name}", "the service's SDK", "teacher") from error
    with opened(settings, pacing) as service:
        yield service


def _opener(settings: TeacherSettings) -> Callable[[TeacherSettings, Pacing], AbstractContextManager[Service]]:
    if settings.service == "gguf":
        raise BadArgument(NO_WORDS)
    if settings.service == "anthropic":
        from training_export.teachers.anthropic_service import opened_anthropic  # noqa: PLC0415  imports an SDK

        return opened_anthropic
    from training_export.teachers.openai_service import opened_openai  # noqa: PLC0415  imports an SDK

    return opened_openai
