"""Our values in LSP's JSON shapes. Knows nothing of methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lsprotocol import types

if TYPE_CHECKING:
    from capture.editing.positions import Range
    from daemon.prediction import TextEdit


def lsp_range(where: Range) -> types.Range:
    """A range as lsprotocol's value."""
    return types.Range(
        types.Position(where.start.line, where.start.character_utf16),
        types.Position(where.end.line, where.end.character_utf16),
    )


def range_json(where: Range) -> dict[str, Any]:
    """A range as JSON."""
    return {
        "start": {"line": where.start.line, "character": where.start.character_utf16},
        "end": {"line": where.end.line, "character": where.end.character_utf16},
    }


def lsp_edit(edit: TextEdit) -> types.TextEdit:
    """An edit as lsprotocol's value."""
    return types.TextEdit(range=lsp_range(edit.range), new_text=edit.text)
