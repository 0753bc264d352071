"""What the settings file says of the collector that snapshots may go to: the ``[upload]`` table.

It names where to, and with what; whether anything goes at all is for the consent of each workspace to say. Knows
nothing of the other keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>\d{1,5})")
MAX_PORT = 65535
_EXAMPLE = '"snapshots.example.org:8443"'


@dataclass(frozen=True, slots=True)
class UploadSettings:
    """The table; every field is a key of it of the same name. Paths are absolute or empty."""

    collector: str = ""  # host:port; empty: nothing is sent, whatever anybody agreed to
    token_file: str = ""  # empty: the token is in the system's keyring
    ca_file: str = ""  # PEM; the only authorities that are trusted; empty: gRPC's own list
    certificate_file: str = ""  # PEM; what this machine shows of itself, with its key
    key_file: str = ""
    plain_text: bool = False  # no TLS; only to this machine itself
    on_battery: bool = False  # whether to send while the machine runs on its battery


_KEYS = tuple(field.name for field in fields(UploadSettings))
_PATHS = tuple(key for key in _KEYS if key.endswith("_file"))
_TRUTHS = ("plain_text", "on_battery")


def upload_problem(value: Any) -> str:
    """Why ``upload`` cannot have ``value``, with the cure, or an empty string."""
    if not isinstance(value, dict):
        return f"`upload` must be a table, [upload], not {_shown(value)}"
    for key, given in value.items():
        problem = _problem(key, given)
        if problem:
            return problem
    if bool(value.get("certificate_file")) != bool(value.get("key_file")):
        return "`certificate_file` and `key_file` in [upload] go together: give both or none"
    return ""


def upload_of(value: Mapping[str, Any]) -> UploadSettings:
    """The table in a value that has no problem."""
    paths = {key: str(Path(value[key]).expanduser()) for key in _PATHS if value.get(key)}
    return UploadSettings(**{**value, **paths})


def _problem(key: str, given: Any) -> str:
    if key not in _KEYS:
        from difflib import get_close_matches  # noqa: PLC0415 (only a person's slip needs it)

        close = get_close_matches(key, _KEYS, n=1, cutoff=0.7)
        # A key written below a table's head belongs to that table: the slip that TOML makes easy.
        takes = f"it takes {', '.join(_KEYS)}; keys of the whole file stand above all tables"
        return f"unknown key `{key}` in [upload]; " + (f"did you mean `{close[0]}`?" if close else takes)
    if key in _TRUTHS:
        return "" if isinstance(given, bool) else f"`{key}` in [upload] must be true or false, not {_shown(given)}"
    if not isinstance(given, str) or "\0" in given:
        return f"`{key}` in [upload] must be a text, not {_shown(given)}"
    if key in _PATHS:
        is_clear = not given or Path(given).is_absolute() or given.startswith("~/")
        wanted = f"`{key}` in [upload] must be an absolute path (a leading ~ is your home), not {_shown(given)}"
        return "" if is_clear else wanted
    match = _ADDRESS.fullmatch(given)
    is_address = not given or (match is not None and 0 < int(match["port"]) <= MAX_PORT)
    return "" if is_address else f"`{key}` in [upload] must be HOST:PORT, such as {_EXAMPLE}, not {_shown(given)}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
