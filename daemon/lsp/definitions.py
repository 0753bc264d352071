"""Definitions as a client sends them: ``foretype/didChangeDefinitions {uri, version?, definitions}``.

A client that can ask other servers knows best what a name near the cursor means, so this source is preferred to all
others. Definitions belong to names, not to places of the document, so that they outlive the version they were sent
for. `docs/protocol.md` describes the message. Knows nothing of which names are looked up or how they are shown.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from pygls.exceptions import JsonRpcInvalidParams

from capture.context.definitions import Definition
from capture.context.related import first_rows_within
from capture.editing.positions import content_of, encodable, split_rows
from daemon.lsp.documents import path_of, plain_path
from daemon.lsp.params import member, require_list, require_position, require_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from capture.context.definitions import Identifier
    from daemon.lsp.session import Session

MAX_DEFINITIONS = 200  # per document
MAX_TEXT_BYTES = 4096  # of one; the first rows count
MAX_NAME_CHARACTERS = 128


class ClientDefinitions:
    """Owns what the client sent for one session's documents; a ``DefinitionSource``."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, list[Definition]]] = {}  # by path, then by name

    def replace(self, path: str, said: Sequence[Any]) -> None:
        """Take ``said`` as all definitions for the document at ``path``; a malformed one is left out."""
        by_name: dict[str, list[Definition]] = {}
        for value in said[:MAX_DEFINITIONS]:
            definition = _definition(value)
            if definition is not None:
                by_name.setdefault(definition.name, []).append(definition)
        self._known[path] = by_name

    def forget(self, path: str) -> None:
        """The document was closed."""
        self._known.pop(path, None)

    async def definitions(self, path: str, identifiers: Sequence[Identifier]) -> Mapping[str, Sequence[Definition]]:
        """What the client said of these names, at once."""
        known = self._known.get(path, {})
        names = (identifier.name for identifier in identifiers)
        return {name: tuple(known[name]) for name in names if name in known}


def did_change_definitions(session: Session, params: Any) -> None:
    """``foretype/didChangeDefinitions``: raises JsonRpcInvalidParams."""
    document = session.documents.find(require_text(params, "uri"))
    said = require_list(params, "definitions")
    if document is not None:
        session.surroundings.client_defines(document, said)


def _definition(value: Any) -> Definition | None:
    try:
        name, text = require_text(value, "name"), require_text(value, "text")
        start_row = require_position(value, "range", "start").line
        named = member(value, "path")
        path = path_of(require_text(value, "uri")) if named is None else plain_path(require_text(value, "path"))
    except JsonRpcInvalidParams:
        return None
    if not 0 < len(name) <= MAX_NAME_CHARACTERS or not PurePosixPath(path).is_absolute():
        return None
    rows = split_rows(encodable(text))
    plain = "\n".join(map(content_of, rows[:-1] if rows[-1] == "" else rows))
    kind = member(value, "kind")
    return Definition(
        name, path, start_row, first_rows_within(plain, MAX_TEXT_BYTES), kind if isinstance(kind, str) else ""
    )
