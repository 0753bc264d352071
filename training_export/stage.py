"""What a stage of the pipeline is: it reads one example and says what it found out about it.

A stage is one file in ``stages/`` and one row in its table. It is a value: its settings, nothing that is open.
Files, order, workers, resuming and progress are the engine's that runs it (``running/``); a stage knows none of that,
and no clock: the same example under the same settings gives the same findings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

import orjson

from training_export.example import Example

OURS = "foretype"  # the member of an example that holds what Zed's schema has no place for
STAGES, FAILURES = "stages", "failures"  # members of it: keys and sentences by stage
KEY_BYTES = 16


class Concurrency(Enum):
    """How examples are worked on side by side."""

    PROCESSES = "processes"  # the stage computes: one opened stage in each of several processes
    THREADS = "threads"  # it waits for others: one opened stage, whose function is called by several threads
    ALONE = "alone"  # one opened stage, one example at a time: it uses all cores itself


@dataclass(frozen=True, slots=True)
class Findings:
    """What a stage has to say of one example.

    ``fields`` are top-level keys to set, as `Example.with_fields` takes them (None takes an optional key out), ``ours``
    the same for members of ``foretype``. ``failure`` is a sentence where the stage could not do its work on this
    example: it is written to ``foretype.failures`` and counted, and the example goes on. ``is_final`` false: a later
    run should try again (a time-out, a quota). ``tallies`` are added up over all examples and shown.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    ours: Mapping[str, Any] = field(default_factory=dict)
    failure: str = ""
    is_final: bool = True
    tallies: Mapping[str, float] = field(default_factory=dict)


Work = Callable[[Example], Findings]


class Stage(Protocol):
    """One stage with its settings. Can be pickled; two equal ones do the same."""

    @property
    def name(self) -> str:
        """The command's name."""
        ...

    @property
    def version(self) -> int:
        """Raised when the same settings come to something else than before."""
        ...

    @property
    def reads(self) -> tuple[str, ...]:
        """The parts of an example on which the findings depend: keys, ``foretype.settled`` for a member of ours."""
        ...

    @property
    def writes(self) -> tuple[str, ...]:
        """The parts that findings may set, written alike. One that they set only at times is in ``reads`` too."""
        ...

    @property
    def concurrency(self) -> Concurrency:
        """How examples may be worked on side by side."""
        ...

    def settings(self) -> Mapping[str, Any]:
        """Everything else on which findings depend, as JSON: options, a model's checksum. Never how many workers."""
        ...

    def opened(self) -> AbstractContextManager[Work]:
        """Open what it needs (a model, a client) for as long as the block runs.

        The function raises nothing that has to do with one example: that is a ``failure``. What it raises ends the
        run (no such model, a token that is refused), and should be a ForetypeError that names the cure.
        """
        ...


def ours(example: Example, member: str) -> Any:
    """A member of ``foretype``, None where it is not there."""
    return (example.value.get(OURS) or {}).get(member)


def stage_key(stage: Stage, example: Example, settings: Mapping[str, Any] | None = None) -> str:
    """The same for two examples exactly if the stage must come to the same: hexadecimal digits.

    ``settings`` are the stage's own where the caller has asked for them once for many examples.
    """
    parts = {part: _part(example, part) for part in stage.reads}
    described = [stage.name, stage.version, dict(stage.settings() if settings is None else settings), parts]
    content = orjson.dumps(described, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(content, digest_size=KEY_BYTES).hexdigest()


def with_findings(stage: Stage, example: Example, key: str, findings: Findings) -> Example:
    """The example with what the stage found, its key beside it, and its failure or none.

    The key stands last in ``foretype.stages``: whose is last has worked on the example last. What is not final gets
    none, so that a later run does it again. Raises ExampleRejected where the findings make it something that is no
    example.
    """
    mine = dict(example.value.get(OURS) or {})
    for member, value in findings.ours.items():
        _set(mine, member, value)
    keys = {name: earlier for name, earlier in (mine.get(STAGES) or {}).items() if name != stage.name}
    _set(mine, STAGES, ({**keys, stage.name: key} if findings.is_final else keys) or None)
    failures = {name: reason for name, reason in (mine.get(FAILURES) or {}).items() if name != stage.name}
    if findings.failure:
        failures[stage.name] = findings.failure
    _set(mine, FAILURES, failures or None)
    return example.with_fields(**{**findings.fields, OURS: mine})


def _set(members: dict[str, Any], member: str, value: Any) -> None:
    if value is None:
        members.pop(member, None)
    else:
        members[member] = value


def _part(example: Example, part: str) -> Any:
    key, _, member = part.partition(".")
    value = example.value.get(key)
    return value if not member else (value or {}).get(member)
