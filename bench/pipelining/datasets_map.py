"""The same map in Hugging Face ``datasets``: ``python -m bench.pipelining.datasets_map trivial|score IN OUT CACHE``.

A file of JSON lines is loaded, mapped in two processes and written as JSON lines. ``score`` is our own function on each
example. What ``datasets`` does not do: check lines, keep an absent key apart from null, go on after a death, keep the
output from being seen half written. Prints the number of examples, and how many seconds each of the three parts took.
"""

from __future__ import annotations

import json
import os
import sys
import time
from itertools import pairwise
from typing import Any

PROCESSES = 2


def add_field(row: dict[str, Any]) -> dict[str, Any]:
    """The trivial map."""
    from bench.pipelining.trivial import FIELD, text_for  # noqa: PLC0415 (in the process that maps)

    return {FIELD: text_for(row["name"])}


def add_score(row: dict[str, Any]) -> dict[str, Any]:
    """Our score of the predictions."""
    from training_export.example import Example  # noqa: PLC0415 (in the process that maps)
    from training_export.stages.score import ScoreStage  # noqa: PLC0415

    return {"score": ScoreStage().findings(Example(without_nulls(dict(row)))).fields["score"]}


def without_nulls(value: Any) -> Any:
    """A row has every key that any row has, null where this one had none."""
    if isinstance(value, dict):
        return {key: without_nulls(part) for key, part in value.items() if part is not None}
    return [without_nulls(part) for part in value] if isinstance(value, list) else value


MAPS = {"trivial": add_field, "score": add_score}


def main() -> None:
    """Load, map, write."""
    kind, source, output, cache = sys.argv[1:]
    os.environ |= {"HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "HF_HOME": cache, "HF_DATASETS_CACHE": cache}
    import datasets  # noqa: PLC0415 (it reads the environment)

    datasets.disable_progress_bars()
    times = [time.perf_counter()]
    rows = datasets.load_dataset("json", data_files=source, split="train", cache_dir=cache)
    times.append(time.perf_counter())
    mapped = rows.map(MAPS[kind], num_proc=PROCESSES)
    times.append(time.perf_counter())
    mapped.to_json(output, num_proc=PROCESSES)
    times.append(time.perf_counter())
    loading, mapping, writing = (round(end - start, 3) for start, end in pairwise(times))
    print(json.dumps({"examples": len(mapped), "loading": loading, "mapping": mapping, "writing": writing}))


if __name__ == "__main__":
    main()
