"""Does another distribution own one of our import packages?

``daemon`` is also the import name of python-daemon, and pip merges two distributions that ship the same
folder without a word; what then runs is a mixture. Reads installation records, never imports what it finds.
"""

from __future__ import annotations

import re
from importlib import metadata
from typing import TYPE_CHECKING, NamedTuple

from daemon.errors import PackageClash

if TYPE_CHECKING:
    from collections.abc import Iterable

DISTRIBUTION = "foretype"
OUR_PACKAGES = ("daemon", "capture", "training_export")


class Clash(NamedTuple):
    """A distribution that installs files into a package of ours."""

    package: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return (
            f"the distribution {self.distribution} {self.version} also owns the import package"
            f" `{self.package}`; "
            f"install foretype by itself (uv tool install foretype, or pipx install foretype), "
            f"or remove the other: pip uninstall {self.distribution}"
        )


def clashes(distributions: Iterable[metadata.Distribution] | None = None) -> list[Clash]:
    """Every other distribution that owns one of our packages, by its own installation record."""
    found = []
    for distribution in metadata.distributions() if distributions is None else distributions:
        name = distribution.metadata["Name"] or ""
        if _normalised(name) == DISTRIBUTION:
            continue
        owned = _owned(distribution)
        found += [Clash(package, name, distribution.version) for package in OUR_PACKAGES if package in owned]
    return sorted(set(found))


def refuse_clash() -> None:
    """Raise PackageClash, naming the culprit, when another distribution owns one of our packages."""
    for clash in clashes():
        raise PackageClash(str(clash))


def _owned(distribution: metadata.Distribution) -> set[str]:
    """Our packages in the record; searched as text, because parsing every record takes a second."""
    record = "\n" + (distribution.read_text("RECORD") or "")
    top_level = (distribution.read_text("top_level.txt") or "").split()
    return {package for package in OUR_PACKAGES if f"\n{package}/" in record or package in top_level}


def _normalised(name: str) -> str:
    """Distribution names compare as PEP 503 says."""
    return re.sub(r"[-_.]+", "-", name).lower()
