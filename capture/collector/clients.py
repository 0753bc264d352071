"""Who may speak to a collector: bearer tokens, known by their SHA-256 alone, and names in client certificates.

The tokens stand in one JSON file of its owner's, read again whenever it changes: what is revoked counts with the next
call. A token is shown once, when it is made, and is nowhere kept. Knows nothing of gRPC, nor of what clients send.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from capture.file_lock import FileLock
from capture.rereading import Rereading
from capture.whole_file import write_whole

FORMAT = 1  # of the file
TOKEN_BYTES = 32
LOCK_SECONDS = 10.0
DAY_SECONDS = 86_400.0

Why = Literal["missing", "unknown", "expired", "revoked", "no_certificate", "another_name"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)


class NotIdentified(Exception):
    """Nobody we know calls. The message is for the person behind the client and holds no token; ``why`` is counted."""

    def __init__(self, why: Why, message: str) -> None:
        self.why = why
        super().__init__(message)


class TokensRefused(Exception):
    """The tokens file cannot be used, or not be changed so; the message names the cause and the cure."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of one token. Times are seconds since the epoch; None where it never expires or is not revoked."""

    name: str
    sha256: str
    made_at: float
    expires_at: float | None = None
    revoked_at: float | None = None

    def state(self, now: float) -> Literal["valid", "expired", "revoked"]:
        """What it is good for at ``now``."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and now >= self.expires_at else "valid"


class TokenBook:
    """The tokens file. ``clock`` gives seconds since the epoch."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        self._reading = Rereading(path, _read)

    def all(self) -> tuple[Token, ...]:
        """Every token ever made, oldest first; none where there is no file. Raises TokensRefused."""
        return self._reading.current()

    def add(self, name: str, *, days: float | None = None) -> str:
        """Make a token for a client and return it: nobody can read it again. Raises TokensRefused.

        A client may have several, so that a new one can be handed out before the old one is revoked.
        """
        if not _NAME.fullmatch(name):
            raise TokensRefused(
                f"{name!r} is no name of a client: take 1 to 64 letters, digits and . _ @ -, a letter or digit first"
            )
        if days is not None and not 0 < days <= 36_500:
            raise TokensRefused("a token is good for more than 0 and at most 36500 days")
        token = f"foretype_{secrets.token_urlsafe(TOKEN_BYTES)}"
        now = self._clock()
        made = Token(name, _fingerprint(token), now, None if days is None else now + days * DAY_SECONDS)
        with self._changing() as tokens:
            self._write((*tokens, made))
        return token

    def revoke(self, name: str, *, keep_newest: bool = False) -> int:
        """Make a client's tokens worthless from now on, or all but the newest; says how many. Raises TokensRefused."""
        with self._changing() as tokens:
            alive = [token for token in tokens if token.name == name and token.revoked_at is None]
            gone = {token.sha256 for token in (alive[:-1] if keep_newest else alive)}
            now = self._clock()
            if gone:
                self._write(replace(token, revoked_at=now) if token.sha256 in gone else token for token in tokens)
        return len(gone)

    def holder(self, token: str) -> Token | None:
        """Whose token this is, good or not; all are compared, in constant time each. Raises TokensRefused."""
        fingerprint = _fingerprint(token)
        found = None
        for known in self.all():
            if hmac.compare_digest(known.sha256, fingerprint):
                found = known
        return found

    @contextmanager
    def _changing(self) -> Iterator[tuple[Token, ...]]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = FileLock(self.path.with_name(f"{self.path.name}.lock"))
        except OSError as error:
            raise TokensRefused(f"{self.path} cannot be written: {error.strerror}; make that possible") from error
        try:
            if not lock.take(within_seconds=LOCK_SECONDS):
                raise TokensRefused(f"another command is changing {self.path}; try again")
            yield _read(self.path)
        finally:
            lock.close()

    def _write(self, tokens: Iterator[Token] | Sequence[Token]) -> None:
        value = {"format": FORMAT, "tokens": [asdict(token) for token in tokens]}
        try:
            write_whole(self.path, json.dumps(value, indent=2) + "\n", durably=True)
        except OSError as error:
            raise TokensRefused(f"{self.path} cannot be written: {error.strerror}; make that possible") from error


