"""Small plots as inline SVG: drawn by hand, since a page that follows the reader's light or dark theme needs colours
that a style sheet decides, and two kinds of bars need no library. Knows nothing of measures or runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from training_export.reports.bootstrap import Floats
from training_export.reports.markup import Markup, tag

BINS: Final = 20
_WIDTH, _HEIGHT = 300, 120
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 14, 8, 20
_INTERVAL_WIDTH, _INTERVAL_HEIGHT = 140, 16


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one run; ``kind`` (``first`` or ``second``) says in which colour."""

    label: str
    values: Floats
    kind: str


def histogram(title: str, unit: str, series: Sequence[Series], *, low: float = 0.0, high: float = 100.0) -> Markup:
    """The share of values in each of 20 bins; values outside are counted in the outermost."""
    edges = np.linspace(low, high, BINS + 1)
    counts = [np.histogram(np.clip(one.values, low, high), edges)[0] for one in series]
    shares = [count / max(1, count.sum()) for count in counts]
    top = max([float(share.max()) for share in shares] + [0.01])
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    step = width / BINS
    lane = step / len(series) if series else step
    bars = []
    for number, (one, count, share) in enumerate(zip(series, counts, shares, strict=True)):
        for index in range(BINS):
            bar_height = height * float(share[index]) / top
            about = f"{one.label}: {edges[index]:g} to {edges[index + 1]:g} {unit}, {count[index]} ({share[index]:.1%})"
            bars.append(
                tag(
                    "rect",
                    tag("title", about),
                    x=round(_LEFT + index * step + number * lane + 0.5, 2),
                    y=round(_TOP + height - bar_height, 2),
                    width=round(lane - 1, 2),
                    height=round(bar_height, 2),
                    class_=f"bar {one.kind}",
                )
            )
    base = _TOP + height
    axis = [
        tag("line", x1=_LEFT, y1=base, x2=_WIDTH - _RIGHT, y2=base, class_="axis"),
        tag("line", x1=_LEFT, y1=_TOP, x2=_WIDTH - _RIGHT, y2=_TOP, class_="grid"),
        tag("text", f"{top:.0%}", x=_LEFT - 4, y=_TOP + 4, class_="tick end"),
        tag("text", "0", x=_LEFT - 4, y=base, class_="tick end"),
    ]
    axis += [
        tag(
            "text",
            f"{value:g}",
            x=round(_LEFT + width * (value - low) / (high - low), 2),
            y=_HEIGHT - 6,
            class_="tick middle",
        )
        for value in (low, (low + high) / 2, high)
    ]
    return _svg(_WIDTH, _HEIGHT, f"Histogram of {title} in {unit}", axis + bars, "plot")


def interval_bar(value: float, low: float, high: float, kind: str) -> Markup:
    """A point with its interval around a line at 0, scaled so that the interval fits; ``kind`` is a CSS class."""
    reach = max(abs(low), abs(high), abs(value)) or 1.0
    middle_y = _INTERVAL_HEIGHT / 2

    def x(at: float) -> float:
        return round(_INTERVAL_WIDTH / 2 + at / reach * (_INTERVAL_WIDTH / 2 - 6), 2)

    return _svg(
        _INTERVAL_WIDTH,
        _INTERVAL_HEIGHT,
        f"{value:+.2f}, between {low:+.2f} and {high:+.2f}",
        [
            tag("line", x1=x(0), y1=0, x2=x(0), y2=_INTERVAL_HEIGHT, class_="zero"),
            tag("line", x1=x(low), y1=middle_y, x2=x(high), y2=middle_y, class_="whisker"),
            tag("line", x1=x(low), y1=middle_y - 3, x2=x(low), y2=middle_y + 3, class_="whisker"),
            tag("line", x1=x(high), y1=middle_y - 3, x2=x(high), y2=middle_y + 3, class_="whisker"),
            tag("circle", cx=x(value), cy=middle_y, r=3.5),
        ],
        f"interval {kind}",
    )


def share_bar(share: float) -> Markup:
    """How much of the whole, 0 to 1."""
    return _svg(
        60,
        8,
        f"{share:.0%}",
        [tag("rect", x=0, y=0, width=round(60 * share, 2), height=8, rx=2, class_="bar first")],
        "share",
    )


def _svg(width: int, height: int, label: str, content: Sequence[Markup], classes: str) -> Markup:
    return tag(
        "svg",
        content,
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
        aria_label=label,
        class_=classes,
    )
