"""The embedded student with its logits moved about: each bias is another model, whose opinion a plain loop tells too."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from capture.editing.unified_diff import write_hunks
from capture.inputs import EditEvent, ExcerptRanges, PredictionInputs, Span
from daemon.engine.abort import AbortFlag
from daemon.engine.decoder import Decoder
from daemon.engine.llama import Context, Log, Model
from daemon.engine.loaded import LoadedModel
from daemon.engine.messages import ModelSettings
from daemon.engine.pace import FixedCosts
from daemon.engine.proposals import MAX_PROPOSALS
from daemon.prompts.registry import choose_format

STUDENT = Path(__file__).parents[3] / "daemon" / "models" / "student.gguf"
TEXT = """def total_of(items):
    count = 0
    for item in items:
        count = count + item.count
    log("count", count)
    return count


def other(count):
    return count * 2
"""


@pytest.fixture(scope="session")
def renamed() -> Callable[..., PredictionInputs]:
    """``renamed(new, text=..., old=..., row=...)``: the first ``old`` of a row was just replaced by ``new``."""

    def make(new: str = "amount", text: str = TEXT, old: str = "count", row: int = 1) -> PredictionInputs:
        lines = text.split("\n")
        column = lines[row].index(old)
        lines[row] = lines[row].replace(old, new, 1)
        current = "\n".join(lines)
        before = "".join(line + "\n" for line in lines[:row]) + lines[row][: column + len(new)]
        whole = Span(0, len(current.encode()))
        return PredictionInputs(
            cursor_path="sums.py",
            cursor_excerpt=current,
            cursor_offset_in_excerpt=len(before.encode()),
            excerpt_ranges=ExcerptRanges({"editable_350": whole, "editable_150": whole, "editable_180": whole}),
            excerpt_start_row=0,
            events=(EditEvent("sums.py", "sums.py", write_hunks(text, current)),),
            syntax_ranges=(),
        )

    return make


class Bias:
    """What is done to every row of logits: divided by ``heat``, then ``of`` each token added."""

    def __init__(self, vocabulary: int) -> None:
        self.of = np.zeros(vocabulary, np.float32)
        self.heat = 1.0

    def on(self, rows: np.ndarray) -> np.ndarray:
        return rows / np.float32(self.heat) + self.of


@pytest.fixture(scope="session")
def log() -> Log:
    """llama.cpp's log of the test process."""
    return Log(lambda _line: None)


@pytest.fixture(scope="session")
def student(log: Log) -> Model:
    """The embedded student's weights, for its tokens and for contexts of one's own."""
    return Model.load(str(STUDENT), log)


@pytest.fixture
def bias(student: Model, monkeypatch: pytest.MonkeyPatch) -> Bias:
    """Set it and every context made of the student thinks so."""
    found = Bias(student.facts().vocabulary_tokens)
    plain = Context.logits
    monkeypatch.setattr(Context, "logits", lambda self: found.on(plain(self)))
    return found


@pytest.fixture
def load(log: Log) -> Iterator[Callable[..., LoadedModel]]:
    """``load(ranking=..., flag=...)``: the student with its format, as the worker has it, showing whatever it likes."""

    def open_(*, ranking: bool, flag: AbortFlag | None = None) -> LoadedModel:
        settings = ModelSettings(str(STUDENT), threads=1, ranking=ranking)
        loaded = LoadedModel.load(settings, choose_format, log, flag or AbortFlag.create())
        loaded._least_confidence = 0.0  # the file's own limit is not what is tested
        return loaded

    return open_


class Bench:
    """A decoder in this process whose context has spare sequences."""

    def __init__(self, model: Model, log: Log, batch_tokens: int = 64, cells: int = 2048) -> None:
        self.flag = AbortFlag.create()
        self.context = Context(
            model, log, context_tokens=1024, batch_tokens=batch_tokens, threads=1, abort=self.flag,
            sequences=2 + MAX_PROPOSALS, cells=cells,
        )  # fmt: skip
        self.decoder = Decoder(
            model, self.context, self.flag, lambda: 0.0, FixedCosts(1.0, 0.2), 32, spare_sequences=MAX_PROPOSALS
        )

    def spare_tokens(self) -> list[int]:
        """What the spare sequences hold."""
        return [self.context.held_tokens(sequence) for sequence in range(2, 2 + MAX_PROPOSALS)]


@pytest.fixture
def open_bench(student: Model, log: Log) -> Iterator[Callable[..., Bench]]:
    """``open_bench(batch_tokens=..., cells=...)``: closed after the test."""
    benches: list[Bench] = []

    def open_(**options: int) -> Bench:
        benches.append(Bench(student, log, **options))
        return benches[-1]

    yield open_
    for bench in benches:
        bench.context.close()
        bench.flag.close()


class PlainScores:
    """The log-probability of an answer, found as plainly as can be: everything anew, one token a pass."""

    def __init__(self, model: Model, log: Log) -> None:
        self._context = Context(model, log, context_tokens=1024, batch_tokens=32, threads=1)

    def of(self, prompt: Sequence[int], answer: Sequence[int]) -> float:
        context = self._context
        context.clear()
        for start in range(0, len(prompt), 32):
            context.decode(prompt[start : start + 32], start, logits=1)
        total = 0.0
        for index, token in enumerate(answer):
            row = context.logits()[-1].astype(np.float64)
            total += float(row[token] - row.max() - math.log(np.exp(row - row.max()).sum()))
            context.decode([token], len(prompt) + index, logits=1)
        return total


@pytest.fixture(scope="session")
def plain_scores(student: Model, log: Log) -> PlainScores:
    """The reference."""
    return PlainScores(student, log)
