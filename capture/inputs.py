"""PredictionInputs: everything a model may see of one editing moment.

The same value is rendered into a prompt, stored in a snapshot and carried by a training example.
Its JSON form is Zed's ``Zeta2PromptInput`` (`zeta_prompt` at zed 09adbb01), so files move between the two.
Every offset is a UTF-8 byte offset, every range is half open, rows are 0-based. Knows nothing of editors,
prompts or storage.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

ContextSource = Literal[
    "lsp",
    "cursor_excerpt",
    "current_file",
    "edit_history",
    "edit_history_file",
    "git_log",
    "bm25",
    "oracle_file",
    "oracle_snippet",
]


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of bytes or rows; the field that holds it says which."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    def to_json(self) -> dict[str, int]:
        """The wire form, ``{"start", "end"}``."""
        return {"start": self.start, "end": self.end}

    @classmethod
    def from_json(cls, value: dict[str, int]) -> Span:
        """Read the wire form; raises KeyError when a bound is missing."""
        return cls(value["start"], value["end"])


EMPTY_SPAN = Span(0, 0)


@dataclass(frozen=True, slots=True)
class EditEvent:
    """One coalesced change of a file: hunks of a unified diff (no file header), 3 context lines.

    ``old_range`` and ``new_range`` are byte ranges in the whole buffer before and after.
    ``predicted`` is true when every edit in it was an accepted prediction.
    """

    path: str
    old_path: str
    diff: str
    old_range: Span = EMPTY_SPAN
    new_range: Span = EMPTY_SPAN
    predicted: bool = False
    in_open_source_repo: bool = False

    def to_json(self) -> dict[str, Any]:
        """The wire form of Zed's ``Event::BufferChange``."""
        return {
            "event": "BufferChange",
            "path": self.path,
            "old_path": self.old_path,
            "diff": self.diff,
            "old_range": self.old_range.to_json(),
            "new_range": self.new_range.to_json(),
            "predicted": self.predicted,
            "in_open_source_repo": self.in_open_source_repo,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> EditEvent:
        """Read the wire form; raises KeyError when a required key is missing."""
        return cls(
            path=value["path"],
            old_path=value["old_path"],
            diff=value["diff"],
            old_range=Span.from_json(value.get("old_range", {"start": 0, "end": 0})),
            new_range=Span.from_json(value.get("new_range", {"start": 0, "end": 0})),
            predicted=value.get("predicted", False),
            in_open_source_repo=value.get("in_open_source_repo", False),
        )


@dataclass(frozen=True, slots=True)
class RelatedExcerpt:
    """Rows of another file (or of this one) that help; a lower ``order`` matters more."""

    row_range: Span
    text: str
    order: int = 0
    context_source: ContextSource = "lsp"

    def to_json(self) -> dict[str, Any]:
        """The wire form."""
        return {
            "row_range": self.row_range.to_json(),
            "text": self.text,
            "order": self.order,
            "context_source": self.context_source,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> RelatedExcerpt:
        """Read the wire form; raises KeyError when a required key is missing."""
        return cls(
            row_range=Span.from_json(value["row_range"]),
            text=value["text"],
            order=value.get("order", 0),
            context_source=value.get("context_source", "lsp"),
        )


@dataclass(frozen=True, slots=True)
class RelatedFile:
    """Excerpts of one file; ``max_row`` is the index of its last row."""

    path: str
    max_row: int
    excerpts: tuple[RelatedExcerpt, ...]
    in_open_source_repo: bool = False

    def to_json(self) -> dict[str, Any]:
        """The wire form."""
        return {
            "path": self.path,
            "max_row": self.max_row,
            "excerpts": [excerpt.to_json() for excerpt in self.excerpts],
            "in_open_source_repo": self.in_open_source_repo,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> RelatedFile:
        """Read the wire form; raises KeyError when a required key is missing."""
        return cls(
            path=value["path"],
            max_row=value["max_row"],
            excerpts=tuple(RelatedExcerpt.from_json(excerpt) for excerpt in value["excerpts"]),
            in_open_source_repo=value.get("in_open_source_repo", False),
        )


@dataclass(frozen=True, slots=True)
class ActiveBufferDiagnostic:
    """A diagnostic of the active buffer; severity 1 error, 2 warning, 3 information, 4 hint.

    ``snippet_buffer_row_range`` holds the diagnostic's own rows (Zed's name is kept for the wire);
    ``diagnostic_range_in_snippet`` is in bytes of ``snippet``.
    """

    severity: int | None
    message: str
    snippet: str
    snippet_buffer_row_range: Span
    diagnostic_range_in_snippet: Span

    def to_json(self) -> dict[str, Any]:
        """The wire form."""
        return {
            "severity": self.severity,
            "message": self.message,
            "snippet": self.snippet,
            "snippet_buffer_row_range": self.snippet_buffer_row_range.to_json(),
            "diagnostic_range_in_snippet": self.diagnostic_range_in_snippet.to_json(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ActiveBufferDiagnostic:
        """Read the wire form; raises KeyError when a required key is missing."""
        return cls(
            severity=value.get("severity"),
            message=value["message"],
            snippet=value["snippet"],
            snippet_buffer_row_range=Span.from_json(value["snippet_buffer_row_range"]),
            diagnostic_range_in_snippet=Span.from_json(value["diagnostic_range_in_snippet"]),
        )


@dataclass(frozen=True, slots=True)
class ExcerptRanges:
    """Precomputed byte ranges in the cursor excerpt, used where ``syntax_ranges`` is absent.

    Keys are Zed's: ``editable_N`` holds N estimated tokens, ``editable_N_context_M`` that range plus M
    tokens around it. Only the keys that were given are present.
    """

    ranges: dict[str, Span]

    def __getitem__(self, key: str) -> Span:
        return self.ranges[key]

    def get(self, key: str) -> Span | None:
        """The range under ``key``, or None when it was not computed."""
        return self.ranges.get(key)

    def to_json(self) -> dict[str, dict[str, int]]:
        """The wire form."""
        return {key: span.to_json() for key, span in self.ranges.items()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ExcerptRanges:
        """Read the wire form; a key whose value is null counts as absent."""
        return cls({key: Span.from_json(span) for key, span in value.items() if span is not None})


@dataclass(frozen=True)
class PredictionInputs:
    """One editing moment.

    ``cursor_excerpt`` is a window of whole lines around the cursor (no newline after its last line);
    ``cursor_offset_in_excerpt`` and the ranges are bytes in it; ``events`` are oldest first;
    ``syntax_ranges`` are the syntax nodes around the cursor, innermost first, relative to the excerpt.
    """

    cursor_path: str
    cursor_excerpt: str
    cursor_offset_in_excerpt: int
    excerpt_ranges: ExcerptRanges
    excerpt_start_row: int | None = None
    events: tuple[EditEvent, ...] = ()
    related_files: tuple[RelatedFile, ...] | None = None
    active_buffer_diagnostics: tuple[ActiveBufferDiagnostic, ...] = ()
    syntax_ranges: tuple[Span, ...] | None = None
    in_open_source_repo: bool = False
    can_collect_data: bool = False
    repo_url: str | None = None

    @cached_property
    def excerpt_bytes(self) -> bytes:
        """The excerpt in UTF-8, encoded once."""
        return self.cursor_excerpt.encode()

    def to_json(self) -> dict[str, Any]:
        """The wire form of ``Zeta2PromptInput``, keys in Zed's order, absent optionals left out."""
        value: dict[str, Any] = {
            "cursor_path": self.cursor_path,
            "cursor_excerpt": self.cursor_excerpt,
            "cursor_offset_in_excerpt": self.cursor_offset_in_excerpt,
        }
        if self.excerpt_start_row is not None:
            value["excerpt_start_row"] = self.excerpt_start_row
        value["events"] = [event.to_json() for event in self.events]
        value["related_files"] = (
            None if self.related_files is None else [related.to_json() for related in self.related_files]
        )
        if self.active_buffer_diagnostics:
            value["active_buffer_diagnostics"] = [item.to_json() for item in self.active_buffer_diagnostics]
        value["excerpt_ranges"] = self.excerpt_ranges.to_json()
        if self.syntax_ranges is not None:
            value["syntax_ranges"] = [span.to_json() for span in self.syntax_ranges]
        value["in_open_source_repo"] = self.in_open_source_repo
        value["can_collect_data"] = self.can_collect_data
        if self.repo_url is not None:
            value["repo_url"] = self.repo_url
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> PredictionInputs:
        """Read the wire form; raises KeyError when a required key is missing."""
        related = value.get("related_files")
        syntax = value.get("syntax_ranges")
        return cls(
            cursor_path=value["cursor_path"],
            cursor_excerpt=value["cursor_excerpt"],
            cursor_offset_in_excerpt=value["cursor_offset_in_excerpt"],
            excerpt_ranges=ExcerptRanges.from_json(value["excerpt_ranges"]),
            excerpt_start_row=value.get("excerpt_start_row"),
            events=tuple(EditEvent.from_json(event) for event in value["events"]),
            related_files=None if related is None else tuple(RelatedFile.from_json(item) for item in related),
            active_buffer_diagnostics=tuple(
                ActiveBufferDiagnostic.from_json(item) for item in value.get("active_buffer_diagnostics") or ()
            ),
            syntax_ranges=None if syntax is None else tuple(Span.from_json(span) for span in syntax),
            in_open_source_repo=value.get("in_open_source_repo", False),
            can_collect_data=value.get("can_collect_data", False),
            repo_url=value.get("repo_url"),
        )
