"""The token that says who sends: read for each call, from a private file or the system's keyring, and kept nowhere.

Knows nothing of calls. No message here holds anything of a token.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import re
import stat
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from capture.upload.target import Target

KEYRING_SERVICE = "foretype"
KEYRING_SECONDS = 30.0  # the system may ask the person to unlock it
MAX_TOKEN_BYTES = 8192
OTHERS = 0o077

_TOKEN = re.compile(r"[!-~]+")  # what a header can hold without being changed on its way


class TokenUnavailable(Exception):
    """There is no token to send; the message names the cause and the cure, and nothing of the token."""


async def token_of(target: Target, keyring_seconds: float = KEYRING_SECONDS) -> str:
    """The target's token as it is now, empty where it has none. Raises TokenUnavailable."""
    if target.token_file:
        return await asyncio.to_thread(_from_file, target.token_file)
    if target.token_in_keyring:
        return await _from_keyring(target.address, keyring_seconds)
    return ""


def _from_file(path: str) -> str:
    try:
        # Without blocking: a pipe would keep whoever opens it waiting.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise TokenUnavailable(f"cannot read the token file {path}: {error.strerror}") from None
    try:
        _check_file(path, os.fstat(descriptor))
        text = os.read(descriptor, MAX_TOKEN_BYTES + 1)
    except OSError as error:
        raise TokenUnavailable(f"cannot read the token file {path}: {error.strerror}") from None
    finally:
        os.close(descriptor)
    return _checked(text, f"the token file {path}")


def _check_file(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise TokenUnavailable(f"the token file {path} is no regular file")
    if found.st_uid != os.geteuid():
        raise TokenUnavailable(f"the token file {path} belongs to another user; make one of your own")
    if found.st_mode & OTHERS:
        raise TokenUnavailable(f"others may use the token file {path}; run: chmod 600 {path}")


async def _from_keyring(address: str, seconds: float) -> str:
    place = f"the keyring (service {KEYRING_SERVICE}, user {address})"
    try:
        async with asyncio.timeout(seconds):
            found = await _in_own_thread(lambda: _ask_keyring(address))
    except TimeoutError:
        raise TokenUnavailable(f"the keyring did not answer in {seconds:g} s; unlock it, or use a token file") from None
    if found is None:
        cure = f"run: python -m keyring set {KEYRING_SERVICE} {address}"
        raise TokenUnavailable(f"there is no token in {place}; {cure}")
    return _checked(found.encode(), place)


def _ask_keyring(address: str) -> str | None:
    try:
        import keyring  # noqa: PLC0415 (looks for every backend there is, which takes a while)
        import keyring.errors  # noqa: PLC0415
    except ImportError:
        raise TokenUnavailable("the package keyring is not installed; install it, or use a token file") from None
    try:
        return keyring.get_password(KEYRING_SERVICE, address)
    except keyring.errors.NoKeyringError:
        raise TokenUnavailable("this system has no keyring; use a token file") from None
    except keyring.errors.KeyringLocked:
        raise TokenUnavailable("the keyring is locked; unlock it, or use a token file") from None
    except keyring.errors.KeyringError as error:
        raise TokenUnavailable(f"the keyring failed ({type(error).__name__}); use a token file") from None


async def _in_own_thread(ask: Callable[[], str | None]) -> str | None:
    """Its result or exception. The thread dies with the process: a dialogue that nobody answers holds up no exit."""
    loop = asyncio.get_running_loop()
    asked: concurrent.futures.Future[str | None] = concurrent.futures.Future()
    asked.set_running_or_notify_cancel()  # whoever waits may give up; the thread cannot

    def run() -> None:
        try:
            found = ask()
        except TokenUnavailable as error:
            asked.set_exception(error)
        except Exception as error:  # noqa: BLE001 (backends are other people's, and raise whatever they like)
            words = f"the keyring failed ({type(error).__name__}); use a token file"
            asked.set_exception(TokenUnavailable(words))
        else:
            asked.set_result(found)

    threading.Thread(target=run, name="foretype-keyring", daemon=True).start()
    return await asyncio.wrap_future(asked, loop=loop)


def _checked(text: bytes, place: str) -> str:
    """The token without the line end behind it; raises TokenUnavailable."""
    if len(text) > MAX_TOKEN_BYTES:
        raise TokenUnavailable(f"{place} holds more than {MAX_TOKEN_BYTES} bytes, which is no token")
    token = text.strip().decode("latin-1")
    if not token:
        raise TokenUnavailable(f"{place} is empty; put the token there that `foretype collect token add` printed")
    if not _TOKEN.fullmatch(token):
        raise TokenUnavailable(f"{place} holds more than one line of plain characters, which is no token")
    return token
