"""The parts of an example that stages read and write, as values: predictions, prompt, verdicts, origin.

Each has Zed's JSON form (`example.rs`, `example_spec.rs` and `qa.rs` at 09adbb01): ``from_json`` takes what
`example_shape` has let through, ``to_json`` leaves out what Zed leaves out. Unknown keys are not carried here;
they stay in the example's own JSON. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Rating = Literal["Positive", "Negative"]


@dataclass(frozen=True, slots=True)
class RecentFile:
    """A file the user opened or viewed; ``cursor_position`` is a byte offset in it, None where unknown."""

    path: str
    cursor_position: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return _without_none({"path": self.path, "cursor_position": self.cursor_position})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RecentFile:
        """Read the JSON form."""
        return cls(value["path"], value.get("cursor_position"))


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Where an example pulled from telemetry comes from; ``time`` is RFC 3339."""

    request_id: str
    device_id: str
    time: str
    rejection_reason: str
    was_shown: bool

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Telemetry:
        """Read the JSON form."""
        return cls(**{name: value[name] for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is shown and should answer; ``rejected_output`` is the worse answer of a DPO pair."""

    input: str
    provider: str
    expected_output: str | None = None
    rejected_output: str | None = None
    prefill: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON form; ``rejected_output`` is written even where it is null."""
        value: dict[str, Any] = {"input": self.input}
        if self.expected_output is not None:
            value["expected_output"] = self.expected_output
        value["rejected_output"] = self.rejected_output
        if self.prefill is not None:
            value["prefill"] = self.prefill
        return {**value, "provider": self.provider}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Prompt:
        """Read the JSON form."""
        return cls(
            input=value["input"],
            provider=value["provider"],
            expected_output=value.get("expected_output"),
            rejected_output=value.get("rejected_output"),
            prefill=value.get("prefill"),
        )


@dataclass(frozen=True, slots=True)
class PredictedCursor:
    """Where a prediction puts the cursor: 0-based row, column and offsets in bytes."""

    path: str
    row: int
    column: int
    offset: int
    editable_region_offset: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return _without_none({name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PredictedCursor:
        """Read the JSON form."""
        place = (value["path"], value["row"], value["column"], value["offset"])
        return cls(*place, value.get("editable_region_offset"))


@dataclass(frozen=True, slots=True)
class ExamplePrediction:
    """One answer of a model; ``actual_output`` is as it was given, ``actual_patch`` what it comes to."""

    actual_output: str
    provider: str
    actual_patch: str | None = None
    actual_cursor: PredictedCursor | None = None
    error: str | None = None
    cumulative_logprob: float | None = None
    avg_logprob: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return _without_none(
            {
                "actual_patch": self.actual_patch,
                "actual_output": self.actual_output,
                "actual_cursor": None if self.actual_cursor is None else self.actual_cursor.to_json(),
                "error": self.error,
                "provider": self.provider,
                "cumulative_logprob": self.cumulative_logprob,
                "avg_logprob": self.avg_logprob,
            }
        )

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ExamplePrediction:
        """Read the JSON form; an ``actual_output`` of null is the empty text."""
        cursor = value.get("actual_cursor")
        return cls(
            actual_output=value["actual_output"] or "",
            provider=value["provider"],
            actual_patch=value.get("actual_patch"),
            actual_cursor=None if cursor is None else PredictedCursor.from_json(cursor),
            error=value.get("error"),
            cumulative_logprob=value.get("cumulative_logprob"),
            avg_logprob=value.get("avg_logprob"),
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judging model said of a prediction; ``confidence`` runs from 1 to 5."""

    reasoning: str | None = None
    reverts_edits: bool | None = None
    confidence: int | None = None
    response: str | None = None
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return _without_none({name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Verdict:
        """Read the JSON form."""
        return cls(**{name: value.get(name) for name in cls.__slots__})


def _without_none(value: dict[str, Any]) -> dict[str, Any]:
    return {key: part for key, part in value.items() if part is not None}
