"""Reading raw JSON parameters: what a handler needs is checked, everything else is let through.

Each function raises JsonRpcInvalidParams naming the field: a request is answered with it, a notification is
dropped. Knows nothing of any method.
"""

from __future__ import annotations

from typing import Any

from pygls.exceptions import JsonRpcInvalidParams

from capture.editing.positions import Position

MAX_COORDINATE = 2**31 - 1  # LSP's uinteger


def member(params: Any, *names: str) -> Any:
    """The value under ``names``, one inside the other; None when any of them is missing or is no object."""
    value = params
    for name in names:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def require_text(params: Any, *names: str) -> str:
    """The string under ``names``."""
    value = member(params, *names)
    if not isinstance(value, str):
        raise JsonRpcInvalidParams(f"{'.'.join(names)} must be a string")
    return value


def require_uri(params: Any) -> str:
    """``textDocument.uri``, exactly as it was sent."""
    return require_text(params, "textDocument", "uri")


def optional_version(params: Any) -> int | None:
    """``textDocument.version``; None when it is missing or null."""
    value = member(params, "textDocument", "version")
    if value is not None and not _is_whole(value):
        raise JsonRpcInvalidParams("textDocument.version must be an integer")
    return value  # type: ignore[no-any-return]  # checked above


def require_position(params: Any, *names: str) -> Position:
    """The position under ``names``, not yet checked against any text."""
    line, character = member(params, *names, "line"), member(params, *names, "character")
    if not (_is_coordinate(line) and _is_coordinate(character)):
        raise JsonRpcInvalidParams(f"{'.'.join(names)} must be a position")
    return Position(line, character)


def require_list(params: Any, *names: str) -> list[Any]:
    """The list under ``names``."""
    value = member(params, *names)
    if not isinstance(value, list):
        raise JsonRpcInvalidParams(f"{'.'.join(names)} must be a list")
    return value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_coordinate(value: Any) -> bool:
    return _is_whole(value) and 0 <= value <= MAX_COORDINATE
