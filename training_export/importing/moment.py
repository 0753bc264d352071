"""An example from a change and the place where it is cut: what the daemon would have seen, and what came next.

The lines are put in and taken out in an editing state of the daemon's own, so that excerpt, events and ranges are what
a prompt has. The history that it keeps is short: what was done before it goes to ``uncommitted_diff``. Every patch is
read back before it is written: from the parent's files, ``uncommitted_diff``, ``edit_history``, the expected patch and
``foretype.rest_patch`` give the files of the commit, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from capture.context.index.languages import language_of
from capture.editing.excerpt import ranges_of_inputs
from capture.editing.histogram import Change, changes
from capture.editing.positions import ContentChange, Position, Range, utf16_length
from capture.editing.state import EditingState
from capture.editing.unified_diff import NO_PATH, PatchError, apply_patch, with_file_headers, write_hunks
from capture.inputs import EditEvent, PredictionInputs, Span
from daemon.prompts.base import NewRegion
from training_export.example import Example
from training_export.example_format.cursor_position import write_inline
from training_export.importing.changes import ChangeSet
from training_export.importing.file_patches import WHY_NOT_SAYABLE, patch_between, patched, reversed_hunks
from training_export.importing.script import LineEdit, NotReplayable, Script
from training_export.importing.split_point import Kind, Split
from training_export.patches import NotSayable, patch_of_region, patched_excerpt

EDITABLE_TOKENS, CONTEXT_TOKENS = 350, 150  # of most formats of Zed
# Languages that tree-sitter knows and the symbol index does not read.
_OTHER_LANGUAGES: Final = {"json": "json", "html": "html", "htm": "html", "css": "css"}


@dataclass(frozen=True, slots=True)
class TargetLimits:
    """How much of what comes next becomes the expected patch; the rest goes to ``foretype.rest_patch``.

    ``groups`` are those of lines that change together, 0 for all of them. ``whole_excerpt``: also what lies outside of
    the editable region, where the next edit lies in it.
    """

    groups: int = 0
    whole_excerpt: bool = False


def example_at(change_set: ChangeSet, script: Script, split: Split, name: str, limits: TargetLimits) -> Example:
    """The example of one split. Raises NotSayable, NotReplayable and ExampleRejected, each with the reason."""
    made = script.edits[: split.count] + _partial_edit(script, split)
    texts = script.edited(script.before, made)
    state = _typed(script, made, split.path)
    inputs = _inputs(state, texts, split)
    base = _without_events(script, texts, inputs.events)
    parent = {change.path: change.before for change in change_set.changes if change.before is not None}
    history = _history(base, texts, inputs.events)
    target = _target(script, split, texts, inputs, limits)
    ours: dict[str, Any] = {
        "region": target.region.to_json(),
        **change_set.origin,
        "split": _described(script, split, change_set),
    }
    rest = _rest(script, parent, target)
    if rest:
        ours["rest_patch"] = rest
    return Example.new(
        name=name,
        repository_url=change_set.repository_url,
        revision=change_set.revision,
        tags=[f"split:{split.kind.value}"],
        uncommitted_diff=patch_between({path: text for path, text in parent.items() if path in base}, base),
        recently_opened_files=[{"path": path} for path in _recent(made, split.path)],
        cursor_path=split.path,
        cursor_position=write_inline(inputs.cursor_excerpt, inputs.cursor_offset_in_excerpt),
        edit_history=history,
        expected_patches=[target.patch],
        prompt_inputs=inputs.to_json(),
        foretype=ours,
    )


def language_id(path: str) -> str:
    """The LSP language id of the file at ``path`` by its suffix, empty where it is not known."""
    language = language_of(path)
    return language.name if language is not None else _OTHER_LANGUAGES.get(path.rpartition(".")[2].lower(), "")


def _partial_edit(script: Script, split: Split) -> tuple[LineEdit, ...]:
    if split.partial is None:
        return ()
    return (replace(script.edits[split.count], text=split.partial.text),)


def _typed(script: Script, made: tuple[LineEdit, ...], cursor_path: str) -> EditingState:
    """The editor's state after these edits, without pauses; each file is opened when something is done in it."""
    state = EditingState(lambda: 0.0)
    for edit in made:
        _open(state, script, edit.path)
        state.change(edit.path, None, [_content_change(state, edit, ends=script.ends_with_newline(edit.path))])
    _open(state, script, cursor_path)
    return state


