"""What is in a stream of examples, counted: where they come from, what stages made of them, how long they are.

Memory grows by some bytes an example (lengths, and a hash of each name). Prints nothing.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np

from capture.context.index.languages import language_of
from training_export.example import Example
from training_export.example_format.files import Loaded, Rejected
from training_export.selecting.grouping import repository_of
from training_export.stage import FAILURES, STAGES, ours

NONE: Final = "(none)"


@dataclass(frozen=True, slots=True)
class Lengths:
    """How many examples have it, and the median, the 95th percentile and the largest of their lengths."""

    count: int
    median: int
    p95: int
    largest: int

    @classmethod
    def of(cls, values: array[int]) -> Lengths:
        """Percentiles are values that occur: no half bytes."""
        if not values:
            return cls(0, 0, 0, 0)
        numbers = np.frombuffer(values, np.uint64)
        median, p95 = np.percentile(numbers, [50, 95], method="closest_observation")
        return cls(len(numbers), int(median), int(p95), int(numbers.max()))

    def to_json(self) -> dict[str, int]:
        """For a program to read."""
        return {"count": self.count, "median": self.median, "p95": self.p95, "max": self.largest}


@dataclass(slots=True)
class Census:
    """``groups`` are counts of examples by value, under what is counted; ``facts`` counts of examples with a property.

    An example can count for several stages, tags and providers, and for one value of the others.
    """

    example_count: int = 0
    rejected_count: int = 0
    groups: dict[str, Counter[str]] = field(default_factory=dict)
    facts: Counter[str] = field(default_factory=Counter)
    lengths: dict[str, array[int]] = field(default_factory=dict)
    _names: set[bytes] = field(default_factory=set)

    def add_all(self, found: Iterable[Loaded | Rejected]) -> None:
        """Count every line."""
        for line in found:
            if isinstance(line, Rejected):
                self.rejected_count += 1
            else:
                self.add(line.example)

    def add(self, example: Example) -> None:
        """Count one more example."""
        self.example_count += 1
        for what, values in _values(example).items():
            self.groups.setdefault(what, Counter()).update(values)
        self.facts.update(what for what, is_so in _facts(example).items() if is_so)
        for what, length in _lengths(example).items():
            self.lengths.setdefault(what, array("Q")).append(length)
        name = hashlib.blake2b(example.name.encode(), digest_size=8).digest()
        self.facts["names that another example has"] += name in self._names
        self._names.add(name)

    def to_json(self) -> dict[str, Any]:
        """For a program to read; counts by value with the largest first."""
        return {
            "examples": self.example_count,
            "rejected": self.rejected_count,
            "counts": {what: dict(counter.most_common()) for what, counter in self.groups.items() if counter},
            "facts": dict(self.facts),
            "lengths": {what: Lengths.of(values).to_json() for what, values in self.lengths.items()},
        }


def example_language(example: Example) -> str:
    """The language its editor named, else that of the file's suffix, else the suffix; empty where it has none."""
    named = (ours(example, "snapshot") or {}).get("language_id")
    known = language_of(example.cursor_path)
    return str(named or (known.name if known else PurePosixPath(example.cursor_path).suffix))


def _values(example: Example) -> Mapping[str, Iterable[str]]:
    snapshot = ours(example, "snapshot") or {}
    settle = ours(example, "settle") or {}
    return {
        "language": [example_language(example) or NONE],
        "repository": [repository_of(example) or NONE],
        "outcome": [str(snapshot["outcome"])] if snapshot.get("outcome") else [],
        "class": [str(settle["class"])] if settle.get("class") else [],
        "tag": set(example.tags),
        "provider of a prediction": {prediction.provider for prediction in example.predictions},
        "format of the prompt": [example.prompt.provider] if example.prompt else [],
        "stage that ran": list(ours(example, STAGES) or {}),
        "stage that failed": list(ours(example, FAILURES) or {}),
    }


def _facts(example: Example) -> Mapping[str, bool]:
    return {
        "with prompt inputs": example.prompt_inputs is not None,
        "with settled text": ours(example, "settled") is not None,
        "with predictions": bool(example.predictions),
        "with scores": bool(example.score),
        "with expected patches": bool(example.expected_patches),
        "that expect no edit": bool(example.expected_patches) and not any(map(str.strip, example.expected_patches)),
        "with a rejected patch": example.rejected_patch is not None,
        "with a prompt and its answer": example.prompt is not None and example.prompt.expected_output is not None,
        "with a pair of answers": example.prompt is not None and example.prompt.rejected_output is not None,
    }


def _lengths(example: Example) -> Mapping[str, int]:
    """Bytes, and events by number, of what there is."""
    found = {"cursor_position (bytes)": len(example.cursor_position.encode())}
    inputs, prompt = example.prompt_inputs, example.prompt
    if inputs is not None:
        related = sum(len(excerpt.text.encode()) for file in inputs.related_files or () for excerpt in file.excerpts)
        found |= {
            "excerpt (bytes)": len(inputs.excerpt_bytes),
            "history (events)": len(inputs.events),
            "history (bytes)": sum(len(event.diff.encode()) for event in inputs.events),
            "related files (bytes)": related,
        }
    if prompt is not None:
        found["prompt (bytes)"] = len(prompt.input.encode())
        found["prompt (tokens, 3 bytes each)"] = len(prompt.input.encode()) // 3
        if prompt.expected_output is not None:
            found["answer (bytes)"] = len(prompt.expected_output.encode())
    return found
