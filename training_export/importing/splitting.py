"""From one change to its examples: as many samples as are wanted, each drawn from the change's own content.

A sample depends on the change, the seed and its number, so it is the same whatever else is imported, in whatever order.
Nothing is left out in silence: what gives no example is named with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

from training_export.errors import ExampleRejected
from training_export.example import Example
from training_export.importing.changes import ChangeSet, Refused
from training_export.importing.moment import TargetLimits, example_at
from training_export.importing.script import NotReplayable, Script, script_of
from training_export.importing.split_point import NoSplit, WantedSplit, choose, is_of
from training_export.patches import NotSayable

ATTEMPTS: Final = 5  # where a place that was drawn cannot be said in a patch


@dataclass(frozen=True, slots=True)
class SplitSettings:
    """``languages`` are language ids, none for all; ``min_lines`` and ``max_lines`` count lines added and removed."""

    samples: int = 1
    seed: int = 0
    split: WantedSplit | None = None
    languages: frozenset[str] = frozenset()
    min_lines: int = 2
    max_lines: int = 1000
    limits: TargetLimits = field(default_factory=TargetLimits)


def examples_of(change_set: ChangeSet, settings: SplitSettings) -> Iterator[Example | Refused]:
    """The examples of a change, and why there is none, or one less."""
    try:
        script = _script(change_set, settings)
    except (NoSplit, NotReplayable) as error:
        yield Refused(change_set.source, _with_left_out(str(error), change_set))
        return
    seen: dict[str, int] = {}
    for index in range(settings.samples):
        name = change_set.name if settings.samples == 1 else f"{change_set.name}-{index}"
        # No secret: the same numbers everywhere are the point.
        random = Random(f"{settings.seed}/{change_set.identity}/{index}")  # noqa: S311
        found = _example(change_set, script, settings, random, name)
        if isinstance(found, Example):
            content = found.with_fields(name="").to_line()
            if content in seen:
                found = Refused(change_set.source, f"sample {index} is the same as sample {seen[content]}")
            else:
                seen[content] = index
        yield found


def _script(change_set: ChangeSet, settings: SplitSettings) -> Script:
    """Raises NoSplit where the change is not of the size or the languages that are wanted, else NotReplayable."""
    paths = [change.path for change in change_set.changes if change.after is not None]
    if not paths:
        raise NoSplit("no text file is changed")
    if settings.languages and not any(is_of(path, settings.languages) for path in paths):
        raise NoSplit(f"no change is in a file of {', '.join(sorted(settings.languages))}")
    script = script_of(change_set)
    deleted = sum((change.before or "").count("\n") for change in script.whole if change.after is None)
    lines = len(script.edits) + deleted
    if len(script.edits) < max(1, settings.min_lines):
        raise NoSplit(f"too few lines are changed: {len(script.edits)}, at least {settings.min_lines} are wanted")
    if lines > settings.max_lines:
        raise NoSplit(f"too many lines are changed: {lines}, at most {settings.max_lines} are wanted")
    return script


def _example(
    change_set: ChangeSet, script: Script, settings: SplitSettings, random: Random, name: str
) -> Example | Refused:
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            split = choose(script, settings.split, settings.languages, random)
            return example_at(change_set, script, split, name, settings.limits)
        except NoSplit as error:
            reason = reason or str(error)
            break
        except (NotSayable, NotReplayable, ExampleRejected) as error:
            reason = str(error)
    return Refused(change_set.source, _with_left_out(reason, change_set))


def _with_left_out(reason: str, change_set: ChangeSet) -> str:
    if not change_set.left_out:
        return reason
    first, *others = change_set.left_out
    more = f", and {len(others)} more" if others else ""
    return f"{reason} (left out: {first.path} {first.reason}{more})"
