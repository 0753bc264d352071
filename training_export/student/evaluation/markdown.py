"""Tables and blocks of Markdown, whatever stands in them. Knows nothing of cards."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are text, in which nothing is markup."""
    lines = [_line(map(cell, head)), _line("---" for _ in head), *(_line(map(cell, row)) for row in rows)]
    return "\n".join(lines)


def cell(text: str) -> str:
    """Text for one line of prose or a cell, in which nothing is markup."""
    plain = " ".join(text.split())
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", plain)


def code(text: str) -> str:
    """Text as code within a line."""
    plain = " ".join(text.split())
    fence = "`" * (_longest_run(plain) + 1)
    space = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{space}{plain}{space}{fence}"


def block(text: str, language: str = "") -> str:
    """Text as a block of code; the fence is longer than any in it."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
