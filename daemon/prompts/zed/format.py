"""One Zeta prompt format as a row of constants and a way to write and read the editable region.

The shared machinery (``prompt``, ``answer``, ``safe``) works from such a row; each family's file defines its
rows. Constants are those of Zed's `ZetaFormat` at 09adbb01. Knows nothing of any one format.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from capture.editing.excerpt import ranges_of_inputs
from capture.inputs import PredictionInputs, Span
from daemon.prompts.base import NoEditReason

CURSOR_MARKER = "<|user_cursor|>"

# Every format Zed has, in Zed's order; what a name may mean depends on all of them.
ZETA_FORMAT_NAMES = (
    "V0112MiddleAtEnd",
    "V0113Ordered",
    "V0114180EditableRegion",
    "V0120GitMergeMarkers",
    "V0131GitMergeMarkersPrefix",
    "V0211Prefill",
    "V0211SeedCoder",
    "V0331SeedCoderModelPy",
    "v0226Hashline",
    "V0304VariableEdit",
    "V0304SeedNoEdits",
    "V0306SeedMultiRegions",
    "V0316SeedMultiRegions",
    "V0317SeedMultiRegions",
    "V0318SeedMultiRegions",
    "V0327SingleFile",
    "V0420Diagnostics",
    "V0608QwenMultiRegions",
    "V0615HashRegions",
)


class RegionCodec(Protocol):
    """How a format shows the editable region and how its answers describe the new one."""

    def show(self, region: bytes, cursor_offset: int) -> bytes:
        """The region as the prompt shows it, cursor marker included."""
        ...

    def read(self, region: bytes, answer: bytes, cursor_offset: int) -> bytes:
        """The new region, trusting the answer; raises MarkerError where it makes no sense."""
        ...

    def doubt(self, region: bytes, answer: bytes, cursor_offset: int) -> NoEditReason | None:
        """Why a finished answer should not be trusted although ``read`` may make sense of it."""
        ...

    def write(self, region: bytes, new_region: bytes, cursor_offset: int | None) -> bytes:
        """The answer, without end marker, that turns one newline-terminated region into another."""
        ...


class Layout(Protocol):
    """How the sections of a prompt stand (see ``layouts``)."""

    def __call__(
        self, inputs: PredictionInputs, zeta: ZetaFormat, editable: Span, context: Span, budget_tokens: int
    ) -> str:
        """The prompt; the cursor's own section is never cut, so the result may be over the budget."""
        ...


class Prefill(Protocol):
    """How much of the region the prompt already writes for the model."""

    def __call__(self, region: bytes) -> bytes:
        """The start of the region that the answer begins with, on a character boundary."""
        ...


class ReadSpan(Protocol):
    """How a format reads an answer that replaces a part of the region only."""

    def __call__(self, region: bytes, answer: bytes) -> tuple[Span, bytes]:
        """The bytes of the region that are replaced, and the new text; raises MarkerError."""
        ...


class PatchTarget(Protocol):
    """How a format writes the answer to a patch itself, rather than to the text the patch leads to."""

    def __call__(self, old_text: str, patch: str, cursor_offset: int | None) -> str | None:
        """The whole answer, end marker included; None where ``region.write`` should write it."""
        ...


class ChooseRanges(Protocol):
    """How a format chooses the editable and the context range (bytes of the excerpt)."""

    def __call__(self, inputs: PredictionInputs, editable_tokens: int, context_tokens: int) -> tuple[Span, Span] | None:
        """The ranges, None when the inputs hold neither syntax ranges nor precomputed ranges of this size."""
        ...


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """The control tokens of a tokenizer family.

    The first four structure a prompt; ``ends`` are those a model of the family may stop with, ``others`` have
    no use here and only must not stand in a prompt.
    """

    suffix: str
    prefix: str
    middle: str
    file: str
    ends: tuple[str, ...]
    others: tuple[str, ...]


# ByteDance Seed-Coder; U+2581 inside the end-of-sequence token.
SEED_CODER_END_OF_SEQUENCE = "<[end\u2581of\u2581sentence]>"
SEED_CODER = SpecialTokens(
    suffix="<[fim-suffix]>",
    prefix="<[fim-prefix]>",
    middle="<[fim-middle]>",
    file="<filename>",
    ends=(SEED_CODER_END_OF_SEQUENCE,),
    others=("<[begin\u2581of\u2581sentence]>",),
)

# Qwen2.5-Coder and later.
QWEN_END_OF_TURN = "<|im_end|>"
QWEN = SpecialTokens(
    suffix="<|fim_suffix|>",
    prefix="<|fim_prefix|>",
    middle="<|fim_middle|>",
    file="<|file_sep|>",
    ends=("<|endoftext|>", QWEN_END_OF_TURN),
    others=("<|im_start|>", "<|fim_pad|>", "<|repo_name|>"),
)


def no_prefill(region: bytes) -> bytes:
    """Nothing: the model writes its whole answer."""
    del region
    return b""


@dataclass(frozen=True, slots=True)
class ZetaConstants:
    """Constants of one format; token numbers are estimates (bytes // 3).

    ``clash_tokens`` are looked for in the excerpt (see ``sections.contains_special_tokens``);
    ``zed_stop_tokens`` are those Zed sends to a server; ``instruction_part`` and ``response_part`` delimit
    prompt and answer for training on answers only.
    """

    name: str
    editable_tokens: int
    context_tokens: int
    max_prompt_tokens: int
    tokens: SpecialTokens
    clash_tokens: tuple[str, ...]
    zed_stop_tokens: tuple[str, ...]
    end_marker: str  # empty where an answer ends at the end of the sequence
    instruction_part: str
    response_part: str


@dataclass(frozen=True, slots=True)
class ZetaFormat(ZetaConstants):
    """A format that rewrites one region around the cursor; ``read_span`` and ``patch_target`` are rarely there."""

    region: RegionCodec
    layout: Layout
    ranges: ChooseRanges = ranges_of_inputs
    prefill: Prefill = no_prefill
    read_span: ReadSpan | None = None
    patch_target: PatchTarget | None = None


def parse_format_name(name: str) -> str:
    """The full name of a Zed format: an exact match whatever the case, else the only one that contains it.

    Raises ValueError, listing the formats, when none or several match.
    """
    wanted = name.lower()
    exact = [candidate for candidate in ZETA_FORMAT_NAMES if candidate.lower() == wanted]
    matches = exact or [candidate for candidate in ZETA_FORMAT_NAMES if wanted in candidate.lower()]
    if len(matches) == 1:
        return matches[0]
    problem = "several Zeta formats match" if matches else "no Zeta format matches"
    raise ValueError(f"{problem} {name!r}; the formats are {', '.join(ZETA_FORMAT_NAMES)}")
