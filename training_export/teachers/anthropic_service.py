"""Anthropic's models through Anthropic's SDK, one by one or as message batches. The only module that imports it.

Requests are what the SDK's types say; keys are found by the SDK, never by us. There is no temperature: since version
2026-10-21 of the API a request that names one is rejected.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final, TypeVar

import anthropic
import orjson
from anthropic.types import Message, MessageParam
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from anthropic.types.messages import MessageBatch, MessageBatchIndividualResponse
from anthropic.types.messages.batch_create_params import Request as BatchRequest

from daemon.errors import BadArgument
from training_export.errors import TeacherRefused
from training_export.teachers.api import Ending, NotAnswered, NotAnsweredReason, Reply, Request
from training_export.teachers.api import Message as Turn
from training_export.teachers.pacing import Busy, Pacing
from training_export.teachers.service import BatchState, Fault, not_twice, read_status
from training_export.teachers.settings import TeacherSettings

WHO: Final = "Anthropic"
NO_KEY: Final = f"{WHO}: no key was found; set ANTHROPIC_API_KEY"
CONNECT_SECONDS: Final = 10.0
CLOCKS_DIFFER: Final = timedelta(minutes=5)
LOOK_BACK: Final = 1000  # batches to look through for one whose sending broke off

T = TypeVar("T")


@contextmanager
def opened_anthropic(settings: TeacherSettings, pacing: Pacing) -> Iterator[AnthropicService]:
    """The service; connections are closed after the block."""
    timeout = anthropic.Timeout(settings.timeout_seconds, connect=CONNECT_SECONDS)
    with anthropic.Anthropic(base_url=settings.endpoint or None, timeout=timeout, max_retries=0) as client:
        yield AnthropicService(client, settings, pacing)


class AnthropicService:
    """One model, for several threads."""

    def __init__(self, client: anthropic.Anthropic, settings: TeacherSettings, pacing: Pacing) -> None:
        self._client = client
        self._settings = settings
        self._pacing = pacing

    @property
    def name(self) -> str:
        """See ``Teacher.name``."""
        return self._settings.name

    @property
    def batches(self) -> AnthropicBatches:
        """See ``Service.batches``."""
        return AnthropicBatches(self._client, self._settings.model, self._pacing)

    def answer(self, request: Request) -> Reply:
        """See ``Teacher.answer``."""
        parameters = message_parameters(self._settings.model, request)
        seconds = self._settings.timeout_seconds

        def ask() -> Reply:
            try:
                return read_message(self._client.messages.create(**parameters))
            except anthropic.APIError as error:
                return _explained(error, seconds)
            except json.JSONDecodeError as error:
                raise _no_message() from error
            except TypeError as error:
                raise _no_key(error) from error

        return self._pacing.call(ask)


class AnthropicBatches:
    """See ``Batches``."""

    def __init__(self, client: anthropic.Anthropic, model: str, pacing: Pacing) -> None:
        self._client = client
        self._model = model
        self._pacing = pacing

    def send(self, _label: str, requests: Sequence[tuple[str, Request]]) -> str:
        """See ``Batches.send``; there is no place for a label."""
        described = [self._described(custom_id, request) for custom_id, request in requests]
        send = self._attempt(lambda: self._client.messages.batches.create(requests=described).id)
        return self._pacing.call(not_twice(WHO, send))

    def find(self, _label: str, requests: int, begun: datetime, known: frozenset[str]) -> str | None:
        """By when it was made and how many requests it has: nothing else of it can be seen before it has ended."""

        def look() -> str | None:
            for number, batch in enumerate(self._client.messages.batches.list(limit=100)):
                if number >= LOOK_BACK or batch.created_at < begun - CLOCKS_DIFFER:
                    return None
                counts = batch.request_counts
                total = counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired
                if batch.id not in known and total == requests:
                    return batch.id
            return None

        return self._call(look)

    def state(self, batch_id: str) -> BatchState:
        """See ``Batches.state``; results are counted only once all of them are there."""
        batch = self._retrieved(batch_id)
        if batch is None:
            return BatchState(has_ended=True, done=0, total=0)
        counts = batch.request_counts
        done = counts.succeeded + counts.errored + counts.canceled + counts.expired
        return BatchState(batch.processing_status == "ended", done, done + counts.processing)

    def results(self, batch_id: str) -> Iterator[tuple[str, Reply | Fault]]:
        """See ``Batches.results``."""
        batch = self._retrieved(batch_id)
        if batch is None or batch.results_url is None:  # deleted, or archived
            return
        stream = self._call(lambda: self._client.messages.batches.results(batch_id))
        try:
            for response in stream:
                yield response.custom_id, _outcome(response)
        except (anthropic.APIConnectionError, json.JSONDecodeError) as error:
            raise NotAnswered(NotAnsweredReason.UNAVAILABLE, f"{WHO}: fetching results broke off") from error

    def request_bytes(self, custom_id: str, request: Request) -> int:
        """See ``Batches.request_bytes``."""
        return len(orjson.dumps(self._described(custom_id, request))) + 1

    def _described(self, custom_id: str, request: Request) -> BatchRequest:
        return {"custom_id": custom_id, "params": message_parameters(self._model, request)}

    def _retrieved(self, batch_id: str) -> MessageBatch | None:
        def look() -> MessageBatch | None:
            try:
                return self._client.messages.batches.retrieve(batch_id)
            except anthropic.NotFoundError:
                return None

        return self._call(look)

    def _call(self, ask: Callable[[], T]) -> T:
        return self._pacing.call(self._attempt(ask))

    def _attempt(self, ask: Callable[[], T]) -> Callable[[], T]:
        def attempt() -> T:
            try:
                return ask()
            except anthropic.APIError as error:
                rejected = _explained(error, 0.0)
                raise TeacherRefused(f"{WHO}: the batch was not accepted ({rejected.detail})") from error
            except json.JSONDecodeError as error:
                raise _no_message() from error
            except TypeError as error:
                raise _no_key(error) from error

        return attempt


def message_parameters(model: str, request: Request) -> MessageCreateParamsNonStreaming:
    """The request as the SDK's types have it; raises BadArgument for a temperature."""
    if request.temperature is not None:
        raise BadArgument(f"{WHO}'s API takes no temperature any more; leave --temperature out")
    messages = [_message(message) for message in request.messages]
    return {"model": model, "max_tokens": request.max_tokens, "messages": messages}


