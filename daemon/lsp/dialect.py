"""What one kind of client speaks: how messages are told apart on the wire, which methods there are, how one cancels.

A new dialect is a file beside ``acp.py`` and a row in ``hub_server``'s table of purposes. Knows nothing of what a
method does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from daemon.lsp.framing import FrameParser, encode_message
from daemon.lsp.router import NOTIFICATIONS, REQUESTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from daemon.lsp.framing import BadFrame
    from daemon.lsp.session import Session


class Parser(Protocol):
    """Turns arriving bytes into message bodies."""

    def feed(self, data: bytes) -> list[bytes | BadFrame]:
        """Take ``data`` and return every body (or complaint) it completes, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """``cancel_method`` is a notification whose ``cancel_id`` names the request that nobody waits for any more.

    ``ends_by_request`` tells whether a client says goodbye; where it does not, the end of its input is the right end.
    """

    parser: Callable[[], Parser]
    encode: Callable[[dict[str, Any], Callable[[Any], Any]], bytes]
    requests: Mapping[str, Callable[[Session, Any], Awaitable[Any]]]
    notifications: Mapping[str, Callable[[Session, Any], None]]
    cancel_method: str
    cancel_id: str
    ends_by_request: bool


LSP = Dialect(
    parser=FrameParser,
    encode=encode_message,
    requests=REQUESTS,
    notifications=NOTIFICATIONS,
    cancel_method="$/cancelRequest",
    cancel_id="id",
    ends_by_request=True,
)
