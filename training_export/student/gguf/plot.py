"""Draws a comparison of quantisations as PNG. Needs matplotlib, which is loaded when something is drawn."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Final

from training_export.errors import ExtraMissing, ModelUnwritable
from training_export.student.gguf.comparison import Comparison

SIZE_INCHES, DOTS_PER_INCH = (11, 4.2), 110
COLOUR, CHOSEN_COLOUR = "#3f7fbf", "#b0563f"
_POINTS_ASIDE: Final = 7


def check_can_draw() -> None:
    """Before the work begins: raises ExtraMissing without matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ExtraMissing("the plot (--no-plot leaves it out)", "matplotlib", "report")


def draw(comparison: Comparison, path: Path) -> None:
    """Size against perplexity, and time against exact match; what was chosen stands out. Raises ModelUnwritable."""
    figure = importlib.import_module("matplotlib.figure").Figure(figsize=SIZE_INCHES, layout="constrained")
    left, right = figure.subplots(1, 2)
    for row in comparison.rows:
        is_chosen = row.made.quantisation is comparison.choice.quantisation
        places = (
            (left, row.made.size_bytes / 1e6, row.answer_perplexity),
            (right, row.case_ratio, 100 * row.exact),
        )
        for axes, x, y in places:
            axes.scatter(x, y, color=CHOSEN_COLOUR if is_chosen else COLOUR, zorder=3)
            axes.annotate(
                row.made.quantisation.value, (x, y), (_POINTS_ASIDE, _POINTS_ASIDE), textcoords="offset points"
            )
    first = comparison.rows[0].made.quantisation
    left.set(xlabel="size of the file, MB", ylabel="perplexity of the right answers")
    right.set(xlabel=f"time of a case (1: {first})", ylabel="cases exactly right, %")
    for axes in (left, right):
        axes.grid(visible=True, alpha=0.3)
        axes.margins(0.15)
    figure.suptitle(f"{comparison.about['model']}: {comparison.about['cases']:,} held-out cases")
    try:
        figure.savefig(path, dpi=DOTS_PER_INCH)
    except OSError as error:
        raise ModelUnwritable(f"cannot write {path}: {error.strerror}") from error
