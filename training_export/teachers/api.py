"""What a teacher is: a model that is asked in words and answers in words, at a price.

Services (`anthropic_service`, `openai_service`) implement `Teacher`, and so does what stages are given
(`opening.opened_teacher`), which looks into the cache first, keeps to a budget and counts. Knows nothing of examples:
what to ask and how to read the answer is in `prompt` and `answer`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal, Protocol

import orjson

KEY_BYTES = 16
Role = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """One question. Two equal ones to the same model get the same answer from the cache.

    ``max_tokens`` bounds the answer. ``temperature`` None is the service's own. ``sample`` numbers several answers to
    one question, from 0; the service never sees it.
    """

    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float | None = None
    sample: int = 0

    def to_json(self) -> dict[str, Any]:
        """As it is kept in the cache until it is answered."""
        return {
            "messages": [{"role": message.role, "text": message.text} for message in self.messages],
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "sample": self.sample,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Request:
        """Read that form; raises KeyError where something is missing."""
        messages = tuple(Message(message["role"], message["text"]) for message in value["messages"])
        return cls(messages, value["max_tokens"], value["temperature"], value["sample"])


class Ending(StrEnum):
    """How an answer ended."""

    ANSWERED = "answered"  # by itself
    TRUNCATED = "truncated"  # at max_tokens, or because the model's context is full
    REFUSED = "refused"  # the model, or a filter of the service, does not want to
    REJECTED = "rejected"  # the service does not take this request: too long, say


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: a text, perhaps an unusable one, see ``error``.

    ``detail`` is what the service says about a refusal or a rejection. Token counts are the service's own.
    ``is_new`` is false where the answer was found; ``dollars`` is what it cost now, 0 where it was found or no price
    is known.
    """

    text: str
    ending: Ending = Ending.ANSWERED
    detail: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    dollars: float = 0.0
    is_new: bool = True

    @property
    def error(self) -> str:
        """Why the text is no whole answer, as a sentence; empty where it is one."""
        match self.ending:
            case Ending.ANSWERED:
                return ""
            case Ending.TRUNCATED:
                return f"the teacher's answer was cut off after {self.output_tokens} tokens"
            case Ending.REFUSED:
                return f"the teacher refused{_with(self.detail)}"
            case Ending.REJECTED:
                return f"the teacher's service rejects the request{_with(self.detail)}"

    def to_json(self) -> dict[str, Any]:
        """As it is kept in the cache: without what it cost whom."""
        return {
            "text": self.text,
            "ending": self.ending.value,
            "detail": self.detail,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Reply:
        """Read that form, as something found."""
        return replace(cls(**{**value, "ending": Ending(value["ending"])}), is_new=False)


class NotAnsweredReason(StrEnum):
    """Why there is no reply."""

    TIMED_OUT = "timed out"
    UNAVAILABLE = "unavailable"  # rate limits or faults of the service that lasted
    WAITING = "waiting"  # in a batch


class NotAnswered(Exception):
    """No reply this time, but asking again later makes sense: a failure of one example that is not final."""

    def __init__(self, reason: NotAnsweredReason, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class Teacher(Protocol):
    """Answers requests; several threads may ask at once."""

    @property
    def name(self) -> str:
        """As predictions name their provider, like Zed does: ``teacher:sonnet45``."""
        ...

    def answer(self, request: Request) -> Reply:
        """The reply, whole or not (see ``Reply.error``).

        Raises NotAnswered where there is none for now. TeacherRefused (a key or a model that the service does not
        accept) and BudgetReached end the run.
        """
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers, as far as it shapes answers: ``endpoint`` is empty for the service's own."""

    service: str
    model: str
    endpoint: str = ""

    def to_json(self) -> dict[str, str]:
        """For a stage's settings."""
        return {"service": self.service, "model": self.model, "endpoint": self.endpoint}

    @property
    def label(self) -> str:
        """The same on one line: whose rows of the cache these are."""
        return f"{self.service}:{self.model}@{self.endpoint}"

    def key(self, request: Request | Mapping[str, Any]) -> str:
        """The same for two requests (or what is asked instead of one) exactly if the same answer will do.

        Hexadecimal digits.
        """
        asked = request.to_json() if isinstance(request, Request) else request
        described = orjson.dumps([self.to_json(), asked], option=orjson.OPT_SORT_KEYS)
        return hashlib.blake2b(described, digest_size=KEY_BYTES).hexdigest()


def tallies(reply: Reply) -> dict[str, float]:
    """What a stage adds to its tallies for a reply."""
    if not reply.is_new:
        return {"answers found": 1}
    return {
        "answers asked": 1,
        "input tokens": reply.input_tokens,
        "output tokens": reply.output_tokens,
        "dollars": reply.dollars,
    }


def _with(detail: str) -> str:
    return f": {detail}" if detail else ""
