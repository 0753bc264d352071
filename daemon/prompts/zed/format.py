"""One Zeta prompt format as a row of constants and a way to write and read the editable region.

The shared machinery (``zeta_prompt``, ``zeta_answer``, ``zeta``) works from such a row; each family's file
defines its rows. Constants are those of Zed's `ZetaFormat` at 09adbb01. Knows nothing of inputs.
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


class ChooseRanges(Protocol):
    """How a format chooses the editable and the context range (bytes of the excerpt)."""

    def __call__(self, inputs: PredictionInputs, editable_tokens: int, context_tokens: int) -> tuple[Span, Span] | None:
        """The ranges, None when the inputs hold neither syntax ranges nor precomputed ranges of this size."""
        ...


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """The control tokens of a tokenizer family that structure a prompt."""

    suffix: str
    prefix: str
    middle: str
    file: str


# ByteDance Seed-Coder; U+2581 inside the end-of-sequence token.
SEED_CODER = SpecialTokens("<[fim-suffix]>", "<[fim-prefix]>", "<[fim-middle]>", "<filename>")
SEED_CODER_END_OF_SEQUENCE = "<[end\u2581of\u2581sentence]>"


@dataclass(frozen=True, slots=True)
class ZetaFormat:
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
    region: RegionCodec
    layout: Layout
    ranges: ChooseRanges = ranges_of_inputs


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
