"""The base protocol on bytes: any split, any header order, and the way back after garbage."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from daemon.lsp.framing import MAX_HEADER_BYTES, BadFrame, FrameParser, decode_body, encode_message

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
messages = st.dictionaries(st.text(), json_values, max_size=3)


@st.composite
def split(draw, data):
    """``data`` cut at any places."""
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def parsed(packets):
    parser = FrameParser()
    return [frame for packet in packets for frame in parser.feed(packet)]


@given(st.data(), st.lists(messages, max_size=4))
def test_messages_come_out_as_they_went_in_however_the_packets_are_cut(data, sent):
    stream = b"".join(map(encode_message, sent))
    assert [decode_body(body) for body in parsed(data.draw(split(stream)))] == sent


@given(
    st.data(),
    st.binary(max_size=60).filter(lambda junk: b"\n" not in junk and b":" not in junk),
    messages,
    messages,
)
def test_after_garbage_the_messages_that_follow_a_header_are_read(data, junk, first, second):
    stream = b"Content-Length: 99999999999\r\n\r\n" + junk + encode_message(first) + encode_message(second)
    frames = parsed(data.draw(split(stream)))
    assert isinstance(frames[0], BadFrame)
    assert [decode_body(frame) for frame in frames if not isinstance(frame, BadFrame)] == [first, second]


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_no_bytes_make_the_parser_fail_or_grow(packets):
    parser = FrameParser(max_body_bytes=100)
    for packet in packets:
        parser.feed(packet)
    assert len(parser._buffer) <= MAX_HEADER_BYTES + 200


@given(st.binary(max_size=100))
def test_a_body_is_json_or_a_value_error(body):
    try:
        value = decode_body(body)
    except ValueError:
        return
    assert value == json.loads(body)


def test_a_header_quoted_in_a_document_is_not_taken_for_one():
    quoted = encode_message({"text": "Content-Length: 3\r\n\r\n{}}"})
    body = quoted.split(b"\r\n\r\n", 1)[1]
    stream = b"Content-Length: 77777777777\r\n\r\n" + body + encode_message({"good": True})
    frames = parsed([stream])
    assert [decode_body(frame) for frame in frames if not isinstance(frame, BadFrame)] == [{"good": True}]
