"""What the services' answers look like."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from training_export.teachers.stand_in.answers import answer
from training_export.teachers.stand_in.conduct import Batch, Outcome

BYTES_PER_TOKEN: Final = 4
MADE: Final = "2026-01-01T00:00:00Z"


def anthropic_message(body: Mapping[str, Any], mistakes: int, kind: str) -> dict[str, Any]:
    """A message as Anthropic's service would send it."""
    text = answer([(message["role"], message["content"]) for message in body["messages"]], mistakes=mistakes)
    stop = {"refusal": "refusal", "truncation": "max_tokens"}.get(kind, "end_turn")
    return {
        "id": "msg_0",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [] if kind == "refusal" else [{"type": "text", "text": _cut(text, kind)}],
        "stop_reason": stop,
        "stop_sequence": None,
        "stop_details": {"type": "refusal", "category": None, "explanation": "no"} if kind == "refusal" else None,
        "usage": {"input_tokens": _tokens(body["messages"]), "output_tokens": len(text) // BYTES_PER_TOKEN},
    }


def openai_completion(body: Mapping[str, Any], mistakes: int, kind: str) -> dict[str, Any]:
    """A chat completion as OpenAI's service would send it."""
    text = answer([(message["role"], message["content"]) for message in body["messages"]], mistakes=mistakes)
    said = {"content": None, "refusal": "no"} if kind == "refusal" else {"content": _cut(text, kind), "refusal": None}
    read, written = _tokens(body["messages"]), len(text) // BYTES_PER_TOKEN
    return {
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", **said},
                "finish_reason": "length" if kind == "truncation" else "stop",
                "logprobs": None,
            }
        ],
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
    }


def anthropic_batch(batch: Batch, url: str) -> dict[str, Any]:
    """A message batch."""
    has_ended, total = batch.looks <= 0, len(batch.requests)
    counts = {"processing": 0 if has_ended else total, "succeeded": total if has_ended else 0}
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if has_ended else "in_progress",
        "request_counts": {**counts, "errored": 0, "canceled": 0, "expired": 0},
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "expires_at": MADE,
        "ended_at": MADE if has_ended else None,
        "archived_at": None,
        "cancel_initiated_at": None,
        "results_url": f"{url}/v1/messages/batches/{batch.id}/results" if has_ended else None,
    }


def openai_batch(batch: Batch, _url: str) -> dict[str, Any]:
    """A batch."""
    has_ended, total = batch.looks <= 0, len(batch.requests)
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "created_at": int(time.time()),
        "input_file_id": "file-0",
        "status": "failed" if batch.is_failed else "completed" if has_ended else "in_progress",
        "errors": {"object": "list", "data": [{"code": "token_limit", "message": "too much at once"}]},
        "output_file_id": f"{batch.id}-output" if has_ended else None,
        "error_file_id": f"{batch.id}-error" if has_ended else None,
        "metadata": {"foretype": batch.label},
        "request_counts": {"total": total, "completed": total if has_ended else 0, "failed": 0},
    }


def openai_file(file_id: str, size_bytes: int) -> dict[str, Any]:
    """A file that was uploaded."""
    return {
        "id": file_id,
        "object": "file",
        "purpose": "batch",
        "bytes": size_bytes,
        "created_at": 0,
        "filename": "requests.jsonl",
        "status": "processed",
    }


def anthropic_result(request: Mapping[str, Any], outcome: Outcome | None, mistakes: int) -> dict[str, Any]:
    """One line of a message batch's results."""
    result: dict[str, Any] = {"type": "expired"}
    if outcome is None:
        message = anthropic_message(request["params"], mistakes, "")
        result = {"type": "succeeded", "message": message}
    elif outcome != "expired":
        kind = "invalid_request_error" if outcome == "invalid" else "api_error"
        error = {"type": "error", "request_id": None, "error": {"type": kind, "message": "as told"}}
        result = {"type": "errored", "error": error}
    return {"custom_id": request["custom_id"], "result": result}


def openai_result(request: Mapping[str, Any], outcome: Outcome | None, mistakes: int) -> dict[str, Any]:
    """One line of a batch's output or error file."""
    response, error = None, None
    if outcome is None:
        body = openai_completion(request["body"], mistakes, "")
        response = {"status_code": 200, "request_id": "r", "body": body}
    elif outcome == "invalid":
        response = {"status_code": 400, "request_id": "r", "body": {"error": {"message": "as told"}}}
    else:
        error = {"code": "batch_expired", "message": "as told"}
    return {"id": "r", "custom_id": request["custom_id"], "response": response, "error": error}


def _cut(text: str, kind: str) -> str:
    return text[: len(text) // 2] if kind == "truncation" else text


def _tokens(messages: list[dict[str, Any]]) -> int:
    return sum(len(message["content"]) for message in messages) // BYTES_PER_TOKEN
