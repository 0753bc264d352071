"""What ``foretype example check`` finds out about a file. Prints nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from training_export.commands.late_progress import late_progress
from training_export.example_format.doubts import warnings_of
from training_export.example_format.files import Rejected, read_examples


class Finding(NamedTuple):
    """One bad or doubtful place; ``line`` counts from 1, ``field`` is a path into the example or empty."""

    source: str
    line: int
    field: str
    reason: str

    @property
    def text(self) -> str:
        """The path and the reason."""
        return f"{self.field}: {self.reason}" if self.field else self.reason

    def to_json(self) -> dict[str, Any]:
        """For a program to read."""
        return {"line": self.line, "field": self.field, "reason": self.reason}


@dataclass(slots=True)
class Report:
    """What was found in one file."""

    source: str
    example_count: int = 0
    bad: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For a program to read."""
        return {
            "path": self.source,
            "example_count": self.example_count,
            "bad": [finding.to_json() for finding in self.bad],
            "warnings": [finding.to_json() for finding in self.warnings],
        }


def check_examples(source: str, names: dict[str, str]) -> Report:
    """Check every line. ``names`` maps the names seen so far to their places and is added to.

    Raises ExamplesUnreadable where the file cannot be read.
    """
    report = Report(source)
    with late_progress(f"checking {source}") as done:
        for found in read_examples(source):
            if isinstance(found, Rejected):
                report.bad.append(Finding(found.source, found.line, found.field, found.reason))
                continue
            report.example_count += 1
            done(report.example_count)
            place, name = f"{found.source}:{found.line}", found.example.name
            if name in names:
                report.warnings.append(Finding(found.source, found.line, "name", f"is also that of {names[name]}"))
            names.setdefault(name, place)
            report.warnings += [
                Finding(found.source, found.line, "", f"{part} is not read, here or by Zed") for part in found.ignored
            ]
            report.warnings += [Finding(found.source, found.line, *warned) for warned in warnings_of(found.example)]
    return report
