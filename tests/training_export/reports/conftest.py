"""Examples with a text, a wanted edit and predictions, as small as they can be."""

from __future__ import annotations

import pytest

from capture.inputs import EditEvent, ExcerptRanges, PredictionInputs, Span
from daemon.prompts.base import NewRegion
from training_export.example import Example
from training_export.example_format.files import Loaded
from training_export.patches import patch_of_region
from training_export.reports.run import read_run

TEXT = "first = 1\nsecond = 2\nthird = 3\n"
WANTED = TEXT.replace("2", "22")


@pytest.fixture
def make_example():
    """``predicted`` and ``wanted`` are texts; of a prediction None stands for an answer that could not be read."""

    def make(name="one", *predicted, wanted=(WANTED,), text=TEXT, provider="teacher", **more):
        inputs = PredictionInputs(
            cursor_path="shop/cart.py",
            cursor_excerpt=text,
            cursor_offset_in_excerpt=0,
            excerpt_ranges=ExcerptRanges({}),
            excerpt_start_row=40,
            events=(EditEvent("shop/cart.py", "shop/cart.py", "@@ -41,1 +41,1 @@\n-first = 0\n+first = 1\n"),),
        )
        region = Span(0, len(text.encode()))

        def patch(new):
            return patch_of_region(inputs, region, NewRegion(new, None))

        fields = {
            "name": name,
            "repository_url": "",
            "revision": "",
            "cursor_path": "shop/cart.py",
            "cursor_position": f"<|user_cursor|>{text}",
            "edit_history": "",
            "expected_patches": [patch(new) for new in wanted],
            "prompt_inputs": inputs.to_json(),
            "predictions": [
                {"actual_output": "", "provider": provider, "error": "no code block"}
                if new is None
                else {"actual_output": "", "provider": provider, "actual_patch": patch(new)}
                for new in predicted
            ],
            "foretype": {"region": region.to_json()},
        }
        return Example.new(**fields | more)

    return make


@pytest.fixture
def make_run():
    """A run of examples, read as from a file."""

    def make(*examples, label="run.jsonl", **options):
        found = [Loaded(label, line, example) for line, example in enumerate(examples, 1)]
        return read_run(label, found, **options)

    return make


@pytest.fixture
def wanted_text():
    return WANTED


@pytest.fixture
def text():
    return TEXT
