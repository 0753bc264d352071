"""`hash_regions`: V0615HashRegions behind the daemon's interface, whose answers may edit several files.

The prompt is Zed's; the reading of answers is not: spans that overlap, tags that pair with none and text
outside them make an answer no edit, and a target leaves no edit out. Knows nothing of editors: whether the
rows of a file are still what the inputs say is for the caller to check.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from capture.editing.excerpt import cursor_excerpt
from capture.editing.histogram import changes
from capture.inputs import PredictionInputs, RelatedExcerpt, Span
from daemon.prompts.base import (
    Answer,
    CountTokens,
    Delimiters,
    FileEdit,
    FileEdits,
    NewRegion,
    NoEdit,
    NoEditReason,
    Prompt,
    Refusal,
    TargetError,
)
from daemon.prompts.guards import is_covered, judge, no_edit_at_sight, without_clashing_context
from daemon.prompts.sections import contains_special_tokens
from daemon.prompts.zed.hash_regions import NO_EDITS, V0615_HASH_REGIONS, format_hash_regions_prompt
from daemon.prompts.zed.hash_snippets import (
    Snippet,
    SpanEdit,
    edited_text,
    pair_spans,
    resolve_spans,
    snippets_of,
    without_overlaps,
)
from daemon.prompts.zed.hashed_markers import (
    TAG,
    encode_between,
    ensure_cursor_file_excerpt,
    is_cursor_file,
    locate_cursor,
)
from daemon.prompts.zed.marker_spans import MarkerError, changed_span
from daemon.prompts.zed.safe import EXTRA_ANSWER_TOKENS, stop_strings

# Estimated tokens of an excerpt that is put in for the cursor: more than half of a prompt, with its tags.
MAX_CURSOR_EXCERPT_TOKENS = 4096

# Changes with at most this many unchanged rows between them are one edit.
MAX_ROWS_BETWEEN_CHANGES = 1

_PAIR = re.compile(TAG.pattern + rb".*?" + TAG.pattern, re.DOTALL)


class HashRegions:
    """The ``PromptFormat`` of V0615HashRegions.

    ``Prompt.region`` is the cursor's excerpt as far as it lies in ``cursor_excerpt``.
    """

    name = V0615_HASH_REGIONS.name
    stop = stop_strings(V0615_HASH_REGIONS)
    control_tokens = (*V0615_HASH_REGIONS.clash_tokens, *V0615_HASH_REGIONS.tokens.others)
    delimiters = Delimiters(V0615_HASH_REGIONS.instruction_part, V0615_HASH_REGIONS.response_part)

    def render(self, inputs: PredictionInputs, count_tokens: CountTokens) -> Prompt | Refusal:
        """Zed's prompt, the cursor's excerpt put in where it is missing, what holds control tokens left out."""
        whole = Span(0, len(inputs.excerpt_bytes))
        tokens = self.control_tokens
        if "\n" in inputs.cursor_path or contains_special_tokens(
            f"{inputs.cursor_path}\n{inputs.cursor_excerpt}", tokens
        ):
            return Refusal.CONTROL_TOKENS
        moment = _Moment.of(inputs) if is_covered(inputs, whole, whole) else None
        if moment is None:
            return Refusal.CURSOR_NOT_COVERED
        text = format_hash_regions_prompt(moment.inputs)
        if text is None:
            return Refusal.OVER_BUDGET
        region_text = inputs.excerpt_bytes[moment.region.start : moment.region.end].decode()
        return Prompt(
            text=text,
            stop=self.stop,
            region=moment.region,
            region_text=region_text,
            max_answer_tokens=count_tokens(region_text) * 3 // 2 + EXTRA_ANSWER_TOKENS,
        )

    def parse(self, inputs: PredictionInputs, prompt: Prompt, answer: str, *, finished: bool) -> Answer:
        """The edits of all files, each as few rows as say it, or no edit with the reason; never raises."""
        del prompt
        refused = no_edit_at_sight(answer, finished=finished)
        moment = _Moment.of(inputs)
        if refused is not None or moment is None:
            return refused or NoEdit(NoEditReason.MALFORMED)
        try:
            spans = _read_spans(moment.snippets, answer.removesuffix(V0615_HASH_REGIONS.end_marker))
        except MarkerError:
            return NoEdit(NoEditReason.MALFORMED)
        if not spans:
            return NoEdit(NoEditReason.SAID_SO)
        edits: list[FileEdit] = []
        for snippet, new_text in _new_texts(spans):
            old_text = snippet.text.decode()
            judged = judge(old_text, NewRegion(new_text), HashRegions.control_tokens)
            if isinstance(judged, NoEdit) and judged.reason is not NoEditReason.UNCHANGED:
                return judged
            edits += _file_edits(snippet.path, snippet.start_row, old_text, new_text)
        return FileEdits(tuple(edits)) if edits else NoEdit(NoEditReason.UNCHANGED)

    def training_target(self, inputs: PredictionInputs, prompt: Prompt, new_region: NewRegion) -> str:
        """The answer for a new text of the region, without its cursor; raises TargetError."""
        if inputs.excerpt_start_row is None:
            raise TargetError("the row of the excerpt is unknown")
        if prompt.region_text.endswith("\n") and not new_region.text.endswith("\n"):
            raise TargetError("rows that end in a newline keep one")
        start_row = inputs.excerpt_start_row + inputs.excerpt_bytes.count(b"\n", 0, prompt.region.start)
        edits = _file_edits(inputs.cursor_path, start_row, prompt.region_text, new_region.text)
        if not edits and new_region.text != prompt.region_text:
            raise TargetError("the format cannot say whether the last row ends in a newline")
        return self.target_of_edits(inputs, FileEdits(tuple(edits)))

    def target_of_edits(self, inputs: PredictionInputs, edits: FileEdits) -> str:
        """The answer for edits of any of the files shown; ``NO_EDITS`` for none.

        Raises TargetError when an edit lies outside what the prompt shows, is made to another text than it
        shows, or would not be read back.
        """
        moment = _Moment.of(inputs)
        prompt_text = None if moment is None else format_hash_regions_prompt(moment.inputs)
        if moment is None or prompt_text is None:
            raise TargetError("there is no prompt for these inputs")
        placed = [_placed(moment.snippets, edit) for edit in edits.edits]
        wanted: dict[Snippet, bytes] = {}
        blocks: list[bytes] = []
        for snippet in dict.fromkeys(edit.snippet for edit in placed):
            own = sorted((edit for edit in placed if edit.snippet is snippet), key=lambda edit: edit.span.start)
            if len(without_overlaps(own)) < len(own):
                raise TargetError(f"edits of {snippet.path} overlap")
            wanted[snippet] = edited_text(snippet, own)
            blocks += [
                encode_between(snippet.text, edited_text(snippet, group), snippet.markers, None)
                for group in _in_blocks_of_their_own(snippet, own)
            ]
        target = b"\n".join(blocks).decode() or NO_EDITS
        if any(tag not in prompt_text for tag in (match[0] for match in re.finditer(TAG.pattern.decode(), target))):
            raise TargetError("an edit lies in text that was left out of the prompt")
        self._check_read_back(moment.snippets, target, wanted)
        return target + V0615_HASH_REGIONS.end_marker

    def _check_read_back(self, snippets: Sequence[Snippet], target: str, wanted: dict[Snippet, bytes]) -> None:
        """Raise TargetError unless the answer leads to the wanted text of every snippet, and to nothing else."""
        try:
            read = dict(_new_texts(_read_spans(snippets, target)))
        except MarkerError as error:
            raise TargetError(f"the answer for these edits would not be read: {error}") from error
        if read != {snippet: text.decode() for snippet, text in wanted.items()}:
            raise TargetError("the answer for these edits would be read as other edits")
        for snippet, text in read.items():
            judged = judge(snippet.text.decode(), NewRegion(text), HashRegions.control_tokens)
            if isinstance(judged, NoEdit) and judged.reason is not NoEditReason.UNCHANGED:
                raise TargetError(f"the answer for these edits would be read as no edit: {judged.reason.value}")


HASH_REGIONS = HashRegions()


@dataclass(frozen=True, slots=True)
class _Moment:
    """The inputs as the prompt shows them, their snippets, and the region in the cursor excerpt."""

    inputs: PredictionInputs
    snippets: list[Snippet]
    region: Span

    @classmethod
    def of(cls, inputs: PredictionInputs) -> _Moment | None:
        """None where no excerpt can hold the cursor.

        Where the cursor's excerpt must be put in, it is cut to what leaves room for others. An excerpt of the
        cursor's file that says other text than the cursor excerpt does gives way to it.
        """
        screened = without_clashing_context(inputs, HashRegions.control_tokens)
        files = tuple(file for file in screened.related_files or () if "\n" not in file.path)
        others = tuple(file for file in files if not is_cursor_file(inputs, file))
        around_cursor, shift_bytes = _cut_to_cursor(screened)
        for candidate, shift in (
            (replace(screened, related_files=files), 0),
            (ensure_cursor_file_excerpt(replace(around_cursor, related_files=files)), shift_bytes),
            (ensure_cursor_file_excerpt(replace(around_cursor, related_files=others)), shift_bytes),
        ):
            region = _region(candidate)
            if region is not None:
                shifted = Span(region.start + shift, region.end + shift)
                return cls(candidate, snippets_of(candidate), shifted)
        return None


def _cut_to_cursor(inputs: PredictionInputs) -> tuple[PredictionInputs, int]:
    """The inputs with as many rows around the cursor as an excerpt may have, and where these start (bytes)."""
    if inputs.excerpt_start_row is None:
        return inputs, 0
    lines = inputs.cursor_excerpt.split("\n")
    cursor_row = inputs.excerpt_bytes.count(b"\n", 0, inputs.cursor_offset_in_excerpt)
    rows, text = cursor_excerpt(lines, cursor_row, MAX_CURSOR_EXCERPT_TOKENS)
    start = sum(len(line.encode()) + 1 for line in lines[: rows.start])
    cut = replace(
        inputs,
        cursor_excerpt=text,
        cursor_offset_in_excerpt=inputs.cursor_offset_in_excerpt - start,
        excerpt_start_row=inputs.excerpt_start_row + rows.start,
    )
    return cut, start


def _region(inputs: PredictionInputs) -> Span | None:
    """The rows that the cursor excerpt and the excerpt with the cursor share, None where their texts differ."""
    place = locate_cursor(inputs)
    if place is None or inputs.excerpt_start_row is None:
        return None
    excerpt: RelatedExcerpt = (inputs.related_files or ())[place.file_index].excerpts[place.excerpt_index]
    shift = excerpt.row_range.start - inputs.excerpt_start_row
    own, other = inputs.cursor_excerpt.split("\n"), excerpt.text.split("\n")
    if not other[-1] and len(other) > 1 and (shift + len(other) != len(own) or own[-1]):
        other.pop()
    first, end = max(0, shift), min(len(own), shift + len(other))
    if own[first:end] != other[first - shift : end - shift]:
        return None
    starts = [0]
    for line in own:
        starts.append(starts[-1] + len(line.encode()) + 1)
    return Span(starts[first], starts[end] - 1)


def _read_spans(snippets: Sequence[Snippet], answer: str) -> list[SpanEdit]:
    """What an answer replaces, no span overlapping another; empty where it repeats tags only or says NO_EDITS.

    Raises MarkerError.
    """
    if answer.strip() == NO_EDITS:
        return []
    data = answer.encode()
    if _PAIR.sub(b"", data).strip():
        raise MarkerError("text or a single tag stands outside the spans")
    spans = pair_spans(data)
    if any(span.start == span.end and span.content.strip() for span in spans):
        raise MarkerError("a repeated tag says no edit, but text stands between")
    edits = resolve_spans(snippets, (span for span in spans if span.start != span.end))
    for snippet in {edit.snippet for edit in edits}:
        own = [edit for edit in edits if edit.snippet is snippet]
        if len(without_overlaps(own)) < len(own):
            raise MarkerError("spans overlap")
    return edits


def _new_texts(edits: Sequence[SpanEdit]) -> Iterator[tuple[Snippet, str]]:
    """Every snippet that is edited, with its new text, in the order of the answer."""
    for snippet in dict.fromkeys(edit.snippet for edit in edits):
        own = without_overlaps(edit for edit in edits if edit.snippet is snippet)
        yield snippet, edited_text(snippet, own).decode()


def _file_edits(path: str, start_row: int, old_text: str, new_text: str) -> list[FileEdit]:
    """The changed rows; neighbours with hardly a row between them are one edit.

    Where the text does not end in a newline its last row has none either, so that lines put behind that row
    replace it. An empty text is that one row, or none when only whole lines are put there.
    """
    has_end = old_text.endswith("\n") or (not old_text and new_text.endswith("\n"))
    if not has_end:
        old_text, new_text = old_text + "\n", new_text + "\n"
    old_lines, new_lines = _lines(old_text), _lines(new_text)
    edits: list[FileEdit] = []
    for old_rows, new_rows in _grouped(old_lines, new_lines):
        at_open_end = not has_end and old_rows.end == len(old_lines)
        # Without a row before it, no rows and one empty row would both be the empty text.
        is_unclear = not len(old_rows) or new_lines[new_rows.start : new_rows.end] in ([], ["\n"])
        lead = 1 if at_open_end and old_rows.start > 0 and is_unclear else 0
        old = "".join(old_lines[old_rows.start - lead : old_rows.end])
        new = "".join(new_lines[new_rows.start - lead : new_rows.end])
        if at_open_end:
            old, new = old.removesuffix("\n"), new.removesuffix("\n")
        rows = Span(start_row + old_rows.start - lead, start_row + old_rows.end)
        edits.append(FileEdit(path, rows, old, new))
    return edits


def _grouped(old_lines: Sequence[str], new_lines: Sequence[str]) -> Iterator[tuple[Span, Span]]:
    """Rows of the old and of the new text that differ, near ones together."""
    found = changes(old_lines, new_lines)
    if not found:
        return
    first = found[0]
    for change, following in pairwise(found):
        if following.old_start - change.old_end > MAX_ROWS_BETWEEN_CHANGES:
            yield Span(first.old_start, change.old_end), Span(first.new_start, change.new_end)
            first = following
    yield Span(first.old_start, found[-1].old_end), Span(first.new_start, found[-1].new_end)


def _lines(text: str) -> list[str]:
    r"""Lines with their ``\n``; nothing else ends one."""
    return [line + "\n" for line in text.split("\n")[:-1]] if text else []


def _placed(snippets: Iterable[Snippet], edit: FileEdit) -> SpanEdit:
    """The edit as a span of the snippet that holds its rows; raises TargetError."""
    where = f"rows {edit.rows.start} to {edit.rows.end} of {edit.path}"
    for snippet in snippets:
        lines = snippet.text.split(b"\n")
        if not lines[-1]:
            lines.pop()
        first, end = edit.rows.start - snippet.start_row, edit.rows.end - snippet.start_row
        if snippet.path != edit.path or not 0 <= first <= end <= len(lines):
            continue
        starts = [sum(len(line) + 1 for line in lines[:row]) for row in (first, end)]
        span = Span(*(min(start, len(snippet.text)) for start in starts))
        shown = snippet.text[span.start : span.end].decode()
        if shown.removesuffix("\n") != edit.old_text.removesuffix("\n"):
            raise TargetError(f"{where} are shown with other text")
        return SpanEdit(snippet, span, _fitted(edit, snippet.text, span).encode())
    raise TargetError(f"{where} are not in the prompt")


def _fitted(edit: FileEdit, text: bytes, span: Span) -> str:
    """The edit's new text with line ends where the snippet has them: its last row may have none."""
    at_open_end = span.end == len(text) and text and not text.endswith(b"\n")
    if at_open_end and not len(edit.rows):
        return "\n" + edit.new_text.removesuffix("\n")
    if at_open_end and edit.old_text.endswith("\n"):
        return edit.new_text.removesuffix("\n")
    lacks_end = len(edit.rows) and not at_open_end and not edit.old_text.endswith("\n")
    return edit.new_text + "\n" if lacks_end else edit.new_text


def _in_blocks_of_their_own(snippet: Snippet, edits: Sequence[SpanEdit]) -> Iterator[list[SpanEdit]]:
    """The edits of a snippet in groups, each of which changes blocks that no other group changes."""
    offsets = [marker.offset for marker in snippet.markers]
    group: list[SpanEdit] = []
    reached = 0
    for edit in edits:
        new = edited_text(snippet, [edit])
        if new == snippet.text:
            continue
        span = changed_span(snippet.text, new, offsets, None)
        if group and offsets[min(span.first, span.last)] < reached:
            group.append(edit)
        else:
            if group:
                yield group
            group = [edit]
        reached = max(reached, offsets[max(span.first, span.last)])
    if group:
        yield group
