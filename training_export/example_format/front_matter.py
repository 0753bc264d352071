"""The TOML between two lines of ``+++`` at the head of a Markdown example: its four keys, read and written.

Knows nothing of what stands below it.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from training_export.errors import ExampleRejected
from training_export.example_format.shape import list_of, record, text, truth

FENCE: Final = "+++\n"
ROLLBACK_KEY: Final = "uncommitted_diff_requires_edit_history_rollback"

_SHAPE = record({"repository_url": text, "revision": text}, {"tags": list_of(text), ROLLBACK_KEY: truth})


class Split(NamedTuple):
    """The keys, empty where the text has no front matter, and the Markdown below."""

    keys: dict[str, Any]
    body: str


def read_front_matter(document: str) -> Split:
    r"""Split as Zed does: the text opens with ``+++\n``, and the next ``+++\n`` closes.

    Zed ignores front matter it cannot read; here it is refused with ExampleRejected, so that no address of a
    repository is lost.
    """
    if document.startswith(("\ufeff", "+++\r")):
        raise ExampleRejected("", "must be UTF-8 without byte order mark, with LF line ends: Zed reads no other")
    if not document.startswith(FENCE):
        return Split({}, document)
    written, closing, body = document.removeprefix(FENCE).partition(FENCE)
    if not closing:
        raise ExampleRejected("front matter", "is not closed by a line of +++")
    try:
        keys = tomllib.loads(written)
    except tomllib.TOMLDecodeError as error:
        raise ExampleRejected("front matter", f"is not TOML: {error} (counted from the line below +++)") from error
    _SHAPE(keys, "")
    return Split(keys, body)


def write_front_matter(keys: Mapping[str, str | bool | list[str]]) -> str:
    """The keys as TOML between its two lines, lists of several items one a line."""
    return f"{FENCE}{''.join(f'{key} = {_toml(value)}' for key, value in keys.items())}{FENCE}"


def _toml(value: str | bool | list[str]) -> str:
    if isinstance(value, list):
        items = [_quoted(item) for item in value]
        return (
            f"[{''.join(items)}]\n" if len(items) < 2 else "[\n" + "".join(f"    {item},\n" for item in items) + "]\n"
        )
    return f"{_quoted(value) if isinstance(value, str) else str(value).lower()}\n"


def _quoted(value: str) -> str:
    """A TOML basic string is a JSON string, but for U+007F, which TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
