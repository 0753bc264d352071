"""Draws the waits of each model's systems: shares of keystrokes, and the course of one session. Needs matplotlib."""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import report
from bench.client import Record

SIZE_INCHES, DOTS_PER_INCH = (12, 4), 80
POINTS = 400  # of a curve of shares, at most


def draw(cells: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, Path]:
    """One picture for each model, by its name; none where matplotlib is not installed. Raises OSError."""
    if importlib.util.find_spec("matplotlib") is None:
        return {}
    importlib.import_module("matplotlib").use("agg")
    plt: Any = importlib.import_module("matplotlib.pyplot")
    written = {}
    for model, of_model in report.by_model_name(cells):
        figure, (shares, course) = plt.subplots(1, 2, figsize=SIZE_INCHES, width_ratios=(2, 3))
        for cell in of_model:
            records = list(map(Record.from_json, cell["records"]))
            waits = report.waits_ms(records)
            milliseconds, share = shares_below(waits)
            shares.step(milliseconds, share, where="post", label=cell["system"])
            first = [(r, w) for r, w in zip(records, waits, strict=True) if r.session == records[0].session]
            course.plot([r.sent_ms / 1000 for r, _ in first], [w for _, w in first], ".-", ms=3, lw=0.7)
        shares.set(xscale="log", ylim=(0, 1), xlabel="milliseconds to an answer", ylabel="share of keystrokes")
        course.set(yscale="log", xlabel=f"seconds of {of_model[0]['sessions'][0]}", ylabel="milliseconds to an answer")
        shares.legend(loc="lower right", fontsize="small")
        figure.suptitle(model)
        written[model] = folder / f"{file_stem(model)}.png"
        figure.savefig(written[model], dpi=DOTS_PER_INCH, bbox_inches="tight")
        plt.close(figure)
    return written


def shares_below(waits_ms: Sequence[float], points: int = POINTS) -> tuple[list[float], list[float]]:
    """Waits that have an end, in order, with the share of all waits that are no longer; of many some are left out."""
    finite = sorted(wait for wait in waits_ms if math.isfinite(wait))
    stride = max(1, math.ceil(len(finite) / points))
    kept = sorted({*range(stride - 1, len(finite), stride), *([len(finite) - 1] if finite else [])})
    return [finite[index] for index in kept], [(index + 1) / len(waits_ms) for index in kept]


def file_stem(model: str) -> str:
    """A file's name for the picture of a model; of one given by its path the path's last part."""
    return "".join(char if char.isalnum() or char in "-_." else "-" for char in Path(model).name)
