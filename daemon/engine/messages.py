"""What the hub and the engine worker say to each other: one JSON object per line, over the worker's pipes.

The hub sends ``load`` once, then ``predict``, ``complete`` or ``sample``; the worker answers each with one reply that
carries the same ``id``, a ``kind`` and a ``value`` (see ``ReplyKind``). `foretype model tune` has a worker of its own
and sends ``open`` once, then ``measure`` (see ``ways.py``). Unloading is no message: the hub closes the worker's
standard input and the process ends, which gives all memory back. Aborting is no message either: the hub
raises a flag byte in shared memory, which the worker's llama.cpp reads without Python's help (see
``abort.py``).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from capture.inputs import Span
from daemon.engine.ways import Tuning
from daemon.prompts.base import FileEdit

MAX_SAMPLES = 1000  # of one prompt: all of them come in one reply
IDENTITY_DIGITS = 8  # of a fingerprint, in what a person reads
LEAST_TEMPERATURE = 0.001  # above 0; the best token wins already, and less is more than float32 can divide by


class StopReason(StrEnum):
    """Why decoding ended."""

    STOP_MARKER = "stop_marker"
    END_OF_SEQUENCE = "end_of_sequence"
    REJOINED = "rejoined"  # the rest of the answer is the rest of the region: see rejoin.py
    ANSWER_BUDGET = "answer_budget"
    CONTEXT_FULL = "context_full"
    ABORTED = "aborted"
    DEADLINE = "deadline"
    UNSURE = "unsure"  # less sure already than anything that would be shown, and more tokens make no answer surer

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


class Origin(StrEnum):
    """Who wrote the text of an edit; the model judged it in either case."""

    MODEL = "model"  # decoded from it
    RULE = "rule"  # the person's last substitution, done once more: see proposals.py


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of what was chosen among: ``new_region_text``, or None for no edit, and the model's ``probability`` of it.

    Where ``is_exact`` is false it is at most this: it was too little to go on.
    """

    origin: Origin
    new_region_text: str | None
    probability: float
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class EngineAnswer:
    """The worker's reply to ``predict``.

    Either ``new_region_text`` or ``file_edits`` is there when there is an edit; else ``reason`` says why there is
    none (a sentence for status). ``region_start_bytes`` and ``region_end_bytes`` locate the editable region in the
    excerpt; ``file_edits`` are to rows of files, perhaps of others than the cursor's.
    ``confidence`` is a product of probabilities. Where the answer is a copy of the region with a change: of the
    tokens that differ, from the one that decides to, up to and including the one that ends the difference. In
    every other format: of all tokens of the answer, the one that ended it included. ``given_up_below`` is the request's
    ``least_confidence`` where that alone is why there is no edit: asked with a lower one, there might be one; else 0.
    ``seconds`` is the worker's own time. ``origin`` says who wrote the edit; where it was chosen among several (see
    ``ranking.py``), ``candidates`` are these, itself included, the likeliest first, and ``confidence`` is its
    probability.
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
    given_up_below: float = 0.0
    seconds: float = 0.0
    counters: Counters = field(default_factory=Counters)
    origin: Origin = Origin.MODEL
    candidates: tuple[Candidate, ...] = ()

    @property
    def text_without_ranking(self) -> str | None:
        """The new region that the model alone would have been shown with, None where that is no edit."""
        if not self.candidates:
            return self.new_region_text
        own = (candidate.new_region_text for candidate in self.candidates if candidate.origin is Origin.MODEL)
        return next((text for text in own if text is not None), None)

    def to_json(self) -> dict[str, Any]:
        """The wire form."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> EngineAnswer:
        """Read the wire form; raises TypeError on an unknown key."""
        fields = dict(value)
        fields["file_edits"] = _file_edits(fields)
        fields["stop"] = StopReason(fields["stop"])
        fields["counters"] = Counters(**fields["counters"])
        fields["origin"] = Origin(fields["origin"])
        fields["candidates"] = tuple(
            Candidate(**{**candidate, "origin": Origin(candidate["origin"])}) for candidate in fields["candidates"]
        )
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """How to sample: ``count`` answers, each token drawn at ``temperature`` (0: the most probable one, always).

    With ``top_p`` below 1 only from the most probable tokens that together reach this probability at that
    temperature. ``seed`` is what makes it repeatable (see ``sampling.py``). Raises ValueError for what is no request.
    """

    count: int
    temperature: float
    seed: int
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAX_SAMPLES:
            raise ValueError(f"{self.count} samples cannot be drawn; ask for 1 to {MAX_SAMPLES}")
        if self.temperature != 0 and not LEAST_TEMPERATURE <= self.temperature < math.inf:
            raise ValueError(f"{self.temperature:g} is no temperature; it is 0, or at least {LEAST_TEMPERATURE:g}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p:g}; it is a probability above 0 and at most 1")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"{self.seed} is no seed; it is a whole number from 0 to {2**63 - 1}")

    def to_json(self) -> dict[str, Any]:
        """The wire form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Sample:
    """One sampled answer and what it means.

    ``text`` is what the model wrote, before the stop marker (U+FFFD where a character is incomplete);
    ``log_probability`` the sum over its ``answer_tokens`` tokens of what the model itself gives them: at temperature 1
    and without ``top_p``, the token that ended the answer included. Either ``new_region_text`` or ``file_edits`` is
    there when it is an edit; else ``reason`` says why there is none.
    """

    text: str
    stop: StopReason
    log_probability: float
    answer_tokens: int
    new_region_text: str | None = None
    cursor_offset_bytes: int | None = None
    file_edits: tuple[FileEdit, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SampleAnswer:
    """The worker's reply to ``sample``: as many ``samples`` as were asked for, in the order of their numbers.

    Where the format makes no prompt, ``reason`` says why and there are none. After an abort or past the deadline those
    that had ended are whole, and the others say so. The region is where ``EngineAnswer`` has it; ``counters`` are of
    all samples together: ``answer_tokens`` is their sum, ``tokens_evaluated`` what the model computed, which is
    less where samples agree.
    """

    id: int
    samples: tuple[Sample, ...] = ()
    region_start_bytes: int = 0
    region_end_bytes: int = 0
    reason: str = ""
    seconds: float = 0.0
    counters: Counters = field(default_factory=Counters)

    def to_json(self) -> dict[str, Any]:
        """The wire form."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> SampleAnswer:
        """Read the wire form; raises TypeError on an unknown key."""
        samples = (
            Sample(**{**sample, "stop": StopReason(sample["stop"]), "file_edits": _file_edits(sample)})
            for sample in value["samples"]
        )
        return cls(**{**value, "samples": tuple(samples), "counters": Counters(**value["counters"])})