def _open(state: EditingState, script: Script, path: str) -> None:
    if state.document(path) is None:
        state.open(path, script.before.get(path, ""), path=path, language_id=language_id(path))


def _content_change(state: EditingState, edit: LineEdit, *, ends: bool) -> ContentChange:
    document = state.document(edit.path)
    assert document is not None  # noqa: S101  opened just before; tells mypy
    start = Position(edit.row, 0)
    is_behind_last = edit.row == document.row_count and not ends
    if edit.is_insertion:
        if is_behind_last:
            return ContentChange(Range(document.end, document.end), f"\n{edit.text}")
        return ContentChange(Range(start, start), edit.text if not ends and not document.text else f"{edit.text}\n")
    if not ends and edit.row == document.row_count - 1 and edit.row > 0:
        above = document.line(edit.row - 1)
        start = Position(edit.row - 1, utf16_length(above))
    return ContentChange(Range(start, Position(edit.row + 1, 0)), "")


def _inputs(state: EditingState, texts: dict[str, str], split: Split) -> PredictionInputs:
    if any(state.document(path).text != texts[path] for path in state.uris):  # type: ignore[union-attr]  # it is open
        raise NotReplayable("an editor does not come to the same text")
    document = state.document(split.path)
    assert document is not None  # noqa: S101  as above
    column = len(document.line(split.row)[: split.column].encode())
    return state.inputs(split.path, document.position(split.row, column))


def _without_events(script: Script, texts: dict[str, str], events: tuple[EditEvent, ...]) -> dict[str, str]:
    """The texts before the history; a new file of which all lines are in it is not there."""
    found = dict(texts)
    for event in reversed(events):
        undo = with_file_headers(reversed_hunks(event.diff), event.path)
        try:
            found[event.path] = apply_patch(undo, found[event.path], trust_rows=True)[0]
        except PatchError as error:
            raise NotSayable(f"Zed's patches cannot say what was done in {event.path}: {error}") from error
    return {path: text for path, text in found.items() if text or path in script.before}


def _history(base: dict[str, str], texts: dict[str, str], events: tuple[EditEvent, ...]) -> str:
    parts: list[str] = []
    known = set(base)
    for event in events:
        old = f"a/{event.path}" if event.path in known else NO_PATH
        known.add(event.path)
        parts.append(f"--- {old}\n+++ b/{event.path}\n{event.diff}")
    history = "".join(parts)
    try:
        leads = patched(base, history) == texts
    except (PatchError, KeyError):
        leads = False
    if not leads:
        raise NotSayable(f"Zed's patches cannot say the history: {WHY_NOT_SAYABLE}")
    return history


@dataclass(frozen=True, slots=True)
class _Target:
    """``texts`` are the files once ``patch`` is applied to them."""

    patch: str
    texts: dict[str, str]
    region: Span


