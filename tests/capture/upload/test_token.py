"""Where the token is read from, what is refused, and that no message tells anything of it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

import keyring
import keyring.backend
import keyring.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.upload.target import Target
from capture.upload.token import TokenUnavailable, token_of

SECRET = "ft-SECRET-0123456789abcdef"


@pytest.fixture
def write(tmp_path):
    def make(content, mode=0o600):
        path = tmp_path / "token"
        path.write_bytes(content)
        path.chmod(mode)
        return Target("team.example:1", token_file=str(path))

    return make


async def refusal(target, **options):
    with pytest.raises(TokenUnavailable) as raised:
        await token_of(target, **options)
    told = "".join(map(str, (raised.value, raised.value.__cause__, repr(raised.value))))
    assert "SECRET" not in told
    return str(raised.value)


@pytest.mark.parametrize("content", [SECRET, SECRET + "\n", SECRET + "\r\n", f"  {SECRET}\n\n"])
async def test_a_private_file_holds_one_token_with_or_without_a_line_end(write, content):
    assert await token_of(write(content.encode())) == SECRET


async def test_a_token_that_changes_counts_at_once(write):
    target = write(b"first")
    assert await token_of(target) == "first"
    write(b"second")
    assert await token_of(target) == "second"


async def test_without_a_source_there_is_no_token():
    assert await token_of(Target("team.example:1")) == ""


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o602, 0o610])
async def test_a_file_that_others_may_use_is_refused_with_the_cure(write, mode):
    assert "chmod 600" in await refusal(write(SECRET.encode(), mode))


@pytest.mark.parametrize("content", [b"", b"\n", b"   \n\n"])
async def test_an_empty_file_is_refused(write, content):
    assert "is empty" in await refusal(write(content))


@pytest.mark.parametrize(
    "content",
    [b"SECRET\nSECRET\n", b"SECRET SECRET", b"SECRET\x00", "SECRETÄ".encode(), b"SECRET\r\nx: y", b"\xff\xfe"],
)
async def test_what_is_no_header_value_is_refused(write, content):
    assert "more than one line of plain characters" in await refusal(write(content))


async def test_a_large_file_is_no_token(write):
    assert "more than 8192 bytes" in await refusal(write(b"SECRET" * 2000))


async def test_a_missing_file_a_folder_a_pipe_and_a_device_are_refused_without_waiting(tmp_path):
    (tmp_path / "folder").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "pipe", 0o600)
    told = {
        name: await refusal(Target("team.example:1", token_file=str(tmp_path / name)))
        for name in ("none", "folder", "pipe")
    }
    told["device"] = await refusal(Target("team.example:1", token_file="/dev/null"))
    assert "No such file" in told["none"]
    assert all("no regular file" in told[name] for name in ("folder", "pipe", "device"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
async def test_a_file_of_another_user_is_refused(write):
    target = write(SECRET.encode())
    os.chown(target.token_file, 12345, 12345)
    assert "another user" in await refusal(target)


@given(st.binary(max_size=200))
def test_whatever_is_in_the_file_is_a_token_of_visible_characters_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "token"
    path.write_bytes(content)
    path.chmod(0o600)
    try:
        token = asyncio.run(token_of(Target("team.example:1", token_file=str(path))))
    except TokenUnavailable:
        return
    assert token.encode() == content.strip()
    assert token.isascii()
    assert token.isprintable()
    assert " " not in token


class Backend(keyring.backend.KeyringBackend):
    """A keyring that does what ``get`` does."""

    priority = 1

    def __init__(self, get):
        super().__init__()
        self.get = get
        self.asked = []

    def get_password(self, service, username):
        self.asked.append((service, username, threading.current_thread() is threading.main_thread()))
        return self.get()

    def set_password(self, service, username, password): ...


@pytest.fixture
def use_keyring():
    """Make a keyring that answers as told the system's."""
    before = keyring.get_keyring()

    def use(get):
        backend = Backend(get)
        keyring.set_keyring(backend)
        return backend

    yield use
    keyring.set_keyring(before)


def failing(error):
    def get():
        raise error

    return get


IN_KEYRING = Target("team.example:1", token_in_keyring=True)


async def test_the_keyring_is_asked_for_the_collector_and_outside_the_main_thread(use_keyring):
    backend = use_keyring(lambda: SECRET)
    assert await token_of(IN_KEYRING) == SECRET
    assert backend.asked == [("foretype", "team.example:1", False)]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (keyring.errors.KeyringLocked("SECRET"), "is locked"),
        (keyring.errors.NoKeyringError("SECRET"), "has no keyring"),
        (keyring.errors.InitError("SECRET"), "InitError"),
        (RuntimeError("SECRET"), "RuntimeError"),
    ],
)
async def test_a_keyring_that_cannot_be_used_is_told_in_words(use_keyring, error, words):
    use_keyring(failing(error))
    assert words in await refusal(IN_KEYRING)


async def test_a_keyring_without_the_token_says_how_to_put_it_there(use_keyring):
    use_keyring(lambda: None)
    assert "keyring set foretype team.example:1" in await refusal(IN_KEYRING)


async def test_an_empty_token_in_the_keyring_is_refused(use_keyring):
    use_keyring(lambda: "")
    assert "is empty" in await refusal(IN_KEYRING)


async def test_a_keyring_whose_dialogue_nobody_answers_is_given_up(use_keyring):
    answered = threading.Event()
    use_keyring(lambda: answered.wait(20) and SECRET)
    assert "did not answer in 0.05 s" in await refusal(IN_KEYRING, keyring_seconds=0.05)
    answered.set()


async def test_a_missing_keyring_package_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert "not installed" in await refusal(IN_KEYRING)


def test_the_keyring_is_not_imported_before_it_is_used():
    code = "import sys, capture.upload.token; sys.exit('keyring' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
