"""Looks for the keys of known providers with detect-secrets, without a text of the user's ever being a file on a disk.

detect-secrets reads files, so it gets the lines in an anonymous file in memory; where the system has none its detectors
are called line by line, because even a temporary file may reach a disk. It never asks a provider whether a key is
valid. It passes over in silence what it cannot read, so before the lines stands one that must be found.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from capture.gate.secret_rules import Finding, occurrences

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# A key that opens nothing, in the form of Amazon's; no real one spells words.
CANARY = "AKIA" + "FORETYPESCANNERS"
# They raise alarms on ordinary source, or need a file's name to work well: `secret_rules` takes their place.
LEFT_OUT = (
    "Base64HighEntropyString",
    "HexHighEntropyString",
    "KeywordDetector",
    "BasicAuthDetector",
    "IPPublicDetector",
)
_OWN_FILES = "/proc/self/fd"
_CONFIGURING = threading.Lock()


class ScannerBroken(Exception):
    """detect-secrets does not find what it must; nothing may be stored until it does."""


class Line(NamedTuple):
    """A line, or a piece of one, in ASCII and without an end, and where it begins in its text, in characters."""

    start: int
    text: str


class ProviderKeys:
    """detect-secrets, set up for this whole process and tried out; takes a good tenth of a second to make.

    Raises ScannerBroken, as every search may. Not thread-safe.
    """

    def __init__(self) -> None:
        with _CONFIGURING:  # two threads may make theirs at once
            _configure()
        is_file = hasattr(os, "memfd_create") and os.path.isdir(_OWN_FILES)  # noqa: PTH112
        self._search: Callable[[Sequence[str]], list[_Found]] = search_file if is_file else search_lines
        self.findings([])

    def findings(self, lines: Sequence[Line]) -> list[Finding]:
        """The keys in ``lines``; where a detector put one together from parts of a line, the whole line."""
        # The canary comes first: detect-secrets reads a file that begins so as plain lines, not as a table of settings.
        found = self._search([CANARY, *(line.text for line in lines)])
        if not any(number == 1 for number, _, _ in found):
            raise ScannerBroken("detect-secrets does not find the key that is planted for it; reinstall foretype")
        return [place for number, kind, key in found if number > 1 for place in _places(lines[number - 2], kind, key)]


_Found = tuple[int, str, str]  # the number of a line, from 1, the kind of key, the key


def search_file(lines: Sequence[str]) -> list[_Found]:
    """The keys in ``lines``, read by detect-secrets from a file in memory."""
    from detect_secrets.core.scan import scan_file  # noqa: PLC0415 (see _configure)

    with os.fdopen(os.memfd_create("foretype", os.MFD_CLOEXEC), "wb") as file:
        file.write("\n".join(lines).encode("ascii"))
        file.flush()
        found = scan_file(f"{_OWN_FILES}/{file.fileno()}")
        return [(secret.line_number, secret.type, secret.secret_value or "") for secret in found]


def search_lines(lines: Sequence[str]) -> list[_Found]:
    """The keys in ``lines``, each given to every detector: the same without a file, for systems that have none."""
    from detect_secrets.settings import get_plugins  # noqa: PLC0415 (see _configure)

    detectors: list[Any] = get_plugins()
    return [
        (number, secret.type, secret.secret_value or "")
        for number, line in enumerate(lines, 1)
        for detector in detectors
        for secret in detector.analyze_line(filename="", line=line, line_number=number)
    ]


def _places(line: Line, kind: str, key: str) -> list[Finding]:
    spans = list(occurrences(line.text, key)) or [(0, len(line.text))]
    return [Finding(kind, line.start + start, line.start + end) for start, end in spans]


@functools.cache
def _configure() -> None:
    """All detectors but for some, no filter, no question to a provider; once, for all that search in this process.

    Done again, it would leave those that are searching without any for a moment.
    Without filters also a line that its repository marks as allowed counts: that mark was not made for us.
    """
    from detect_secrets import settings  # noqa: PLC0415 (a tenth of a second that only capture needs)
    from detect_secrets.core.log import log  # noqa: PLC0415
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class  # noqa: PLC0415

    log.setLevel(logging.CRITICAL + 1)  # it writes of secrets
    detectors: dict[str, type[Any]] = get_mapping_from_secret_type_to_class()
    names = [detector.__name__ for detector in detectors.values()]
    settings.cache_bust()
    chosen: dict[str, Any] = {
        "plugins_used": [{"name": name} for name in names if name not in LEFT_OUT],
        "filters_used": [],
    }
    settings.configure_settings_from_baseline(chosen)
