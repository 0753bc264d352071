"""Set a student's own confidence limit: ``python -m training_export.student.calibrate MODEL.gguf``.

Asks the model about the validation files (never the test files) and takes the lowest limit at which it is quiet on the
wanted share of moments without an edit. The limit goes into the GGUF's metadata, where the engine reads it.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import gguf

from training_export.student.corpus import corpus_names, read_corpus
from training_export.student.evaluate import GROUPS, Outcome, ask, held_out_cases
from training_export.student.gguf_export import MIN_CONFIDENCE_KEY

CASES = 300
QUIET_SHARE = 0.94  # the promise is 90 % on other files; sampling takes its part
NO_EDIT_GROUP = "no edit"


def set_limit(model: Path, limit: float) -> None:
    """Write the limit into the GGUF, in place; raises KeyError when the file has no such field."""
    reader = gguf.GGUFReader(model, "r+")
    field = reader.fields[MIN_CONFIDENCE_KEY]
    field.parts[field.data[0]][0] = limit
    reader.data.flush()


def lowest_limit(outcomes: Sequence[Outcome], quiet_share: float) -> float:
    """The lowest confidence limit that keeps at least ``quiet_share`` of these moments without an edit quiet."""
    loud = sorted(
        (outcome.answer.confidence for outcome in outcomes if outcome.answer.new_region_text is not None), reverse=True
    )
    allowed = int((1 - quiet_share) * len(outcomes))
    return round(loud[allowed] + 0.005, 2) if len(loud) > allowed else 0.0


def main() -> None:
    """Parse arguments, ask, set the limit, print; the last line of standard output is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--cases", type=int, default=CASES)
    options = parser.parse_args()
    files, _ = read_corpus()
    names = corpus_names([file for file in files if file.split == "train"])
    validation = [file for file in files if file.split == "validation"]
    set_limit(options.model, 0.0)
    results: dict[str, object] = {}
    outcomes = {
        group: asyncio.run(
            ask(options.model, list(itertools.islice(held_out_cases(validation, names, tasks), options.cases)))
        )
        for group, tasks in GROUPS.items()
    }
    limit = lowest_limit(outcomes[NO_EDIT_GROUP], QUIET_SHARE)
    for group, found in outcomes.items():
        sure = [outcome for outcome in found if outcome.exact and outcome.answer.confidence >= limit]
        results[group] = {"exact": sum(outcome.exact for outcome in found), "exact and sure": len(sure)}
    set_limit(options.model, limit)
    sys.stdout.write(json.dumps({"limit": limit, "cases": options.cases, **results}) + "\n")


if __name__ == "__main__":
    main()
