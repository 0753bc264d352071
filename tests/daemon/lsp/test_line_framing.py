"""One message a line: any split, lines that are too long, and what follows them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.lsp.framing import BadFrame, decode_body
from daemon.lsp.line_framing import LineParser, encode_line

texts = st.text(max_size=30)
messages = st.dictionaries(texts, texts | st.integers(-(2**53), 2**53) | st.lists(texts, max_size=3), max_size=3)


def packets_of(data, stream):
    """``stream`` cut at any places."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    return [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


@given(st.data(), st.lists(messages, max_size=4), st.sampled_from([b"", b"\r", b"\n\r\n", b"  "]))
def test_messages_come_out_as_they_went_in_however_the_packets_are_cut(data, sent, between):
    stream = b"".join(between + encode_line(message) for message in sent)
    parser = LineParser()
    lines = [line for packet in packets_of(data, stream) for line in parser.feed(packet)]
    assert [decode_body(line) for line in lines] == sent


@given(st.data(), st.integers(11, 200), st.lists(st.sampled_from([b"1", b"22", b"[3]"]), max_size=3))
def test_a_line_that_is_too_long_is_complained_of_once_and_what_follows_is_read(data, length, others):
    stream = b"x" * length + b"\n" + b"".join(other + b"\n" for other in others)
    parser = LineParser(max_line_bytes=10)
    found = [item for packet in packets_of(data, stream) for item in parser.feed(packet)]
    assert isinstance(found[0], BadFrame)
    assert found[1:] == others


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_no_bytes_make_the_parser_fail_or_grow(packets):
    parser = LineParser(max_line_bytes=100)
    for packet in packets:
        parser.feed(packet)
        assert len(parser._buffer) <= 100
