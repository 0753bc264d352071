"""Judges the same examples by two sources of samples: what `settle --validate` does.

Each source is run as the stage it would be, in a private folder that goes away. Knows nothing of models.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import Final

from training_export.errors import ExamplesUnreadable
from training_export.example import Example
from training_export.example_format.files import Loaded
from training_export.running.runner import RunOptions, run_stage
from training_export.running.sources import Sources, opened
from training_export.settling.bands import SettleClass
from training_export.settling.distribution import record_in
from training_export.settling.validation import Agreement, agreement
from training_export.stage import Stage
from training_export.stages.settle import SettledMoment, moment_of

SAMPLE_NAME: Final = "sample.jsonl"


def compare(
    stages: tuple[tuple[str, Stage], tuple[str, Stage]], sources: Sources, count: int, seed: int, options: RunOptions
) -> Agreement:
    """How often the two (with their names) put an example in the same band; ``count`` are drawn of all that changed.

    Raises what `run_stage` raises, and ExamplesUnreadable where no example can be judged.
    """
    chosen = sample_of(sources, count, seed)
    if not chosen:
        raise ExamplesUnreadable("no example has a settled text that differs from what was there; `export` writes them")
    with tempfile.TemporaryDirectory(prefix="foretype-") as folder:
        sample = Path(folder) / SAMPLE_NAME
        sample.write_text("".join(f"{example.to_line()}\n" for example in chosen), encoding="utf-8")
        (first, stage), (second, other) = stages
        one, two = (
            _classes(run, sample, sample.with_name(f"{number}.jsonl"), options)
            for number, run in enumerate((stage, other))
        )
        return agreement(first, second, zip(one, two, strict=True))


def sample_of(sources: Sources, count: int, seed: int) -> list[Example]:
    """So many examples whose text changed, each as likely as any other, in the order of the files; the same by seed."""
    random = Random(seed)  # noqa: S311  nothing is kept secret with it
    chosen: dict[int, Example] = {}
    slots: list[int] = []
    seen = 0
    for number, loaded in enumerate(sources):
        if not isinstance(loaded, Loaded):
            continue
        moment = moment_of(loaded.example)
        if not isinstance(moment, SettledMoment) or moment.is_unchanged:
            continue
        seen += 1
        if len(slots) < count:
            slots.append(number)
        else:
            slot = random.randrange(seen)
            if slot >= count:
                continue
            del chosen[slots[slot]]
            slots[slot] = number
        chosen[number] = loaded.example
    return [chosen[number] for number in sorted(chosen)]


def _classes(stage: Stage, sample: Path, output: Path, options: RunOptions) -> list[SettleClass | None]:
    run_stage(stage, [str(sample)], str(output), options)
    records = [record_in(loaded.example) for loaded in opened([str(output)]) if isinstance(loaded, Loaded)]
    return [None if record is None else record.settle_class for record in records]
