"""JSON-RPC of one connection: pygls's dispatch with a lenient layer around it.

pygls keeps the table of requests in flight, runs the handlers as tasks, cancels them and matches the
answers to our own requests. What it does around that is replaced: its reader (see ``dialect``), its writer
(``outgoing``), and its typed parameters. Typed parameters drop the fields Copilot's dialect adds to
standard methods, leave a request without any answer when one field is malformed, and turn errors into
pop-ups; here every handler gets the raw JSON value and checks what it needs (``params``). lsprotocol's
types are used for what we send. Knows nothing of documents or predictions.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import traceback
import uuid
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lsprotocol.converters import get_converter
from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInternalError,
    JsonRpcInvalidRequest,
    JsonRpcMethodNotFound,
    JsonRpcParseError,
    JsonRpcRequestCancelled,
    JsonRpcServerNotInitialized,
)
from pygls.protocol import JsonRPCProtocol
from pygls.server import JsonRPCServer

from daemon.lsp.framing import BadFrame, decode_body
from daemon.lsp.params import member

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from cattrs import Converter

    from daemon.lsp.dialect import Dialect
    from daemon.lsp.outgoing import Outgoing

    RequestHandler = Callable[[Any], Awaitable[Any]]
    NotificationHandler = Callable[[Any], None]

log = logging.getLogger(__name__)
# pygls logs whole messages, and with them the text of the user's files.
logging.getLogger("pygls").setLevel(logging.CRITICAL + 1)


class Lifecycle(Enum):
    """The life of a session, as the specification draws it."""

    CREATED = "created"
    INITIALIZED = "initialized"
    SHUT_DOWN = "shut down"


class LenientProtocol(JsonRPCProtocol):
    """One connection's dispatch. ``requests`` and ``notifications`` are the dialect's tables, bound."""

    def __init__(
        self,
        outgoing: Outgoing,
        dialect: Dialect,
        requests: Mapping[str, RequestHandler],
        notifications: Mapping[str, NotificationHandler],
    ) -> None:
        super().__init__(_QuietServer(JsonRPCProtocol, shared_converter), shared_converter())
        # pygls types its table for one kind of future and keeps tasks in it: the client's requests. Our own
        # requests are plain futures in the same table.
        self._in_flight: dict[Any, Any] = self._request_futures
        self.lifecycle = Lifecycle.CREATED
        self._outgoing = outgoing
        self._dialect = dialect
        self._requests = requests
        self._notifications = notifications

    # What arrives

    def receive(self, frame: bytes | BadFrame) -> None:
        """Dispatch one frame; whatever it holds, the session stays usable."""
        if isinstance(frame, BadFrame):
            self._refuse(None, JsonRpcParseError(frame.reason))
            return
        try:
            message = decode_body(frame)
        except ValueError:
            self._refuse(None, JsonRpcParseError("the body is not JSON"))
            return
        if not isinstance(message, dict):
            self._refuse(None, JsonRpcInvalidRequest("a message is one JSON object"))
            return
        method = message.get("method")
        if isinstance(method, str):
            self._receive_call(message, method)
        elif "result" in message or "error" in message:
            self._receive_response(message)
        else:
            self._refuse(_answerable(message.get("id")), JsonRpcInvalidRequest("neither a call nor an answer"))

    def _receive_call(self, message: dict[str, Any], method: str) -> None:
        params = message.get("params")
        message_id = message.get("id")
        if message_id is None:
            # A null id is not allowed; JSON-RPC 1 wrote notifications so. Only a real request is told.
            known = method in self._notifications
            if "id" in message and not known:
                self._refuse(None, JsonRpcInvalidRequest("a request needs an id that is not null"))
                return
            self._receive_notification(method, params)
        elif _answerable(message_id) is None:
            self._refuse(None, JsonRpcInvalidRequest("an id is a number or a string"))
        elif (refusal := self._request_refusal(method)) is not None:
            self._refuse(message_id, refusal)
        else:
            # ``handle_message`` would first find out anew what kind of message this is, which takes longer than ours.
            contextvars.copy_context().run(self._handle_request, message_id, method, params)

    def _receive_notification(self, method: str, params: Any) -> None:
        if self.lifecycle is not Lifecycle.INITIALIZED and method != "exit":
            return
        self._handle_notification(method, params)

    def _receive_response(self, message: dict[str, Any]) -> None:
        message_id = message.get("id")
        answered = self._in_flight.get(message_id) if isinstance(message_id, str) else None
        if answered is None or isinstance(answered, asyncio.Task) or answered.done():
            return  # unknown, late, or a request of the peer's own
        if "error" in message:
            text, code = member(message, "error", "message"), member(message, "error", "code")
            answered.set_exception(
                JsonRpcException(text if isinstance(text, str) else None, code if isinstance(code, int) else None)
            )
        else:
            answered.set_result(message.get("result"))

    def _request_refusal(self, method: str) -> JsonRpcException | None:
        if self.lifecycle is Lifecycle.SHUT_DOWN:
            return JsonRpcInvalidRequest("the session was shut down")
        if self.lifecycle is Lifecycle.CREATED and method != "initialize":
            return JsonRpcServerNotInitialized("initialize comes first")
        if self.lifecycle is not Lifecycle.CREATED and method == "initialize":
            return JsonRpcInvalidRequest("the session is initialized already")
        return None

    def _get_handler(self, feature_name: str) -> Any:
        handler: Any = self._requests.get(feature_name) or self._notifications.get(feature_name)
        if handler is None:
            raise JsonRpcMethodNotFound.of(feature_name)
        return handler

    def _handle_notification(self, method_name: str, params: Any) -> None:
        if method_name == self._dialect.cancel_method:
            target = params.get(self._dialect.cancel_id) if isinstance(params, dict) else None
            if isinstance(target, (int, str)):
                self._cancel(target)
            return
        handler = self._notifications.get(method_name)
        if handler is None:
            return
        try:
            handler(params)
        except JsonRpcException as error:
            log.info("dropped a malformed notification: %s", error.message)
        except Exception as error:  # noqa: BLE001  the boundary: a defect costs one message, not the session
            _log_defect(error)

    def _cancel(self, message_id: int | str) -> None:
        future = self._in_flight.get(message_id)
        if isinstance(future, asyncio.Task):  # anything else is a request of ours
            future.cancel()

    def requests_in_flight(self) -> list[asyncio.Task[Any]]:
        """The tasks that will answer the client's requests."""
        return [future for future in self._in_flight.values() if isinstance(future, asyncio.Task)]

    # What leaves

    def _send_handler_result(self, future: Any, *, msg_id: int | str) -> None:
        if self._in_flight.get(msg_id) is future:
            del self._in_flight[msg_id]
        if future.cancelled():
            self._refuse(msg_id, JsonRpcRequestCancelled("the request was cancelled"))
            return
        error = future.exception()
        if error is None:
            self._send_response(msg_id, result=future.result())
        elif isinstance(error, JsonRpcException):
            self._refuse(msg_id, error)
        else:
            _log_defect(error)
            self._refuse(msg_id, JsonRpcInternalError(type(error).__name__))

    def _refuse(self, message_id: int | str | None, error: JsonRpcException) -> None:
        refusal = {"code": error.code, "message": error.message}
        self._send_data({"jsonrpc": self.VERSION, "id": message_id, "error": refusal})

    def _send_response(self, msg_id: int | str, result: Any = None, error: Any = None) -> None:
        if error is None:
            self._send_data({"jsonrpc": self.VERSION, "id": msg_id, "result": result})
        else:
            refusal = {"code": error.code, "message": error.message}
            self._send_data({"jsonrpc": self.VERSION, "id": msg_id, "error": refusal})

    def _send_data(self, data: dict[str, Any]) -> None:
        self._outgoing.send(self._dialect.encode(data, self._converter.unstructure))

    def notify(self, method: str, params: Any = None) -> None:
        """Send a notification; ``params`` is JSON or an lsprotocol value."""
        self._send_data({"jsonrpc": self.VERSION, "method": method, "params": params})

    async def ask(self, method: str, params: Any) -> Any:
        """Send a request and return its result; raises JsonRpcException when the client refuses."""
        message_id = str(uuid.uuid4())
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._in_flight[message_id] = answer
        self._send_data(
            {
                "jsonrpc": self.VERSION,
                "id": message_id,
                "method": method,
                "params": params,
            }
        )
        try:
            return await answer
        finally:
            self._in_flight.pop(message_id, None)


class _QuietServer(JsonRPCServer):
    """What pygls wants beside a protocol. Errors are answered where they happen, never shown as pop-ups."""

    def report_server_error(self, error: Exception, source: Any) -> None:  # noqa: ARG002  (pygls's signature)
        log.debug("%s", type(error).__name__)


@lru_cache(maxsize=1)
def shared_converter() -> Converter:
    """Lsprotocol's converter; building one takes a noticeable part of a second, so all sessions share it."""
    return get_converter()


def _answerable(message_id: Any) -> int | str | None:
    """The id when an answer can carry it, else None."""
    if isinstance(message_id, str):
        return message_id
    if isinstance(message_id, int) and not isinstance(message_id, bool) and abs(message_id) < 2**53:
        return message_id
    return None


def _log_defect(error: BaseException) -> None:
    """Log a defect of ours: its type and places in our code, but not its text, which may quote a file."""
    log.error("%s in a handler\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
