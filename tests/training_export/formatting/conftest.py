"""A moment in a file, and examples of it with any edit around the cursor as their target."""

from __future__ import annotations

import pytest

from capture.inputs import EditEvent, ExcerptRanges, PredictionInputs, RelatedExcerpt, RelatedFile, Span
from daemon.prompts.base import NewRegion
from training_export.example import Example
from training_export.patches import patch_of_region

CODE = """\
class Cart:
    def total_cents(self):
        return sum(item.cents for item in self.items)

    def label(self):
        größe = self.total()
        return f"{größe} cents"

    def is_empty(self):
        return not self.items
"""
KEYS = ("editable_150", "editable_180", "editable_350", "editable_350_context_1024", "context_8192")
KEYS += ("editable_150_context_350", "editable_180_context_350", "editable_350_context_150", "editable_350_context_512")


def _inputs(text=CODE, cursor=None):
    whole = Span(0, len(text.encode()))
    rows = Span(0, text.count("\n"))
    at = text.index("total()") + len("total") if cursor is None else cursor
    return PredictionInputs(
        "shop/cart.py",
        text,
        len(text[:at].encode()),
        ExcerptRanges(dict.fromkeys(KEYS, whole)),
        excerpt_start_row=0,
        events=(
            EditEvent(
                "shop/cart.py", "shop/cart.py", "@@ -2,1 +2,1 @@\n-    def total(self):\n+    def total_cents(self):\n"
            ),
        ),
        related_files=(
            RelatedFile("shop/cart.py", rows.end, (RelatedExcerpt(rows, text, context_source="current_file"),)),
        ),
    )


@pytest.fixture(scope="session")
def moment():
    """``moment(text, cursor)``: inputs whose whole excerpt may be edited; the cursor counts characters."""
    return _inputs


@pytest.fixture(scope="session")
def formatted_example():
    """``formatted_example(new_texts, inputs)``: the excerpt shall become one of these; the fields go to the example."""

    def make(new_texts, inputs=None, **fields):
        inputs = inputs or _inputs()
        whole = Span(0, len(inputs.excerpt_bytes))
        excerpt = inputs.excerpt_bytes
        cursor = inputs.cursor_offset_in_excerpt
        marked = excerpt[:cursor].decode() + "<|user_cursor|>" + excerpt[cursor:].decode()
        news = [new if isinstance(new, NewRegion) else NewRegion(new) for new in new_texts]
        return Example.new(
            name=fields.pop("name", "moment"),
            cursor_path=inputs.cursor_path,
            cursor_position=marked,
            expected_patches=[patch_of_region(inputs, whole, new) for new in news],
            prompt_inputs=inputs.to_json(),
            **fields,
        )

    return make