def read_message(message: object) -> Reply:
    """What a message says; raises Busy where it is none: a proxy's page, say."""
    if not isinstance(message, Message) or not isinstance(message.content, list) or message.usage is None:
        raise _no_message()
    text = "".join(block.text for block in message.content if block.type == "text")
    usage = message.usage
    written, read = usage.cache_creation_input_tokens or 0, usage.cache_read_input_tokens or 0
    match message.stop_reason:
        case "refusal":
            ending = Ending.REFUSED
        case "max_tokens" | "model_context_window_exceeded":
            ending = Ending.TRUNCATED
        case _:
            ending = Ending.ANSWERED
    detail = ""
    if ending is Ending.REFUSED and message.stop_details is not None:
        detail = message.stop_details.explanation or message.stop_details.category or ""
    return Reply(text, ending, detail, usage.input_tokens + written + read, usage.output_tokens)


def _no_message() -> Busy:
    return Busy(f"{WHO}: what came back is none of its answers", concerns_all=False)


def _message(turn: Turn) -> MessageParam:
    if turn.role == "user":
        return {"role": "user", "content": turn.text}
    return {"role": "assistant", "content": turn.text}


def _outcome(response: MessageBatchIndividualResponse) -> Reply | Fault:
    result = response.result
    match result.type:
        case "succeeded":
            try:
                return read_message(result.message)
            except Busy as error:
                return Fault(str(error))
        case "errored" if result.error.error.type == "invalid_request_error":
            return Reply("", Ending.REJECTED, result.error.error.message)
        case "errored":
            return Fault(result.error.error.message)
        case _:
            return Fault(result.type)


def _explained(error: anthropic.APIError, timeout_seconds: float) -> Reply:
    if isinstance(error, anthropic.APIStatusError):
        message = error.api_message or error.message
        return read_status(WHO, error.status_code, message, error.response.headers.get("retry-after"))
    if isinstance(error, anthropic.APITimeoutError) and timeout_seconds and not _is_connecting(error):
        raise NotAnswered(NotAnsweredReason.TIMED_OUT, f"no answer within {timeout_seconds:g} seconds") from error
    raise Busy(f"{WHO}: {error.message} ({error.__cause__!r})", concerns_all=True) from error


def _is_connecting(error: anthropic.APITimeoutError) -> bool:
    return type(error.__cause__).__name__ in ("ConnectTimeout", "PoolTimeout")


def _no_key(error: TypeError) -> Exception:
    """The SDK says by a TypeError that it has found no key; another one is a mistake of ours."""
    return TeacherRefused(NO_KEY) if "authentication" in str(error) else error
