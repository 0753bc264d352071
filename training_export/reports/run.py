"""One run of predictions, read as a stream into what reports are made of.

Of a prediction stay some numbers, of an example its name, place and hashes, in columns: about 0.5 KB of memory each.
Knows nothing of other runs.
"""

from __future__ import annotations

import hashlib
import itertools
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final, overload

import numpy as np
import orjson
from numpy.typing import NDArray

from capture.context.index.languages import language_of
from capture.editing.unified_diff import CURSOR_MARKER, PatchError, apply_patch, extract_cursor
from capture.metrics.characters import is_blank
from capture.metrics.prediction_score import PredictionScore
from capture.metrics.summary import QaVerdict, ScoreSummary
from training_export.example import Example
from training_export.example_format.files import Loaded, Rejected
from training_export.example_format.records import ExamplePrediction
from training_export.reports.bootstrap import Floats, ratios
from training_export.reports.measures import INDEX, MEASURES, Outcome
from training_export.stage import ours
from training_export.stages.score import RELATED_BYTES, ScoreStage, chosen_excerpts

NAMES_KEPT: Final = 20  # of examples that are left out
UNKNOWN: Final = "(unknown)"
_KEY_BYTES: Final = 16
# What makes two lines the same editing moment, whatever they are called and whatever stages added.
_MOMENT: Final = ("repository_url", "revision", "uncommitted_diff", "cursor_path", "cursor_position", "edit_history")


@dataclass(frozen=True, slots=True)
class ScoredExample:
    """``first`` and ``count`` say which predictions of the run are its own; ``source`` and ``line`` where it stands."""

    name: str
    moment: bytes
    expected: bytes
    source: str
    line: int
    first: int
    count: int


class ScoredExamples(Sequence[ScoredExample]):
    """Examples in columns: a tenth of the memory that objects would take. Only whole examples can be asked for."""

    def __init__(self) -> None:
        """Begin with none."""
        self._names: list[str] = []
        self._digests = bytearray()  # of each example that of the moment, and that of what is expected
        self._sources: dict[str, str] = {}
        self._source_of: list[str] = []
        self._lines = array("q")
        self._ends = array("q", [0])  # where the predictions of each end, and those of the next one begin

    def add(self, loaded: Loaded, prediction_count: int) -> None:
        """Take the example that was read, with so many predictions."""
        example = loaded.example
        self._names.append(example.name)
        self._digests += _digest([example.value.get(key) or "" for key in _MOMENT])
        self._digests += _digest(list(example.expected_patches))
        self._source_of.append(self._sources.setdefault(loaded.source, loaded.source))
        self._lines.append(loaded.line)
        self._ends.append(self._ends[-1] + prediction_count)

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> ScoredExample: ...
    @overload
    def __getitem__(self, index: slice) -> list[ScoredExample]: ...
    def __getitem__(self, index: int | slice) -> ScoredExample | list[ScoredExample]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        index = range(len(self))[index]  # counted from the end where negative; raises IndexError
        moment = 2 * index * _KEY_BYTES
        expected = moment + _KEY_BYTES
        return ScoredExample(
            name=self._names[index],
            moment=bytes(self._digests[moment:expected]),
            expected=bytes(self._digests[expected : expected + _KEY_BYTES]),
            source=self._source_of[index],
            line=self._lines[index],
            first=self._ends[index],
            count=self._ends[index + 1] - self._ends[index],
        )

    @property
    def prediction_count(self) -> int:
        """Of all of them together."""
        return self._ends[-1]

    @property
    def first_predictions(self) -> NDArray[np.int64]:
        """Where the predictions of each begin."""
        return np.array(self._ends[:-1], dtype=np.int64)

    def owner(self, prediction: int) -> ScoredExample:
        """The example that a prediction of the run belongs to."""
        return self[bisect_right(self._ends, prediction) - 1]


@dataclass(slots=True)
class LeftOut:
    """Examples or lines that are not in the report, and why."""

    reasons: Counter[str] = field(default_factory=Counter)
    names: list[str] = field(default_factory=list)

    def add(self, name: str, reason: str) -> None:
        """Count one; the first names are kept."""
        self.reasons[reason] += 1
        if len(self.names) < NAMES_KEPT:
            self.names.append(f"{name}: {reason}")

    @property
    def count(self) -> int:
        """All of them."""
        return self.reasons.total()


