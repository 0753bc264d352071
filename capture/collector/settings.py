"""How a collector is to serve: where it listens, with which certificates, how much one client may send.

Values only, checked when they are made; imports nothing that is not part of Python, so that a command line can be built
of them before anything slow is loaded.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass, field
from pathlib import Path

MAX_BATCH_SNAPSHOTS = 64
MAX_BATCH_BYTES = 1 << 20
SNAPSHOTS_PER_MINUTE = 6_000
MEBIBYTES_PER_MINUTE = 64
STOP_SECONDS = 10.0  # as long as a client waits for one call
MESSAGE_SECONDS = 30.0  # a mebibyte over a poor line
LOOK_AT_STORAGE_SECONDS = 10.0

_ADDRESS = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^\[\]:]+)):(?P<port>[0-9]{1,5})")


class SettingsRefused(Exception):
    """A collector cannot serve so; the message names the cause and the cure."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 lets the system choose one."""

    host: str
    port: int

    @classmethod
    def read(cls, text: str) -> Address:
        """``127.0.0.1:7400``, ``[::]:7400``, ``localhost:7400``. Raises SettingsRefused."""
        form = _ADDRESS.fullmatch(text)
        if form is None or int(form["port"]) > 65_535:
            raise SettingsRefused(f"{text!r} is no address; write it as 127.0.0.1:7400 or [::1]:7400")
        return cls(form["six"] or form["host"], int(form["port"]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def is_loopback(self) -> bool:
        """Whether only this machine can reach it. Raises SettingsRefused where the name stands for no address."""
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise SettingsRefused(f"{self.host!r} stands for no address here; give one in figures") from error
        return all(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files: the chain, its key, and the authority of the clients' certificates, where they must have one."""

    certificate: Path
    key: Path
    client_authority: Path | None = None


@dataclass(frozen=True, slots=True)
class Quota:
    """What each client may send in a minute; 0 is no limit. Raises SettingsRefused where one batch would not fit."""

    snapshots_per_minute: int = SNAPSHOTS_PER_MINUTE
    bytes_per_minute: int = MEBIBYTES_PER_MINUTE << 20

    def __post_init__(self) -> None:
        if 0 < self.snapshots_per_minute < MAX_BATCH_SNAPSHOTS:
            raise SettingsRefused(f"one batch has up to {MAX_BATCH_SNAPSHOTS} snapshots; grant as many a minute, or 0")
        if 0 < self.bytes_per_minute < MAX_BATCH_BYTES:
            raise SettingsRefused(f"one batch has up to {MAX_BATCH_BYTES} bytes; grant as many a minute, or 0")


@dataclass(frozen=True, slots=True)
class Settings:
    """Raises SettingsRefused for what would let others read: plain text or metrics beyond this machine.

    ``certificates`` None means plain text. ``stop_seconds`` are for calls in progress when it stops,
    ``message_seconds`` for the message of a call; ``look_at_storage_seconds`` lie between two looks at how it is.
    """

    listen: Address
    certificates: CertificateFiles | None
    metrics: Address | None = None
    quota: Quota = field(default_factory=Quota)
    stop_seconds: float = STOP_SECONDS
    message_seconds: float = MESSAGE_SECONDS
    look_at_storage_seconds: float = LOOK_AT_STORAGE_SECONDS

    def __post_init__(self) -> None:
        if self.certificates is None and not self.listen.is_loopback():
            raise SettingsRefused(
                f"{self.listen} can be reached from elsewhere, and plain text be read on the way; give a certificate "
                "and its key, or listen on a loopback address"
            )
        if self.metrics is not None and not self.metrics.is_loopback():
            raise SettingsRefused(f"{self.metrics} can be reached from elsewhere; show metrics on a loopback address")
