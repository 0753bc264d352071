"""Score a student on held-out files: ``python -m training_export.student.evaluate MODEL.gguf``.

Asks the model through the daemon's own engine and prints, beside it, the plain rule (apply the last
substitution everywhere) and "never predict". With ``--card RUN`` it also writes the model card next to the
model, from these scores and the run's manifest and log: every number there is one this command printed.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import logging
import re
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from rich.console import Console
from rich.progress import track
from rich.table import Table

from daemon.engine.client import EngineClient
from daemon.engine.messages import EngineAnswer, ModelSettings
from training_export.student.corpus import SourceFile, corpus_names, read_corpus
from training_export.student.moments import Case, ParsedFile, parse_file
from training_export.student.synthesis import Synthesiser, defeats_plain_rule, rule_baseline

CASES = 200
SEED = 11
CASES_PER_FILE = 2
DEADLINE_SECONDS = 20.0
# What is scored, and the generators whose cases it mixes.
GROUPS: dict[str, tuple[str, ...]] = {
    "rename": ("rename",),
    "repeat": ("repeat", "repeat_insertion"),
    "finish": ("finish_line", "finish_block"),
    "no edit": ("quiet_renamed", "quiet_single", "quiet_typed", "quiet_deleted", "quiet_erased"),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case and what was predicted for it."""

    case: Case
    predicted: str
    answer: EngineAnswer

    @property
    def exact(self) -> bool:
        """Whether the text is exactly what came next."""
        return self.predicted == self.case.expected


def held_out_cases(files: Sequence[SourceFile], names: Sequence[str], tasks: Sequence[str]) -> Iterator[Case]:
    """Cases from the test files, the tasks in turn, without end; the same on every call."""
    random = Random(SEED)
    synthesiser = Synthesiser(random, names)
    turn = itertools.cycle(tasks)
    parsed: dict[str, ParsedFile | None] = {}
    while True:
        source = random.choice(files)
        file = parsed.setdefault(source.path, parse_file(source))
        if file is None:
            continue
        for task in itertools.islice(turn, CASES_PER_FILE):
            case = synthesiser.case(file, task)
            if case is not None:
                yield case


def text_after(case: Case, answer: EngineAnswer) -> str:
    """The window's text with the answer applied."""
    if answer.new_region_text is None:
        return case.current
    text = case.current.encode()
    return (
        text[: answer.region_start_bytes] + answer.new_region_text.encode() + text[answer.region_end_bytes :]
    ).decode()


async def ask(model: Path, cases: Sequence[Case]) -> list[Outcome]:
    """The model's prediction for every case, one after the other, as the daemon would ask."""
    engine = EngineClient(ModelSettings(path=str(model)), log=logging.getLogger("engine"))
    outcomes = []
    try:
        for case in track(cases, "predicting", console=Console(stderr=True)):
            answer = await engine.predict(case.inputs(), deadline_seconds=DEADLINE_SECONDS)
            outcomes.append(Outcome(case, text_after(case, answer), answer))
    finally:
        await engine.close()
    return outcomes


def share(outcomes: Sequence[Outcome], right: Callable[[Outcome], bool]) -> float:
    """The percentage of outcomes that are right."""
    return round(100 * sum(map(right, outcomes)) / len(outcomes), 1) if outcomes else 0.0


def score(groups: dict[str, list[Outcome]]) -> dict[str, dict[str, float]]:
    """Percentages by group: the student's exact answers, the rule's, and those of never predicting."""
    table: dict[str, dict[str, float]] = {}
    for name, outcomes in groups.items():
        hard = [outcome for outcome in outcomes if defeats_plain_rule(outcome.case)]
        table[name] = {
            "cases": len(outcomes),
            "student": share(outcomes, lambda outcome: outcome.exact),
            "rule": share(outcomes, lambda outcome: rule_baseline(outcome.case) == outcome.case.expected),
            "never": share(outcomes, lambda outcome: outcome.case.current == outcome.case.expected),
            "cases the rule fails": len(hard),
            "student on those": share(hard, lambda outcome: outcome.exact),
            "quiet": share(outcomes, lambda outcome: outcome.answer.new_region_text is None),
        }
    return table


def latency(groups: dict[str, list[Outcome]]) -> dict[str, float]:
    """Milliseconds in the worker: median and 95th percentile, and medians of the counters."""
    answers = [outcome.answer for outcomes in groups.values() for outcome in outcomes]
    milliseconds = sorted(1000 * answer.seconds for answer in answers)
    return {
        "p50_ms": round(statistics.median(milliseconds), 1),
        "p95_ms": round(milliseconds[int(0.95 * len(milliseconds))], 1),
        "median_prompt_tokens": statistics.median(answer.counters.prompt_tokens for answer in answers),
        "median_answer_tokens": statistics.median(answer.counters.answer_tokens for answer in answers),
    }


def show(scores: dict[str, dict[str, float]]) -> None:
    """Print the table for people."""
    table = Table("task", *next(iter(scores.values())))
    for name, row in scores.items():
        table.add_row(name, *(f"{value:g}" for value in row.values()))
    Console(stderr=True).print(table)


def write_card(model: Path, run: Path, scores: dict[str, dict[str, float]], times: dict[str, float]) -> None:
    """Fill the card's template with the run's facts and these scores."""
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    sources = json.loads((run / "manifest.json").read_text())
    rows = [
        f"| {name} | {row['cases']} | {row['student']} | {row['rule']} | {row['never']} "
        f"| {row['student on those']} of {row['cases the rule fails']} | {row['quiet']} |"
        for name, row in scores.items()
    ]
    origins = [
        f"| {item['name']} | {item['version']} | {item['licence']} | {item['files']} | {item['bytes']} |"
        for item in sources
    ]
    template = (Path(__file__).parent / "model_card_template.md").read_text()
    values = {
        "scores": "\n".join(rows),
        "sources": "\n".join(origins),
        "size_bytes": str(model.stat().st_size),
        "steps": str(log[-1]["step"]),
        "minutes": f"{log[-1]['seconds'] / 60:.0f}",
        "tokens": f"{log[-1]['tokens'] / 1e6:.1f}",
        "files": str(sum(item["files"] for item in sources)),
        **{key: f"{value:g}" for key, value in times.items()},
    }
    card = re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], template)
    (model.parent / "MODEL_CARD.md").write_text(card)


def main() -> None:
    """Parse arguments, score, print; the last line of standard output is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--cases", type=int, default=CASES, help="held-out cases of each task (default 200)")
    parser.add_argument("--card", type=Path, metavar="RUN", help="also write MODEL_CARD.md, from this training run")
    options = parser.parse_args()
    files, _ = read_corpus()
    names = corpus_names([file for file in files if file.split == "train"])
    held_out = [file for file in files if file.split == "test"]
    cases = {
        group: list(itertools.islice(held_out_cases(held_out, names, tasks), options.cases))
        for group, tasks in GROUPS.items()
    }
    outcomes = asyncio.run(ask(options.model, [case for group in cases.values() for case in group]))
    answered = iter(outcomes)
    groups = {group: list(itertools.islice(answered, len(members))) for group, members in cases.items()}
    scores, times = score(groups), latency(groups)
    show(scores)
    if options.card:
        write_card(options.model, options.card, scores, times)
    sys.stdout.write(json.dumps({"scores": scores, "latency": times}) + "\n")


if __name__ == "__main__":
    main()
