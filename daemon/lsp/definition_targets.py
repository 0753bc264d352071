"""What a language server answers about a definition, and the rows of text that it points at.

``Location``, a list of them and ``LocationLink`` become targets; a target becomes a ``Definition`` with the text of an
open buffer or of the file. Where a server names nothing but the name, the item ends where its indentation does. A file
anywhere on the disk counts: a library's definition helps, and whether a model may see it is decided elsewhere, by its
path. Knows nothing of servers.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pygls.exceptions import JsonRpcInvalidParams

from capture.context.definitions import Definition
from capture.editing.positions import Position, Range, content_of, index_at_utf16, split_rows, utf8_length, utf16_length
from capture.inputs import Span
from daemon.lsp.documents import path_of
from daemon.lsp.params import member, require_position

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# A range longer than this is no name but a module or a file: Zed's figure (`crates/edit_prediction_context`, zed
# 09adbb01).
MAX_NAME_BYTES = 128
MAX_DEFINITION_ROWS = 60
MAX_DEFINITION_BYTES = 4096
MAX_FILE_BYTES = 2 * 1024 * 1024

_START_OF_FILE = Range(Position(0, 0), Position(0, 0))


@dataclass(frozen=True, slots=True)
class Target:
    """A place that a server named: where the name stands and, where the server says so, all of the item."""

    path: str
    name: Range
    item: Range | None = None


def targets_of(answer: Any) -> list[Target]:
    """The targets in the result of ``textDocument/definition`` or ``typeDefinition``, malformed ones left out."""
    said = answer if isinstance(answer, list) else [answer]
    found = (_target(value) for value in said)
    return [target for target in found if target is not None]


def definitions_of(
    targets: Mapping[str, Sequence[Target]], open_texts: Mapping[str, str]
) -> dict[str, list[Definition]]:
    """What the targets of each name say; reads files, so it belongs on a thread.

    Left out is what cannot be read or is not what the server saw.
    """
    files: dict[str, list[str] | None] = {}
    found: dict[str, list[Definition]] = {name: [] for name in targets}
    for name, places in targets.items():
        for target in places:
            if target.path not in files:
                text = open_texts[target.path] if target.path in open_texts else text_of_file(target.path)
                files[target.path] = None if text is None else split_rows(text)
            rows = files[target.path]
            definition = None if rows is None else _definition(name, target, rows)
            if definition is not None and definition not in found[name]:
                found[name].append(definition)
    return found


def text_of_file(path: str) -> str | None:
    """The text of a regular file of at most ``MAX_FILE_BYTES`` in UTF-8, None where it is anything else."""
    file = Path(path)
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
            return None
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
        return None if len(data) > MAX_FILE_BYTES else data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None


def _target(value: Any) -> Target | None:
    uri = member(value, "targetUri")
    try:
        if isinstance(uri, str):
            name, item = _range(value, "targetSelectionRange"), _range(value, "targetRange")
        else:
            uri, name, item = member(value, "uri"), _range(value, "range"), None
    except JsonRpcInvalidParams:
        return None
    if not isinstance(uri, str) or not uri.startswith("file:"):
        return None
    path = path_of(uri)
    return Target(path, name, item) if path.startswith("/") and "\0" not in path else None


def _range(value: Any, name: str) -> Range:
    start, end = sorted((require_position(value, name, "start"), require_position(value, name, "end")))
    return Range(start, end)


def _definition(name: str, target: Target, rows: list[str]) -> Definition | None:
    name_row = target.name.start.line
    row_count = len(rows) if rows[-1] else len(rows) - 1  # nothing stands behind the last line end
    if target.name == _START_OF_FILE or name_row >= row_count or not _exists(rows, target.name.end):
        return None  # a module, or a place in another text than ours
    if _length_bytes(rows, target.name) > MAX_NAME_BYTES:
        return None
    kept = _bounded(rows, _grown(rows, _item_rows(target, row_count)), name_row)
    lines = (content_of(row) + "\n" for row in rows[kept.start : kept.end])
    return Definition(name, target.path, kept.start, "".join(lines)) if kept else None


def _item_rows(target: Target, row_count: int) -> Span:
    """The rows of the item where the server names a whole one that holds the name, else those of the name."""
    where = target.name
    if target.item is not None and target.item.start <= where.start and where.end <= target.item.end:
        where = target.item
    ends_before_row = where.end.character_utf16 == 0 and where.end.line > where.start.line
    return Span(where.start.line, min(where.end.line + (0 if ends_before_row else 1), row_count))


def _grown(rows: Sequence[str], item: Span) -> Span:
    """A single row, which may be the name's alone, with what is indented below it and the bracket that closes it.

    Indentation says where an item ends in nearly every language, and costs next to nothing to look at.
    """
    if len(item) != 1:
        return item
    first, end = _indentation(rows[item.start]), item.end
    for row in range(item.end, min(len(rows), item.start + MAX_DEFINITION_ROWS)):
        line = content_of(rows[row]).strip()
        if not line:
            continue
        is_bracket = line == "{" or line[0] in ")]}"
        deeper = _indentation(rows[row]) - first
        if deeper < 0 or (deeper == 0 and not is_bracket):
            break
        end = row + 1
    return Span(item.start, end)


def _indentation(row: str) -> int:
    return len(row) - len(row.lstrip())


def _bounded(rows: Sequence[str], item: Span, name_row: int) -> Span:
    """As much of the item as fits, from its start on, or from the name on where that would not be reached."""
    for start in (item.start, name_row):
        end, room_bytes = start, MAX_DEFINITION_BYTES
        while end < min(item.end, start + MAX_DEFINITION_ROWS) and utf8_length(rows[end]) <= room_bytes:
            room_bytes -= utf8_length(rows[end])
            end += 1
        if end > name_row:
            return Span(start, end)
    return Span(name_row, name_row)  # a row so long is no code that somebody wrote


def _exists(rows: Sequence[str], position: Position) -> bool:
    line = position.line
    return line < len(rows) and position.character_utf16 <= utf16_length(content_of(rows[line]))


def _length_bytes(rows: Sequence[str], where: Range) -> int:
    start, end = where.start, where.end
    between = sum(utf8_length(row) for row in rows[start.line : end.line])
    before = utf8_length(rows[start.line][: index_at_utf16(rows[start.line], start.character_utf16)])
    return between - before + utf8_length(rows[end.line][: index_at_utf16(rows[end.line], end.character_utf16)])
