"""Numbers as people read them: rounded alike in the terminal and on the page, with their unit."""

from __future__ import annotations

import math
from typing import Final

from training_export.reports.bootstrap import Interval
from training_export.reports.measures import PERCENT, Measure

NOTHING: Final = "-"
MAX_LABEL: Final = 24  # characters
MAX_NAME: Final = 200
_DECIMALS: Final = {PERCENT: 1, "points": 1, "bytes": 1}


def unit(measure: Measure) -> str:
    """What stands behind a value."""
    return f" {measure.unit}" if measure.unit in {PERCENT, "bytes"} else ""


def difference_unit(measure: Measure) -> str:
    """The same behind a difference: of percentages, it is percentage points."""
    return " pp" if measure.unit == PERCENT else unit(measure)


def value(measure: Measure, number: float) -> str:
    """``62.3 %``."""
    return NOTHING if math.isnan(number) else f"{_rounded(measure, number)}{unit(measure)}"


def difference(measure: Measure, number: float) -> str:
    """``+1.9 pp``."""
    return NOTHING if math.isnan(number) else f"{_signed(measure, number)}{difference_unit(measure)}"


def between(measure: Measure, interval: Interval, *, signed: bool = False) -> str:
    """``60.1 to 64.9``."""
    if not interval.is_known:
        return NOTHING
    low, high = (_signed(measure, end) if signed else _rounded(measure, end) for end in interval)
    return f"{low} to {high}"


def short(label: str) -> str:
    """The end of a name that is too long for a table; of a path it says most."""
    return label if len(label) <= MAX_LABEL else f"...{label[-MAX_LABEL + 3 :]}"


def cut(written: str, limit: int = MAX_NAME) -> str:
    """The beginning of what a file says where it says too much."""
    return written if len(written) <= limit else f"{written[:limit]}..."


def count(number: int, what: str) -> str:
    """``1 example``, ``2,000 examples``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _rounded(measure: Measure, number: float) -> str:
    return f"{number:,.{_DECIMALS.get(measure.unit, 2)}f}"


def _signed(measure: Measure, number: float) -> str:
    decimals = _DECIMALS.get(measure.unit, 2)
    rounded = round(number, decimals)
    return f"{rounded:+,.{decimals}f}" if rounded else f"{0:.{decimals}f}"
