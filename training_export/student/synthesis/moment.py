"""One synthetic editing moment: what was open, what somebody did step by step, and what comes next.

A moment holds whole texts; what a model sees of it is made by the daemon's own editing state (``playing.py``), what is
expected of a model by ``asked.py``. Knows nothing of syntax, of how moments are made, or of any prompt format.

What comes next may reach beyond the rows that a prompt format lets a model rewrite: the patch of an example is of the
whole excerpt, and `asked.asked_of_region` says what of it is asked in one region.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from capture.inputs import PredictionInputs, RelatedFile

if TYPE_CHECKING:
    from training_export.example import Example
    from training_export.student.syntax.parsed import ParsedFile


class Task(StrEnum):
    """What is asked. ``QUIET`` is every moment in which nothing should change; its kind says what was done before."""

    RENAME = "rename"
    REPEAT = "repeat"
    PARAMETER = "parameter"
    FINISH_LINE = "finish_line"
    FINISH_BLOCK = "finish_block"
    BRANCH = "branch"
    DIAGNOSTIC = "diagnostic"
    WRAP = "wrap"
    FORMATTING = "formatting"
    IMPORT = "import"
    LEFTOVERS = "leftovers"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A row from 0, and a column in characters."""

    row: int
    column: int


@dataclass(frozen=True, slots=True)
class Step:
    """One act: ``path``'s whole text after it, where it left the cursor, and the pause before it."""

    path: str
    text: str
    cursor: Place
    seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """What a language server says of the current text: columns in characters of one row, severity as in LSP."""

    row: int
    start_column: int
    end_column: int
    message: str
    severity: int = 1


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a task may use besides the file: names that programmers use in this language, and files of its project."""

    names: tuple[str, ...] = ("value", "item", "result")
    type_names: tuple[str, ...] = ("Item", "Result", "Entry")
    siblings: tuple[ParsedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """``texts`` are whole files open before the first step, ``path`` among them; ``expected`` is ``path``'s text after
    what comes next.

    The last step is in ``path``; without steps the file was just opened, with the cursor at ``opened_at``.
    ``related`` is given to the model as context.
    """

    task: Task
    kind: str
    language: str
    project: str
    path: str
    texts: Mapping[str, str]
    steps: tuple[Step, ...]
    expected: str
    opened_at: Place = Place(0, 0)
    diagnostics: tuple[Diagnosed, ...] = ()
    related: tuple[RelatedFile, ...] = field(default=())

    @property
    def current(self) -> str:
        """``path``'s text now."""
        return self.steps[-1].text if self.steps else self.texts[self.path]

    @property
    def cursor(self) -> Place:
        """Where the cursor is in it."""
        return self.steps[-1].cursor if self.steps else self.opened_at

    @property
    def is_quiet(self) -> bool:
        """Whether nothing should change."""
        return self.expected == self.current

    def inputs(self) -> PredictionInputs:
        """What the daemon would hand a model. Raises ValueError where the steps or the cursor do not fit the texts."""
        from training_export.student.synthesis.playing import played  # noqa: PLC0415 (it imports this module)

        return played(self)

    def example(self, seed: int) -> Example:
        """The line of the pipeline's format; ``seed`` is what it was made with.

        Raises NotSayable where no patch says what comes next, and what `inputs` raises.
        """
        from training_export.student.synthesis.asked import example_of  # noqa: PLC0415 (it imports this module)

        return example_of(self, self.inputs(), seed)
