"""Names as programmers build them: their parts, their style, and another name in the same style.

Pure functions on words; knows nothing of languages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from random import Random
from typing import Final

_PARTS: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")

# What one of them is often changed to.
KINSHIPS: Final = (
    ("debug", "info", "warning", "warn", "error", "exception", "trace"),
    ("get", "set", "fetch", "find", "load", "read"),
    ("add", "remove", "insert", "append", "push", "extend"),
    ("start", "stop", "begin", "end"),
    ("first", "last", "next", "previous"),
    ("min", "max"),
    ("left", "right", "top", "bottom"),
    ("width", "height"),
    ("true", "false"),
    ("assertEqual", "assertIs", "assertEquals", "assertNotEqual"),
    ("assert_eq", "assert_ne", "debug_assert_eq"),
    ("toBe", "toEqual", "toStrictEqual"),
    ("Errorf", "Fatalf", "Logf"),
    ("Error", "Fatal", "Log"),
    ("Print", "Println", "Printf"),
    ("println", "print", "eprintln"),
    ("unwrap", "expect"),
    ("map", "forEach", "filter", "flatMap"),
    ("ValueError", "TypeError", "RuntimeError", "KeyError"),
    ("source", "target"),
    ("input", "output"),
    ("old", "new"),
)


class Style(StrEnum):
    """How the parts of a name are joined."""

    SNAKE = "snake"  # also a single lower-case word
    CAMEL = "camel"
    PASCAL = "pascal"  # also a single capitalised word
    UPPER = "upper"


def parts_of(name: str) -> list[str]:
    """The words a name is made of, in lower case."""
    return [part.lower() for part in _PARTS.findall(name)]


def style_of(name: str) -> Style:
    """How a name is written; leading underscores do not count."""
    bare = name.lstrip("_$")
    if bare.isupper() and len(bare) > 1:
        return Style.UPPER
    if bare[:1].isupper():
        return Style.PASCAL
    return Style.CAMEL if "_" not in bare and not bare.islower() else Style.SNAKE


def joined(parts: Sequence[str], style: Style) -> str:
    """The parts as one name."""
    if style is Style.SNAKE:
        return "_".join(parts)
    if style is Style.UPPER:
        return "_".join(parts).upper()
    capitalised = [part[:1].upper() + part[1:] for part in parts]
    return "".join([parts[0], *capitalised[1:]] if style is Style.CAMEL else capitalised)


def another_name(random: Random, old: str, names: Sequence[str], compound: Style) -> str | None:
    """A name that ``old`` may be changed to, in its style; None where the draw gave none.

    ``compound`` is how the language joins the parts of a lower-case name, which a name of one part does not show.
    """
    kin = next((words for words in KINSHIPS if old in words), ())
    if kin and random.random() < 0.6:
        return random.choice([name for name in kin if name != old])
    style = style_of(old)
    own, other = parts_of(old), parts_of(random.choice(names)) if names else []
    if not own or not other or other[0].isdigit():
        return None
    draw = random.random()
    if draw < 0.5:
        parts = other[:3]
    elif draw < 0.7:
        parts = [*own[:-1], other[-1]]
    elif draw < 0.85:
        parts = [*own, other[0]]
    else:
        parts = [other[0], *own]
    if style is Style.SNAKE and "_" not in old.lstrip("_"):
        style = compound
    prefix = old[: len(old) - len(old.lstrip("_"))]
    new = prefix + joined(parts, style)
    return new if new.isidentifier() and new != old and len(new) <= 40 else None