class Clients:
    """Says who calls. At least one of ``tokens`` and ``certificates`` is asked for; with both, both must agree."""

    def __init__(self, tokens: TokenBook | None, *, certificates: bool, clock: Callable[[], float] = time.time) -> None:
        if tokens is None and not certificates:
            raise ValueError("a collector that asks for neither tokens nor certificates would take from anybody")
        self._tokens = tokens
        self._certificates = certificates
        self._clock = clock

    def identify(self, authorizations: Sequence[str], common_names: Sequence[bytes]) -> str:
        """The client's name. Raises NotIdentified, and TokensRefused where the file cannot be read now.

        ``authorizations`` are the values that came as ``authorization``, ``common_names`` those of the certificate that
        the connection was verified with.
        """
        if self._tokens is None:
            return _certified(common_names)
        name = self._by_token(self._tokens, authorizations)
        if self._certificates and _certified(common_names) != name:
            raise NotIdentified("another_name", "the token was made for another client than the certificate names")
        return name

    def _by_token(self, tokens: TokenBook, authorizations: Sequence[str]) -> str:
        bearer = _BEARER.fullmatch(authorizations[0]) if len(authorizations) == 1 else None
        if bearer is None:
            raise NotIdentified("missing", "no token came with the call; this collector asks for `Bearer TOKEN`")
        token = tokens.holder(bearer[1])
        if token is None:
            raise NotIdentified("unknown", "this collector does not know the token; ask its keeper for one")
        state = token.state(self._clock())
        if state == "revoked":
            raise NotIdentified("revoked", f"the token of {token.name} was revoked; ask the collector's keeper why")
        if state == "expired":
            raise NotIdentified("expired", f"the token of {token.name} has expired; ask the collector's keeper for one")
        return token.name


def _certified(common_names: Sequence[bytes]) -> str:
    try:
        names = [name.decode() for name in common_names]
    except UnicodeDecodeError:
        names = []
    if len(names) != 1 or not names[0].strip():
        raise NotIdentified("no_certificate", "the client's certificate names nobody: it needs one common name")
    return names[0]


def _fingerprint(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _read(path: Path) -> tuple[Token, ...]:
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            text = file.read()
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise TokensRefused(f"the tokens file {path} cannot be read; make it a text file that you may read") from error
    if mode & 0o077:
        raise TokensRefused(f"the tokens file {path} is open to other users; run: chmod 600 {path}")
    try:
        return tuple(_tokens_of(json.loads(text)))
    except (ValueError, RecursionError) as error:
        raise TokensRefused(f"the tokens file {path} is damaged: {error}; restore it, or move it away") from error


def _tokens_of(value: Any) -> Iterator[Token]:
    if not isinstance(value, dict) or value.get("format") != FORMAT or not isinstance(value.get("tokens"), list):
        raise ValueError(f"it is not of format {FORMAT}")
    for number, entry in enumerate(value["tokens"], start=1):
        if not isinstance(entry, dict) or set(entry) != set(Token.__dataclass_fields__):
            raise ValueError(f"token {number} has other members than this version knows")
        times = (entry["made_at"], entry["expires_at"], entry["revoked_at"])
        texts = entry["name"], entry["sha256"]
        if not all(isinstance(text, str) for text in texts) or not _SHA256.fullmatch(entry["sha256"]):
            raise ValueError(f"the name or sha256 of token {number} is none")
        if times[0] is None or not all(_is_time(when) for when in times if when is not None):
            raise ValueError(f"a time of token {number} is none")
        yield Token(**entry)


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12
