"""Writes a table of ours into the text of the settings file and takes it out, whatever else stands there.

Everything that is not the table stays as it is, comments included. Knows nothing of what tables mean, and reads and
writes no file.
"""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

from daemon.settings import statements

if TYPE_CHECKING:
    from collections.abc import Mapping

_NOTHING = object()


def with_table(text: str, name: str, values: Mapping[str, str | float]) -> str:
    """``text``, which is valid TOML, with the table ``name`` holding exactly ``values``, at the end.

    Without values there is no such table. However the table was written before, as ``[name]``, dotted or inline, it is
    gone; a comment in it stays where it was.
    """
    rest = _without(text, name)
    if not values:
        return rest
    ending = "\r\n" if "\r\n" in text else "\n"
    lines = [f"[{name}]", *(f"{key} = {_written(value)}" for key, value in values.items())]
    above = rest.rstrip("\r\n")
    return (above + ending * 2 if above else "") + ending.join(lines) + ending


def _without(text: str, name: str) -> str:
    lines = text.split("\n")
    kept: list[str] = []
    before: Any = _NOTHING
    for first, last, _ in statements(text):
        value = tomllib.loads("\n".join(lines[:last]).removesuffix("\r")).get(name, _NOTHING)
        if value == before:
            kept += lines[first - 1 : last]
        before = value
    if len(kept) == len(lines):
        return text
    while len(kept) > 1 and not kept[-1].strip() and not kept[-2].strip():
        kept.pop()  # the line that stood between it and the table
    joined = "\n".join(kept)
    return joined + "\n" if joined.endswith("\r") else joined  # half a line end is not TOML


def _written(value: str | float) -> str:
    # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
