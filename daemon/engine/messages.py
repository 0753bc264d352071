"""What the hub and the engine worker say to each other: one JSON object per line, over the worker's pipes.

The hub sends ``load`` once, then ``predict``; the worker answers each with one reply that carries the same
``id``, a ``kind`` and a ``value`` (see ``ReplyKind``). Unloading is no message: the hub closes the worker's
standard input and the process ends, which gives all memory back. Aborting is no message either: the hub
raises a flag byte in shared memory, which the worker's llama.cpp reads without Python's help (see
``abort.py``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from capture.inputs import Span
from daemon.prompts.base import FileEdit


class StopReason(StrEnum):
    """Why decoding ended."""

    STOP_MARKER = "stop_marker"
    END_OF_SEQUENCE = "end_of_sequence"
    REJOINED = "rejoined"  # the rest of the answer is the rest of the region: see rejoin.py
    ANSWER_BUDGET = "answer_budget"
    CONTEXT_FULL = "context_full"
    ABORTED = "aborted"
    DEADLINE = "deadline"

    @property
    def finished(self) -> bool:
        """Whether the model itself ended the answer, or it provably came back to the region."""
        return self in (StopReason.STOP_MARKER, StopReason.END_OF_SEQUENCE, StopReason.REJOINED)


@dataclass(frozen=True, slots=True)
class Counters:
    """What one prediction cost, exact on any machine.

    ``answer_tokens`` are those the model chose; ``tokens_evaluated`` counts every token handed to
    ``llama_decode`` (prompt, answer, rejected drafts, and what an abort undid); ``tokens_reused`` the prompt
    tokens found in the KV cache; ``forward_passes`` the calls; ``drafted`` the tokens speculated on and
    ``accepted`` those of them that the model chose too; ``aborted`` is 1 when the abort flag ended it.
    """

    prompt_tokens: int = 0
    answer_tokens: int = 0
    tokens_evaluated: int = 0
    tokens_reused: int = 0
    forward_passes: int = 0
    drafted: int = 0
    accepted: int = 0
    aborted: int = 0


@dataclass(frozen=True, slots=True)
class EngineAnswer:
    """The worker's reply to ``predict``.

    Either ``new_region_text`` or ``file_edits`` is there when there is an edit; else ``reason`` says why there is
    none (a sentence for status). ``region_start_bytes`` and ``region_end_bytes`` locate the editable region in the
    excerpt; ``file_edits`` are to rows of files, perhaps of others than the cursor's.
    ``confidence`` is a product of probabilities. Where the answer is a copy of the region with a change: of the
    tokens that differ, from the one that decides to, up to and including the one that ends the difference. In
    every other format: of all tokens of the answer, the one that ended it included. ``seconds`` is the worker's
    own time.
    """

    id: int
    region_start_bytes: int = 0
    region_end_bytes: int = 0
    new_region_text: str | None = None
    cursor_offset_bytes: int | None = None
    file_edits: tuple[FileEdit, ...] = ()
    reason: str = ""
    stop: StopReason = StopReason.END_OF_SEQUENCE
    confidence: float = 1.0
    seconds: float = 0.0
    counters: Counters = field(default_factory=Counters)

    def to_json(self) -> dict[str, Any]:
        """The wire form."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> EngineAnswer:
        """Read the wire form; raises TypeError on an unknown key."""
        fields = dict(value)
        fields["file_edits"] = tuple(
            FileEdit(**{**edit, "rows": Span.from_json(edit["rows"])}) for edit in fields.get("file_edits", ())
        )
        fields["stop"] = StopReason(fields["stop"])
        fields["counters"] = Counters(**fields["counters"])
        return cls(**fields)


class ReplyKind(StrEnum):
    """What a reply's ``value`` holds."""

    MODEL = "model"  # a ModelInfo; the answer to ``load``
    ANSWER = "answer"  # an EngineAnswer; the answer to ``predict``
    REFUSED = "refused"  # a sentence: the file is no model we can run
    FAILED = "failed"  # a sentence: this request could not be served; the worker goes on


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What to load: an absolute ``path`` and the settings of the same names."""

    path: str
    prompt_format: str = ""
    gpu_layers: int = 0
    threads: int = 0

    def to_json(self) -> dict[str, Any]:
        """The wire form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What the worker found in a loaded GGUF."""

    path: str
    name: str
    architecture: str
    prompt_format: str
    parameters: int
    size_bytes: int
    context_tokens: int
    vocabulary_tokens: int
    backend: str
    gpu_layers: int

    def to_json(self) -> dict[str, Any]:
        """The wire form."""
        return asdict(self)
