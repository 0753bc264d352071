"""Diagnostics that other servers own, as the client hands them over, and their form for the model.

They come attached to ``copilotInlineEdit`` (Copilot's undocumented field, severity as a word) or in
``foretype/didChangeDiagnostics {uri, version?, diagnostics}`` (LSP's form, severity as a number). They are
kept by anchors, because the next keystroke comes long before the next diagnostics. Knows nothing of
prompts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from pygls.exceptions import JsonRpcInvalidParams

from capture.editing.document import Anchor, Bias
from capture.editing.excerpt import BYTES_PER_TOKEN
from capture.editing.positions import utf8_length
from capture.inputs import ActiveBufferDiagnostic, Span
from daemon.lsp.params import member, require_list, require_position, require_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from capture.context.syntax_errors import SyntaxProblem
    from capture.editing.document import Document
    from capture.editing.positions import Position
    from daemon.lsp.documents import OpenDocument
    from daemon.lsp.session import Session

# Zed's figures: diagnostics on the rows around the cursor, the nearest of them, each part clamped.
ROWS_AROUND_CURSOR = 20
MAX_DIAGNOSTICS = 20
MAX_MESSAGE_BYTES = 512 * BYTES_PER_TOKEN
MAX_SNIPPET_BYTES = 512 * BYTES_PER_TOKEN
SNIPPET_GROWTH_BYTES = 100 * BYTES_PER_TOKEN
MAX_KEPT = 200  # per document: every edit moves their anchors, and a broken build reports thousands

ERROR = 1
_SEVERITIES = {"error": 1, "warning": 2, "information": 3, "hint": 4, 1: 1, 2: 2, 3: 3, 4: 4}


@dataclass(frozen=True, slots=True)
class _Kept:
    severity: int | None
    message: str
    start: Anchor
    end: Anchor

    def where(self, text: Document) -> tuple[Position, Position]:
        """Where it is now."""
        return text.position_at(self.start.offset_bytes), text.position_at(self.end.offset_bytes)


class Reporter(IntEnum):
    """Who said what is wrong; of several the first counts, also where it found nothing wrong."""

    CLIENT = 0  # it shows them to the person
    COMPANION = 1
    GRAMMAR = 2


class DiagnosticsStore:
    """Owns the diagnostics of one session's documents."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[Reporter, tuple[_Kept, ...]]] = {}
        self._said: dict[str, dict[Reporter, list[Any]]] = {}
        self._revisions: dict[str, int] = {}

    def replace(self, document: OpenDocument, said: list[Any], reporter: Reporter = Reporter.CLIENT) -> None:
        """Take ``said`` as all diagnostics that ``reporter`` has of the document; a malformed one is left out."""
        before = self._said.setdefault(document.uri, {})
        if before.get(reporter) == said:
            return
        before[reporter] = said
        kept = (_kept(document.text, value) for value in said[:MAX_KEPT])
        self._keep(document, reporter, tuple(item for item in kept if item is not None))

    def replace_syntax_errors(self, document: OpenDocument, problems: Sequence[SyntaxProblem]) -> None:
        """What the grammar says of the document as it is; it counts as long as nobody else reports anything."""
        text, before = document.text, self._kept.get(document.uri, {}).get(Reporter.GRAMMAR, ())
        said = [(problem.message, problem.range.start, problem.range.end) for problem in problems]
        if [(kept.message, *kept.where(text)) for kept in before] == said:
            return
        kept = tuple(
            _Kept(ERROR, message, text.anchor(start, Bias.RIGHT), text.anchor(end, Bias.LEFT))
            for message, start, end in said
        )
        self._keep(document, Reporter.GRAMMAR, kept)

    def forget(self, uri: str) -> None:
        """The document was closed."""
        self._kept.pop(uri, None)
        self._said.pop(uri, None)

    def revision(self, uri: str) -> int:
        """Rises whenever the diagnostics of the document change."""
        return self._revisions.get(uri, 0)

    def near(self, document: OpenDocument, cursor: Position) -> tuple[ActiveBufferDiagnostic, ...]:
        """The diagnostics around the cursor, nearest first, as the model sees them."""
        text = document.text
        near: list[tuple[int, int, _Kept]] = []
        for index, kept in enumerate(self._counting(document.uri)):
            start_row = text.position_at(kept.start.offset_bytes).line
            end_row = text.position_at(kept.end.offset_bytes).line
            if end_row < cursor.line - ROWS_AROUND_CURSOR or start_row > cursor.line + ROWS_AROUND_CURSOR:
                continue
            near.append((abs(cursor.line - start_row) + abs(cursor.line - end_row), index, kept))
        near.sort(key=lambda item: item[:2])
        return tuple(_for_model(text, kept) for _, _, kept in near[:MAX_DIAGNOSTICS])

    def errors(self, document: OpenDocument) -> list[Position]:
        """Where errors begin that somebody reported; the grammar's own are left out, as typing makes and mends them."""
        reporters = self._kept.get(document.uri, {})
        if not reporters or min(reporters) is Reporter.GRAMMAR:
            return []
        kept = (kept for kept in reporters[min(reporters)] if kept.severity == ERROR)
        return [kept.where(document.text)[0] for kept in kept]

    def _keep(self, document: OpenDocument, reporter: Reporter, kept: tuple[_Kept, ...]) -> None:
        of_document = self._kept.setdefault(document.uri, {})
        of_document[reporter] = kept
        if reporter == min(of_document):
            self._revisions[document.uri] = self.revision(document.uri) + 1

    def _counting(self, uri: str) -> tuple[_Kept, ...]:
        """Those of the first who said anything."""
        of_document = self._kept.get(uri)
        return of_document[min(of_document)] if of_document else ()


