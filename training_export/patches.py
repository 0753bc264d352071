"""Between a new text of the editable region and a patch of the excerpt, in both directions and without loss.

An example carries patches, a prompt format speaks of regions. Patches are written as Zed writes them: one hunk that
shows the whole region, rows counted from the excerpt's start. Knows nothing of models or files.
"""

from __future__ import annotations

from capture.editing.unified_diff import PatchError, apply_patch, extract_cursor
from capture.inputs import PredictionInputs, Span
from daemon.prompts.base import NewRegion
from daemon.prompts.zed.answer import ParsedOutput, region_to_patch


class RegionLeft(ValueError):
    """A patch changes text outside the editable region."""


class NotSayable(ValueError):
    """No patch of Zed's dialect says this edit: a line of it reads as a file header, or has a carriage return."""


def patch_of_region(inputs: PredictionInputs, region: Span, new: NewRegion) -> str:
    """The patch that puts ``new`` in the place of ``region`` (bytes of the excerpt); empty where nothing changes.

    It is read back before it is returned: raises NotSayable where it would come to another edit.
    """
    excerpt = inputs.excerpt_bytes
    if new.text == excerpt[region.start : region.end].decode():
        return ""
    patch = region_to_patch(inputs, ParsedOutput(new.text, region, new.cursor_offset_bytes))
    wanted = (excerpt[: region.start] + new.text.encode() + excerpt[region.end :]).decode()
    try:
        if patched_excerpt(inputs, patch) == wanted:
            return patch
    except PatchError:
        pass
    raise NotSayable("Zed's patches cannot say this edit: a line of it reads as a file header or has a carriage return")


def patched_excerpt(inputs: PredictionInputs, patch: str) -> str:
    """The excerpt after a patch, whose cursor marker is taken out; raises PatchError where it does not apply."""
    return apply_patch(extract_cursor(patch)[0], inputs.cursor_excerpt, trust_rows=True)[0]


def region_after(inputs: PredictionInputs, region: Span, patch: str) -> NewRegion:
    """The region's text after a patch of the excerpt, and the cursor in it where the patch marks one.

    Raises PatchError where it does not apply, RegionLeft where it changes what is not in the region.
    """
    cleaned, cursor_in_hunks = extract_cursor(patch)
    text, first_hunk_offset = apply_patch(cleaned, inputs.cursor_excerpt, trust_rows=True)
    new, old = text.encode(), inputs.excerpt_bytes
    end = len(new) - (len(old) - region.end)
    if end < region.start or new[: region.start] != old[: region.start] or new[end:] != old[region.end :]:
        raise RegionLeft("the patch changes text outside the editable region")
    cursor = None if cursor_in_hunks is None else cursor_in_hunks + (first_hunk_offset or 0) - region.start
    if cursor is not None and not 0 <= cursor <= end - region.start:
        cursor = None
    return NewRegion(new[region.start : end].decode(), cursor)
