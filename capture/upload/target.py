"""Where snapshots are sent, and how: the settings' values, what is wrong with them, and the files they name.

Plain text goes to this very machine only, and only when asked for. Knows nothing of tokens or of gRPC.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable

# Not every name resolves, but what has none of these characters cannot smuggle a scheme or a second address.
_ADDRESS = re.compile(r"(?:\[(?P<bracketed>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_CURE = "; see `upload` in docs/settings.md"


class TargetUnusable(Exception):
    """Nothing can be sent with these settings; the message names the cause and the cure."""


@dataclass(frozen=True, slots=True)
class Target:
    """A collector. ``address`` is "host:port", an IPv6 address in brackets; files are absolute paths, empty for none.

    The token comes from ``token_file`` or, where ``token_in_keyring``, from the system's keyring; with neither none is
    sent, which is for collectors that know their clients by certificate. ``ca_file`` takes the place of the system's
    authorities. ``plain_text`` asks for no encryption, which is for collectors on this machine.
    """

    address: str
    token_file: str = ""
    token_in_keyring: bool = False
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    plain_text: bool = False


class Certificates(NamedTuple):
    """PEM texts. ``authorities`` None: those gRPC comes with."""

    authorities: bytes | None
    certificate: bytes | None
    key: bytes | None


def problem(target: Target) -> str:
    """Why nothing may be sent there, in words; empty where it may. Reads the certificate files, not the token."""
    try:
        certificates_of(target)
    except TargetUnusable as unusable:
        return str(unusable)
    return ""


def certificates_of(target: Target) -> Certificates:
    """What a channel to the target is made with, read anew; nothing for plain text. Raises TargetUnusable."""
    _check(target)
    if target.plain_text:
        return Certificates(None, None, None)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # only to find out what is wrong, and to say it
    if target.ca_file:
        given = _read(target.ca_file, "the file of authorities")
        try:
            context.load_verify_locations(cadata=given.decode("ascii"))
        except (ssl.SSLError, ValueError):
            raise TargetUnusable(f"{target.ca_file} holds no certificates in PEM form{_CURE}") from None
        authorities: bytes | None = given
    else:
        authorities = _system_authorities()
    if not target.certificate_file:
        return Certificates(authorities, None, None)
    certificate = _read(target.certificate_file, "the client certificate")
    key = _read(target.key_file, "its key")
    try:
        context.load_cert_chain(target.certificate_file, target.key_file, password="")
    except (ssl.SSLError, ValueError, OSError):
        files = f"{target.certificate_file} and {target.key_file}"
        raise TargetUnusable(f"{files} are no certificate and its key, in PEM form and without a password") from None
    return Certificates(authorities, certificate, key)


def setup_of(target: Target) -> Hashable:
    """What differs once the target, or a file that it names, is another: a few ``stat``, no reading."""
    files = (target.token_file, target.ca_file, target.certificate_file, target.key_file)
    return (target, *(_stamp(file) for file in files if file))


def channel_address(target: Target) -> str:
    """The address as gRPC takes it, with its scheme, so that no host name is taken for one."""
    return f"dns:///{target.address}"


def _check(target: Target) -> None:
    match = _ADDRESS.fullmatch(target.address)
    if match is None or not 0 < int(match["port"]) < 65_536:
        raise TargetUnusable(f"the collector's address {target.address!r} is not host:port, as in team.example:4317")
    if target.token_file and target.token_in_keyring:
        raise TargetUnusable(f"the token is to come from a file and from the keyring; choose one{_CURE}")
    if bool(target.certificate_file) != bool(target.key_file):
        raise TargetUnusable(f"a client certificate needs its key, and a key its certificate; name both files{_CURE}")
    files = (target.token_file, target.ca_file, target.certificate_file, target.key_file)
    for file in files:
        if file and not Path(file).is_absolute():
            raise TargetUnusable(f"{file} is no absolute path{_CURE}")
    if not target.plain_text:
        return
    if not _is_loopback(match["bracketed"] or match["host"]):
        raise TargetUnusable(
            f"plain text may go to this machine only (127.0.0.1, [::1], localhost), not to {target.address};"
            " leave it out, so that TLS is used, or tunnel to the collector"
        )
    if target.ca_file or target.certificate_file:
        raise TargetUnusable(f"certificates are of no use with plain text; leave out one or the other{_CURE}")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _system_authorities() -> bytes | None:
    """Python's gRPC has a list of its own and does not look at the system's, where companies add theirs."""
    found = ssl.get_default_verify_paths().cafile
    return _read(found, "the system's file of authorities") if found else None


def _read(file: str, what: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise TargetUnusable(f"cannot read {what}, {file}: {error.strerror}{_CURE}") from None


def _stamp(file: str) -> Hashable:
    try:
        found = Path(file).stat()
    except OSError as error:
        return error.errno
    return (
        found.st_dev,
        found.st_ino,
        found.st_mode,
        found.st_uid,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    )
