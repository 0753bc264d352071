"""OpenAI's models through OpenAI's SDK, one by one or as batches, and servers that speak the same protocol.

The only module that imports the SDK. Keys are found by the SDK, never by us.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import openai
import orjson
from openai.types import Batch
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import ValidationError

from daemon.errors import BadArgument
from training_export.errors import TeacherRefused
from training_export.teachers.api import Ending, Message, NotAnswered, NotAnsweredReason, Reply, Request
from training_export.teachers.pacing import Busy, Pacing
from training_export.teachers.service import BatchState, Fault, not_twice, read_status
from training_export.teachers.settings import TeacherSettings

CONNECT_SECONDS: Final = 10.0
LABEL: Final = "foretype"  # of a batch's metadata
ENDPOINT: Final = "/v1/chat/completions"
ENDED: Final = ("completed", "failed", "expired", "cancelled")
NO_KEY_NEEDED: Final = "none"  # most servers of one's own ask for no key, but the SDK does
CLOCKS_DIFFER: Final = timedelta(minutes=5)
LOOK_BACK: Final = 1000

T = TypeVar("T")


@contextmanager
def opened_openai(settings: TeacherSettings, pacing: Pacing) -> Iterator[OpenAIService]:
    """The service, or a compatible server; raises TeacherRefused where there is no key."""
    key = None
    if settings.service == "compatible":
        key = os.environ.get("OPENAI_API_KEY") or NO_KEY_NEEDED
    timeout = openai.Timeout(settings.timeout_seconds, connect=CONNECT_SECONDS)
    try:
        client = openai.OpenAI(api_key=key, base_url=settings.endpoint or None, timeout=timeout, max_retries=0)
    except openai.OpenAIError as error:
        raise TeacherRefused("OpenAI: no key was found; set OPENAI_API_KEY") from error
    with client:
        yield OpenAIService(client, settings, pacing)


class OpenAIService:
    """One model, for several threads."""

    def __init__(self, client: openai.OpenAI, settings: TeacherSettings, pacing: Pacing) -> None:
        self._client = client
        self._settings = settings
        self._pacing = pacing
        self._who = "OpenAI" if settings.service == "openai" else settings.endpoint

    @property
    def name(self) -> str:
        """See ``Teacher.name``."""
        return self._settings.name

    @property
    def batches(self) -> OpenAIBatches:
        """See ``Service.batches``; other servers have no such interface."""
        if self._settings.service != "openai":
            raise BadArgument(f"{self._who} has no batch interface; leave out --batch")
        return OpenAIBatches(self._client, self._settings.model, self._pacing)

    def answer(self, request: Request) -> Reply:
        """See ``Teacher.answer``."""
        parameters = completion_parameters(self._settings, request)
        seconds = self._settings.timeout_seconds

        def ask() -> Reply:
            try:
                return read_completion(self._who, self._client.chat.completions.create(**parameters))
            except openai.APIError as error:
                return _explained(self._who, error, seconds)
            except json.JSONDecodeError as error:
                raise _no_completion(self._who) from error

        return self._pacing.call(ask)


class OpenAIBatches:
    """See ``Batches``: a file of requests goes up, files of results come down."""

    def __init__(self, client: openai.OpenAI, model: str, pacing: Pacing) -> None:
        self._client = client
        self._settings = TeacherSettings("openai", model)
        self._pacing = pacing

    def send(self, label: str, requests: Sequence[tuple[str, Request]]) -> str:
        """See ``Batches.send``; the label is in the batch's metadata."""
        content = b"".join(self._line(custom_id, request) for custom_id, request in requests)

        def upload() -> str:
            return self._client.files.create(file=(f"{label}.jsonl", content), purpose="batch").id

        file_id = self._call(upload)

        def begin() -> str:
            return self._client.batches.create(
                input_file_id=file_id, endpoint=ENDPOINT, completion_window="24h", metadata={LABEL: label}
            ).id

        return self._pacing.call(not_twice("OpenAI", self._attempt(begin)))

    def find(self, label: str, _requests: int, begun: datetime, known: frozenset[str]) -> str | None:
        """By its label."""

        def look() -> str | None:
            for number, batch in enumerate(self._client.batches.list(limit=100)):
                if number >= LOOK_BACK or batch.created_at < (begun - CLOCKS_DIFFER).timestamp():
                    return None
                if batch.id not in known and (batch.metadata or {}).get(LABEL) == label:
                    return batch.id
            return None

        return self._call(look)

    def state(self, batch_id: str) -> BatchState:
        """See ``Batches.state``."""
        batch = self._retrieved(batch_id)
        if batch is None:
            return BatchState(has_ended=True, done=0, total=0)
        counts = batch.request_counts
        done, total = (0, 0) if counts is None else (counts.completed + counts.failed, counts.total)
        problem = ""
        if batch.status == "failed":
            errors = (batch.errors and batch.errors.data) or []
            problem = "; ".join(error.message or error.code or "" for error in errors[:3]) or "no reason given"
        return BatchState(batch.status in ENDED, done, total, problem)

    def results(self, batch_id: str) -> Iterator[tuple[str, Reply | Fault]]:
        """See ``Batches.results``."""
        batch = self._retrieved(batch_id)
        for file_id in () if batch is None else (batch.output_file_id, batch.error_file_id):
            if file_id is not None:
                yield from self._outcomes(file_id)

    def request_bytes(self, custom_id: str, request: Request) -> int:
        """See ``Batches.request_bytes``."""
        return len(self._line(custom_id, request))

    def _line(self, custom_id: str, request: Request) -> bytes:
        body = completion_parameters(self._settings, request)
        return orjson.dumps({"custom_id": custom_id, "method": "POST", "url": ENDPOINT, "body": body}) + b"\n"

    def _retrieved(self, batch_id: str) -> Batch | None:
        def look() -> Batch | None:
            try:
                return self._client.batches.retrieve(batch_id)
            except openai.NotFoundError:
                return None

        return self._call(look)

    def _outcomes(self, file_id: str) -> Iterator[tuple[str, Reply | Fault]]:
        try:
            with self._client.files.with_streaming_response.content(file_id) as response:
                for line in response.iter_lines():
                    if line.strip():
                        result = orjson.loads(line)
                        yield result["custom_id"], _outcome(result)
        except openai.NotFoundError:
            return  # deleted
        except (openai.APIError, orjson.JSONDecodeError) as error:
            raise NotAnswered(NotAnsweredReason.UNAVAILABLE, "OpenAI: fetching results broke off") from error

    def _call(self, ask: Callable[[], T]) -> T:
        return self._pacing.call(self._attempt(ask))

    def _attempt(self, ask: Callable[[], T]) -> Callable[[], T]:
        def attempt() -> T:
            try:
                return ask()
            except openai.APIError as error:
                rejected = _explained("OpenAI", error, 0.0)
                raise TeacherRefused(f"OpenAI: the batch was not accepted ({rejected.detail})") from error
            except json.JSONDecodeError as error:
                raise _no_completion("OpenAI") from error

        return attempt


