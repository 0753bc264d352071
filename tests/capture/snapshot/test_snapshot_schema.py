"""The checked-in JSON schema says of a snapshot what the reader holds it to."""

from dataclasses import replace
from importlib.resources import files

import orjson
import pytest
from jsonschema import Draft202012Validator

from capture.inputs import EditEvent, ExcerptRanges, PredictionInputs, RelatedExcerpt, RelatedFile, Span
from capture.snapshot.parts import FileDiff, OfferedEdit, PredictionRecord, Region, Repository
from capture.snapshot.snapshot import SCHEMA_VERSIONS, Snapshot

SCHEMA = orjson.loads(files("capture.snapshot").joinpath("schema.json").read_bytes())
VALIDATOR = Draft202012Validator(SCHEMA)


def snapshot(**members):
    return Snapshot(
        **{
            "id": "0" * 32,
            "state": "settled",
            "workspace_id": "1" * 32,
            "created_at": 1.5,
            "finalised_at": 2.5,
            "language_id": "",
            "path": "a.py",
            "prompt_format": "zeta2",
            "model": "zeta-2",
            "client_name": "",
            "inputs": PredictionInputs("a.py", "x = 1", 5, ExcerptRanges({})),
            "region": Region(0, 5, "x = 1", "x = 2"),
            "prediction": PredictionRecord(),
            **members,
        }
    )


LEAST = snapshot()
FULL = snapshot(
    inputs=PredictionInputs(
        "a.py",
        "x = 1",
        5,
        ExcerptRanges({"editable_150": Span(0, 5)}),
        excerpt_start_row=0,
        events=(EditEvent("a.py", "a.py", "@@ -1,1 +1,1 @@\n-a\n+b\n"),),
        related_files=(RelatedFile("lib/b.py", 3, (RelatedExcerpt(Span(0, 1), "y", 1, "git_log"),)),),
        syntax_ranges=(Span(0, 5),),
        repo_url="https://example.org/a.git",
    ),
    prediction=PredictionRecord((OfferedEdit(4, 5, "1", "2"),), "x = 2", 0.5, {"prompt_tokens": 3}, 0.25),
    outcome="accepted",
    shown_after_ms=1,
    decided_after_ms=2,
    rating="bad",
    kept_rate=0.5,
    later_events=(EditEvent("a.py", "a.py", "@@ -1,1 +1,1 @@\n-a\n+b\n"),),
    repository=Repository("ssh://example.org/a.git", "a" * 40, "sub/", (FileDiff("a.py", "diff --git"),), ""),
)
BY_THE_RULE = replace(FULL, prediction=replace(FULL.prediction, origin="rule"))
UNSETTLED = snapshot(state="unsettled", region=Region(0, 5, "x = 1", None, "x ="))


def test_the_schema_is_one_of_its_draft():
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["schema_version"] == {"enum": list(SCHEMA_VERSIONS)}


@pytest.mark.parametrize("written", [LEAST, FULL, BY_THE_RULE, UNSETTLED], ids=["least", "full", "rule", "unsettled"])
def test_what_is_written_is_what_the_schema_describes(written):
    assert list(VALIDATOR.iter_errors(orjson.loads(written.canonical_bytes()))) == []


def places(value, place=()):
    yield place
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield from places(member, (*place, name))


def at(value, place):
    for part in place:
        value = value[part]
    return value


def damaged(place, wrong):
    """The full snapshot with one member wrong, missing (None) or too many."""
    value = orjson.loads(FULL.canonical_bytes())
    if wrong == "missing":
        del at(value, place[:-1])[place[-1]]
    elif wrong == "too many":
        at(value, place)["surprise"] = 1
    else:
        at(value, place[:-1])[place[-1]] = wrong
    return value


def refused_by_the_reader(value):
    try:
        Snapshot.from_json(value)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize("place", list(places(orjson.loads(FULL.canonical_bytes()))), ids=str)
def test_what_the_reader_refuses_for_its_shape_the_schema_refuses_too(place):
    here = at(orjson.loads(FULL.canonical_bytes()), place)
    cases = []
    if place:
        cases += [True if here is not True else 1, [1], {"start": 0}, -1, "/home/ada", "C:\\x", "a/../b"]
    if place and isinstance(place[-1], str):
        cases.append("missing")
    if isinstance(here, dict):
        cases.append("too many")
    for case in cases:
        value = damaged(place, case)
        if VALIDATOR.is_valid(value):
            # What no schema can say: offsets in a text, one text being a part of another, a name that is no path.
            relations = ("region", "text_before", "cursor_excerpt", "cursor_offset_in_excerpt", "model", "excerpt")
            assert not refused_by_the_reader(value) or set(place) & set(relations), (place, case)
        else:
            assert refused_by_the_reader(value), (place, case)
