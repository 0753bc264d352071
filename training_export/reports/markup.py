"""HTML as a value: text is escaped unless it is a `Markup`, so that no text can become markup by being forgotten.

Characters that steer how text is laid out, or cannot be seen, are shown by their code: with them one text could look
like another. Knows nothing of reports.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Final, TypeAlias

Content: TypeAlias = "str | Iterable[Content] | None"

_VOID: Final = frozenset({"meta", "br", "col"})
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_LAYOUT: Final = "\n\t"


class Markup(str):
    """HTML that is as it should be: made here only."""

    __slots__ = ()


def tag(name: str, /, *content: Content, **attributes: str | float | None) -> Markup:
    """An element. Of an attribute's name a ``_`` at the end is dropped, others become ``-``; None leaves it out.

    Raises ValueError for a name that is none: names are ours, never a file's.
    """
    named = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
    if not all(map(_NAME.fullmatch, (name, *named))):
        raise ValueError(f"no name of an element or an attribute: {name} {list(named)}")
    written = "".join(f' {key}="{_attribute(value)}"' for key, value in named.items() if value is not None)
    return Markup(f"<{name}{written}>" if name in _VOID else f"<{name}{written}>{join(content)}</{name}>")


def join(content: Iterable[Content]) -> Markup:
    """Parts in a row, lists among them flattened, text escaped."""
    return Markup("".join(map(_written, content)))


def escaped(value: str) -> Markup:
    """Text for people: no markup in it, and nothing that hides."""
    if _is_plain(value):
        return Markup(html.escape(value))
    return Markup("".join(map(_character, value)))


def style_sheet(css: str) -> Markup:
    """A ``style`` element; raises ValueError where the sheet would end it early."""
    if "</" in css:
        raise ValueError("the style sheet holds an end tag")
    return Markup(f"<style>{css}</style>")


def _written(part: Content) -> str:
    if part is None:
        return ""
    if isinstance(part, Markup):
        return part
    return escaped(part) if isinstance(part, str) else join(part)


def _attribute(value: str | float) -> str:
    if not isinstance(value, str):
        return f"{value:g}"
    return html.escape("".join(character if _is_plain(character) else _code(character) for character in value))


def _is_plain(value: str) -> bool:
    return value.isprintable() or value.translate({ord(character): " " for character in _LAYOUT}).isprintable()


def _character(character: str) -> str:
    return html.escape(character) if _is_plain(character) else f'<span class="code">{_code(character)}</span>'


def _code(character: str) -> str:
    return f"U+{ord(character):04X}"
