"""``format``: the prompt of an example in a model's own format, and the answer that is to be learnt.

Prompts and answers are made by the daemon's own formats (``daemon/prompts``), which check each answer by reading it
back: what is learnt is what will be asked, and what an answer would be taken for. Knows nothing of files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from capture.editing.unified_diff import PatchError
from capture.inputs import PredictionInputs
from daemon.prompts.base import CountTokens, Prompt, PromptFormat, Refusal, TargetError
from daemon.prompts.registry import FORMATS
from daemon.prompts.sections import estimate_tokens
from daemon.prompts.zed.safe import ZetaPrompts
from daemon.registry import EMBEDDED_PATH
from training_export.errors import ModelUnusable
from training_export.example import Example
from training_export.example_format.records import Prompt as PromptRecord
from training_export.patches import RegionLeft, region_after
from training_export.stage import OURS, Concurrency, Findings, Work
from training_export.stages.repair import PROVIDER as REPAIR
from training_export.stages.repair import REPAIRED

if TYPE_CHECKING:
    from daemon.engine.llama import Model


EMBEDDED_FORMAT: Final = "line_edits"


class RejectedFrom(Enum):
    """Where the worse answer of a pair comes from."""

    PATCH = "patch"  # rejected_patch
    WORST = "worst"  # the prediction that scored worst
    REPAIRED = "repaired"  # the prediction that a repair took the place of


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A GGUF whose tokens budgets are counted in; ``checksum`` stands for it in keys."""

    path: Path
    checksum: str


class NoTarget(ValueError):
    """There is no answer to learn; ``kind`` is what is counted, the message says why."""

    def __init__(self, kind: str, reason: str) -> None:
        self.kind = kind
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class FormatStage:
    """``format_name`` is one of `FORMATS`; without a vocabulary three bytes count as a token."""

    format_name: str
    vocabulary: Vocabulary | None = None
    rejected_from: RejectedFrom = RejectedFrom.PATCH

    name: ClassVar[str] = "format"
    version: ClassVar[int] = 1
    writes: ClassVar[tuple[str, ...]] = ("prompt",)
    concurrency: ClassVar[Concurrency] = Concurrency.PROCESSES

    @property
    def reads(self) -> tuple[str, ...]:
        """What the prompt is made of, and where the worse answer stands."""
        worse = {
            RejectedFrom.PATCH: ("rejected_patch",),
            RejectedFrom.WORST: ("predictions", "score"),
            RejectedFrom.REPAIRED: ("predictions",),
        }
        return ("prompt_inputs", "expected_patches", *worse[self.rejected_from])

    def settings(self) -> Mapping[str, Any]:
        """The format, the tokens it counts in, and where worse answers come from."""
        return {
            "format": self.format_name,
            "vocabulary": None if self.vocabulary is None else self.vocabulary.checksum,
            "rejected_from": self.rejected_from.value,
        }

    @contextmanager
    def opened(self) -> Iterator[Work]:
        """The vocabulary in memory; raises ModelUnusable where it cannot be read."""
        counting: AbstractContextManager[CountTokens] = (
            nullcontext(estimate_tokens) if self.vocabulary is None else counting_tokens(self.vocabulary.path)
        )
        with counting as count_tokens:
            yield lambda example: findings(FORMATS[self.format_name], count_tokens, self.rejected_from, example)


@contextmanager
def counting_by_default(format_name: str) -> Iterator[CountTokens]:
    """Counts as prompts of this format are counted where no model is named: the embedded model's in its tokens."""
    if format_name != EMBEDDED_FORMAT:
        yield estimate_tokens
        return
    with counting_tokens(EMBEDDED_PATH) as count_tokens:
        yield count_tokens


@contextmanager
def counting_tokens(path: Path) -> Iterator[CountTokens]:
    """Counts in the tokens of a GGUF, as the daemon does. Raises ModelUnusable."""
    from daemon.engine.tokens import Tokenizer  # noqa: PLC0415 (llama.cpp, where it is asked for)

    with _vocabulary(path) as model:
        yield Tokenizer(model, ()).count


def metadata_of(path: Path) -> Mapping[str, str]:
    """The metadata of a GGUF. Raises ModelUnusable."""
    with _vocabulary(path) as model:
        return model.facts().metadata


def _unheard(line: str) -> None:
    """Warnings of llama.cpp's; what is an error is in what is raised."""


@contextmanager
def _vocabulary(path: Path) -> Iterator[Model]:
    """A model of which only the vocabulary is loaded."""
    from daemon.engine.llama import LlamaError, Log, Model  # noqa: PLC0415 (llama.cpp, where it is asked for)

    try:
        model = Model.load(str(path), Log(_unheard), vocabulary_only=True)
    except LlamaError as error:
        raise ModelUnusable(f"cannot read the vocabulary of {path}: {error}; give another GGUF") from error
    try:
        yield model
    finally:
        model.close()


