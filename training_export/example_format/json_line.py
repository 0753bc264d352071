"""One JSON object a line, read so strictly that writing it again gives the same value.

What a lenient parser would change without a word is refused by path and reason: a key that occurs twice, a
number that another reader would round, NaN and Infinity, half a surrogate pair, nesting that Zed's parser
refuses. Order of keys and the difference between 1 and 1.0, null and absent are kept. Knows nothing of what
the keys mean.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from training_export.errors import ExampleRejected

NOT_JSON: Final = "not JSON"
MAX_DEPTH: Final = 127  # serde_json, which Zed reads with, stops at 128
SMALLEST_INTEGER, LARGEST_INTEGER = -(2**63), 2**64 - 1  # what serde_json and orjson keep as an integer
# JSON allows these three unescaped, but many line splitters cut there; escaped, a line is one line for everybody.
LINE_BREAKERS: Final = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def parse_object(text: str) -> dict[str, Any]:
    """The object that ``text`` holds, white space around it allowed.

    Raises ExampleRejected where it is no JSON object or would not be written back equal.
    """
    if text.startswith("\ufeff"):
        raise ExampleRejected("", "starts with a byte order mark (U+FEFF); save the file without one")
    reading = _Reading()
    try:
        value = reading.parse(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}" if error.lineno > 1 else f"column {error.colno}"
        what = error.msg.removesuffix(" at").removesuffix(" starting")
        raise ExampleRejected("", f"{NOT_JSON}: {what[:1].lower()}{what[1:]} ({where})") from error
    except RecursionError as error:
        raise ExampleRejected("", f"nested deeper than {MAX_DEPTH} levels") from error
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise ExampleRejected("", f"nested deeper than {MAX_DEPTH} levels")
    if reading.found_a_fault:
        path, fault = next((path, part) for path, part in _parts(value) if isinstance(part, _Fault))
        raise ExampleRejected(path, fault.reason)
    if not isinstance(value, dict):
        raise ExampleRejected("", f"not an object but {kind_of(value)}")
    if "\\ud" in text or "\\uD" in text:
        _refuse_surrogates(value)
    return value


def write_object(value: dict[str, Any]) -> str:
    r"""The object on one line, without its newline: UTF-8 text, no escapes but those JSON demands.

    The one exception are `LINE_BREAKERS`. Raises ExampleRejected for what JSON cannot hold (NaN, Infinity,
    half a surrogate pair).
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        path = next((path for path, part in _parts(value) if isinstance(part, float) and not _is_finite(part)), "")
        raise ExampleRejected(path, f"cannot be written as JSON: {error}") from error
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            _refuse_surrogates(value)
        for character, escaped in LINE_BREAKERS.items():
            text = text.replace(character, escaped)
    return text


def kind_of(value: object) -> str:
    """What a JSON value is, for a sentence."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    names = {str: "a string", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), type(value).__name__)


def join_path(path: str, part: str | int) -> str:
    """``a`` and ``b`` make ``a.b``, ``a`` and 0 make ``a[0]``."""
    if isinstance(part, int):
        return f"{path}[{part}]"
    return f"{path}.{part}" if path else part


class _Fault:
    """Stands in the parsed value where something was that cannot be kept."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


class _Reading:
    """One run of the parser; faults are put in place, because only afterwards is their path known."""

    def __init__(self) -> None:
        self.found_a_fault = False

    def parse(self, text: str) -> object:
        value: object = json.loads(
            text,
            object_pairs_hook=self._object,
            parse_float=self._float,
            parse_int=self._integer,
            parse_constant=lambda name: self._fault(f"{name} is no JSON number"),
        )
        return value

    def _fault(self, reason: str) -> _Fault:
        self.found_a_fault = True
        return _Fault(reason)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Fault:
        value = dict(pairs)
        if len(value) == len(pairs):
            return value
        keys = [key for key, _ in pairs]
        doubled = next(key for key in keys if keys.count(key) > 1)
        return self._fault(f"the key {doubled!r} occurs twice")

    def _integer(self, literal: str) -> float | _Fault:
        if literal == "-0":
            return -0.0
        if len(literal) > 20 or not SMALLEST_INTEGER <= int(literal) <= LARGEST_INTEGER:
            return self._fault(f"{_shortened(literal)} does not survive: integers have 64 bits")
        return int(literal)

    def _float(self, literal: str) -> float | _Fault:
        value = float(literal)
        if repr(value) == literal:
            return value
        if not _is_finite(value):
            return self._fault(f"{_shortened(literal)} does not survive: it is too large for a 64-bit float")
        digits = literal.lower().partition("e")[0]
        kept = not digits.strip("-0.") if value == 0 else Decimal(literal) == Decimal(repr(value))
        return value if kept else self._fault(f"{_shortened(literal)} does not survive: it is read as {value!r}")


def _parts(value: object) -> Iterator[tuple[str, object]]:
    """Every value inside ``value`` with its path, the outer before the inner, in order."""
    waiting: list[tuple[str, object]] = [("", value)]
    while waiting:
        path, part = waiting.pop()
        yield path, part
        if isinstance(part, dict):
            waiting.extend((join_path(path, key), inner) for key, inner in reversed(part.items()))
        elif isinstance(part, list):
            waiting.extend((join_path(path, index), part[index]) for index in reversed(range(len(part))))


def _depth(value: object) -> int:
    deepest = 0
    waiting = [(value, 1)]
    while waiting:
        part, depth = waiting.pop()
        if isinstance(part, dict | list):
            deepest = max(deepest, depth)
            waiting.extend((inner, depth + 1) for inner in (part.values() if isinstance(part, dict) else part))
    return deepest


def _refuse_surrogates(value: object) -> None:
    for path, part in _parts(value):
        texts = [part] if isinstance(part, str) else list(part) if isinstance(part, dict) else []
        if any(_has_surrogate(text) for text in texts):
            shown = path.encode(errors="backslashreplace").decode()
            raise ExampleRejected(shown, "holds half a surrogate pair, which is no character and has no UTF-8 form")


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _is_finite(value: float) -> bool:
    return value - value == 0


def _shortened(literal: str, limit: int = 40) -> str:
    return literal if len(literal) <= limit else f"{literal[:limit]}..."