def completion_parameters(settings: TeacherSettings, request: Request) -> CompletionCreateParamsNonStreaming:
    """The request as the SDK's types have it. Other servers often know only the older name of the limit."""
    parameters: CompletionCreateParamsNonStreaming = {
        "model": settings.model,
        "messages": [_message(message) for message in request.messages],
    }
    if settings.service == "openai":
        parameters["max_completion_tokens"] = request.max_tokens
    else:
        parameters["max_tokens"] = request.max_tokens
    if request.temperature is not None:
        parameters["temperature"] = request.temperature
    return parameters


def read_completion(who: str, completion: object) -> Reply:
    """What a completion says; raises Busy where it is none: a proxy's page, say."""
    if not isinstance(completion, ChatCompletion) or not isinstance(completion.choices, list):
        raise _no_completion(who)
    if not completion.choices or getattr(completion.choices[0], "message", None) is None:
        raise _no_completion(who)
    choice = completion.choices[0]
    usage = completion.usage  # not every server counts
    tokens = (0, 0) if usage is None else (usage.prompt_tokens, usage.completion_tokens)
    text = choice.message.content or ""
    refusal = getattr(choice.message, "refusal", None) or ""
    if refusal or choice.finish_reason == "content_filter":
        return Reply(text, Ending.REFUSED, refusal or "the service's content filter", *tokens)
    return Reply(text, Ending.TRUNCATED if choice.finish_reason == "length" else Ending.ANSWERED, "", *tokens)


def _no_completion(who: str) -> Busy:
    return Busy(f"{who}: what came back is none of its answers", concerns_all=False)


def _message(message: Message) -> ChatCompletionMessageParam:
    if message.role == "user":
        return {"role": "user", "content": message.text}
    return {"role": "assistant", "content": message.text}


def _outcome(result: dict[str, Any]) -> Reply | Fault:
    response, error = result.get("response"), result.get("error")
    if response is None:
        return Fault((error or {}).get("message") or (error or {}).get("code") or "no reason given")
    body = response.get("body") or {}
    try:
        if response["status_code"] == 200:
            return read_completion("OpenAI", ChatCompletion.model_validate(body))
        message = (body.get("error") or {}).get("message") or ""
        return read_status("OpenAI", response["status_code"], message, None)
    except (Busy, TeacherRefused, ValidationError) as fault:
        return Fault(str(fault))


def _explained(who: str, error: openai.APIError, timeout_seconds: float) -> Reply:
    if isinstance(error, openai.APIStatusError):
        if error.code == "insufficient_quota":  # comes as 429, but no waiting helps
            raise TeacherRefused(f"{who}: the account has no credit ({error.message})") from error
        return read_status(who, error.status_code, error.message, error.response.headers.get("retry-after"))
    if isinstance(error, openai.APITimeoutError) and timeout_seconds and not _is_connecting(error):
        raise NotAnswered(NotAnsweredReason.TIMED_OUT, f"no answer within {timeout_seconds:g} seconds") from error
    raise Busy(f"{who}: {error.message} ({error.__cause__!r})", concerns_all=True) from error


def _is_connecting(error: openai.APITimeoutError) -> bool:
    return type(error.__cause__).__name__ in ("ConnectTimeout", "PoolTimeout")
