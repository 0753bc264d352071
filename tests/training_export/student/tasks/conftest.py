"""What the tests of the tasks share: one file of orders in each language, and the moments that a task makes of it."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import pytest

from tests.training_export.student.tasks.texts import SOURCES
from training_export.student.syntax.parsed import ParsedFile, parse_text
from training_export.student.synthesis.moment import Moment, Surroundings

NAMES = ("amount", "basketSize", "entry_count", "limit", "price_range", "target", "windowEnd")
TYPE_NAMES = ("Amount", "PriceRange", "Window")

LANGUAGES = tuple(SOURCES)

Task = Callable[[ParsedFile, Random, Surroundings], Moment | None]


@dataclass(frozen=True, slots=True)
class Changed:
    """What comes next, line by line: deleted and inserted lines, in order."""

    deleted: tuple[str, ...]
    inserted: tuple[str, ...]


class Bench:
    """Files to try tasks on."""

    def file(self, language: str, text: str | None = None) -> ParsedFile:
        """The file of orders, or another text in its place."""
        path, own = SOURCES[language]
        found = parse_text(language, "shop", path, own if text is None else text)
        assert found is not None, "the test's own source must parse"
        return found

    def moments(self, task: Task, file: ParsedFile, *, tries: int = 80, seed: int = 1) -> list[Moment]:
        """What the task makes of the file, with other chance each time."""
        random = Random(seed)
        surroundings = Surroundings(NAMES, TYPE_NAMES)
        made = [task(file, random, surroundings) for _ in range(tries)]
        found = [moment for moment in made if moment is not None]
        assert found, f"{file.path} offers nothing to the task"
        return found

    def parses(self, file: ParsedFile, text: str) -> bool:
        """Whether the text has no error of syntax."""
        return parse_text(file.language, file.project, file.path, text) is not None

    def changed(self, old: str, new: str) -> Changed:
        """The lines that differ."""
        lines = list(difflib.ndiff(old.split("\n"), new.split("\n")))
        return Changed(
            tuple(line[2:] for line in lines if line.startswith("- ")),
            tuple(line[2:] for line in lines if line.startswith("+ ")),
        )


@pytest.fixture(scope="session")
def bench() -> Bench:
    """The files and what is done with them."""
    return Bench()