def did_change_diagnostics(session: Session, params: Any) -> None:
    """``foretype/didChangeDiagnostics``: a client forwards what another server reported."""
    document = session.documents.find(require_text(params, "uri"))
    diagnostics = require_list(params, "diagnostics")
    version = member(params, "version")
    # Ranges of another version would be drawn to the wrong text; the editor reports again soon.
    if document is not None and version in (None, document.version):
        session.diagnostics.replace(document, diagnostics)


def take_attached(session: Session, uri: str, params: Any) -> None:
    """The ``diagnostics`` attached to a request about ``uri``, if there are any."""
    attached = member(params, "diagnostics")
    document = session.documents.find(uri)
    if isinstance(attached, list) and document is not None:
        session.diagnostics.replace(document, attached)


def _kept(text: Document, value: Any) -> _Kept | None:
    message, severity = member(value, "message"), member(value, "severity")
    try:
        start, end = require_position(value, "range", "start"), require_position(value, "range", "end")
    except JsonRpcInvalidParams:
        return None
    if not isinstance(message, str):
        return None
    known = severity if isinstance(severity, (int, str)) else None
    return _Kept(
        _SEVERITIES.get(known.lower() if isinstance(known, str) else known),
        message,
        text.anchor(min(start, end), Bias.RIGHT),
        text.anchor(max(start, end), Bias.LEFT),
    )


def _for_model(text: Document, kept: _Kept) -> ActiveBufferDiagnostic:
    start_bytes = kept.start.offset_bytes
    end_bytes = max(start_bytes, kept.end.offset_bytes)
    rows = Span(text.position_at(start_bytes).line, text.position_at(end_bytes).line + 1)
    snippet_rows = _snippet_rows(text, rows)
    snippet = "\n".join(text.line(row) for row in range(snippet_rows.start, snippet_rows.end))
    in_snippet = _range_in_snippet(text, snippet_rows, start_bytes, end_bytes)
    if snippet_rows == Span(0, text.row_count):
        snippet, in_snippet = "", Span(0, 0)  # the model sees the whole file anyway
    snippet = _clamped(snippet, MAX_SNIPPET_BYTES)
    length_bytes = utf8_length(snippet)
    return ActiveBufferDiagnostic(
        severity=kept.severity,
        message=_clamped(kept.message, MAX_MESSAGE_BYTES),
        snippet=snippet,
        snippet_buffer_row_range=rows,
        diagnostic_range_in_snippet=Span(min(in_snippet.start, length_bytes), min(in_snippet.end, length_bytes)),
    )


def _snippet_rows(text: Document, rows: Span) -> Span:
    """The diagnostic's rows and as many whole lines around them as the growth budget pays for."""
    budget = SNIPPET_GROWTH_BYTES
    start, end = rows.start, rows.end
    while True:
        grown = False
        for row in (end, start - 1):
            if not 0 <= row < text.row_count:
                continue
            cost = utf8_length(text.line(row)) + 1
            if cost <= budget:
                budget -= cost
                start, end = min(start, row), max(end, row + 1)
                grown = True
        if not grown:
            return Span(start, end)


def _range_in_snippet(text: Document, snippet_rows: Span, start_bytes: int, end_bytes: int) -> Span:
    def offset_in_snippet(offset_bytes: int) -> int:
        row = text.position_at(offset_bytes).line
        before = sum(utf8_length(text.line(above)) + 1 for above in range(snippet_rows.start, row))
        column_bytes = offset_bytes - text.row_start_bytes(row)
        return before + min(column_bytes, utf8_length(text.line(row)))

    return Span(offset_in_snippet(start_bytes), offset_in_snippet(end_bytes))


def _clamped(text: str, max_bytes: int) -> str:
    encoded = text.encode()
    return text if len(encoded) <= max_bytes else encoded[:max_bytes].decode(errors="ignore")
