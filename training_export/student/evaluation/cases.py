"""One held-out example as a case to be judged: what is asked in a region, and what the plain rule says there.

A case is of a task and a language: ``foretype.synthesis`` says so where it was made of a file; what is settled instead
belongs to no task. Knows nothing of models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import orjson

from capture.context.index.languages import language_of
from capture.inputs import PredictionInputs, Span
from training_export.example import Example
from training_export.stage import ours
from training_export.student.synthesis.asked import asked_by_rule, asked_of_region

SYNTHESIS: Final = "synthesis"  # the member of `foretype` that the synthesiser writes
NO_TASK: Final = "other"
UNKNOWN: Final = "unknown"
KEY_BYTES: Final = 12


class NoCase(ValueError):
    """An example that no prediction can be judged by; the message is a sentence."""


@dataclass(frozen=True)
class Case:
    """``patches`` are of the excerpt, any of them right, an empty one for no edit; ``name`` is the example's."""

    name: str
    task: str
    kind: str
    language: str
    project: str
    path: str
    inputs: PredictionInputs
    patches: tuple[str, ...]

    @classmethod
    def of(cls, example: Example) -> Case:
        """Raises NoCase where there is nothing to ask, or nothing that was to come."""
        inputs = example.prompt_inputs
        if inputs is None:
            raise NoCase("it has no prompt_inputs")
        found = ours(example, SYNTHESIS)
        about: Mapping[str, Any] = found if isinstance(found, dict) else {}
        patches = example.expected_patches or (("",) if about.get("is_quiet") is True else ())
        if not patches:
            raise NoCase("it has no expected patch")
        known = language_of(inputs.cursor_path)
        return cls(
            name=example.name,
            task=str(about.get("task") or NO_TASK),
            kind=str(about.get("kind") or ""),
            language=str(about.get("language") or (known.name if known else UNKNOWN)),
            project=str(about.get("project") or example.repository_url),
            path=str(about.get("path") or inputs.cursor_path),
            inputs=inputs,
            patches=patches,
        )

    @property
    def file(self) -> str:
        """What it was made of, the same for all cases of one file."""
        return f"{self.project}\0{self.path}"

    @cached_property
    def key(self) -> str:
        """The same exactly if the moment and what came next are the same: hexadecimal digits."""
        content = orjson.dumps([self.inputs.to_json(), self.patches], option=orjson.OPT_SORT_KEYS)
        return hashlib.blake2b(content, digest_size=KEY_BYTES).hexdigest()

    def text_of(self, region: Span) -> str:
        """What stands in a region (bytes of the excerpt)."""
        return self.inputs.excerpt_bytes[region.start : region.end].decode()

    def wanted_in(self, region: Span) -> tuple[str, ...]:
        """The texts of a region any of which is right. Raises NoCase where what comes next cannot be asked there."""
        asked = (asked_of_region(self.inputs, region, patch) for patch in self.patches)
        wanted = tuple(new.text for new in asked if new is not None)
        if not wanted:
            raise NoCase("what comes next cannot be asked in the model's region")
        return wanted

    def by_rule(self, region: Span) -> str:
        """What the plain rule makes of a region: the last substitution, done everywhere in it."""
        return asked_by_rule(self.inputs, region)
