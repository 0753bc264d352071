"""What the settings file says of single languages, in ``[languages.ID]`` tables; ``ID`` is LSP's language id.

Programs are named here and nowhere else, so that no file of a workspace ever chooses what runs. Knows nothing of the
other keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class LanguageSettings:
    """One table; every field is a key of it of the same name."""

    server: tuple[str, ...] = ()  # command line of the companion language server; empty: none


_KEYS = tuple(field.name for field in fields(LanguageSettings))


def languages_problem(value: Any) -> str:
    """Why ``languages`` cannot have ``value``, with the cure, or an empty string."""
    if not isinstance(value, dict):
        return f"`languages` must be tables such as [languages.python], not {_shown(value)}"
    return next(filter(None, (_table_problem(name, table) for name, table in value.items())), "")


def languages_of(value: Mapping[str, Any]) -> dict[str, LanguageSettings]:
    """The languages in a value that has no problem."""
    return {name: LanguageSettings(_command(table.get("server", ()))) for name, table in value.items()}


def _table_problem(name: str, table: Any) -> str:
    if not name:
        return "`languages` has a table without a name; write an LSP language id, such as [languages.python]"
    if not isinstance(table, dict):
        return f"`languages.{name}` must be a table with `{_KEYS[0]}`, not {_shown(table)}"
    for key in table:
        if key not in _KEYS:
            from difflib import get_close_matches  # noqa: PLC0415 (only a person's slip needs it)

            close = get_close_matches(key, _KEYS, n=1, cutoff=0.7)
            # A key written below a table's head belongs to that table: the slip that TOML makes easy.
            takes = f"it takes {', '.join(_KEYS)}; keys of the whole file stand above all tables"
            return f"unknown key `{key}` in [languages.{name}]; " + (f"did you mean `{close[0]}`?" if close else takes)
    return _server_problem(name, table["server"]) if "server" in table else ""


def _server_problem(name: str, server: Any) -> str:
    wanted = f"`languages.{name}.server` must be a list of texts that begins with a program"
    is_texts = isinstance(server, list) and all(isinstance(part, str) and part and "\0" not in part for part in server)
    if not is_texts or not server:
        return f'{wanted}, such as ["basedpyright-langserver", "--stdio"], not {_shown(server)}'
    program = server[0]
    if "/" in program and not Path(program).is_absolute() and not re.match(r"~/", program):
        return f"{wanted}: a name, or an absolute path (a leading ~ is your home), not the relative {_shown(program)}"
    return ""


def _command(server: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    return (str(Path(server[0]).expanduser()), *server[1:]) if server else ()


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
