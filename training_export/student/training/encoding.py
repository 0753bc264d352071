"""Examples as tokens, with a target and a role at every position.

The daemon's own prompt format renders and answers, through the functions of the `format` stage, so a student is trained
on exactly what it will be asked. How much a role counts is the recipe's to say (`Weights`): what stands on the disk
need not be made anew for other weights. Knows nothing of torch and files.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Final

from rapidfuzz.distance import Indel
from tokenizers import Tokenizer

from capture.inputs import PredictionInputs
from daemon.prompts.base import CountTokens, Prompt, PromptFormat, Refusal, TargetError
from daemon.prompts.line_edits import LineEdits
from daemon.prompts.line_region import ADD, AGAIN, DEL, DELETE, HISTORY, INSERT, LINE_NAMES, REGION, SAME
from training_export.example import Example
from training_export.selecting.grouping import repository_of
from training_export.stage import ours
from training_export.stages.formatting import NoTarget, RejectedFrom, expected_answer, provider_of, rejected_answer
from training_export.student.synthesis.asked import asked_of_region
from training_export.student.tokenizer import special_tokens, token_id
from training_export.student.training.recipe import Weights
from training_export.student.training.windows import narrowed

REMEMBERED_TEXTS: Final = 1 << 14
SETTLED_TASK, OTHER_TASK = "settled", "other"
_ANSWER_LINE = re.compile("(" + "|".join(re.escape(name) for name in LINE_NAMES) + r")(<\|\w+\|>)?")


class Role(IntEnum):
    """What a position is there for; UNLEARNT counts nothing."""

    UNLEARNT = 0
    PROMPT = 1  # the prompt's own text: a language model of the code
    LINE_SAME = 2  # at a line's token, a side target: the line stays
    LINE_EDITED = 3  # ... it changes, and how
    ANSWER = 4
    ANSWER_LINE = 5  # of an answer: which line
    COPIED = 6  # of an answer that repeats the region: as it stood there
    CHANGED = 7  # ... or not


def weight_table(weights: Weights) -> tuple[float, ...]:
    """How much each role counts, in the order of `Role`."""
    return (
        0.0,
        weights.prompt,
        weights.line_same,
        weights.line_edited,
        weights.answer,
        weights.answer_line,
        weights.copied,
        weights.changed,
    )


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids; ``targets[i]`` is what position i should predict, ``roles[i]`` what for.

    The answer begins at ``answer_start`` (index into ``tokens``). ``rejected``: tokens of a worse answer to the same
    prompt, empty where none is known. ``file`` is the same for examples of one file. ``defeats_rule``: whether
    repeating the last substitution everywhere is known to be wrong.
    """

    task: str
    tokens: list[int]
    targets: list[int]
    roles: list[int]
    answer_start: int
    rejected: list[int] = field(default_factory=list)
    file: int = 0
    defeats_rule: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An example that cannot be learnt; ``reason`` is what is counted."""

    reason: str


class Encoder:
    """One format and one tokenizer. ``max_tokens`` is of prompt and answer; ``window_lines`` as in `Stage`."""

    def __init__(
        self, prompt_format: PromptFormat, tokenizer: Tokenizer, max_tokens: int, window_lines: int = 0
    ) -> None:
        self.prompt_format = prompt_format
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.window_lines = window_lines
        self.end_of_text = end_of_text_id(tokenizer)
        self._control = {tokenizer.token_to_id(token) for token in prompt_format.control_tokens} - {None}
        self._names_lines = isinstance(prompt_format, LineEdits)
        self._lines = {tokenizer.token_to_id(name) for name in LINE_NAMES} if self._names_lines else set()

        @lru_cache(maxsize=REMEMBERED_TEXTS)
        def count(text: str) -> int:
            return len(tokenizer.encode(text).ids)

        self._count: CountTokens = count

    def encode(self, example: Example) -> Encoded | LeftOut:
        """The example's tokens, or why there are none to learn from."""
        inputs = example.prompt_inputs
        if inputs is None:
            return LeftOut("no prompt_inputs")
        if not example.expected_patches:
            return LeftOut("no expected patches")
        patches, rejected_patch = example.expected_patches, example.rejected_patch
        if self.window_lines:
            window = narrowed(inputs, patches[0], rejected_patch, self.window_lines)
            if window is None:
                return LeftOut("edits outside the window")
            inputs, patches, rejected_patch = window.inputs, (window.patch,), window.rejected_patch
        prompt = self.prompt_format.render(inputs, self._count)
        if isinstance(prompt, Refusal):
            return LeftOut(f"no prompt: {prompt.name.lower().replace('_', ' ')}")
        answer = self._answer(example, inputs, prompt, patches)
        if isinstance(answer, LeftOut):
            return answer
        return self._encoded(example, inputs, prompt, answer, rejected_patch)

    def _answer(
        self, example: Example, inputs: PredictionInputs, prompt: Prompt, patches: tuple[str, ...]
    ) -> str | LeftOut:
        """What should be answered. A synthesised patch is of the whole file; its part in the region is asked."""
        if ours(example, "synthesis") is None:
            try:
                return expected_answer(self.prompt_format, inputs, prompt, patches, Counter())
            except NoTarget as error:
                return LeftOut(error.kind)
        asked = asked_of_region(inputs, prompt.region, patches[0])
        if asked is None:
            return LeftOut("edits that end outside the region, or do not apply")
        try:
            return self.prompt_format.training_target(inputs, prompt, asked)
        except TargetError:
            return LeftOut("edits the format cannot say")

    def _encoded(
        self, example: Example, inputs: PredictionInputs, prompt: Prompt, answer: str, rejected_patch: str | None
    ) -> Encoded | LeftOut:
        prompt_ids = self.tokenizer.encode(prompt.text).ids
        answer_ids = self._answer_ids(prompt, answer)
        tokens = prompt_ids + answer_ids
        if len(answer_ids) > prompt.max_answer_tokens:
            return LeftOut("answers longer than the format allows")
        if len(tokens) > self.max_tokens:
            return LeftOut(f"longer than {self.max_tokens} tokens")
        start = len(prompt_ids)
        targets = [*tokens[1:], tokens[-1]]
        roles = [Role.UNLEARNT if target in self._control else Role.PROMPT for target in targets[: start - 1]]
        roles += self._answer_roles(prompt, answer_ids)
        roles.append(Role.UNLEARNT)
        if self._names_lines:
            self._teach_lines(tokens, targets, roles, answer)
        rejected = self._rejected(example, inputs, prompt, rejected_patch)
        made_by = ours(example, "synthesis") or {}
        return Encoded(
            task=task_of(example),
            tokens=tokens,
            targets=targets,
            roles=[int(role) for role in roles],
            answer_start=start,
            rejected=[] if rejected is None or rejected == answer else self._answer_ids(prompt, rejected),
            file=file_of(example),
            defeats_rule=made_by.get("rule_is_right") is False,
        )

    def _answer_ids(self, prompt: Prompt, answer: str) -> list[int]:
        """The answer's tokens; the end of the text is its last where the format itself has no mark of an end."""
        ids = list(self.tokenizer.encode(answer, add_special_tokens=False).ids)
        return ids if answer.rstrip("\n").endswith(prompt.stop) else [*ids, self.end_of_text]

    def _rejected(
        self, example: Example, inputs: PredictionInputs, prompt: Prompt, rejected_patch: str | None
    ) -> str | None:
        """From the rejected patch; else as `foretype format` wrote it, where the prompt is the same."""
        if rejected_patch is not None:
            rejecting = example.with_fields(rejected_patch=rejected_patch) if self.window_lines else example
            return rejected_answer(self.prompt_format, inputs, prompt, rejecting, RejectedFrom.PATCH, Counter())
        record = example.prompt
        if record is None or record.provider != provider_of(self.prompt_format):
            return None
        is_same = record.input == prompt.text.removesuffix(prompt.prefill)
        return record.rejected_output if is_same else None

    def _answer_roles(self, prompt: Prompt, answer: Sequence[int]) -> list[Role]:
        if self._names_lines:
            return [
                Role.ANSWER_LINE if index == 0 or token in self._lines else Role.ANSWER
                for index, token in enumerate(answer)
            ]
        if not prompt.answer_copies_region:
            return [Role.ANSWER] * len(answer)
        roles = [Role.CHANGED] * len(answer)
        region = self.tokenizer.encode(prompt.region_text, add_special_tokens=False).ids
        for operation in Indel.opcodes(region, answer):
            if operation.tag == "equal":
                # The first token after a change is a decision too: the change ends here.
                first = operation.dest_start + (operation.dest_start > 0)
                roles[first : operation.dest_end] = [Role.COPIED] * (operation.dest_end - first)
        return roles

    def _teach_lines(self, tokens: Sequence[int], targets: list[int], roles: list[Role], answer: str) -> None:
        """Give every region line's token its own target."""
        kinds = {AGAIN, DEL, ADD, INSERT, DELETE}
        edits = {
            token_id(self.tokenizer, name): token_id(self.tokenizer, kind if kind in kinds else REGION)
            for name, kind in _ANSWER_LINE.findall(answer)
        }
        same, region, history = (token_id(self.tokenizer, token) for token in (SAME, REGION, HISTORY))
        for index in range(tokens.index(region), tokens.index(history)):
            if tokens[index] in self._lines:
                edited = edits.get(tokens[index])
                targets[index] = same if edited is None else edited
                roles[index] = Role.LINE_SAME if edited is None else Role.LINE_EDITED


def task_of(example: Example) -> str:
    """What kind of case it is: the synthesiser's task, or that it settled."""
    made_by = ours(example, "synthesis") or {}
    if isinstance(made_by.get("task"), str):
        return str(made_by["task"])
    return SETTLED_TASK if ours(example, "settled") is not None else OTHER_TASK


def file_of(example: Example) -> int:
    """The same number (64 bits) for examples of one file of one project: no file stands on both sides of a split."""
    made_by = ours(example, "synthesis") or {}
    project = str(made_by.get("project") or repository_of(example))
    path = str(made_by.get("path") or example.cursor_path)
    return int.from_bytes(hashlib.blake2b(f"{project}\0{path}".encode(), digest_size=8).digest())


def end_of_text_id(tokenizer: Tokenizer) -> int:
    """The token that ends a text; raises KeyError where the vocabulary has none of the usual ones."""
    known = special_tokens(tokenizer)
    for name in ("<|end_of_text|>", "<|endoftext|>", "<|eot_id|>", "<|im_end|>", "</s>"):
        found = tokenizer.token_to_id(name)
        if found is not None and name in known:
            return int(found)
    raise KeyError("end of text")