def findings(
    prompt_format: PromptFormat, count_tokens: CountTokens, rejected_from: RejectedFrom, example: Example
) -> Findings:
    """The prompt with its answers, or why there is none; an old prompt goes then."""
    inputs = example.prompt_inputs
    if inputs is None:
        return _failed("no prompt_inputs", "there are no prompt_inputs to make a prompt of")
    prompt = prompt_format.render(inputs, count_tokens)
    if isinstance(prompt, Refusal):
        return _failed(f"no prompt: {prompt.name.lower().replace('_', ' ')}", f"no prompt: {prompt.value}")
    tallies: Counter[str] = Counter()
    wanted = None
    if example.expected_patches:
        try:
            wanted = expected_answer(prompt_format, inputs, prompt, example.expected_patches, tallies)
        except NoTarget as error:
            return _failed(error.kind, str(error))
    else:
        tallies["without expected patches"] += 1
    worse = None if wanted is None else rejected_answer(prompt_format, inputs, prompt, example, rejected_from, tallies)
    if worse is not None and worse == wanted:
        tallies["rejected answers equal to the expected one"] += 1
        worse = None
    tallies["pairs"] += worse is not None
    record = PromptRecord(
        input=prompt.text.removesuffix(prompt.prefill),
        provider=provider_of(prompt_format),
        expected_output=wanted,
        rejected_output=worse,
        prefill=prompt.prefill or None,
    )
    return Findings(fields={"prompt": record.to_json()}, tallies=+tallies)


def provider_of(prompt_format: PromptFormat) -> str:
    """How Zed's tools call the format in ``prompt.provider``; our own and other families' formats go by their name."""
    if isinstance(prompt_format, ZetaPrompts):
        return f"zeta2:{prompt_format.zeta.name}"
    is_hash_regions = prompt_format.name == "V0615HashRegions"
    return f"zeta2:{prompt_format.name}" if is_hash_regions else prompt_format.name


def expected_answer(
    prompt_format: PromptFormat,
    inputs: PredictionInputs,
    prompt: Prompt,
    patches: tuple[str, ...],
    tallies: Counter[str],
) -> str:
    """The answer for the first of the alternatives that the format can say; raises NoTarget for the first one's fault.

    All are right, and the first is the one its maker put first.
    """
    faults: list[NoTarget] = []
    for index, patch in enumerate(patches):
        try:
            answer = _answer(prompt_format, inputs, prompt, patch)
        except NoTarget as fault:
            faults.append(NoTarget(fault.kind, f"expected_patches[{index}]: {fault}"))
            continue
        tallies["later alternatives taken"] += index > 0
        return answer
    raise faults[0]


def _answer(prompt_format: PromptFormat, inputs: PredictionInputs, prompt: Prompt, patch: str) -> str:
    """What the model should answer for a patch of the excerpt, the cursor it marks included; raises NoTarget."""
    try:
        return prompt_format.training_target(inputs, prompt, region_after(inputs, prompt.region, patch))
    except RegionLeft as error:
        raise NoTarget("edits outside the region", str(error)) from error
    except PatchError as error:
        raise NoTarget("patches that do not apply", str(error)) from error
    except TargetError as error:
        raise NoTarget("edits the format cannot say", str(error)) from error


def rejected_answer(
    prompt_format: PromptFormat,
    inputs: PredictionInputs,
    prompt: Prompt,
    example: Example,
    rejected_from: RejectedFrom,
    tallies: Counter[str],
) -> str | None:
    """The answer that is worse than the expected one; None where none is known, or where the format cannot say it.

    Why it cannot is counted in ``tallies``, as are later alternatives in `expected_answer`.
    """
    patch = _worse_patch(example, rejected_from)
    if patch is None:
        return None
    try:
        return _answer(prompt_format, inputs, prompt, patch)
    except NoTarget as error:
        tallies[f"rejected {error.kind}"] += 1
        return None


def _worse_patch(example: Example, rejected_from: RejectedFrom) -> str | None:
    if rejected_from is RejectedFrom.PATCH:
        return example.rejected_patch
    if rejected_from is RejectedFrom.WORST:
        scored = [
            (score.delta_chr_f, prediction.actual_patch)
            for prediction, score in zip(example.predictions, example.score, strict=False)
            if prediction.actual_patch is not None
        ]
        return min(scored, key=lambda pair: pair[0])[1] if scored else None
    return _repaired_patch(example)


def _repaired_patch(example: Example) -> str | None:
    """The patch that the first repair took the place of: it names a prediction, or stands for the first one."""
    is_repair = [found.provider == REPAIR for found in example.predictions]
    if not any(is_repair) or all(is_repair):
        return None
    named = (example.value["predictions"][is_repair.index(True)].get(OURS) or {}).get(REPAIRED)
    index = named if isinstance(named, int) and named < len(is_repair) else is_repair.index(False)
    return example.predictions[index].actual_patch


def _failed(kind: str, reason: str) -> Findings:
    return Findings(fields={"prompt": None}, failure=reason, tallies={kind: 1})
