"""How often what is asked, in which language: the tasks with their functions, and the weights as data.

Knows nothing of files or of how moments are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from training_export.student.syntax.parsed import ParsedFile
from training_export.student.synthesis.branch import branch
from training_export.student.synthesis.diagnostic import diagnosed_far, diagnosed_fixed, diagnostic
from training_export.student.synthesis.finish import finish_block, finish_line
from training_export.student.synthesis.formatting import formatted, formatting
from training_export.student.synthesis.imports import imports
from training_export.student.synthesis.leftovers import leftovers
from training_export.student.synthesis.moment import Moment, Surroundings, Task
from training_export.student.synthesis.parameter import parameter
from training_export.student.synthesis.quiet import quiet
from training_export.student.synthesis.rename import rename
from training_export.student.synthesis.repeat import repeat, repeated
from training_export.student.synthesis.wrap import wrap

Maker = Callable[[ParsedFile, Random, Surroundings], Moment | None]

# Each task's makers with how often each is tried first.
MAKERS: Final[Mapping[Task, tuple[tuple[Maker, float], ...]]] = {
    Task.RENAME: ((rename, 1.0),),
    Task.REPEAT: ((repeat, 1.0),),
    Task.PARAMETER: ((parameter, 1.0),),
    Task.FINISH_LINE: ((finish_line, 1.0),),
    Task.FINISH_BLOCK: ((finish_block, 1.0),),
    Task.BRANCH: ((branch, 1.0),),
    Task.DIAGNOSTIC: ((diagnostic, 1.0),),
    Task.WRAP: ((wrap, 1.0),),
    Task.FORMATTING: ((formatting, 1.0),),
    Task.IMPORT: ((imports, 1.0),),
    Task.LEFTOVERS: ((leftovers, 1.0),),
    Task.QUIET: (
        (quiet, 0.80),
        (repeated, 0.10),
        (diagnosed_far, 0.04),
        (diagnosed_fixed, 0.03),
        (formatted, 0.03),
    ),
}
# Shares of a training set; more than a quarter is quiet.
TASK_WEIGHTS: Final[Mapping[Task, float]] = {
    Task.RENAME: 0.19,
    Task.REPEAT: 0.13,
    Task.PARAMETER: 0.04,
    Task.FINISH_LINE: 0.13,
    Task.FINISH_BLOCK: 0.05,
    Task.BRANCH: 0.03,
    Task.DIAGNOSTIC: 0.04,
    Task.WRAP: 0.02,
    Task.FORMATTING: 0.03,
    Task.IMPORT: 0.02,
    Task.LEFTOVERS: 0.03,
    Task.QUIET: 0.29,
}
LANGUAGE_WEIGHTS: Final[Mapping[str, float]] = {
    "python": 0.30,
    "javascript": 0.14,
    "typescript": 0.20,
    "go": 0.16,
    "rust": 0.20,
}
# Dialects are counted with their language.
FAMILIES: Final[Mapping[str, str]] = {"typescriptreact": "typescript", "javascriptreact": "javascript"}

# Of these tasks so large a share is sought where the plain rule fails, and where it is right; the rest is as it comes.
RULE_TASKS: Final = frozenset({Task.RENAME, Task.REPEAT})
SHARE_AGAINST_RULE, SHARE_WITH_RULE = 0.4, 0.4
# Earlier edits before a moment's own: so many at most, and how often there are none.
MOST_EARLIER_EDITS: Final = 6
SHARE_WITHOUT_PAST: Final = 0.35


def family_of(language: str) -> str:
    """The language that a dialect is counted with."""
    return FAMILIES.get(language, language)


def maker_of(task: Task, random: Random) -> Maker:
    """One of the task's makers."""
    makers = MAKERS[task]
    return random.choices([maker for maker, _ in makers], [weight for _, weight in makers])[0]
