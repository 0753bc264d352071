"""Is a student right as often as it is sure? Bins of confidence, the expected calibration error, and the diagram.

Knows nothing of tasks; the diagram is an SVG file with its own colours, light or dark as the reader's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from training_export.reports.markup import Content, Markup, style_sheet, tag
from training_export.student.evaluation.gate import Sure
from training_export.student.evaluation.shares import Share

BINS: Final = 10
PANEL, GAP, LEFT, TOP, BOTTOM = 150, 46, 40, 40, 34  # pixels
COLUMNS: Final = 3
COUNTS_HEIGHT: Final = 26
STYLE: Final = """
text { font: 11px system-ui, sans-serif; fill: #5b6570; }
.title { font-weight: 600; fill: #1b1f24; }
.frame { fill: none; stroke: #d8dde3; }
.ideal { stroke: #5b6570; stroke-dasharray: 3 3; }
.gate { stroke: #c2343a; }
.whisker { stroke: #2f6fbd; stroke-width: 1.5; }
.point { fill: #2f6fbd; }
.count { fill: #c9d3de; }
@media (prefers-color-scheme: dark) {
  text { fill: #98a3ae; } .title { fill: #e4e8ec; } .frame { stroke: #333a42; } .count { fill: #3a434d; }
  .whisker { stroke: #6aa6ee; } .point { fill: #6aa6ee; }
}
"""


@dataclass(frozen=True, slots=True)
class Bin:
    """Edits whose confidence is from ``low`` to below ``high`` (1 is in the last), ``mean`` of it, and those right."""

    low: float
    high: float
    mean: float
    right: Share

    def to_json(self) -> dict[str, Any]:
        """For a program to read."""
        return {"low": self.low, "high": self.high, "mean": round(self.mean, 5), "right": self.right.to_json()}


def bins(edits: Sequence[Sure]) -> list[Bin]:
    """The ten bins, empty ones left out."""
    members: list[list[Sure]] = [[] for _ in range(BINS)]
    for edit in edits:
        members[min(BINS - 1, int(edit.confidence * BINS))].append(edit)
    return [
        Bin(
            index / BINS,
            (index + 1) / BINS,
            sum(edit.confidence for edit in found) / len(found),
            Share.of(edit.is_right for edit in found),
        )
        for index, found in enumerate(members)
        if found
    ]


def calibration_error(found: Sequence[Bin]) -> float:
    """Expected calibration error: the mean distance of confidence and accuracy over bins, by their size; 0 without any.

    As in Guo et al., "On Calibration of Modern Neural Networks" (2017), with bins of equal width.
    """
    total = sum(one.right.total for one in found)
    return sum(one.right.total * abs(one.right.value - one.mean) for one in found) / total if total else 0.0


def diagram(groups: Mapping[str, Sequence[Bin]], limit: float) -> str:
    """One panel a group: points with their 95 % intervals, the ideal as a dashed line, the gate as a red one.

    Bars below say how many edits a bin holds, the largest bin of the panel filling the height.
    """
    rows = -(-len(groups) // COLUMNS) or 1
    columns = min(COLUMNS, len(groups)) or 1
    height = rows * (TOP + PANEL + COUNTS_HEIGHT + BOTTOM)
    width = LEFT + columns * (PANEL + GAP)
    panels = [
        tag(
            "g",
            _panel(name, found, limit),
            transform=f"translate({LEFT + index % COLUMNS * (PANEL + GAP)} "
            f"{TOP + index // COLUMNS * (TOP + PANEL + COUNTS_HEIGHT + BOTTOM)})",
        )
        for index, (name, found) in enumerate(groups.items())
    ]
    drawing = tag(
        "svg",
        style_sheet(STYLE),
        panels,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
        aria_label="Reliability: how often edits are right, by confidence",
    )
    return f"{drawing}\n"


def _panel(name: str, found: Sequence[Bin], limit: float) -> list[Content]:
    count = sum(one.right.total for one in found)
    largest = max((one.right.total for one in found), default=1)
    error = f"{count:,} edits, error {calibration_error(found):.3f}"
    content: list[Content] = [
        tag("text", name, x=0, y=-22, class_="title"),
        tag("text", error, x=0, y=-8),
        tag("rect", x=0, y=0, width=PANEL, height=PANEL, class_="frame"),
        tag("line", x1=0, y1=PANEL, x2=PANEL, y2=0, class_="ideal"),
        tag("line", x1=_x(limit), y1=0, x2=_x(limit), y2=PANEL + COUNTS_HEIGHT, class_="gate"),
    ]
    for one in found:
        content += _bin(one, largest)
    content += [
        tag("text", f"{share:.0%}", x=-6, y=round(_y(share) + 4, 2), text_anchor="end") for share in (0.0, 0.5, 1.0)
    ]
    content += [
        tag("text", f"{at:g}", x=_x(at), y=PANEL + COUNTS_HEIGHT + 14, text_anchor="middle") for at in (0.0, 0.5, 1.0)
    ]
    return content


def _bin(one: Bin, largest: int) -> list[Markup]:
    low, high = one.right.wilson()
    x = _x(one.mean)
    about = f"confidence {one.low:g} to {one.high:g}: {one.right.count} of {one.right.total} right ({one.right})"
    bar = COUNTS_HEIGHT * one.right.total / largest
    return [
        tag(
            "rect",
            x=round(_x(one.low) + 1, 2),
            y=round(PANEL + COUNTS_HEIGHT - bar, 2),
            width=PANEL / BINS - 2,
            height=round(bar, 2),
            class_="count",
        ),
        tag("line", x1=x, y1=_y(low), x2=x, y2=_y(high), class_="whisker"),
        tag("circle", tag("title", about), cx=x, cy=_y(one.right.value), r=3, class_="point"),
    ]


def _x(confidence: float) -> float:
    return round(PANEL * confidence, 2)


def _y(share: float) -> float:
    return round(PANEL * (1 - share), 2)
