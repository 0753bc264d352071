"""Looks for secrets in what is about to be stored, before it is; what holds one is dropped, or has it masked.

Two searches: for the keys of known providers (`provider_keys`), and by our own rules for all other secrets
(`secret_rules`). A verdict costs a limited time; what could not be looked at counts as not clean. Knows nothing of
snapshots.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capture.gate import secret_rules
from capture.gate.provider_keys import Line, ProviderKeys
from capture.gate.secret_rules import Finding, occurrences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

BUDGET_SECONDS = 0.020  # of this thread's processor time, for one verdict
CHARACTERS_PER_SECOND = 10_000_000  # that our rules look at, or more; a text that would take too long is not begun
MAX_VERDICTS = 4096  # kept, by the hash of the text
LINES_AT_ONCE = 16  # in one file for detect-secrets; between two the time is looked at
MAX_LINE_CHARACTERS, OVERLAP_CHARACTERS = 1000, 200  # of longer lines, pieces that overlap
MIN_REPEATED_CHARACTERS = 6  # shorter ones are masked only where they were found
MASK = "*"
_KEY_FILES = ("PRIVATE KEY", "PuTTY-User-Key-File")  # what such a line holds need not be long


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a search found: kinds of secrets, in order; ``exceeded`` when it ended before everything was looked at."""

    found: tuple[str, ...] = ()
    exceeded: bool = False

    @property
    def is_clean(self) -> bool:
        """Whether everything was looked at and nothing found."""
        return not self.found and not self.exceeded


class SecretScanner:
    """Searches texts for secrets; makes ready in a good tenth of a second, so it is built before it is needed.

    ``processor_seconds`` is the time this thread has worked. Not thread-safe. Raises
    ScannerBroken (`provider_keys`), as every search may.
    """

    def __init__(
        self,
        *,
        budget_seconds: float = BUDGET_SECONDS,
        processor_seconds: Callable[[], float] = time.thread_time,
    ) -> None:
        self._budget_seconds = budget_seconds
        self._processor_seconds = processor_seconds
        self._known: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()
        self._provider_keys = ProviderKeys()

    def verdict(self, parts: Mapping[str, str]) -> Verdict:
        """The kinds of secrets in ``parts``, by any name; what is found once is not searched for more.

        A text that was looked at before costs a hash.
        """
        deadline = self._processor_seconds() + self._budget_seconds
        kinds: set[str] = set()
        exceeded = False
        for text in parts.values():
            key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            found = self._known.get(key)
            if found is None:
                found = self._kinds(text, deadline)
                if found is None:
                    exceeded = True
                    continue
            self._keep(key, found)
            kinds.update(found)
        return Verdict(tuple(sorted(kinds)), exceeded)

    def redacted(self, parts: Mapping[str, str]) -> tuple[dict[str, str], Verdict]:
        """``parts`` with every secret that is found in one of them masked in all, and the verdict on the result.

        The beginning of a secret is masked as well: in what was recorded while it was typed. A mark has the length of
        what it stands for and its white space and punctuation, so that positions stay. Only a result whose verdict is
        clean may be kept. Both searches have the time of one verdict each.
        """
        if any(map(self._is_too_long, parts.values())):
            return dict(parts), Verdict(exceeded=True)
        deadline = self._processor_seconds() + self._budget_seconds
        spans: dict[str, list[tuple[int, int]]] = {name: [] for name in parts}
        secrets: set[str] = set()
        for name, text in parts.items():
            for found in self._steps(text):
                spans[name] += [(finding.start, finding.end) for finding in found]
                if self._processor_seconds() > deadline:
                    return dict(parts), Verdict(exceeded=True)
            secrets.update(text[start:end] for start, end in spans[name] if end - start >= MIN_REPEATED_CHARACTERS)
        masked = {name: _masked(text, spans[name], secrets) for name, text in parts.items()}
        return masked, self.verdict(masked)

    def _kinds(self, text: str, deadline: float) -> tuple[str, ...] | None:
        """The kinds in one text, None when the time is over before it is looked at."""
        if self._processor_seconds() > deadline or self._is_too_long(text):
            return None
        for found in self._steps(text):
            if found:
                return tuple(sorted({finding.kind for finding in found}))
            if self._processor_seconds() > deadline:
                return None
        return ()

    def _is_too_long(self, text: str) -> bool:
        return len(text) > self._budget_seconds * CHARACTERS_PER_SECOND

    def _steps(self, text: str) -> Iterator[list[Finding]]:
        """What is found in one text, in steps between which one can stop."""
        ascii_text = _ascii(text)
        yield list(secret_rules.findings(ascii_text))
        for lines in _batches(_suspicious_lines(ascii_text)):
            yield self._provider_keys.findings(lines)

    def _keep(self, key: bytes, kinds: tuple[str, ...]) -> None:
        self._known[key] = kinds
        self._known.move_to_end(key)
        if len(self._known) > MAX_VERDICTS:
            self._known.popitem(last=False)


def _ascii(text: str) -> str:
    """``text`` with one character for each of its own: the rules and detect-secrets then see it alike in any locale."""
    return text.encode("ascii", "replace").decode("ascii").replace("\r", " ")


def _suspicious_lines(text: str) -> list[Line]:
    """The lines that may hold a provider's key: those with a long string that is no word, or with a key file's head.

    Of a line that is very long only the pieces around such places.
    """
    places = {found.start() for found in secret_rules.long_strings(text)}
    places.update(start for mark in _KEY_FILES for start, _ in occurrences(text, mark))
    lines: list[Line] = []
    covered = 0
    for place in sorted(places):
        if place < covered:
            continue
        start, end = text.rfind("\n", 0, place) + 1, text.find("\n", place)
        end = len(text) if end < 0 else end
        if end - start > MAX_LINE_CHARACTERS:
            start = max(start, place - OVERLAP_CHARACTERS)
        until = min(end, start + MAX_LINE_CHARACTERS)
        lines.append(Line(start, text[start:until]))
        covered = end if until == end else until - OVERLAP_CHARACTERS
    return lines


def _batches(lines: Sequence[Line]) -> Iterator[Sequence[Line]]:
    for first in range(0, len(lines), LINES_AT_ONCE):
        yield lines[first : first + LINES_AT_ONCE]


def _masked(text: str, spans: Iterable[tuple[int, int]], secrets: Iterable[str]) -> str:
    characters = list(text)
    for start, end in (*spans, *(span for secret in secrets for span in _beginnings(text, secret))):
        for index in range(start, end):
            if characters[index].isalnum():
                characters[index] = MASK
    return "".join(characters)


def _beginnings(text: str, secret: str) -> Iterator[tuple[int, int]]:
    """Where ``text`` has the secret, or as much of its beginning as may be masked wherever it stands."""
    for start, _ in occurrences(text, secret[:MIN_REPEATED_CHARACTERS]):
        pairs = zip(text[start : start + len(secret)], secret, strict=False)
        yield start, start + sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