@dataclass(frozen=True, slots=True)
class Completion:
    """The worker's reply to ``complete``: what the model writes behind a prompt that a client rendered.

    ``text`` ends before the stop marker. Where the prompt shows a region (``raw_prompt``), the text of an answer that
    did not end is the one that changes nothing, None where that is not known; elsewhere it is what there was.
    ``confidence`` is a product of probabilities as in ``EngineAnswer``.
    """

    id: int
    text: str | None
    stop: StopReason
    confidence: float
    seconds: float = 0.0
    counters: Counters = field(default_factory=Counters)

    def to_json(self) -> dict[str, Any]:
        """The wire form."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Completion:
        """Read the wire form; raises TypeError on an unknown key."""
        return cls(**{**value, "stop": StopReason(value["stop"]), "counters": Counters(**value["counters"])})


def _file_edits(value: dict[str, Any]) -> tuple[FileEdit, ...]:
    return tuple(FileEdit(**{**edit, "rows": Span.from_json(edit["rows"])}) for edit in value.get("file_edits", ()))


def less_sure(confidence: float, asked: float) -> str:
    """Why an answer is not shown that is less sure than ``asked``, which the settings of these names give."""
    return f"the model is less sure ({confidence:.2f}) than eagerness and min_confidence ask for ({asked:.2f})"


class ReplyKind(StrEnum):
    """What a reply's ``value`` holds."""

    MODEL = "model"  # a ModelInfo; the answer to ``load``
    ANSWER = "answer"  # an EngineAnswer; the answer to ``predict``
    SAMPLES = "samples"  # a SampleAnswer; the answer to ``sample``
    COMPLETION = "completion"  # a Completion; the answer to ``complete``
    OPENED = "opened"  # a ways.Opened; the answer to ``open``
    MEASURED = "measured"  # a list of ways.Measured; the answer to ``measure``
    REFUSED = "refused"  # a sentence: the file is no model we can run
    FAILED = "failed"  # a sentence: this request could not be served; the worker goes on


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What to load: an absolute ``path`` and the settings of the same names.

    ``tuning`` is how it runs best on this machine, where that was measured; where not, ``why_untuned`` says why.
    An answer less sure than ``least_confidence`` (0 to 1), or than the file's own limit, is given up once that shows.
    With ``ranking`` the rule's proposals are judged beside the model's own answer (``ranking.py``).
    """

    path: str
    prompt_format: str = ""
    gpu_layers: int = 0
    threads: int = 0
    tuning: Tuning | None = None
    why_untuned: str = ""
    least_confidence: float = 0.0
    ranking: bool = False

    def to_json(self) -> dict[str, Any]:
        """The wire form."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ModelSettings:
        """Read the wire form; raises TypeError on an unknown key and ValueError on a tuning that is none."""
        tuning = value.get("tuning")
        return cls(**{**value, "tuning": None if tuning is None else Tuning.from_json(tuning)})


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What the worker found in a loaded GGUF, and how it runs it.

    ``sources`` says of ``threads``, ``flash_attention``, ``kv_type`` and ``read_batch_tokens`` where they come from
    (``ways.Source``), ``tuning`` in a sentence when they were measured or what to do about it. ``fingerprint`` tells
    this file from any other, whatever both call themselves (``registry.fingerprint``). ``ranking`` is the setting.
    """

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
    threads: int = 0
    flash_attention: str = ""
    kv_type: str = ""
    read_batch_tokens: int = 0
    sources: dict[str, str] = field(default_factory=dict)
    tuning: str = ""
    fingerprint: str = ""
    ranking: bool = False

    @property
    def identity(self) -> str:
        """What snapshots call it: its name, which every student has, and which of those it is."""
        return f"{self.name}@{self.fingerprint[:IDENTITY_DIGITS]}" if self.fingerprint else self.name

    def to_json(self) -> dict[str, Any]:
        """The wire form."""
        return asdict(self)
