"""The interface every prompt format implements: inputs -> prompt, answer -> new region, region -> target.

A format is one file in this folder and one row in ``registry.py``. It never loads a tokenizer: it is handed
``count_tokens``. Zed's formats estimate (bytes // 3) and ignore it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from capture.inputs import PredictionInputs, Span

CountTokens = Callable[[str], int]


class Refusal(Enum):
    """Why a format makes no prompt of these inputs; the value is the sentence status shows."""

    OVER_BUDGET = "the text around the cursor does not fit the model's prompt budget"
    CONTROL_TOKENS = "the text around the cursor contains the model's control tokens"
    CURSOR_NOT_COVERED = "the context does not cover the cursor"


class NoEditReason(Enum):
    """Why an answer means that nothing should change."""

    SAID_SO = "the model predicts no edit"
    UNCHANGED = "the answer equals the current text"
    EMPTY = "the answer leaves no text"
    UNFINISHED = "the answer stopped before its end marker"
    MALFORMED = "the answer does not follow its format"
    CONTROL_TOKENS = "the answer contains control tokens"
    REVERTS = "the answer takes back what was just typed"
    WHITESPACE = "the answer changes nothing but white space"
    INSERTS_ABOVE = "the answer inserts lines above the cursor"
    REPEATS = "the answer repeats the text that follows"


class TargetError(ValueError):
    """A format cannot say this edit, or would say another; the message tells which part."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model is asked.

    ``text`` is tokenised with control tokens recognised and already ends with ``prefill``. ``stop`` are the
    strings that end an answer; the engine cuts the answer before the first of them. ``region`` is the
    editable byte range in the excerpt and ``region_text`` its text: the decoder's draft source.
    ``max_answer_tokens`` bounds the answer. ``answer_copies_region`` tells the decoder whether the answer is
    mostly a copy of the region, so that drafting and early stop make sense.
    """

    text: str
    stop: tuple[str, ...]
    region: Span
    region_text: str
    max_answer_tokens: int
    prefill: str = ""
    answer_copies_region: bool = True


@dataclass(frozen=True, slots=True)
class NewRegion:
    """The whole new text of the region, and the predicted cursor in it (bytes) where the format has one."""

    text: str
    cursor_offset_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class FileEdit:
    """Whole rows of a file replaced.

    ``path`` is written as in the inputs; ``rows`` are rows of the file (0-based), an empty range inserts;
    ``old_text`` is what must stand there for the edit to hold. Texts end in a newline where their last row does.
    """

    path: str
    rows: Span
    old_text: str
    new_text: str


@dataclass(frozen=True, slots=True)
class FileEdits:
    """Several edits, perhaps in several files, against the same moment; they do not overlap."""

    edits: tuple[FileEdit, ...]


@dataclass(frozen=True, slots=True)
class NoEdit:
    """Nothing should change."""

    reason: NoEditReason


Answer = NewRegion | FileEdits | NoEdit


class Delimiters(NamedTuple):
    """Fixed texts that bound a training text, for trainers that learn from answers only.

    A prompt begins with ``prompt_start``, and the answer begins behind the prompt's last ``answer_start`` (a line
    end may stand between). Either is empty where nothing fixed stands there: a path, a prefill.
    """

    prompt_start: str
    answer_start: str


class PromptFormat(Protocol):
    """One model family's language."""

    @property
    def name(self) -> str:
        """The name in settings, in GGUF metadata (``foretype.prompt_format``) and in messages."""
        ...

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """What gives prompts and answers their structure; one that ends in a newline counts as a whole line.

        Text around the cursor that holds one is refused (``sections.contains_special_tokens``).
        """
        ...

    @property
    def delimiters(self) -> Delimiters:
        """What bounds prompt and answer in a training text."""
        ...

    def render(self, inputs: PredictionInputs, count_tokens: CountTokens) -> Prompt | Refusal:
        """Inputs to prompt, or the reason there is none."""
        ...

    def parse(self, inputs: PredictionInputs, prompt: Prompt, answer: str, *, finished: bool) -> Answer:
        """The model's answer (without ``prefill`` and without the stop string) to a new region.

        ``finished`` is false when decoding ended at neither a stop string nor end-of-sequence; such an
        answer is never an edit.
        """
        ...

    def training_target(self, inputs: PredictionInputs, prompt: Prompt, new_region: NewRegion) -> str:
        """What the model should answer for ``new_region``, end marker included: the inverse of ``parse``.

        Raises TargetError when the format cannot say it.
        """
        ...
