"""Reading a snapshot's JSON strictly: every member must be there, of its type, and none may be left over.

`Members` reads one object and says in a ValueError which member is wrong, by its path (``inputs.events[2].diff``).
`read_inputs` reads `PredictionInputs` this way: `PredictionInputs.from_json` is lenient, as Zed's files must be read,
but what we wrote ourselves is damaged if it differs. Knows nothing of what a snapshot means.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from capture.inputs import (
    ActiveBufferDiagnostic,
    ContextSource,
    EditEvent,
    ExcerptRanges,
    PredictionInputs,
    RelatedExcerpt,
    RelatedFile,
    Span,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

WHOLE_MAX = 2**63 - 1  # what every reader of JSON with 64-bit integers takes
CONTEXT_SOURCES: tuple[ContextSource, ...] = get_args(ContextSource)

_Name = TypeVar("_Name", bound=str)


class Members:
    """The members of one object, each read once. Every method raises ValueError naming the member."""

    def __init__(self, value: object, where: str = "") -> None:
        if not isinstance(value, dict):
            problem = f"{where or 'a snapshot'} must be an object, is {_kind_of(value)}"
            raise ValueError(problem)  # noqa: TRY004  damaged data, as every other member that is wrong
        self._value: dict[str, Any] = dict(value)
        self._where = where

    @property
    def names(self) -> tuple[str, ...]:
        """What is there and was not read yet."""
        return tuple(self._value)

    def absent(self, name: str) -> bool:
        """Whether an optional member is left out."""
        return name not in self._value

    def null(self, name: str) -> bool:
        """Whether a member is null; it counts as read then."""
        if name in self._value and self._value[name] is None:
            del self._value[name]
            return True
        return False

    def text(self, name: str) -> str:
        """A string that UTF-8 can hold."""
        value = self._take(name)
        if not isinstance(value, str):
            raise self._wrong(name, "a string", value)
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{self._path(name)} holds half a surrogate pair, which no text of ours does") from error
        return value

    def truth(self, name: str) -> bool:
        """True or false."""
        value = self._take(name)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false", value)
        return value

    def whole(self, name: str, *, most: int = WHOLE_MAX) -> int:
        """An integer from 0 to ``most``."""
        value = self._take(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(name, "a whole number", value)
        if not 0 <= value <= most:
            raise ValueError(f"{self._path(name)} must lie between 0 and {most}, is {value}")
        return value

    def number(self, name: str, *, most: float = math.inf) -> float:
        """A finite number from 0 to ``most``."""
        value = self._take(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(name, "a number", value)
        if not 0 <= value <= most or not math.isfinite(value):
            limit = "" if math.isinf(most) else f" and at most {most:g}"
            raise ValueError(f"{self._path(name)} must be a finite number of at least 0{limit}, is {value}")
        return float(value)

    def one_of(self, name: str, choices: Sequence[_Name]) -> _Name:
        """One of some strings."""
        value = self._take(name)
        for choice in choices:
            if value == choice:
                return choice
        found = repr(value) if isinstance(value, str) else _kind_of(value)
        raise ValueError(f"{self._path(name)} must be one of {', '.join(map(repr, choices))}, is {found}")

    def span(self, name: str) -> Span:
        """``{"start", "end"}``, the start not behind the end."""
        members = self.nested(name)
        found = Span(members.whole("start"), members.whole("end"))
        members.end()
        if found.start > found.end:
            raise ValueError(f"{self._path(name)} starts at {found.start}, behind its end {found.end}")
        return found

    def nested(self, name: str) -> Members:
        """An object; whoever reads it calls its `end`."""
        return Members(self._take(name), self._path(name))

    def nested_list(self, name: str) -> list[Members]:
        """A list of objects; whoever reads them calls the `end` of each."""
        value = self._take(name)
        if not isinstance(value, list):
            raise self._wrong(name, "a list", value)
        return [Members(item, f"{self._path(name)}[{index}]") for index, item in enumerate(value)]

    def end(self) -> None:
        """Nothing more is known: what is left over is a member of another version, or damage."""
        if self._value:
            unknown = min(map(str, self._value))
            raise ValueError(f"{self._path(unknown)} is no member that this version knows")

    def _take(self, name: str) -> object:
        if name not in self._value:
            raise ValueError(f"{self._path(name)} is missing")
        return self._value.pop(name)

    def _path(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else name

    def _wrong(self, name: str, wanted: str, value: object) -> ValueError:
        return ValueError(f"{self._path(name)} must be {wanted}, is {_kind_of(value)}")


def read_inputs(members: Members) -> PredictionInputs:
    """What `PredictionInputs.to_json` wrote; raises ValueError naming the member."""
    inputs = PredictionInputs(
        cursor_path=members.text("cursor_path"),
        cursor_excerpt=members.text("cursor_excerpt"),
        cursor_offset_in_excerpt=members.whole("cursor_offset_in_excerpt"),
        excerpt_ranges=_read_excerpt_ranges(members.nested("excerpt_ranges")),
        excerpt_start_row=None if members.absent("excerpt_start_row") else members.whole("excerpt_start_row"),
        events=tuple(map(read_event, members.nested_list("events"))),
        related_files=(
            None
            if members.null("related_files")
            else tuple(map(_read_related_file, members.nested_list("related_files")))
        ),
        active_buffer_diagnostics=(
            ()
            if members.absent("active_buffer_diagnostics")
            else tuple(map(_read_diagnostic, members.nested_list("active_buffer_diagnostics")))
        ),
        syntax_ranges=(
            None if members.absent("syntax_ranges") else tuple(map(_read_span, members.nested_list("syntax_ranges")))
        ),
        in_open_source_repo=members.truth("in_open_source_repo"),
        can_collect_data=members.truth("can_collect_data"),
        repo_url=None if members.absent("repo_url") else members.text("repo_url"),
    )
    members.end()
    return inputs


def read_event(members: Members) -> EditEvent:
    """What `EditEvent.to_json` wrote; raises ValueError naming the member."""
    members.one_of("event", ("BufferChange",))
    event = EditEvent(
        path=members.text("path"),
        old_path=members.text("old_path"),
        diff=members.text("diff"),
        old_range=members.span("old_range"),
        new_range=members.span("new_range"),
        predicted=members.truth("predicted"),
        in_open_source_repo=members.truth("in_open_source_repo"),
    )
    members.end()
    return event


def _read_related_file(members: Members) -> RelatedFile:
    related = RelatedFile(
        path=members.text("path"),
        max_row=members.whole("max_row"),
        excerpts=tuple(map(_read_related_excerpt, members.nested_list("excerpts"))),
        in_open_source_repo=members.truth("in_open_source_repo"),
    )
    members.end()
    return related


def _read_related_excerpt(members: Members) -> RelatedExcerpt:
    excerpt = RelatedExcerpt(
        row_range=members.span("row_range"),
        text=members.text("text"),
        order=members.whole("order"),
        context_source=members.one_of("context_source", CONTEXT_SOURCES),
    )
    members.end()
    return excerpt


def _read_diagnostic(members: Members) -> ActiveBufferDiagnostic:
    diagnostic = ActiveBufferDiagnostic(
        severity=None if members.null("severity") else members.whole("severity"),
        message=members.text("message"),
        snippet=members.text("snippet"),
        snippet_buffer_row_range=members.span("snippet_buffer_row_range"),
        diagnostic_range_in_snippet=members.span("diagnostic_range_in_snippet"),
    )
    members.end()
    return diagnostic


def _read_excerpt_ranges(members: Members) -> ExcerptRanges:
    return ExcerptRanges({name: members.span(name) for name in members.names})


def _read_span(members: Members) -> Span:
    span = Span(members.whole("start"), members.whole("end"))
    members.end()
    return span


def _kind_of(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    names = {str: "a string", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), f"a Python {type(value).__name__}")
