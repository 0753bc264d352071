"""Moments made in the test, as the synthesiser would write them, and answers to them that nobody had to compute."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from capture.inputs import Span
from daemon.engine.messages import Origin
from training_export.student.evaluation.answers import Answer, Said
from training_export.student.evaluation.cases import Case
from training_export.student.evaluation.judging import Judged, judged
from training_export.student.synthesis.moment import Moment, Place, Step, Task

NAMES = ("price", "weight", "height", "amount", "width", "total", "number", "score")
NEW_NAMES = ("cost", "mass", "level", "sum_of_all", "breadth", "whole", "count", "points")
# {0} is what is renamed. In the second, the last line has the name in a text: the plain rule changes that, too.
FOLLOWED = "def tax({0}):\n    rate = 0.2\n    return {0} * rate\n\n\nprint(tax(3))"
DEFEATING = "def show({0}):\n    shown = round({0}, 2)\n    print(shown)\n    return '{1} of it'"


def rename(old: str, new: str, template: str, path: str, *, is_done: bool = False, language: str = "python") -> Moment:
    """The parameter's name was changed where it is defined (everywhere, where ``is_done``)."""
    before, after = template.format(old, old), template.format(new, old)
    first, rest = before.split("\n", 1)
    typed = after if is_done else "\n".join([after.split("\n", 1)[0], rest])
    return Moment(
        task=Task.QUIET if is_done else Task.RENAME,
        kind="renamed" if is_done else "parameter",
        language=language,
        project="shop",
        path=path,
        texts={path: before},
        steps=(Step(path, typed, Place(0, first.index("(") + 1 + len(new))),),
        expected=after,
    )


@pytest.fixture(scope="session")
def make_moment() -> Callable[..., Moment]:
    return rename


@pytest.fixture(scope="session")
def moments() -> list[Moment]:
    """Eight names in each of three ways: to be followed, to be followed against the rule, and done already."""
    return [
        moment
        for number, (old, new) in enumerate(zip(NAMES, NEW_NAMES, strict=True))
        for moment in (
            rename(old, new, FOLLOWED, f"shop/tax_{number}.py"),
            rename(old, new, DEFEATING, f"shop/show_{number}.py"),
            rename(old, new, FOLLOWED, f"shop/done_{number}.py", is_done=True),
        )
    ]


@pytest.fixture(scope="session")
def make_judged() -> Callable[..., Judged]:
    """A case with an answer that turns the whole excerpt into ``text`` (None: no edit)."""

    def make(
        moment: Moment,
        text: str | None,
        confidence: float = 0.9,
        ranked: tuple[str | None, float, Origin] | None = None,
    ) -> Judged:
        case = Case.of(moment.example(seed=1))
        region = Span(0, len(case.inputs.excerpt_bytes))
        chosen = None if ranked is None else Said(*ranked)
        return judged(case, Answer(region, Said(text, confidence), chosen, "", 0.01, 100, 5))

    return make