@dataclass(slots=True)
class Run:
    """What is said of each prediction is in columns, all in the same order; ``examples`` are in order too."""

    label: str
    related_bytes: int = RELATED_BYTES
    examples: ScoredExamples = field(default_factory=ScoredExamples)
    changed_tokens: array[int] = field(default_factory=lambda: array("q"))  # written and deleted by each prediction
    without_expected: int = 0
    left_out: LeftOut = field(default_factory=LeftOut)
    bad_lines: LeftOut = field(default_factory=LeftOut)
    _summary: ScoreSummary = field(default_factory=ScoreSummary)
    _groups: list[tuple[str, ...]] = field(default_factory=list)
    _known_groups: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    _parts: array[float] = field(default_factory=lambda: array("d"))

    def add(self, loaded: Loaded, scores: Sequence[PredictionScore], groups: Sequence[tuple[str, ...]]) -> None:
        """Take an example with a score for each prediction."""
        example = loaded.example
        outcomes = _outcomes(example, scores)
        self.examples.add(loaded, len(outcomes))
        self.without_expected += not example.expected_patches
        context_bytes = _context_bytes(example, self.related_bytes)
        self._groups += [self._known_groups.setdefault(labels, labels) for labels in groups]
        for outcome in outcomes:
            self._summary.add(outcome.score, outcome.verdict, context_bytes)
            context_bytes = None  # counted once for each example
            self.changed_tokens.append(outcome.score.inserted_tokens + outcome.score.deleted_tokens)
            for measure in MEASURES:
                self._parts.extend(measure.parts(outcome) or (0.0, 0.0))

    @property
    def prediction_parts(self) -> Floats:
        """What each prediction adds to each measure, above and below the line; shape (predictions, 2 * measures).

        A view: nothing can be added while it is held.
        """
        return np.frombuffer(self._parts, dtype=np.float64).reshape(-1, 2 * len(MEASURES))

    @property
    def example_parts(self) -> Floats:
        """The same, summed up by example."""
        parts = self.prediction_parts
        if len(parts) == len(self.examples):  # none has more than one
            return parts
        return np.add.reduceat(parts, self.examples.first_predictions, axis=0)

    def column(self, key: str) -> Floats:
        """What each prediction adds to a measure above the line."""
        return self.prediction_parts[:, 2 * INDEX[key]]

    def values(self, rows: Sequence[int] | None = None) -> Floats:
        """Each measure over all predictions, or over some of them."""
        parts = self.prediction_parts if rows is None else self.prediction_parts[list(rows)]
        return ratios(parts.sum(axis=0))

    def members(self) -> dict[str, list[int]]:
        """The predictions of each group, the largest group first."""
        found: dict[str, list[int]] = {}
        for index, labels in enumerate(self._groups):
            for label in labels:
                found.setdefault(label, []).append(index)
        return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))

    def summary(self) -> dict[str, Any]:
        """Zed's summary, under the keys of ``ep eval --summary-json``."""
        return self._summary.to_json()


def read_run(
    label: str,
    found: Iterable[Loaded | Rejected],
    *,
    by: str = "",
    related_bytes: int = RELATED_BYTES,
    seen: Callable[[int], None] = lambda _: None,
) -> Run:
    """Read all examples, and score those that are not; ``seen`` is told how many lines there were so far."""
    run = Run(label, related_bytes)
    stage = ScoreStage(related_bytes)
    group_of = GROUPS[by] if by else None
    with stage.opened() as work:
        for count, loaded in enumerate(found, 1):
            seen(count)
            if isinstance(loaded, Rejected):
                run.bad_lines.add(f"{loaded.source}:{loaded.line}", loaded.reason)
                continue
            example = loaded.example
            if not example.predictions or len(example.score) != len(example.predictions):
                findings = work(example)
                if findings.failure:
                    run.left_out.add(example.name, findings.failure)
                    continue
                example = example.with_fields(**findings.fields)
            groups = [group_of(example, prediction) if group_of else () for prediction in example.predictions]
            run.add(Loaded(loaded.source, loaded.line, example), example.score, groups)
    return run


def _outcomes(example: Example, scores: Sequence[PredictionScore]) -> list[Outcome]:
    original = example.original_text
    texts: dict[str, str | None] = {"": original}  # by patch: samples often come to the same
    for patch in (*example.expected_patches, *(prediction.actual_patch for prediction in example.predictions)):
        if patch is not None and patch not in texts:
            texts[patch] = _patched(patch, original)
    wanted = [texts[patch] for patch in example.expected_patches] or [original]
    verdicts: list[QaVerdict | None] = [
        None if verdict is None else QaVerdict(verdict.reverts_edits, verdict.confidence) for verdict in example.qa
    ]
    outcomes = []
    for prediction, score, verdict in itertools.zip_longest(example.predictions, scores, verdicts[: len(scores)]):
        patch = prediction.actual_patch
        text = None if patch is None else texts[patch]
        is_same_patch = patch is not None and patch in example.expected_patches
        outcomes.append(
            Outcome(
                score=score,
                is_exact=is_same_patch or (text is not None and text in wanted),
                is_quiet=patch is None or is_blank(patch) or text == original,
                is_unreadable=patch is None,
                accepts_edit=any(expected != original for expected in wanted),
                accepts_quiet=original in wanted,
                verdict=verdict,
            )
        )
    return outcomes


def _patched(patch: str, text: str) -> str | None:
    """The text after a patch, None where it does not apply (it may be of other files too)."""
    plain = extract_cursor(patch)[0] if CURSOR_MARKER in patch else patch
    try:
        return apply_patch(plain, text, trust_rows=True)[0]
    except PatchError:
        return None


def _context_bytes(example: Example, related_bytes: int) -> int | None:
    """What of the related files counts, None where there are none at all."""
    inputs = example.prompt_inputs
    if inputs is None or inputs.related_files is None:
        return None
    chosen = chosen_excerpts(inputs, related_bytes)
    return sum(len(inputs.related_files[file].excerpts[excerpt].text.encode()) for file, excerpt in chosen)


def _digest(value: object) -> bytes:
    return hashlib.blake2b(orjson.dumps(value), digest_size=_KEY_BYTES).digest()


def _language(example: Example, _: ExamplePrediction) -> tuple[str, ...]:
    found = (ours(example, "snapshot") or {}).get("language_id")
    known = language_of(example.cursor_path)
    suffix = PurePosixPath(example.cursor_path).suffix
    return (str(found or (known.name if known else suffix) or UNKNOWN),)


def _outcome(example: Example, _: ExamplePrediction) -> tuple[str, ...]:
    return (str((ours(example, "snapshot") or {}).get("outcome") or UNKNOWN),)


def _settled_class(example: Example, _: ExamplePrediction) -> tuple[str, ...]:
    return (str((ours(example, "settle") or {}).get("class") or UNKNOWN),)


GROUPS: Final[Mapping[str, Callable[[Example, ExamplePrediction], tuple[str, ...]]]] = {
    "language": _language,
    "provider": lambda _, prediction: (prediction.provider,),
    "tag": lambda example, _: example.tags or ("(no tag)",),
    "outcome": _outcome,
    "class": _settled_class,
}