def _target(
    script: Script, split: Split, texts: dict[str, str], inputs: PredictionInputs, limits: TargetLimits
) -> _Target:
    ranges = ranges_of_inputs(inputs, EDITABLE_TOKENS, CONTEXT_TOKENS)
    region = Span(0, len(inputs.excerpt_bytes)) if ranges is None else ranges[0]
    if split.kind is Kind.NOTHING:
        return _Target("", texts, region)
    following = script.edits[split.count]
    wanted = script.texts(_end_of_groups(script, split.count, limits.groups))
    if split.kind is Kind.CROSS_FILE:
        path = following.path
        before = {path: texts[path]} if path in texts else {}
        return _Target(patch_between(before, {path: wanted[path]}), {**texts, path: wanted[path]}, region)
    rows = inputs.cursor_excerpt.split("\n")
    first_row = inputs.excerpt_start_row or 0
    old, new = texts[split.path].split("\n"), wanted[split.path].split("\n")
    region_rows = Span(*(first_row + inputs.excerpt_bytes[:at].count(b"\n") for at in (region.start, region.end)))
    found = changes(old, new)
    inside = [] if limits.whole_excerpt else _within(found, region_rows)
    if any(change.old_start <= following.row <= change.old_end for change in inside):
        text = "\n".join(_changed(old, new, inside, Span(region_rows.start, region_rows.end + 1)))
        patch = patch_of_region(inputs, region, NewRegion(text))
    else:
        inside = _within(found, Span(first_row, first_row + len(rows) - 1))
        if not inside:
            raise NotSayable("what comes next is not in the excerpt around the cursor")
        text = "\n".join(_changed(old, new, inside, Span(first_row, first_row + len(rows))))
        patch = with_file_headers(write_hunks(inputs.cursor_excerpt, text), split.path)
        _check_excerpt_patch(inputs, patch, text)
    after = "\n".join(_changed(old, new, inside, Span(0, len(old))))
    return _Target(patch, {**texts, split.path: after}, region)


def _rest(script: Script, parent: dict[str, str], target: _Target) -> str:
    """What of the change is left after the target, with the files that are deleted or get another name."""
    deleted = {path: text for path, text in parent.items() if path not in script.after}
    renamed = {change.path: change.new_path for change in script.whole if change.after is not None}
    committed = {renamed.get(path, path): text for path, text in script.after.items()}
    return patch_between({**target.texts, **deleted}, committed, renamed)


def _check_excerpt_patch(inputs: PredictionInputs, patch: str, text: str) -> None:
    try:
        if patched_excerpt(inputs, patch) == text:
            return
    except PatchError:
        pass
    raise NotSayable(f"Zed's patches cannot say what comes next: {WHY_NOT_SAYABLE}")


def _end_of_groups(script: Script, count: int, groups: int) -> int:
    """How many edits are made once the group that comes next is done and those after it, ``groups`` in all."""
    if not groups:
        return len(script.edits)
    following = script.edits[count:]
    wanted = list(dict.fromkeys(edit.group for edit in following))[:groups]
    return next((at for at, edit in enumerate(following, count) if edit.group not in wanted), len(script.edits))


def _within(found: list[Change], rows: Span) -> list[Change]:
    """Changes whose old lines all lie in ``rows``, both ends included; a line may be put in behind the last."""
    return [change for change in found if rows.start <= change.old_start and change.old_end <= rows.end + 1]


def _changed(old: list[str], new: list[str], wanted: list[Change], rows: Span) -> list[str]:
    """The old lines of ``rows`` (end excluded) with these changes made."""
    lines: list[str] = []
    at = rows.start
    for change in wanted:
        lines += [*old[at : change.old_start], *new[change.new_start : change.new_end]]
        at = change.old_end
    return lines + old[at : rows.end]


def _recent(made: tuple[LineEdit, ...], cursor_path: str) -> list[str]:
    """The files in which something was done, the most recent first."""
    return list(dict.fromkeys([cursor_path, *(edit.path for edit in reversed(made))]))


def _described(script: Script, split: Split, change_set: ChangeSet) -> dict[str, Any]:
    found: dict[str, Any] = {
        "kind": split.kind.value,
        "lines_done": split.count,
        "lines": len(script.edits),
        "order": "given" if change_set.reordered is not None else "definitions first",
    }
    if change_set.left_out:
        found["left_out"] = [each.to_json() for each in change_set.left_out]
    return found
