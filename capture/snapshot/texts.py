"""The texts in a snapshot's JSON: where something of the user's may stand that should not, and changing it there.

Knows nothing of secrets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Members that are names and numbers of ours: a search for secrets would take some of them for one.
NO_TEXT = frozenset(
    ("id", "workspace_id", "state", "outcome", "rating", "revision", "event", "context_source", "origin")
)


def texts_of(value: object, place: str = "") -> Iterator[tuple[str, str]]:
    """Every text, by its place in ``value`` (``inputs.events[2].diff``)."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts_of(item, f"{place}[{index}]")
    elif isinstance(value, dict):
        for name, member in value.items():
            if name not in NO_TEXT:
                yield from texts_of(member, f"{place}.{name}" if place else name)


def with_texts(value: Any, texts: Mapping[str, str], place: str = "") -> Any:
    """A copy of ``value`` with other texts at the places named; places that hold no text of the user's stay."""
    if isinstance(value, str):
        return texts.get(place, value)
    if isinstance(value, list):
        return [with_texts(item, texts, f"{place}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, dict):
        return {
            name: member if name in NO_TEXT else with_texts(member, texts, f"{place}.{name}" if place else name)
            for name, member in value.items()
        }
    return value
