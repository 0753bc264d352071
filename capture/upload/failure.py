"""A failed gRPC call in words, with its cure, and what the collector asked for. Knows nothing of what is done about it.

The other end may write anything into a status: it is shown only where a collector explains itself to a person, in one
printable line, and never with the token in it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import grpc
from google.protobuf.message import DecodeError
from google.rpc import (
    error_details_pb2,
    status_pb2,
)

from capture.upload.retries import BAD_REPLY, MESSAGE_TOO_LARGE, Failure

if TYPE_CHECKING:
    from capture.upload.target import Target

DETAILS_KEY = "grpc-status-details-bin"
MAX_SHOWN_CHARACTERS = 200

# What gRPC writes when no connection comes about -> cause and cure. It has no codes for these.
_NO_CONNECTION = (
    ("certificate has expired", "its certificate has expired; whoever runs the collector has to renew it"),
    ("certificate is not yet valid", "its certificate is not valid yet; check this machine's clock"),
    (
        "Hostname Verification Check failed",
        "its certificate is for another host name; use the name that is in it as the address",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "no authority that is trusted here has signed its certificate; name the file of the one that has",
    ),
    ("WRONG_VERSION_NUMBER", "it does not speak TLS; nothing is sent to it in plain text"),
    ("PROTOCOL_VERSION", "it speaks no TLS of version 1.2 or newer; whoever runs it has to allow one"),
    ("Connection refused", "nothing listens there; is the collector running, and the port right"),
    ("Domain name not found", "its name is not known; check the address, and the network"),
    ("hostname lookup error", "its name cannot be looked up; check the network"),
    ("Network is unreachable", "the network cannot be reached"),
    ("No route to host", "the network has no way there"),
    ("handshake", "no TLS connection came about; does the collector ask for a client certificate"),
    ("reset by peer", "it broke off the connection; is something in between that does not let it through"),
    ("Socket closed", "it closed the connection; does the collector ask for TLS, or for a client certificate"),
)
# What gRPC writes with UNKNOWN where no status came: damage on the way to us, and a stream that ended in the middle.
_BROKEN_OFF = ("Stream removed", "Unwrap failed")
_EXPLAINED = {
    "UNAUTHENTICATED": "the collector does not accept the token; put a new one in its place",
    "PERMISSION_DENIED": "the collector refuses this client or this installation; ask whoever runs it",
    "UNIMPLEMENTED": "what answers there is no collector, or one of another version; check the address",
    "RESOURCE_EXHAUSTED": "the collector takes no more for now",
    "UNAVAILABLE": "the collector cannot take anything for now",
    "DEADLINE_EXCEEDED": "the collector did not answer in time",
    "INVALID_ARGUMENT": "the collector calls the request malformed; is it of another version",
    BAD_REPLY: "its reply is larger than any that a collector has reason to send",
    MESSAGE_TOO_LARGE: "the request is larger than what the collector, or a proxy before it, takes",
}
# Their details are meant for people. Those of the others may quote what was sent.
_SHOWN = {"UNAUTHENTICATED", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "UNAVAILABLE"}


def failure_of(error: grpc.aio.AioRpcError, target: Target, token: str) -> Failure:
    """What went wrong, in words that hold neither the token nor anything of a snapshot."""
    code, details = error.code().name, error.details() or ""
    asked = retry_after_seconds(error)
    if code == "RESOURCE_EXHAUSTED" and asked is None and "larger than max" in details:
        code = BAD_REPLY if "CLIENT: Received" in details else MESSAGE_TOO_LARGE
    where = f"collector {target.address}: "
    if code == "UNKNOWN" and any(mark in details for mark in _BROKEN_OFF):
        return Failure("UNAVAILABLE", f"{where}the connection broke off, or what came over it was damaged")
    if code == "UNAVAILABLE" and asked is None:
        for mark, words in _NO_CONNECTION:
            if mark in details:
                return Failure(code, where + words)
    words = _EXPLAINED.get(code, f"the collector failed with {code}; its log may tell why")
    said = _one_line(details, token) if code in _SHOWN else ""
    return Failure(code, f"{where}{words}{f' (it says: {said})' if said else ''}", asked)


def retry_after_seconds(error: grpc.aio.AioRpcError) -> float | None:
    """The delay of the RetryInfo that came with a status, None where none did that can be read."""
    for key, value in error.trailing_metadata():
        if key != DETAILS_KEY or not isinstance(value, bytes):
            continue
        try:
            status = status_pb2.Status.FromString(value)
            for detail in status.details:
                info = error_details_pb2.RetryInfo()
                if detail.Unpack(info):
                    return _seconds(info.retry_delay.seconds, info.retry_delay.nanos)
        except DecodeError:
            return None
    return None


def _seconds(seconds: int, nanoseconds: int) -> float:
    return max(0.0, math.fsum((seconds, nanoseconds / 1e9)))


def _one_line(text: str, token: str) -> str:
    shown = text.replace(token, "...") if token else text
    shown = "".join(character if character.isprintable() else " " for character in shown)
    shown = " ".join(shown.split())
    return shown if len(shown) <= MAX_SHOWN_CHARACTERS else shown[: MAX_SHOWN_CHARACTERS - 3] + "..."
