"""What `foretype model compare` found of each quantisation, and the table people read. Knows nothing of measuring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training_export.reports.bootstrap import Interval, intervals, ratios
from training_export.student.gguf.choosing import EXACT_LOSS, Candidate, Choice
from training_export.student.gguf.measuring import TextSeconds
from training_export.student.gguf.quantising import Quantised

if TYPE_CHECKING:
    from rich.table import Table

SEED = 0  # of the intervals


@dataclass(frozen=True, slots=True)
class Speed:
    """Milliseconds a token: the median and what 95 of 100 stay below; ``ratio`` is to the first model's, in pairs."""

    median_ms: float
    p95_ms: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Row:
    """One quantisation.

    Perplexities are of the right answers' tokens, and of prompts and answers together. ``right`` has a flag for each
    case, the same cases in all rows; ``unanswered`` counts those that got no answer in time. ``case_ratio`` is the
    time of a prompt with its answer against the first model's.
    """

    made: Quantised
    answer_perplexity: float
    text_perplexity: float
    right: tuple[bool, ...]
    unanswered: int
    prompt: Speed
    answer: Speed
    case_ratio: float

    @property
    def exact(self) -> float:
        """The share of cases that are exactly right."""
        return sum(self.right) / len(self.right)

    @property
    def candidate(self) -> Candidate:
        """What is chosen by."""
        return Candidate(
            self.made.quantisation, self.made.size_bytes, self.answer_perplexity, self.exact, self.case_ratio
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rows, the first of which is the yardstick. ``about`` says what was compared, where, and on what."""

    rows: tuple[Row, ...]
    choice: Choice
    about: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Everything, numbers as they were measured."""
        return {
            **self.about,
            "quantisations": [self._row_json(row) for row in self.rows],
            "chosen": self.choice.quantisation,
            "why": self.choice.why,
            "not_chosen": dict(self.choice.left_out),
        }

    def _row_json(self, row: Row) -> dict[str, Any]:
        lost = difference(self.rows[0].right, row.right)
        return {
            "quantisation": row.made.quantisation,
            "file": row.made.path.name,
            "size_bytes": row.made.size_bytes,
            "matrices": row.made.kinds,
            "fell_back": row.made.fell_back,
            "answer_perplexity": row.answer_perplexity,
            "text_perplexity": row.text_perplexity,
            "exact": row.exact,
            "exact_right": sum(row.right),
            "exact_difference_95": list(lost) if lost.is_known else None,
            "unanswered": row.unanswered,
            "prompt_token": asdict(row.prompt),
            "answer_token": asdict(row.answer),
            "case_ratio": row.case_ratio,
        }

    def notes(self) -> list[str]:
        """What the table does not show: cases left out, what fell back, why not the others, and the choice."""
        told = [f"{count:,} cases are left out: {why}" for why, count in self.about["left_out"].items()]
        count = len(self.rows[0].right)
        if 1 / count > EXACT_LOSS:
            told.append(f"{count:,} cases say little of exact match: one of them is {100 / count:.1f} points")
        told += [f"{row.made.quantisation}: {row.made.fell_back}" for row in self.rows if row.made.fell_back]
        told += [f"not {name}: {why}" for name, why in self.choice.left_out.items()]
        chosen = self.choice.quantisation
        return [*told, f"choose {chosen}: {self.choice.why}" if chosen else f"nothing to choose: {self.choice.why}"]

    def tables(self) -> tuple[Table, Table]:
        """How good, and how fast: one line for each quantisation."""
        good = _table(
            "", "MB", "perplexity\nof answers", "perplexity\nof all", "exact", "points against\nthe first, 95 %"
        )
        fast = _table(
            "ms a token", "prompt\nmedian", "\n95 %", "\nratio", "answer\nmedian", "\n95 %", "\nratio", "a case\nratio"
        )
        for row in self.rows:
            chosen = " *" if row.made.quantisation is self.choice.quantisation else ""
            name = f"{row.made.quantisation}{chosen}"
            good.add_row(
                name,
                f"{row.made.size_bytes / 1e6:,.1f}",
                f"{row.answer_perplexity:.3f}",
                f"{row.text_perplexity:.3f}",
                f"{row.exact:.1%}",
                "" if row is self.rows[0] else _shown(difference(self.rows[0].right, row.right)),
            )
            speed = (
                number
                for one in (row.prompt, row.answer)
                for number in (f"{one.median_ms:.3f}", f"{one.p95_ms:.3f}", f"{one.ratio:.2f}")
            )
            fast.add_row(name, *speed, f"{row.case_ratio:.2f}")
        return good, fast


def difference(first: Sequence[bool], other: Sequence[bool]) -> Interval:
    """How many more cases the other gets right, as a share: a 95 % interval over the same cases, in pairs."""
    gained = np.array(other, dtype=np.float64) - np.array(first, dtype=np.float64)
    return intervals(np.stack([gained, np.ones_like(gained)], axis=1), ratios, seed=SEED)[0]


def speeds(taken: Sequence[Sequence[TextSeconds]]) -> list[tuple[Speed, Speed, float]]:
    """Of each model: a prompt token, an answer token, and the time of a case against the first model's.

    ``taken`` has an entry for each time a text was read, with one measurement for each model.
    """
    found = []
    for index in range(len(taken[0])):
        mine, firsts = [entry[index] for entry in taken], [entry[0] for entry in taken]
        prompt = [(one.prompt_seconds / one.prompt_tokens) for one in mine]
        prompt_ratios = [one.prompt_seconds / first.prompt_seconds for one, first in zip(mine, firsts, strict=True)]
        answer = [seconds for one in mine for seconds in one.answer_seconds]
        answer_ratios = [
            sum(one.answer_seconds) / sum(first.answer_seconds) for one, first in zip(mine, firsts, strict=True)
        ]
        case_ratios = [one.seconds / first.seconds for one, first in zip(mine, firsts, strict=True)]
        found.append((_speed(prompt, prompt_ratios), _speed(answer, answer_ratios), float(np.median(case_ratios))))
    return found


def _speed(seconds: Sequence[float], against_first: Sequence[float]) -> Speed:
    median, p95 = np.percentile(seconds, (50, 95))
    return Speed(1000 * float(median), 1000 * float(p95), float(np.median(against_first)))


def _shown(interval: Interval) -> str:
    return f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f}" if interval.is_known else ""


def _table(first: str, *others: str) -> Table:
    from rich import box  # noqa: PLC0415 (rich only where it is used)
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table
