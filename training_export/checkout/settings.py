"""One way of giving a model context: which kinds of related code, which diagnostics, how much of it.

Knows nothing of how they are found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from capture.context.related import Group
from daemon.errors import BadArgument

KINDS: Final = {"definitions": Group.DEFINITION, "recent": Group.RECENT, "co_change": Group.CHANGES_TOGETHER}
SYNTAX, SERVER, NO_DIAGNOSTICS = "syntax", "server", "none"
DIAGNOSTICS: Final = (SYNTAX, SERVER, NO_DIAGNOSTICS)  # a server's where one is configured, else the grammar's
ALL, NONE = "all", "none"
RECORDED: Final = "recorded"  # the context that is in prompt_inputs already
_EXAMPLE: Final = "for instance plain:related=definitions+recent,diagnostics=none,max_bytes=4096"


@dataclass(frozen=True, slots=True)
class ContextSetting:
    """``kinds`` are names of `KINDS`, sorted; ``max_bytes`` bounds the texts of related files, 0: as in the daemon."""

    name: str
    kinds: tuple[str, ...] = tuple(sorted(KINDS))
    diagnostics: str = DIAGNOSTICS[0]
    max_bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        """Everything that shapes the context."""
        return {"kinds": list(self.kinds), "diagnostics": self.diagnostics, "max_bytes": self.max_bytes}


DAEMON: Final = ContextSetting("daemon")


def read_setting(text: str) -> ContextSetting:
    """``NAME:key=value,...``; keys are ``related``, ``diagnostics`` and ``max_bytes``. Raises BadArgument."""
    name, _, values = text.partition(":")
    if not name or name == RECORDED:
        raise BadArgument(f"--setting {text!r} needs a name of its own before a colon, {_EXAMPLE}")
    kinds, diagnostics, max_bytes = DAEMON.kinds, DAEMON.diagnostics, 0
    for pair in filter(None, values.split(",")):
        key, _, value = pair.partition("=")
        if key == "related":
            kinds = _kinds(text, value)
        elif key == "diagnostics" and value in DIAGNOSTICS:
            diagnostics = value
        elif key == "max_bytes" and value.isascii() and value.isdecimal():
            max_bytes = int(value)
        else:
            raise BadArgument(
                f"--setting {text!r}: {pair!r} is not understood; keys are related ({', '.join(KINDS)}, joined by +,"
                f" or {ALL}, {NONE}), diagnostics ({', '.join(DIAGNOSTICS)}) and max_bytes (a number), {_EXAMPLE}"
            )
    return ContextSetting(name, kinds, diagnostics, max_bytes)


def _kinds(text: str, value: str) -> tuple[str, ...]:
    named = {ALL: set(KINDS), NONE: set[str]()}.get(value)
    kinds = set(value.split("+")) if named is None else named
    unknown = kinds - KINDS.keys()
    if unknown:
        raise BadArgument(f"--setting {text!r}: related takes {', '.join(KINDS)}, joined by +, or {ALL} or {NONE}")
    return tuple(sorted(kinds))
