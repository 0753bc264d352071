"""Definitions, and what every source of them promises: the client, a companion language server, the symbol index.

Knows nothing of how a source finds them, nor of how many of them a model sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from capture.inputs import ContextSource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from capture.editing.positions import Position


@dataclass(frozen=True, slots=True)
class Identifier:
    """A name that is used in a document; ``position`` is where it starts, in UTF-16 units."""

    name: str
    position: Position


@dataclass(frozen=True, slots=True)
class Definition:
    r"""Where a name is defined.

    ``path`` is the file's, absolute; ``text`` are whole rows from ``start_row`` on, each ended with ``\n``. ``kind`` is
    the source's own word (``function``, ``class``, ...), empty where it has none.
    """

    name: str
    path: str
    start_row: int
    text: str
    kind: str = ""
    source: ContextSource = "lsp"


class DefinitionSource(Protocol):
    """One source. It answers with what it finds, with nothing where it fails or is not ready, and never raises."""

    async def definitions(self, path: str, identifiers: Sequence[Identifier]) -> Mapping[str, Sequence[Definition]]:
        """Definitions of names used in the document at ``path`` (absolute), by name, the likeliest first."""
        ...
