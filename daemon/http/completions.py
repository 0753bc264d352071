"""``POST /v1/completions`` as OpenAI's servers have it: Zed asks it with prompts that it rendered itself.

Decoding is greedy whatever ``temperature`` says, because answers are drafted and verified; what would need more than
one answer, or pieces of one, is refused. A request whose client has gone is aborted. Only a page's own browser sends an
``Origin``, so nothing that has one is served. Keeps no text.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from capture.gate.exclude import PathGate
from daemon.engine.errors import DeadlineExceeded, EngineError
from daemon.prompts.raw_prompt import RawPrompt, shown_path
from daemon.scheduler import Moment, Superseded

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from daemon.engine.messages import Completion
    from daemon.scheduler import Scheduler
    from daemon.settings import Settings

MODEL_NAME: Final = "foretype"  # whatever model is in use
SESSION: Final = "http"
HOSTS: Final = ("127.0.0.1", "localhost", "[::1]")
MAX_BODY_BYTES: Final = 4 * 1024 * 1024
DEFAULT_MAX_TOKENS: Final = 512
MAX_TOKENS: Final = 4096
MAX_STOPS: Final = 64
CLIENT_GONE: Final = 499  # nobody reads it
# What asks for other than one whole answer, with the values that do not.
_ONLY: Final = {"n": (1,), "best_of": (1,), "stream": (False,), "echo": (False,), "logprobs": (), "suffix": ("",)}


class Refused(Exception):
    """A request that is not served: an HTTP status, OpenAI's code for it, and a sentence with the cure."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Question:
    """What of a request counts."""

    model: str
    prompt: RawPrompt


def completions_application(scheduler: Scheduler, settings: Callable[[], Settings], token: str) -> Starlette:
    """The application; every request must carry ``token`` as its bearer."""
    surface = _Surface(scheduler, settings, token)
    routes = [
        Route("/v1/completions", surface.completions, methods=["POST"]),
        Route("/v1/models", surface.models, methods=["GET"]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS))])


def read_question(body: Any) -> Question:
    """A request's body; raises Refused."""
    if not isinstance(body, dict):
        raise _bad("the body must be one JSON object")
    prompt, model = body.get("prompt"), body.get("model")
    if not isinstance(prompt, str) or not prompt:
        raise _bad("`prompt` must be a text that is not empty")
    if not isinstance(model, str):
        raise _bad(f"`model` must be a text; {MODEL_NAME!r} is the model in use")
    for name, allowed in _ONLY.items():
        if body.get(name) is not None and body[name] not in allowed:
            raise _bad(f"`{name}` is not served here: one whole answer comes at a time; leave it out")
    budget = DEFAULT_MAX_TOKENS if body.get("max_tokens") is None else body["max_tokens"]
    if not isinstance(budget, int) or isinstance(budget, bool) or budget < 1:
        raise _bad("`max_tokens` must be a whole number above 0")
    return Question(model, RawPrompt(prompt, _stops(body.get("stop")), min(budget, MAX_TOKENS)))


class _Surface:
    def __init__(self, scheduler: Scheduler, settings: Callable[[], Settings], token: str) -> None:
        self._scheduler = scheduler
        self._settings = settings
        self._token = token.encode()
        self._asked = 0

    async def completions(self, request: Request) -> Response:
        """One completion, or why there is none."""
        try:
            self._admit(request)
            question = read_question(_parsed(await _body(request)))
            self._check(question)
            completion = await self._answer(request, question)
        except Refused as refusal:
            return _refusal(refusal)
        except ClientDisconnect:
            return Response(status_code=CLIENT_GONE)
        if completion is None:
            return Response(status_code=CLIENT_GONE)
        if completion.text is None:
            return _refusal(
                Refused(
                    503, "no_answer", f"the answer did not end ({completion.stop.value}), and a part is never given"
                )
            )
        return _json(_completion_json(completion, completion.text, question.model))

    async def models(self, request: Request) -> Response:
        """The model in use, under the name that stands for it and under its own."""
        try:
            self._admit(request)
        except Refused as refusal:
            return _refusal(refusal)
        found = [{"id": name, "object": "model", "created": 0, "owned_by": "foretype"} for name in self._names()]
        return _json({"object": "list", "data": found})

    def _admit(self, request: Request) -> None:
        if "origin" in request.headers:
            raise Refused(403, "origin_refused", "web pages are not served")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secrets.compare_digest(given.strip().encode(), self._token):
            raise Refused(
                401, "invalid_api_key", "the bearer token is missing or wrong; `foretype serve` says where it is"
            )

    def _check(self, question: Question) -> None:
        settings = self._settings()
        if not settings.enabled:
            raise Refused(503, "switched_off", "predictions are switched off; `foretype status` says by what")
        if question.model not in self._names():
            raise Refused(
                404,
                "model_not_found",
                f"the model in use is {', '.join(self._names())}; `foretype model use` changes it",
            )
        path = shown_path(question.prompt.text)
        reason = PathGate(settings.exclude).reason(path) if path else None
        if reason:
            raise Refused(403, "excluded", f"nothing is predicted in this file: {reason}")

    def _names(self) -> list[str]:
        model = self._scheduler.engine.model
        return list(dict.fromkeys([MODEL_NAME, self._settings().model, *([] if model is None else [model.name])]))

    async def _answer(self, request: Request, question: Question) -> Completion | None:
        """None where the client has gone."""
        self._asked += 1
        moment = Moment(SESSION, f"{SESSION}:{self._asked}", 0, 0, 0)
        deadline_seconds = self._settings().deadline_ms / 1000
        asking = asyncio.create_task(
            self._scheduler.complete(moment, question.prompt, deadline_seconds=deadline_seconds)
        )
        leaving = asyncio.create_task(_left(request))
        both: set[asyncio.Task[Any]] = {asking, leaving}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.wait(both)
        if asking.cancelled():
            return None
        try:
            return asking.result()
        except Superseded:
            raise Refused(503, "given_up", "something more urgent took the engine; ask again") from None
        except DeadlineExceeded as error:
            raise Refused(504, "deadline", str(error)) from None
        except EngineError as error:
            raise Refused(503, "engine", str(error)) from None


async def _left(request: Request) -> None:
    """Return once the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Refused(413, "too_large", f"the body is over {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _bad("the body is not JSON") from None


def _stops(value: Any) -> tuple[str, ...]:
    listed = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or len(listed) > MAX_STOPS or not all(isinstance(one, str) for one in listed):
        raise _bad(f"`stop` must be a text or a list of at most {MAX_STOPS} texts")
    return tuple(one for one in listed if one)


def _bad(message: str) -> Refused:
    return Refused(400, "invalid_request", message)


def _refusal(refused: Refused) -> Response:
    error = {"message": str(refused), "type": "invalid_request_error", "param": None, "code": refused.code}
    return _json({"error": error}, refused.status)


def _completion_json(completion: Completion, text: str, model: str) -> dict[str, Any]:
    counters = completion.counters
    return {
        "id": f"cmpl-{secrets.token_hex(12)}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {
                "index": 0,
                "text": text,
                "logprobs": None,
                "finish_reason": "stop" if completion.stop.finished else "length",
            }
        ],
        "usage": {
            "prompt_tokens": counters.prompt_tokens,
            "completion_tokens": counters.answer_tokens,
            "total_tokens": counters.prompt_tokens + counters.answer_tokens,
        },
    }


def _json(value: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
