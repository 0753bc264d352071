"""Whether a request is what the installed SDK's own types say it is."""

from __future__ import annotations

from functools import cache
from types import GeneratorType
from typing import Any, get_type_hints

from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from anthropic.types.messages.batch_create_params import BatchCreateParams as AnthropicBatch
from openai.types.batch_create_params import BatchCreateParams as OpenAIBatch
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter, ValidationError


class Unacceptable(Exception):
    """A request that is not of the SDK's type."""


@cache
def _adapters() -> dict[str, tuple[Any, frozenset[str]]]:

    types = {
        "anthropic message": MessageCreateParamsNonStreaming,
        "anthropic batch": AnthropicBatch,
        "openai completion": CompletionCreateParamsNonStreaming,
        "openai batch": OpenAIBatch,
    }
    return {name: (TypeAdapter(kind), frozenset(get_type_hints(kind))) for name, kind in types.items()}


def check(name: str, body: Any) -> None:
    """Raises Unacceptable where the body is not what the SDK's type says, or has keys that it does not know."""
    adapter, known = _adapters()[name]
    try:
        _exhaust(adapter.validate_python(body))
    except ValidationError as error:
        raise Unacceptable(f"{name}: {error}") from error
    if unknown := set(body) - known:
        raise Unacceptable(f"{name}: {', '.join(sorted(unknown))}: extra inputs are not permitted")
    if name == "anthropic batch":
        for request in body["requests"]:
            check("anthropic message", request["params"])


def _exhaust(value: Any) -> None:
    """Look at each part: pydantic checks what is declared as an iterable only when it is read."""
    if isinstance(value, dict):
        for part in value.values():
            _exhaust(part)
    elif isinstance(value, (list, tuple, GeneratorType)) or type(value).__name__ == "ValidatorIterator":
        for part in value:
            _exhaust(part)
