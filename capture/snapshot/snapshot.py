"""A snapshot: one moment as the model saw it, what it predicted, what became of that, and how the text settled.

Its JSON is described in docs/snapshots.md and by schema.json; the store, upload and export all take this form
and no other. A change of it is another of `SCHEMA_VERSIONS`. A snapshot that holds a path which is not relative to its
workspace, or a URL with more than a host and a path, cannot be made. Knows nothing of files, clocks or consent.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import orjson

from capture.inputs import EditEvent, PredictionInputs
from capture.metrics.syntax_errors import SyntaxErrors
from capture.snapshot.as_json import Members, read_event, read_inputs
from capture.snapshot.parts import (
    MAX_REGION_BYTES,
    PredictionRecord,
    Region,
    Repository,
    path_problem,
    public_url,
    span_problem,
)
from capture.snapshot.texts import texts_of, with_texts

SCHEMA_VERSION = 1
RULE_SCHEMA_VERSION = 2  # where the rule wrote the answer: readers of version 1 would take it for the model's
SCHEMA_VERSIONS = (SCHEMA_VERSION, RULE_SCHEMA_VERSION)
MAX_LATER_EVENTS = 4  # Zed's EDIT_PREDICTION_CAPTURE_MAX_FUTURE_EVENTS

State = Literal["settled", "unsettled"]
Outcome = Literal["accepted", "partially_accepted", "rejected", "ignored", "not_shown"]
Rating = Literal["", "good", "bad"]
STATES: tuple[State, ...] = get_args(State)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
RATINGS: tuple[Rating, ...] = get_args(Rating)

_ID = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One settled or unsettled moment. Raises ValueError, naming the member, for what is none.

    ``created_at`` and ``finalised_at`` are seconds since the epoch, ``shown_after_ms`` and ``decided_after_ms`` count
    from ``created_at``. ``inputs`` are exactly what the model got, less what is left out. ``kept_rate`` (0 to 1) says
    how much of the prediction is in the settled text; it and ``syntax_errors`` (of the region, before and after the
    prediction) are None where there is nothing to compare. ``redactions`` counts the texts in which a secret was made
    unreadable, ``left_out`` the events, related files and diffs that were taken out because of their file.
    """

    id: str
    state: State
    workspace_id: str
    created_at: float
    finalised_at: float
    language_id: str
    path: str
    prompt_format: str
    model: str
    client_name: str
    inputs: PredictionInputs
    region: Region
    prediction: PredictionRecord
    outcome: Outcome = "not_shown"
    outcome_reason: str = ""
    shown_after_ms: int | None = None
    decided_after_ms: int | None = None
    rating: Rating = ""
    kept_rate: float | None = None
    later_events: tuple[EditEvent, ...] = ()
    repository: Repository | None = None
    syntax_errors: SyntaxErrors | None = None
    redactions: int = 0
    left_out: int = 0

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise ValueError(problem)

    @property
    def schema_version(self) -> int:
        """The lowest that can say it, so that as many readers as possible take it."""
        return SCHEMA_VERSION if self.prediction.origin == "model" else RULE_SCHEMA_VERSION

    def to_json(self) -> dict[str, Any]:
        """The stored form: every member there, null where there is nothing to say."""
        errors = self.syntax_errors
        return {
            "schema_version": self.schema_version,
            "id": self.id,
            "state": self.state,
            "workspace_id": self.workspace_id,
            "created_at": self.created_at,
            "finalised_at": self.finalised_at,
            "language_id": self.language_id,
            "path": self.path,
            "prompt_format": self.prompt_format,
            "model": self.model,
            "client": {"name": self.client_name},
            "inputs": self.inputs.to_json(),
            "region": self.region.to_json(),
            "prediction": self.prediction.to_json(),
            "outcome": self.outcome,
            "outcome_reason": self.outcome_reason,
            "shown_after_ms": self.shown_after_ms,
            "decided_after_ms": self.decided_after_ms,
            "rating": self.rating,
            "kept_rate": self.kept_rate,
            "later_events": [event.to_json() for event in self.later_events],
            "repository": None if self.repository is None else self.repository.to_json(),
            "syntax_errors": None if errors is None else {"before": errors.before, "after": errors.after},
            "redactions": self.redactions,
            "left_out": self.left_out,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Snapshot:
        """Read `to_json`; raises ValueError naming the member that is missing, wrong or unknown."""
        members = Members(value)
        version = members.whole("schema_version")
        if version not in SCHEMA_VERSIONS:
            readable = " and ".join(map(str, SCHEMA_VERSIONS))
            raise ValueError(f"schema_version is {version}; this version of foretype reads {readable}")
        snapshot = cls(
            id=members.text("id"),
            state=members.one_of("state", STATES),
            workspace_id=members.text("workspace_id"),
            created_at=members.number("created_at"),
            finalised_at=members.number("finalised_at"),
            language_id=members.text("language_id"),
            path=members.text("path"),
            prompt_format=members.text("prompt_format"),
            model=members.text("model"),
            client_name=_read_client(members.nested("client")),
            inputs=read_inputs(members.nested("inputs")),
            region=Region.read(members.nested("region")),
            prediction=PredictionRecord.read(members.nested("prediction")),
            outcome=members.one_of("outcome", OUTCOMES),
            outcome_reason=members.text("outcome_reason"),
            shown_after_ms=None if members.null("shown_after_ms") else members.whole("shown_after_ms"),
            decided_after_ms=None if members.null("decided_after_ms") else members.whole("decided_after_ms"),
            rating=members.one_of("rating", RATINGS),
            kept_rate=None if members.null("kept_rate") else members.number("kept_rate", most=1.0),
            later_events=tuple(map(read_event, members.nested_list("later_events"))),
            repository=None if members.null("repository") else Repository.read(members.nested("repository")),
            syntax_errors=(
                None if members.null("syntax_errors") else _read_syntax_errors(members.nested("syntax_errors"))
            ),
            redactions=members.whole("redactions"),
            left_out=members.whole("left_out"),
        )
        members.end()
        if snapshot.schema_version != version:
            raise ValueError(f"schema_version is {version}, which is not the one of such a prediction.origin")
        return snapshot

    def canonical_bytes(self) -> bytes:
        """The one spelling of the stored form: UTF-8, members sorted, no white space between them."""
        return orjson.dumps(self.to_json(), option=orjson.OPT_SORT_KEYS)

    def sha256(self) -> str:
        """The fingerprint of `canonical_bytes`, in hexadecimal."""
        return hashlib.sha256(self.canonical_bytes()).hexdigest()

    def rated(self, rating: Rating) -> Snapshot:
        """The same with a person's verdict."""
        return replace(self, rating=rating)

    def texts(self) -> dict[str, str]:
        """Every text that may hold something of the user's, by its place (``inputs.events[2].diff``); none is empty."""
        return {place: text for place, text in texts_of(self.to_json()) if text}

    def with_texts(self, texts: Mapping[str, str], *, redactions: int) -> Snapshot:
        """The same with some of its `texts` changed, which must keep their length in bytes where offsets count in them.

        Raises ValueError where what is left is no snapshot: then nothing of it is to be kept.
        """
        return Snapshot.from_json({**with_texts(self.to_json(), texts), "redactions": redactions})


def _read_client(members: Members) -> str:
    name = members.text("name")
    members.end()
    return name


def _read_syntax_errors(members: Members) -> SyntaxErrors:
    errors = SyntaxErrors(members.whole("before"), members.whole("after"))
    members.end()
    return errors


def _problems(snapshot: Snapshot) -> Iterator[str]:
    """What keeps a value from being a snapshot, each beginning with the member."""
    for member, value in (("id", snapshot.id), ("workspace_id", snapshot.workspace_id)):
        if not _ID.fullmatch(value):
            yield f"{member} must be 32 hexadecimal digits in lower case"
    if path_problem(snapshot.model or "unnamed"):
        yield "model must be a name, not a path"
    if snapshot.finalised_at < snapshot.created_at:
        yield "finalised_at lies before created_at"
    if (snapshot.shown_after_ms is None) != (snapshot.outcome == "not_shown"):
        yield "shown_after_ms must be null where the outcome is not_shown, and only there"
    if len(snapshot.later_events) > MAX_LATER_EVENTS:
        yield f"later_events may hold {MAX_LATER_EVENTS} events, holds {len(snapshot.later_events)}"
    yield from _place_problems(snapshot)
    yield from _region_problems(snapshot)


def _place_problems(snapshot: Snapshot) -> Iterator[str]:
    url = snapshot.inputs.repo_url
    if url is not None and url != public_url(url):
        yield "inputs.repo_url holds more than a host and a path; take public_url of it"
    for member, path in paths_of(snapshot):
        problem = path_problem(path)
        if problem:
            yield f"{member} {problem}"


def _region_problems(snapshot: Snapshot) -> Iterator[str]:
    region, excerpt = snapshot.region, snapshot.inputs.excerpt_bytes
    problem = span_problem(region.start_bytes, region.end_bytes, excerpt)
    if problem:
        yield f"region {problem}"
    elif excerpt[region.start_bytes : region.end_bytes].decode() != region.text_before:
        yield "region.text_before is not the excerpt's text there"
    offset = snapshot.inputs.cursor_offset_in_excerpt
    problem = span_problem(offset, offset, excerpt)
    if problem:
        yield f"inputs.cursor_offset_in_excerpt {problem}"
    there, missing = "text_settled", "text_unsettled"
    if snapshot.state == "unsettled":
        there, missing = missing, there
    if getattr(region, there) is None or getattr(region, missing) is not None:
        yield f"region.{there} must be there and region.{missing} null where the state is {snapshot.state}"
    if len((region.text_settled or region.text_unsettled or "").encode()) > MAX_REGION_BYTES:
        yield f"region.{there} is longer than {MAX_REGION_BYTES} bytes"
    if snapshot.state == "unsettled" and snapshot.kept_rate is not None:
        yield "kept_rate must be null where the state is unsettled"


def paths_of(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Every path a snapshot holds, by member."""
    yield "path", snapshot.path
    yield from input_paths(snapshot.inputs)
    for index, event in enumerate(snapshot.later_events):
        yield f"later_events[{index}].path", event.path
        yield f"later_events[{index}].old_path", event.old_path
    if snapshot.repository is not None:
        for index, found in enumerate(snapshot.repository.diffs):
            yield f"repository.diffs[{index}].path", found.path


def input_paths(inputs: PredictionInputs) -> Iterator[tuple[str, str]]:
    """Every path the inputs hold, by member of a snapshot."""
    yield "inputs.cursor_path", inputs.cursor_path
    for index, event in enumerate(inputs.events):
        yield f"inputs.events[{index}].path", event.path
        yield f"inputs.events[{index}].old_path", event.old_path
    for index, related in enumerate(inputs.related_files or ()):
        yield f"inputs.related_files[{index}].path", related.path
