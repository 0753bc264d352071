"""What is a snapshot and what is not: strict, canonical, the one that was named, and never a crash or a quotation."""

from __future__ import annotations

import copy
import hashlib
import json
import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.collector.checks import MAX_SNAPSHOT_BYTES, Refusal, check_snapshot, check_snapshots
from capture.collector.storage import Arrival
from capture.wire import snapshots_pb2 as wire

Reason = wire.Rejection.Reason


def reason(checked):
    assert isinstance(checked, Refusal), checked
    assert 0 < len(checked.explanation) <= 200
    return Reason.Name(checked.reason)


def test_a_snapshot_becomes_what_is_stored(snapshot, message):
    one = snapshot()
    assert check_snapshot(message(one)) == Arrival(
        one.id,
        one.workspace_id,
        1,
        one.finalised_at,
        hashlib.sha256(one.canonical_bytes()).digest(),
        one.canonical_bytes(),
    )


def other_spellings(one):
    """The same snapshot in bytes that are not its canonical ones."""
    value = one.to_json()
    canonical = one.canonical_bytes()
    return {
        "white space": canonical + b"\n",
        "indented": orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2),
        "other order": orjson.dumps(dict(reversed(value.items()))),
        "escaped": canonical.replace(b"Neovim", b"\\u004eeovim"),
        "a member twice": canonical.replace(b'"client":', b'"client":{"name":"other"},"client":', 1),
        "another spelling of a number": canonical.replace(b"1800000000.0", b"1800000000.00"),
        "a whole number for a time": canonical.replace(b"1800000000.0", b"1800000000"),
    }


@pytest.mark.parametrize(
    "spelling",
    [
        "white space",
        "indented",
        "other order",
        "escaped",
        "a member twice",
        "another spelling of a number",
        "a whole number for a time",
    ],
)
def test_only_the_canonical_bytes_are_taken(snapshot, message, spelling):
    one = snapshot()
    content = other_spellings(one)[spelling]
    assert content != one.canonical_bytes()
    refusal = check_snapshot(message(one, content=content))
    assert reason(refusal) == "MALFORMED"
    assert "canonical" in refusal.explanation


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[" * (1 << 19),
        b'{"a":' * (1 << 17),
        b"[" + b"[]," * (1 << 18) + b"[]]",
        b"9" * (1 << 19),
        b"1e999",
        b"NaN",
        b'{"schema_version":NaN}',
        b'{"id":"\\ud800"}',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\0}\0",
        b'{"schema_version":1' + b',"a":1' * (1 << 17) + b"}",
        b'{"id":"' + b"\\u0000" * (1 << 17) + b'"}',
    ],
    ids=lambda content: repr(content[:12]),
)
def test_hostile_json_is_malformed(message, content):
    assert reason(check_snapshot(message(content=content))) == "MALFORMED"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"schema_version":1', b'"schema_version":2'),
        (b'"schema_version":1', b'"schema_version":1.0'),
        (b'"redactions":0', b'"redactions":-1'),
        (b'"redactions":0', b'"redactions":18446744073709551616'),
        (b'"redactions":0', b'"redactions":true'),
        (b'"path":"src/sums.py"', b'"path":"/home/alice/sums.py"'),
        (b'"redactions":0', b'"redactions":0,"user":"alice"'),
        (b'"outcome":"not_shown"', b'"outcome":"alice"'),
        (b'"created_at":1800000000.0', b'"created_at":1e300'),
    ],
)
def test_what_no_snapshot_of_ours_holds_is_malformed_and_not_quoted(snapshot, message, old, new):
    one = snapshot()
    content = one.canonical_bytes()
    assert old in content
    refusal = check_snapshot(message(one, content=content.replace(old, new)))
    assert reason(refusal) == "MALFORMED"
    assert "alice" not in refusal.explanation


def test_the_snapshot_must_be_the_one_that_was_named(snapshot, message):
    assert reason(check_snapshot(message(content=snapshot().canonical_bytes()))) == "MALFORMED"


def test_what_is_said_of_it_is_checked_before_it_is_read(snapshot, message):
    assert reason(check_snapshot(message(sha256=bytes(32)))) == "WRONG_SHA256"
    assert reason(check_snapshot(message(schema_version=0))) == "SCHEMA_VERSION"
    assert reason(check_snapshot(message(schema_version=(1 << 32) - 1))) == "SCHEMA_VERSION"
    assert reason(check_snapshot(message(content=b"x" * (MAX_SNAPSHOT_BYTES + 1)))) == "TOO_LARGE"
    assert reason(check_snapshot(message(content=b"x" * MAX_SNAPSHOT_BYTES))) == "MALFORMED"
    assert reason(check_snapshot(message(snapshot(state="unsettled")))) == "NOT_SETTLED"


def test_a_large_text_in_any_place_is_read_in_time_proportional_to_it(snapshot, message):
    """Paths and addresses are searched with expressions: none may take quadratic time."""
    base = orjson.loads(snapshot().canonical_bytes())
    base["inputs"]["repo_url"] = "https://example.org/team/code"
    started = time.process_time()
    for place in list(places(base)):
        for piece in ("a", "a:", "/", "a@", "a/../", "\\", "//@", "%", "é", "[", "\n"):
            value = copy.deepcopy(base)
            put(value, place, piece * (200_000 // len(piece)))
            content = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
            check_snapshot(message(content=content, id=base["id"]))
    # Some 300 of them: a second or two, where one quadratic search of 200,000 characters alone takes minutes.
    assert time.process_time() - started < 60


def places(value, path=()):
    """The way to each text."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


def nodes(value, path=()):
    """The way to each value."""
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from nodes(item, (*path, key))


def put(value, path, new):
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = new


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data())
def test_a_snapshot_with_any_value_anywhere_is_taken_as_canonical_or_refused(snapshot, message, data):
    one = snapshot()
    value = orjson.loads(one.canonical_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(nodes(value))[1:]))
        put(value, path, data.draw(json_values))
    try:
        content = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # half a surrogate pair
        return
    arrivals, refused = check_snapshots([message(one, content=content)])
    if arrivals:
        assert arrivals[0].id == one.id
        assert arrivals[0].content == orjson.dumps(json.loads(content), option=orjson.OPT_SORT_KEYS)
    else:
        assert reason(refused[0][1]) in ("MALFORMED", "NOT_SETTLED")


@given(content=st.binary(max_size=300))
def test_any_bytes_are_refused(message, content):
    assert reason(check_snapshot(message(content=content))) == "MALFORMED"
