"""What every call goes through before a method sees it: who calls, is there room, one message in time, is it one.

The methods are served as streams of one message, which is the same on the wire: so who may not call is told that before
a byte of the message is read, and who never sends the message does not hold a place for long. Knows nothing of what the
methods do.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from capture.collector.clients import Clients, NotIdentified, TokensRefused
from capture.collector.metrics import Metrics

Request = TypeVar("Request", bound=Message)
Context = grpc.aio.ServicerContext[Any, Any]

BUSY_RETRY_SECONDS = 1.0
TROUBLE_RETRY_SECONDS = 30.0
SAID_AGAIN_AFTER_SECONDS = 60.0

_STATUS_DETAILS = "grpc-status-details-bin"

_log = logging.getLogger(__name__)


class Refused(Exception):
    """The call fails with this status; ``why`` is for counting, the message for the person behind the client."""

    def __init__(self, status: grpc.StatusCode, why: str, message: str, *, retry_seconds: float | None = None) -> None:
        self.status = status
        self.why = why
        self.retry_seconds = retry_seconds
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Method(Generic[Request]):
    """One method: ``answer`` gets the client's name, the request and its size in bytes, and may raise `Refused`."""

    name: str
    request: type[Request]
    answer: Callable[[str, Request, int], Awaitable[Message]]


class Places:
    """How many calls are worked on at once, and how many of one client."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._taken: Counter[str] = Counter()

    @contextmanager
    def one(self, client: str) -> Iterator[None]:
        """Hold a place; raises Refused where none is free."""
        if self._taken.total() >= self._most or self._taken[client] >= self._most_of_one:
            raise Refused(
                grpc.StatusCode.UNAVAILABLE,
                "busy",
                "the collector has as many calls as it works on at once; try again",
                retry_seconds=BUSY_RETRY_SECONDS,
            )
        self._taken[client] += 1
        try:
            yield
        finally:
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]


class Calls:
    """Makes handlers that gRPC can serve. ``clients`` None lets everybody call: for the health service only."""

    def __init__(
        self,
        clients: Clients | None,
        places: Places,
        metrics: Metrics,
        *,
        message_seconds: float,
    ) -> None:
        self._clients = clients
        self._places = places
        self._metrics = metrics
        self._message_seconds = message_seconds
        self._strangers = _Seldom(SAID_AGAIN_AFTER_SECONDS)
        self._trouble_with_tokens = ""

    def handler(self, method: Method[Any]) -> grpc.RpcMethodHandler[Any, Any]:
        """What serves one method."""

        async def serve(_: object, context: Context) -> bytes:
            client = ""
            try:
                client = self._who(context)
                with self._places.one(client):
                    message = await self._message(context)
                    request = _parsed(method, message)
                    reply = await method.answer(client, request, len(message))
            except Refused as refused:
                return await self._refuse(context, method.name, client, refused)
            except Exception as error:  # noqa: BLE001 (gRPC would send the text of whatever it was to the client)
                _log.error("a call failed in a way nobody foresaw", exc_info=error)
                unforeseen = Refused(grpc.StatusCode.INTERNAL, "unforeseen", "the collector failed; its log says where")
                return await self._refuse(context, method.name, client, unforeseen)
            self._metrics.call(method.name, grpc.StatusCode.OK.name)
            return reply.SerializeToString()

        return grpc.stream_unary_rpc_method_handler(serve)

    def _who(self, context: Context) -> str:
        if self._clients is None:
            return ""
        authorizations = [str(value) for key, value in context.invocation_metadata() or () if key == "authorization"]
        common_names = list(context.auth_context().get("x509_common_name", ()))
        try:
            client = self._clients.identify(authorizations, common_names)
        except NotIdentified as error:
            raise Refused(grpc.StatusCode.UNAUTHENTICATED, error.why, str(error)) from error
        except TokensRefused as error:
            if str(error) != self._trouble_with_tokens:
                self._trouble_with_tokens = str(error)
                _log.error("nobody can be identified: %s", error)
            raise Refused(
                grpc.StatusCode.UNAVAILABLE,
                "tokens_unreadable",
                "the collector cannot tell who calls; its keeper finds the reason in its log",
                retry_seconds=TROUBLE_RETRY_SECONDS,
            ) from error
        self._trouble_with_tokens = ""
        return client

    async def _message(self, context: Context) -> bytes:
        try:
            async with asyncio.timeout(self._message_seconds):
                message: Any = await context.read()
        except TimeoutError as error:
            raise Refused(grpc.StatusCode.DEADLINE_EXCEEDED, "slow", "the message did not come in time") from error
        if not isinstance(message, bytes):  # gRPC has refused it itself: too large, badly compressed; or there was none
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "no_message", "no message came that could be read")
        return message

    async def _refuse(self, context: Context, method: str, client: str, refused: Refused) -> bytes:
        self._metrics.call(method, refused.status.name, refused.why)
        fields = {"call": method, "client": client, "status": refused.status.name, "why": refused.why}
        if client:
            _log.info("refused", extra={"fields": fields})
        else:
            self._strangers.say((method, refused.why), fields)
        trailing: tuple[tuple[str, bytes], ...] = ()
        if refused.retry_seconds is not None:
            trailing = ((_STATUS_DETAILS, _details(refused)),)
        await context.abort(refused.status, str(refused), trailing)


class _Seldom:
    """Logs of each kind of refused stranger at most one line a minute: who knocks must not fill the disk."""

    def __init__(self, again_after_seconds: float) -> None:
        self._again_after_seconds = again_after_seconds
        self._said: dict[object, float] = {}
        self._unsaid: Counter[object] = Counter()

    def say(self, kind: object, fields: dict[str, Any]) -> None:
        now = time.monotonic()
        self._unsaid[kind] += 1
        if now - self._said.get(kind, -self._again_after_seconds) >= self._again_after_seconds:
            self._said[kind] = now
            _log.info("refused", extra={"fields": {**fields, "times": self._unsaid.pop(kind)}})


def _parsed(method: Method[Request], message: bytes) -> Request:
    try:
        return method.request.FromString(message)
    except DecodeError as error:
        name = method.request.DESCRIPTOR.name
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "no_protobuf", f"the message is no {name}") from error


def _details(refused: Refused) -> bytes:
    seconds = refused.retry_seconds or 0.0
    delay = Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1_000_000_000))
    packed = AnyMessage()
    packed.Pack(RetryInfo(retry_delay=delay))
    status: Message = Status(code=refused.status.value[0], message=str(refused), details=[packed])
    return status.SerializeToString()
