"""What is wrong with examples to be learnt from: bad lines, targets that would poison, prompts that do not fit.

What `example check` warns of is said too. Knows nothing of the command line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, Final, NamedTuple

from capture.editing.unified_diff import PatchError, apply_patch, extract_cursor
from capture.inputs import PredictionInputs
from daemon.prompts.base import CountTokens, NewRegion, NoEdit, NoEditReason, PromptFormat, Refusal, TargetError
from daemon.prompts.base import Prompt as RenderedPrompt
from daemon.prompts.guards import SENTINELS, judge
from daemon.prompts.registry import FORMATS
from daemon.prompts.sections import estimate_tokens
from training_export.example import Example
from training_export.example_format.doubts import warnings_of
from training_export.example_format.files import Loaded, Rejected
from training_export.example_format.patch_traps import why_not_applicable
from training_export.example_format.records import Prompt
from training_export.patches import RegionLeft, region_after
from training_export.stages.formatting import provider_of

Counting = Callable[[str], CountTokens]

NO_TARGET: Final = "is empty: there is nothing to learn"
_NAME_BYTES: Final = 12  # of a name's hash: names of millions of examples are told apart


class Problem(NamedTuple):
    """One place; ``line`` counts from 1, ``field`` is a path into the example. What is not bad is only doubtful."""

    source: str
    line: int
    field: str
    reason: str
    is_bad: bool

    def __str__(self) -> str:
        what = "bad" if self.is_bad else "warning"
        return f"{self.source}:{self.line}: {what}: {f'{self.field}: ' if self.field else ''}{self.reason}"

    def to_json(self) -> dict[str, Any]:
        """For a program to read."""
        return {**self._asdict()}


class Fault(NamedTuple):
    """Something wrong in one example."""

    field: str
    reason: str
    is_bad: bool = True


class Validation:
    """Goes over examples of any number of files; it remembers a few bytes of each, for names that come twice."""

    def __init__(self, counting: Counting = lambda _format_name: estimate_tokens) -> None:
        """``counting`` gives for a format what its prompts are counted with."""
        self.example_count = 0
        self.bad_count = 0
        self.warning_count = 0
        self._counting = counting
        self._names: dict[bytes, tuple[int, int]] = {}
        self._sources: list[str] = []

    def problems(self, found: Iterable[Loaded | Rejected]) -> Iterator[Problem]:
        """What is wrong, in the order of the lines."""
        for one in found:
            for problem in self._of(one):
                self.bad_count += problem.is_bad
                self.warning_count += not problem.is_bad
                yield problem

    def _of(self, one: Loaded | Rejected) -> Iterator[Problem]:
        if isinstance(one, Rejected):
            yield Problem(one.source, one.line, one.field, one.reason, is_bad=True)
            return
        self.example_count += 1
        for fault in (*faults(one.example, self._counting), *self._named_before(one)):
            yield Problem(one.source, one.line, fault.field, fault.reason, fault.is_bad)

    def _named_before(self, one: Loaded) -> Iterator[Fault]:
        key = hashlib.blake2b(one.example.name.encode(), digest_size=_NAME_BYTES).digest()
        if not self._sources or self._sources[-1] != one.source:
            self._sources.append(one.source)
        source, line = self._names.setdefault(key, (len(self._sources) - 1, one.line))
        if (self._sources[source], line) != (one.source, one.line):
            yield Fault("name", f"is also that of {self._sources[source]}:{line}", is_bad=False)


def faults(example: Example, counting: Counting = lambda _format_name: estimate_tokens) -> Iterator[Fault]:
    """Everything wrong with one example; ``counting`` gives for a format what its prompts are counted with."""
    said: set[tuple[str, str]] = set()
    for index, patch in enumerate(example.expected_patches):
        field = f"expected_patches[{index}]"
        for fault in _patch(field, patch, example):
            said.add((fault.field, fault.reason))
            yield fault
    if not example.expected_patches:
        yield Fault("expected_patches", NO_TARGET, is_bad=False)
    yield from _prompt(example, counting)
    yield from (Fault(*warned, is_bad=False) for warned in warnings_of(example) if tuple(warned) not in said)


def _patch(field: str, patch: str, example: Example) -> Iterator[Fault]:
    text = example.original_text
    reason = why_not_applicable(patch, text)
    cleaned = extract_cursor(patch)[0]
    try:
        changed = apply_patch(cleaned, text)[0]
    except PatchError:
        yield Fault(field, reason)
        changed = "".join(f"{line[1:]}\n" for line in cleaned.split("\n") if line.startswith("+"))
        text = ""
    found = judge(text, NewRegion(changed), ())
    is_only_a_sentinel = changed == text and any(word in patch for word in SENTINELS)
    if is_only_a_sentinel or (isinstance(found, NoEdit) and found.reason is NoEditReason.CONTROL_TOKENS):
        yield Fault(field, "adds a sentinel or a control token, which a model would learn to write")


def _prompt(example: Example, counting: Counting) -> Iterator[Fault]:
    """Whether the rendered prompt is of this moment, and its answer one of the targets."""
    prompt = example.prompt
    if prompt is None:
        return
    prompt_format = _formats().get(prompt.provider)
    inputs = example.prompt_inputs
    if prompt_format is None:
        yield Fault("prompt.provider", f"is {prompt.provider!r}: the prompt cannot be checked", is_bad=False)
        return
    if inputs is None:
        yield Fault("prompt", "cannot be checked: there are no prompt_inputs", is_bad=False)
        return
    rendered = prompt_format.render(inputs, counting(prompt_format.name))
    if isinstance(rendered, Refusal):
        yield Fault("prompt", f"is there, but {prompt.provider} makes none of these inputs: {rendered.value}")
    elif rendered.text.removesuffix(rendered.prefill) != prompt.input:
        reason = "is not what is made of prompt_inputs now: stale, or counted in the tokens of another model"
        yield Fault("prompt.input", reason, is_bad=False)
    elif prompt.expected_output is not None:
        answers = set(_answers(prompt_format, inputs, rendered, example.expected_patches))
        yield from _outputs(prompt, answers)


def _answers(
    prompt_format: PromptFormat, inputs: PredictionInputs, rendered: RenderedPrompt, patches: Iterable[str]
) -> Iterator[str]:
    """What the format answers for those of the patches that it can say."""
    for patch in patches:
        try:
            yield prompt_format.training_target(inputs, rendered, region_after(inputs, rendered.region, patch))
        except (PatchError, RegionLeft, TargetError):
            continue


def _outputs(prompt: Prompt, answers: set[str]) -> Iterator[Fault]:
    if prompt.expected_output not in answers:
        yield Fault("prompt.expected_output", "says none of the expected patches: one of them was changed afterwards")
    if prompt.rejected_output is not None and prompt.rejected_output == prompt.expected_output:
        yield Fault("prompt.rejected_output", "is the expected output")


@cache
def _formats() -> dict[str, PromptFormat]:
    return {provider_of(prompt_format): prompt_format for prompt_format in FORMATS.values()}
