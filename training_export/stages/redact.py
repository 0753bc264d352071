"""``redact``: a second search for secrets, in every text of an example, and what is found is masked.

The rules are those that snapshots passed through before they were stored (``capture/gate/redaction.py``), without the
limit on time. A mark has the length in bytes of what it stands for, so offsets stay right. What was made of text that
has changed goes: prompt, scores, verdicts.

A secret may stand in any field, also in one that nobody here knows, so the fields that a stage names cannot say on what
its findings depend: ``selecting/redaction.py`` alone runs it, reuses nothing, and lets nothing through that failed.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from capture.gate.redaction import MASK, SecretScanner
from capture.gate.secret_rules import occurrences
from training_export.example import KEYS, Example
from training_export.stage import OURS, STAGES, Concurrency, Findings, Work

Path = tuple[str | int, ...]

# Cursors and markers stand in the middle of what is typed, a key as well; without them it is seen.
_MARK: Final = re.compile(r"<\|[A-Za-z0-9_+-]{1,40}\|>")
_KEY: Final = "\0key"  # the last part of a path: not the value, but its name
_STALE: Final = {  # what is made of a text -> those texts
    "prompt": {"prompt_inputs", "expected_patches", "rejected_patch", "edit_history", "cursor_path", "prompt"},
    "score": {"prompt_inputs", "expected_patches", "predictions"},
    "qa": {"prompt_inputs", "predictions", "qa"},
}


@dataclass(frozen=True, slots=True)
class RedactStage:
    """``drops``: an example with a secret fails instead of being masked.

    ``more_secrets`` are texts that another scanner found, by the example's line.
    """

    drops: bool = False
    more_secrets: Mapping[bytes, tuple[str, ...]] = field(default_factory=dict)

    name: ClassVar[str] = "redact"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = (*KEYS, OURS)
    writes: ClassVar[tuple[str, ...]] = (*KEYS, OURS)
    concurrency: ClassVar[Concurrency] = Concurrency.PROCESSES

    def settings(self) -> Mapping[str, Any]:
        """Whether examples fail."""
        return {"drops": self.drops}

    @contextmanager
    def opened(self) -> Iterator[Work]:
        """The scanner; raises ScannerBroken where it does not find what is planted for it."""
        scanner = SecretScanner(budget_seconds=math.inf)
        yield lambda example: self._findings(scanner, example)

    def _findings(self, scanner: SecretScanner, example: Example) -> Findings:
        texts = dict(texts_of(example))
        plain = {path: without_marks(text) for path, text in texts.items()}
        parts = {repr(path): text for path, text in plain.items()}
        others = self.more_secrets.get(example.to_line().encode(), ())
        kinds = scanner.verdict(parts).found + ("found by another scanner",) * bool(others)
        if not kinds:
            return Findings()
        tallies = {"examples with secrets": 1, **Counter(f"with {kind}" for kind in kinds)}
        if self.drops:
            return Findings(failure=f"holds what looks like a secret ({', '.join(kinds)})", tallies=tallies)
        can_be_masked = all(any(secret in text for text in parts.values()) for secret in others)
        masked, verdict = scanner.redacted(parts)
        masked = {name: with_masked(text, others) for name, text in masked.items()}
        changed = {path: masked[repr(path)] for path in texts if masked[repr(path)] != plain[path]}
        if not (can_be_masked and verdict.is_clean) or any(path[-1] == _KEY for path in changed):
            return Findings(failure=f"a secret stands where it cannot be masked ({', '.join(kinds)})", tallies=tallies)
        new = {path: with_marks_of(texts[path], of_same_bytes(plain[path], text)) for path, text in changed.items()}
        return _changes(example, new, tallies)


def texts_of(example: Example) -> Iterator[tuple[Path, str]]:
    """Every text of an example with its path, the names of fields that are not known here included."""
    waiting: list[tuple[Path, object]] = [((key,), part) for key, part in reversed(example.value.items())]
    yield from (((key, _KEY), key) for key in example.value if key not in KEYS and key != OURS)
    while waiting:
        path, part = waiting.pop()
        if isinstance(part, str):
            yield path, part
        elif path == (OURS, STAGES):
            continue  # keys of our own making
        elif isinstance(part, dict):
            yield from (((*path, key, _KEY), key) for key in part)
            waiting += [((*path, key), part[key]) for key in part]
        elif isinstance(part, list):
            waiting += [((*path, index), item) for index, item in enumerate(part)]


def without_marks(text: str) -> str:
    """The text less the markers of prompt formats in it."""
    return _MARK.sub("", text) if "<|" in text else text


def with_marks_of(original: str, masked: str) -> str:
    """``masked``, which has a mask or the same character for each of the original's, with the original's markers."""
    pieces: list[str] = []
    taken = 0
    end = 0
    for found in _MARK.finditer(original):
        length = len(original[end : found.start()].encode())
        pieces += [masked.encode()[taken : taken + length].decode(), found[0]]
        taken, end = taken + length, found.end()
    return "".join([*pieces, masked.encode()[taken:].decode()])


def of_same_bytes(original: str, masked: str) -> str:
    """``masked`` with as many marks for a character as it had bytes."""
    if original.isascii():
        return masked
    return "".join(MASK * len(old.encode()) if new == MASK else new for old, new in zip(original, masked, strict=True))


def with_masked(text: str, secrets: tuple[str, ...]) -> str:
    """The text with every occurrence of some secrets masked, but for white space and punctuation."""
    characters = list(text)
    for secret in secrets:
        for start, end in occurrences(text, secret):
            characters[start:end] = [MASK if old.isalnum() else old for old in characters[start:end]]
    return "".join(characters)


def _changes(example: Example, new: Mapping[Path, str], tallies: Mapping[str, float]) -> Findings:
    """The findings that put the new texts in their places, less what was made of the old ones."""
    keys = {str(path[0]) for path in new}
    fields = {key: _replaced(example.value[key], (key,), new) for key in keys - {OURS}}
    fields |= {made: None for made, of in _STALE.items() if keys & of}
    ours = {str(path[1]): _replaced(example.value[OURS][path[1]], path[:2], new) for path in new if path[0] == OURS}
    return Findings(fields=fields, ours=ours, tallies=tallies)


def _replaced(part: Any, path: Path, new: Mapping[Path, str]) -> Any:
    if isinstance(part, dict):
        return {key: _replaced(inner, (*path, key), new) for key, inner in part.items()}
    if isinstance(part, list):
        return [_replaced(inner, (*path, index), new) for index, inner in enumerate(part)]
    return new.get(path, part)
