"""Zeta3: Zed's newer request (`/predict_edits/v4`), which says the cursor's file by rows and not by an excerpt.

A ``Zeta3PromptInput`` holds excerpts of files alone; the one of the cursor's file that covers the cursor plays
the part of the cursor excerpt. Zed renders it in one format, V0318SeedMultiRegions, and so do we, through
``PredictionInputs``. Byte for byte as in Zed (`zeta_prompt` at 09adbb01).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from capture.inputs import (
    ActiveBufferDiagnostic,
    EditEvent,
    ExcerptRanges,
    PredictionInputs,
    RelatedExcerpt,
    RelatedFile,
    Span,
)
from daemon.prompts.guards import is_boundary
from daemon.prompts.sections import path_components
from daemon.prompts.zed.answer import excerpt_patch, parse_output
from daemon.prompts.zed.format import ZetaConstants
from daemon.prompts.zed.marker_spans import MarkerError
from daemon.prompts.zed.numbered_blocks import V0318_SEED_MULTI_REGIONS
from daemon.prompts.zed.prompt import format_zeta_prompt


@dataclass(frozen=True, slots=True)
class FilePosition:
    """A row of a file and a column in bytes, both from 0."""

    row: int
    column: int


@dataclass(frozen=True, slots=True)
class Zeta3PromptInput:
    """One editing moment in the newer wire form; the fields mean what they mean in ``PredictionInputs``.

    ``editable_context`` must hold an excerpt of the cursor's file, of source ``current_file``, that covers the
    cursor; ``syntax_ranges`` are bytes of its text.
    """

    cursor_path: str
    cursor_position: FilePosition
    events: tuple[EditEvent, ...]
    editable_context: tuple[RelatedFile, ...]
    syntax_ranges: tuple[Span, ...] = ()
    active_buffer_diagnostics: tuple[ActiveBufferDiagnostic, ...] = ()
    in_open_source_repo: bool = False
    can_collect_data: bool = False
    repo_url: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The wire form, keys in Zed's order, empty optionals left out."""
        value: dict[str, Any] = {
            "cursor_path": self.cursor_path,
            "cursor_position": {"row": self.cursor_position.row, "column": self.cursor_position.column},
            "events": [event.to_json() for event in self.events],
            "editable_context": [file.to_json() for file in self.editable_context],
        }
        if self.syntax_ranges:
            value["syntax_ranges"] = [span.to_json() for span in self.syntax_ranges]
        if self.active_buffer_diagnostics:
            value["active_buffer_diagnostics"] = [item.to_json() for item in self.active_buffer_diagnostics]
        value["in_open_source_repo"] = self.in_open_source_repo
        value["can_collect_data"] = self.can_collect_data
        if self.repo_url is not None:
            value["repo_url"] = self.repo_url
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Zeta3PromptInput:
        """Read the wire form; raises KeyError when a required key is missing."""
        position = value["cursor_position"]
        return cls(
            cursor_path=value["cursor_path"],
            cursor_position=FilePosition(position["row"], position["column"]),
            events=tuple(EditEvent.from_json(event) for event in value["events"]),
            editable_context=tuple(RelatedFile.from_json(file) for file in value["editable_context"]),
            syntax_ranges=tuple(Span.from_json(span) for span in value.get("syntax_ranges") or ()),
            active_buffer_diagnostics=tuple(
                ActiveBufferDiagnostic.from_json(item) for item in value.get("active_buffer_diagnostics") or ()
            ),
            in_open_source_repo=value.get("in_open_source_repo", False),
            can_collect_data=value.get("can_collect_data", False),
            repo_url=value.get("repo_url"),
        )

    def to_prediction_inputs(self) -> PredictionInputs | None:
        """The same moment with the cursor's excerpt taken out of the context; None where none covers the cursor."""
        found = self._current_excerpt()
        if found is None:
            return None
        current, cursor_offset = found
        others = (
            replace(file, excerpts=tuple(excerpt for excerpt in file.excerpts if excerpt != current))
            if self._is_cursor_file(file)
            else file
            for file in self.editable_context
        )
        return PredictionInputs(
            cursor_path=self.cursor_path,
            cursor_excerpt=current.text,
            cursor_offset_in_excerpt=cursor_offset,
            excerpt_ranges=ExcerptRanges({}),
            excerpt_start_row=current.row_range.start,
            events=self.events,
            related_files=tuple(file for file in others if file.excerpts),
            active_buffer_diagnostics=self.active_buffer_diagnostics,
            syntax_ranges=self.syntax_ranges,
            in_open_source_repo=self.in_open_source_repo,
            can_collect_data=self.can_collect_data,
            repo_url=self.repo_url,
        )

    def _current_excerpt(self) -> tuple[RelatedExcerpt, int] | None:
        """The first excerpt that covers the cursor, and the cursor's offset in it."""
        for file in self.editable_context:
            for excerpt in file.excerpts if self._is_cursor_file(file) else ():
                offset = _offset_in(excerpt, self.cursor_position)
                if excerpt.context_source == "current_file" and offset is not None:
                    return excerpt, offset
        return None

    def _is_cursor_file(self, file: RelatedFile) -> bool:
        return path_components(file.path) == path_components(self.cursor_path)


def format_zeta3_prompt(moment: Zeta3PromptInput, zeta: ZetaConstants = V0318_SEED_MULTI_REGIONS) -> str | None:
    """The V0318 prompt; None in another format, when no excerpt covers the cursor, and over the budget."""
    inputs = moment.to_prediction_inputs() if zeta is V0318_SEED_MULTI_REGIONS else None
    return None if inputs is None else format_zeta_prompt(inputs, V0318_SEED_MULTI_REGIONS)


def parse_zeta3_output(moment: Zeta3PromptInput, output: str, zeta: ZetaConstants = V0318_SEED_MULTI_REGIONS) -> str:
    """The patch a V0318 answer means: one hunk, rows of the file, the cursor inline.

    Raises MarkerError in another format, when no excerpt covers the cursor, and when the answer makes no sense.
    """
    if zeta is not V0318_SEED_MULTI_REGIONS:
        raise MarkerError(f"an answer to such a moment is read in {V0318_SEED_MULTI_REGIONS.name}, not in {zeta.name}")
    inputs = moment.to_prediction_inputs()
    if inputs is None or inputs.excerpt_start_row is None:
        raise MarkerError("no current-file excerpt covers the cursor")
    parsed = parse_output(inputs, V0318_SEED_MULTI_REGIONS, output)
    return excerpt_patch(inputs.cursor_path, inputs.excerpt_bytes, inputs.excerpt_start_row, parsed)


def _offset_in(excerpt: RelatedExcerpt, position: FilePosition) -> int | None:
    """The byte offset of a position, its column cut to the line and to a character; None outside the rows.

    The text decides how many rows there are, not the excerpt's row range.
    """
    lines = excerpt.text.encode().split(b"\n")
    row = position.row - excerpt.row_range.start
    if not 0 <= row < len(lines):
        return None
    column = min(position.column, len(lines[row]))
    while not is_boundary(lines[row], column):
        column -= 1
    return sum(len(line) + 1 for line in lines[:row]) + column
