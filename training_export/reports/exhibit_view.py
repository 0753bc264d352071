"""The examples of a report on its page: each folds open to its text before, the wanted edit and the predicted ones.

Knows nothing of the rest of the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from training_export.example import Example
from training_export.reports import figures
from training_export.reports.diff_view import Panel, plain_diff, side_by_side
from training_export.reports.exhibits import Exhibit, Exhibits, Place, Shown
from training_export.reports.markup import Markup, join, tag
from training_export.reports.measures import BY_KEY

RANKED: Final = BY_KEY["delta_chr_f"]
MAX_EXPECTED: Final = 2  # of the alternatives, so many are shown


@dataclass(frozen=True, slots=True)
class Side:
    """A run's name, and the examples of it that are shown."""

    label: str
    texts: Mapping[Place, Example]


def exhibit_sections(exhibits: Exhibits, first: Side, second: Side | None) -> Markup:
    """A heading and its examples for each kind that there is; the first example of each is open."""
    sections = (
        ("Most improved", exhibits.improved),
        ("Most worsened", exhibits.worsened),
        ("Best predictions", exhibits.best),
        ("Worst predictions", exhibits.worst),
    )
    return join(
        [tag("h2", title), [_exhibit(exhibit, first, second, is_open=not index) for index, exhibit in enumerate(found)]]
        for title, found in sections
        if found
    )


def _exhibit(exhibit: Exhibit, first: Side, second: Side | None, *, is_open: bool) -> Markup:
    example = first.texts[exhibit.first.place]
    wanted = example.expected_patches[:MAX_EXPECTED] or ("",)
    titles = ["expected"] if len(wanted) == 1 else [f"expected {index + 1}" for index in range(len(wanted))]
    panels = [Panel(title, patch) for title, patch in zip(titles, wanted, strict=True)]
    panels.append(_predicted(exhibit.first, first))
    figure = figures.value(RANKED, exhibit.first.delta_chr_f)
    if exhibit.second is not None and second is not None:
        panels.append(_predicted(exhibit.second, second))
        figure = figures.difference(RANKED, exhibit.difference or 0.0)
    inputs = example.prompt_inputs
    cursor = example.cursor_excerpt.offset_bytes if inputs is None else inputs.cursor_offset_in_excerpt
    first_row = 0 if inputs is None else inputs.excerpt_start_row or 0
    name = [tag("b", figures.cut(example.name)), " ", tag("span", figures.cut(example.cursor_path), class_="soft")]
    return tag(
        "details",
        tag("summary", tag("span", figure, class_="figure"), name),
        side_by_side(example.original_text, cursor, panels, first_row=first_row),
        _history(example),
        open="" if is_open else None,
    )


def _history(example: Example) -> Markup | None:
    """The edits that led there: as the model was shown them where that is known."""
    events = () if example.prompt_inputs is None else example.prompt_inputs.events
    history = "\n".join(f"{event.path}\n{event.diff}" for event in events) or example.edit_history
    return tag("details", tag("summary", "recent edits"), plain_diff(history)) if history.strip() else None


def _predicted(shown: Shown, side: Side) -> Panel:
    prediction = side.texts[shown.place].predictions[shown.prediction]
    of = f" {shown.prediction + 1} of {shown.example.count}" if shown.example.count > 1 else ""
    note = figures.value(RANKED, shown.delta_chr_f)
    if prediction.actual_patch is None:
        note = f"{figures.cut(prediction.error or 'could not be read')}; {note}"
    return Panel(f"{side.label}: predicted{of} by {figures.cut(prediction.provider)}", prediction.actual_patch, note)
