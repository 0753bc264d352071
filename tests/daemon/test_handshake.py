"""The first line of each side on the hub's socket."""

from __future__ import annotations

from importlib import metadata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon import handshake
from daemon.handshake import HandshakeError, parse_hello, parse_welcome

words = st.text(st.characters(codec="utf-8", exclude_characters=" \n"), min_size=1, max_size=40)


def test_the_version_is_the_distributions():
    assert metadata.version("foretype") == handshake.VERSION


@given(st.sampled_from(handshake.PURPOSES), st.one_of(st.just(""), words))
def test_a_hello_is_read_as_it_was_said(purpose, argument):
    hello = parse_hello(handshake.hello_line(purpose, argument))
    assert (hello.version, hello.purpose, hello.argument) == (handshake.VERSION, purpose, argument)


@given(st.integers(1, 2**31), st.booleans(), st.lists(words, max_size=6).map(" ".join))
def test_a_welcome_is_read_as_it_was_said(pid, accepted, detail):
    welcome = parse_welcome(handshake.welcome_line(pid, detail, accepted=accepted))
    assert (welcome.pid, welcome.accepted, welcome.detail) == (pid, accepted, detail)


@given(st.binary(max_size=200))
def test_anything_else_is_refused_and_never_worse(line):
    for parse in (parse_hello, parse_welcome):
        try:
            parse(line)
        except HandshakeError:
            continue


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"Content-Length: 52\r\n",
        b"foretype/1 0.1.0 lsp",  # no newline: cut short
        b"foretype/2 0.1.0 lsp\n",
        b"foretype/1 0.1.0 dance\n",
        b"foretype/1 0.1.0 control " + b"x" * handshake.LINE_LIMIT_BYTES + b"\n",
    ],
)
def test_what_is_not_ours_is_no_hello(line):
    with pytest.raises(HandshakeError):
        parse_hello(line)
