"""Draws how a training went: loss, rate, and what was right on held-out examples; SVG.

Needs matplotlib, which is loaded when something is drawn. Knows nothing of torch.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from training_export.errors import ExtraMissing, TrainingRefused
from training_export.example_format.files import replacing

SIZE_INCHES: Final = (11, 4)
SETS: Final = {"held_out": "-", "replay": "--"}


def can_draw() -> bool:
    """Whether matplotlib is there."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(lines: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the lines of a log. Raises ExtraMissing, TrainingRefused where there is none, ExamplesUnwritable."""
    if not lines:
        raise TrainingRefused(f"{path.parent} has no line in its log yet: nothing to draw")
    matplotlib = _matplotlib()
    figure = _matplotlib("figure").Figure(figsize=SIZE_INCHES, layout="constrained")
    left, right = figure.subplots(1, 2)
    tokens = [line["tokens"] / 1e6 for line in lines]
    left.plot(tokens, [line["loss"] for line in lines], color="#3f7fbf", linewidth=1)
    left.set(xlabel="tokens (millions)", ylabel="loss (weighted nats)", yscale="log")
    rate = left.twinx()
    rate.plot(tokens, [line["rate"] for line in lines], color="#b0563f", linewidth=1)
    rate.set(ylabel="part of the full rate", ylim=(0, 1.05))
    for name, style in SETS.items():
        looks = [(line["tokens"] / 1e6, line[name]) for line in lines if name in line]
        for task in sorted({task for _, found in looks for task in found["by_task"]}):
            points = [(at, found["by_task"][task]) for at, found in looks if task in found["by_task"]]
            label = task if name == "held_out" else f"{task} (standard)"
            right.plot([at for at, _ in points], [share for _, share in points], style, label=label, linewidth=1)
    right.set(xlabel="tokens (millions)", ylabel="held-out answers that are exact", ylim=(0, 1))
    if right.lines:
        right.legend(fontsize="small")
    written = io.BytesIO()
    # The same log gives the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": "foretype", "svg.fonttype": "none"}):
        figure.savefig(written, format="svg", metadata={"Date": None})
    with replacing(path) as file:
        file.write(written.getvalue())


def _matplotlib(module: str = "") -> Any:
    try:
        return importlib.import_module(f"matplotlib.{module}" if module else "matplotlib")
    except ImportError as error:
        raise ExtraMissing("drawing the curves", "matplotlib", "report") from error
