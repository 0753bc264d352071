"""Draws how the examples lie between the edges: PNG, SVG, or an HTML page with the drawing in it.

Needs matplotlib, which is loaded when something is drawn. Knows nothing of examples but their numbers.
"""

from __future__ import annotations

import html
import importlib
import io
from pathlib import Path
from typing import Any, Final

from daemon.errors import BadArgument
from training_export.errors import ExtraMissing
from training_export.example_format.files import replacing
from training_export.settling.bands import SettleClass
from training_export.settling.distribution import Distribution

SUFFIXES: Final = (".png", ".svg", ".html")
BINS: Final = 40
FARTHEST: Final = 2.0  # of a median on the axis; what is farther stands in the last bin
SIZE_INCHES, DOTS_PER_INCH = (11, 4), 100
COLOURS: Final = {SettleClass.OBVIOUS: "#4c9f70", SettleClass.LEARNABLE: "#3f7fbf", SettleClass.NOISE: "#b0563f"}

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>settle: {title}</title>
<style>body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem }}
svg {{ max-width: 100%; height: auto }} pre {{ overflow-x: auto }}</style></head>
<body><h1>How near the model comes to what settled</h1>
{drawing}
<pre>{report}</pre></body></html>
"""


def check_plot_name(name: str) -> None:
    """Before the work begins: raises BadArgument for a name that says no kind, ExtraMissing without matplotlib."""
    if Path(name).suffix.lower() not in SUFFIXES:
        raise BadArgument(f"--plot {name}: the name must end in {', '.join(SUFFIXES)}")
    _matplotlib("figure")


def draw(found: Distribution, path: Path, report: str) -> None:
    """Draw into ``path``, whose name says how; ``report`` goes below the drawing of a page.

    Raises ExtraMissing, ExamplesUnwritable.
    """
    kind = path.suffix.lower()
    content = _figure(found, "png" if kind == ".png" else "svg")
    if kind == ".html":
        drawing = content.decode()
        drawing = drawing[drawing.index("<svg") :]
        content = _PAGE.format(title=html.escape(path.stem), drawing=drawing, report=html.escape(report)).encode()
    with replacing(path) as file:
        file.write(content)


def _figure(found: Distribution, kind: str) -> bytes:
    matplotlib = _matplotlib()
    figure = _matplotlib("figure").Figure(figsize=SIZE_INCHES, layout="constrained")
    low, high = found.bands.low, found.bands.high
    left, right = figure.subplots(1, 2)
    medians = [min(value, FARTHEST) for value in found.medians]
    left.hist(medians, bins=BINS, range=(0, FARTHEST), color="#777777")
    left.set(xlabel="median distance of the samples (0 exact, 1 no better than no edit)", ylabel="examples")
    left.axvline(low, color="black", linestyle="--", label=f"obvious up to {low:g}")
    by_class: dict[SettleClass, list[float]] = {settle_class: [] for settle_class in COLOURS}
    for median, score in zip(found.medians, found.scores, strict=True):
        by_class[found.bands.class_at(median, score)].append(score)
    right.hist(
        list(by_class.values()),
        bins=BINS,
        range=(0, 1),
        stacked=True,
        color=list(COLOURS.values()),
        label=[f"{name.value} ({len(values)})" for name, values in by_class.items()],
    )
    right.set(xlabel="score: mean distance, none above 1", ylabel="examples")
    right.axvline(high, color="black", linestyle="--", label=f"noise from {high:g}")
    for axes in (left, right):
        axes.legend(fontsize="small")
    written = io.BytesIO()
    # The same distribution gives the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": "foretype", "svg.fonttype": "none"}):
        figure.savefig(written, format=kind, dpi=DOTS_PER_INCH, metadata={"Date": None} if kind == "svg" else None)
    return written.getvalue()


def _matplotlib(module: str = "") -> Any:
    try:
        return importlib.import_module(f"matplotlib.{module}" if module else "matplotlib")
    except ImportError as error:
        raise ExtraMissing("--plot", "matplotlib", "report") from error
