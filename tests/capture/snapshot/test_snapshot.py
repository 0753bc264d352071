"""A snapshot is stored as it is, read back strictly, and never says where on a machine the code lies."""

import copy
import random
import re
from dataclasses import replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from capture.metrics.syntax_errors import SyntaxErrors
from capture.snapshot.parts import FileDiff, OfferedEdit, PredictionRecord, Region, Repository, public_url
from capture.snapshot.snapshot import OUTCOMES, Snapshot

EXCERPT = "def f(\u00e9):\n    return \u00e9\n"
FULL = Snapshot(
    id="0123456789abcdef" * 2,
    state="settled",
    workspace_id="fedcba9876543210" * 2,
    created_at=1_700_000_000.5,
    finalised_at=1_700_000_012.25,
    language_id="python",
    path="src/a.py",
    prompt_format="zeta2",
    model="zeta-2",
    client_name="Neovim",
    inputs=PredictionInputs(
        cursor_path="src/a.py",
        cursor_excerpt=EXCERPT,
        cursor_offset_in_excerpt=6,
        excerpt_ranges=ExcerptRanges({"editable_150": Span(0, 11)}),
        excerpt_start_row=3,
        events=(
            EditEvent("src/a.py", "src/b.py", "@@ -1,1 +1,1 @@\n-a\n+b\n", Span(0, 1), Span(0, 1), predicted=True),
        ),
        related_files=(RelatedFile("lib/c.py", 9, (RelatedExcerpt(Span(0, 1), "x = 1\n", 2, "git_log"),)),),
        active_buffer_diagnostics=(ActiveBufferDiagnostic(1, "undefined name", "x", Span(0, 1), Span(0, 1)),),
        syntax_ranges=(Span(0, 4),),
        repo_url="https://example.org/a/b.git",
    ),
    region=Region(0, 10, "def f(\u00e9):", text_settled="def g(\u00e9):"),
    prediction=PredictionRecord(
        edits=(OfferedEdit(4, 5, "f", "g"),),
        new_region_text="def g(\u00e9):",
        confidence=0.75,
        counters={"prompt_tokens": 12},
        seconds=0.125,
        reused="typed into",
        reason="",
    ),
    outcome="accepted",
    outcome_reason="taken",
    shown_after_ms=3,
    decided_after_ms=900,
    rating="good",
    kept_rate=1.0,
    later_events=(EditEvent("src/a.py", "src/a.py", "@@ -1,1 +1,1 @@\n-c\n+d\n"),),
    repository=Repository(
        "https://example.org/a/b.git", "a" * 40, "sub/", (FileDiff("src/a.py", "diff --git a/src/a.py b/src/a.py\n"),)
    ),
    syntax_errors=SyntaxErrors(0, 1),
    redactions=2,
    left_out=3,
)

TEXT = st.text('ab \n\t"\\\u00e9\u2028\U0001f600\0', max_size=12)
NAME = st.text("ab.-_ \u00e9", min_size=1, max_size=6).filter(lambda name: name not in (".", ".."))
RELATIVE = st.lists(NAME, min_size=1, max_size=3).map("/".join)
NUMBER = st.integers(0, 2**40)
SPAN = st.tuples(NUMBER, NUMBER).map(lambda pair: Span(*sorted(pair)))
EVENT = st.builds(EditEvent, RELATIVE, RELATIVE, TEXT, SPAN, SPAN, st.booleans(), st.booleans())
RELATED = st.builds(
    RelatedFile,
    RELATIVE,
    NUMBER,
    st.lists(st.builds(RelatedExcerpt, SPAN, TEXT, NUMBER, st.sampled_from(get_args(ContextSource))), max_size=2).map(
        tuple
    ),
    st.booleans(),
)
DIAGNOSTIC = st.builds(ActiveBufferDiagnostic, st.none() | st.integers(1, 4), TEXT, TEXT, SPAN, SPAN)
URL = st.sampled_from(["", "https://example.org/a.git", "ssh://git.example.org:2222/a/b"])
REPOSITORY = st.builds(
    Repository,
    URL,
    st.sampled_from(["", "0" * 40]),
    st.just("") | RELATIVE.map(lambda path: f"{path}/"),
    st.lists(st.builds(FileDiff, RELATIVE, TEXT), max_size=2).map(tuple),
    TEXT,
)
PREDICTION = st.builds(
    PredictionRecord,
    edits=st.lists(st.builds(OfferedEdit, NUMBER, NUMBER, TEXT, TEXT), max_size=2).map(tuple),
    new_region_text=st.none() | TEXT,
    confidence=st.floats(0, 1),
    counters=st.dictionaries(TEXT, NUMBER, max_size=3),
    seconds=st.floats(0, 1e6),
    reused=TEXT,
    reason=TEXT,
)


def character_starts(excerpt):
    return st.sampled_from([len(excerpt[:index].encode()) for index in range(len(excerpt) + 1)])


@st.composite
def snapshots(draw, paths=RELATIVE):
    excerpt = draw(TEXT)
    inputs = PredictionInputs(
        cursor_path=draw(paths),
        cursor_excerpt=excerpt,
        cursor_offset_in_excerpt=draw(character_starts(excerpt)),
        excerpt_ranges=ExcerptRanges(draw(st.dictionaries(TEXT, SPAN, max_size=2))),
        excerpt_start_row=draw(st.none() | NUMBER),
        events=tuple(draw(st.lists(EVENT, max_size=2))),
        related_files=draw(st.none() | st.lists(RELATED, max_size=2).map(tuple)),
        active_buffer_diagnostics=tuple(draw(st.lists(DIAGNOSTIC, max_size=2))),
        syntax_ranges=draw(st.none() | st.lists(SPAN, max_size=2).map(tuple)),
        in_open_source_repo=draw(st.booleans()),
        can_collect_data=draw(st.booleans()),
        repo_url=draw(st.none() | URL),
    )
    start, end = sorted((draw(character_starts(excerpt)), draw(character_starts(excerpt))))
    before, after = excerpt.encode()[start:end].decode(), draw(TEXT)
    is_settled = draw(st.booleans())
    outcome = draw(st.sampled_from(OUTCOMES))
    created = draw(st.floats(0, 4e9))
    return Snapshot(
        id=draw(st.uuids()).hex,
        state="settled" if is_settled else "unsettled",
        workspace_id=draw(st.uuids()).hex,
        created_at=created,
        finalised_at=created + draw(st.floats(0, 300)),
        language_id=draw(TEXT),
        path=draw(paths),
        prompt_format=draw(TEXT),
        model=draw(NAME),
        client_name=draw(TEXT),
        inputs=inputs,
        region=Region(start, end, before, after if is_settled else None, None if is_settled else after),
        prediction=draw(PREDICTION),
        outcome=outcome,
        outcome_reason=draw(TEXT),
        shown_after_ms=None if outcome == "not_shown" else draw(NUMBER),
        decided_after_ms=draw(st.none() | NUMBER),
        rating=draw(st.sampled_from(["", "good", "bad"])),
        kept_rate=draw(st.none() | st.floats(0, 1)) if is_settled else None,
        later_events=tuple(draw(st.lists(EVENT, max_size=4))),
        repository=draw(st.none() | REPOSITORY),
        syntax_errors=draw(st.none() | st.builds(SyntaxErrors, NUMBER, NUMBER)),
        redactions=draw(NUMBER),
        left_out=draw(NUMBER),
    )


@given(snapshots())
def test_what_was_written_is_read_back(snapshot):
    read = Snapshot.from_json(orjson.loads(snapshot.canonical_bytes()))
    assert read == snapshot
    assert read.canonical_bytes() == snapshot.canonical_bytes()
    assert read.sha256() == snapshot.sha256()


def shuffled(value, order):
    if isinstance(value, list):
        return [shuffled(item, order) for item in value]
    if isinstance(value, dict):
        members = list(value.items())
        order.shuffle(members)
        return {name: shuffled(member, order) for name, member in members}
    return value


@given(snapshots(), st.integers())
def test_the_order_of_members_changes_nothing(snapshot, seed):
    value = shuffled(snapshot.to_json(), random.Random(seed))
    assert Snapshot.from_json(value).canonical_bytes() == snapshot.canonical_bytes()


def test_a_snapshots_fingerprint_is_that_of_its_sorted_json():
    """This form is announced, uploaded and exported: another fingerprint needs another schema_version."""
    assert FULL.canonical_bytes().startswith(b'{"client":{"name":"Neovim"},"created_at":1700000000.5,')
    assert len(FULL.sha256()) == 64


# Strictness

# Objects whose members are names of their own, and members that may be left out.
FREE = ("inputs.excerpt_ranges.", "prediction.counters.")
OPTIONAL = ("excerpt_start_row", "active_buffer_diagnostics", "syntax_ranges", "repo_url")


def places(value, place=()):
    """Every member and list item, the whole too."""
    yield place
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield from places(member, (*place, name))


def spelled(place):
    return re.sub(r"^\.", "", "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place))


def at(value, place):
    for part in place:
        value = value[part]
    return value


ALL = [place for place in places(FULL.to_json()) if place]
NAMED = [place for place in ALL if isinstance(place[-1], str)]


@pytest.mark.parametrize("place", NAMED, ids=spelled)
def test_a_missing_member_is_refused_by_name(place):
    value = FULL.to_json()
    del at(value, place[:-1])[place[-1]]
    if place[-1] in OPTIONAL or f"{spelled(place[:-1])}." in FREE:
        assert Snapshot.from_json(value) != FULL
        return
    with pytest.raises(ValueError, match=re.escape(spelled(place))):
        Snapshot.from_json(value)


@pytest.mark.parametrize("place", ALL, ids=spelled)
def test_a_member_of_the_wrong_type_is_refused_by_name(place):
    here = at(FULL.to_json(), place)
    a_truth = 1 if isinstance(here, bool) else True
    a_fraction = -2.5 if isinstance(here, float) else 2.5
    for wrong in (a_truth, a_fraction, {"": None}, [[]], -1, "\ud800"):
        value = FULL.to_json()
        at(value, place[:-1])[place[-1]] = wrong
        with pytest.raises(ValueError, match=re.escape(spelled(place))):
            Snapshot.from_json(value)


OBJECTS = [place for place in [(), *ALL] if isinstance(at(FULL.to_json(), place), dict)]


@pytest.mark.parametrize("place", OBJECTS, ids=spelled)
def test_an_unknown_member_is_refused_by_name(place):
    value = FULL.to_json()
    at(value, place)["surprise"] = {"start": 0, "end": 0} if place[-1:] == ("excerpt_ranges",) else 1
    if f"{spelled(place)}." in FREE:
        assert Snapshot.from_json(value) != FULL
        return
    with pytest.raises(ValueError, match=re.escape(spelled((*place, "surprise")))):
        Snapshot.from_json(value)


def test_another_version_is_refused():
    with pytest.raises(ValueError, match="schema_version is 3"):
        Snapshot.from_json({**FULL.to_json(), "schema_version": 3})


def test_what_the_rule_wrote_has_a_version_of_its_own_and_what_the_model_wrote_stays_as_it_was():
    written = replace(FULL, prediction=replace(FULL.prediction, origin="rule"))
    assert (FULL.schema_version, written.schema_version) == (1, 2)
    assert "origin" not in FULL.to_json()["prediction"]
    assert written.to_json()["prediction"]["origin"] == "rule"
    assert Snapshot.from_json(written.to_json()) == written
    for mixed in ({**FULL.to_json(), "schema_version": 2}, {**written.to_json(), "schema_version": 1}):
        with pytest.raises(ValueError, match="schema_version"):
            Snapshot.from_json(mixed)


@pytest.mark.parametrize("value", [None, [], "{}", 1])
def test_what_is_no_object_is_refused(value):
    with pytest.raises(ValueError, match="must be an object"):
        Snapshot.from_json(value)


def changed(value, **members):
    value = copy.deepcopy(value)
    for place, member in members.items():
        *path, last = place.split("__")
        at(value, path)[last] = member
    return value


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"id": "0" * 31}, "id"),
        ({"workspace_id": "A" * 32}, "workspace_id"),
        ({"finalised_at": 1.0}, "finalised_at"),
        ({"created_at": float("nan")}, "created_at"),
        ({"outcome": "not_shown"}, "shown_after_ms"),
        ({"shown_after_ms": None}, "shown_after_ms"),
        ({"later_events": 5 * FULL.to_json()["later_events"]}, "later_events"),
        ({"region__text_before": "def h(\u00e9):"}, "region.text_before"),
        ({"region__start_bytes": 7}, "region"),
        ({"region__end_bytes": 99}, "region"),
        ({"region__start_bytes": 11}, "region"),
        ({"inputs__cursor_offset_in_excerpt": 7}, "inputs.cursor_offset_in_excerpt"),
        ({"region__text_settled": None}, "region.text_settled"),
        ({"region__text_unsettled": ""}, "region.text_unsettled"),
        ({"region__text_settled": 4097 * "x"}, "region.text_settled"),
        ({"state": "unsettled", "region__text_settled": None, "region__text_unsettled": ""}, "kept_rate"),
        ({"repository__diffs": [{"path": "a", "diff": 65537 * "x"}]}, "repository.diffs"),
        ({"model": "/home/ada/models/zeta.gguf"}, "model"),
        ({"inputs__repo_url": "https://ada:secret@example.org/a.git"}, "inputs.repo_url"),
        ({"repository__url": "https://ada@example.org/a.git"}, "repository.url"),
        ({"repository__revision": "main"}, "repository.revision"),
        ({"repository__prefix": "sub"}, "repository.prefix"),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(value),
)
def test_members_that_contradict_each_other_are_refused_by_name(members, named):
    with pytest.raises(ValueError, match=re.escape(named)):
        Snapshot.from_json(changed(FULL.to_json(), **members))


# Where the code lies

PATHS = [
    place for place in NAMED if place[-1] in ("path", "old_path", "cursor_path") or place == ("repository", "prefix")
]
ANY_PATH = st.one_of(
    RELATIVE,
    TEXT,
    st.sampled_from(
        [
            "/home/ada/a.py",
            "//server/share/a.py",
            "~/a.py",
            "~ada/a.py",
            "C:\\Users\\ada\\a.py",
            "c:/Users/ada/a.py",
            "\\\\server\\share",
            "file:///home/ada/a.py",
            "../../home/ada/a.py",
            "a/../../b.py",
            "a\\..\\..\\b.py",
            "..",
        ]
    ),
)


def is_inside(path):
    """Said by the standard library instead of by our patterns."""
    posix, windows = PurePosixPath(path), PureWindowsPath(path)
    return not (
        posix.is_absolute() or windows.drive or windows.root or ".." in posix.parts or ".." in windows.parts
    ) and not path.startswith("~")


@given(st.sampled_from(PATHS), ANY_PATH)
def test_no_member_ever_holds_a_path_that_leaves_the_workspace(place, path):
    value = FULL.to_json()
    at(value, place[:-1])[place[-1]] = path
    read = refusal = None
    try:
        read = Snapshot.from_json(value)
    except ValueError as error:
        refusal = str(error)
    if read is None:
        assert spelled(place) in refusal
        return
    stored = orjson.loads(read.canonical_bytes())
    assert all(is_inside(at(stored, each)) for each in PATHS)


RELATIVE_EXAMPLES = ("a.py", "src/a.py", "a b/\u00e9.py", "..a/b..", ".hidden/a", "a/./b")


@pytest.mark.parametrize("path", RELATIVE_EXAMPLES)
def test_paths_inside_the_workspace_are_taken(path):
    value = changed(FULL.to_json(), path=path)
    assert Snapshot.from_json(value).path == path


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://example.org/a/b.git", "https://example.org/a/b.git"),
        ("https://ada:secret@example.org/a.git", "https://example.org/a.git"),
        ("https://token@example.org:8443/a.git?access_token=x#y", "https://example.org:8443/a.git"),
        ("git@example.org:a/b.git", "ssh://example.org/a/b.git"),
        ("example.org:a/b.git", "ssh://example.org/a/b.git"),
        ("ssh://git@example.org:22/a.git", "ssh://example.org:22/a.git"),
        ("git@example.org:~ada/b.git", ""),
        ("ssh://example.org/home/ada/b.git", ""),
        ("git@workstation:b.git", ""),
        ("/home/ada/b.git", ""),
        ("../b.git", ""),
        ("file:///home/ada/b.git", ""),
        ("C:\\Users\\ada\\b", ""),
        ("https://[broken/a", ""),
        ("https://example.org:port/a", ""),
        ("", ""),
    ],
)
def test_of_a_remotes_url_only_what_is_public_is_kept(url, public):
    assert public_url(url) == public


@given(st.text("abH:/@.?#[]~\\ \n\u0130\u00e9", max_size=20) | st.text("ab:@/.").map("https://".__add__))
def test_taking_what_is_public_twice_changes_nothing(url):
    public = public_url(url)
    assert public_url(public) == public
    assert "@" not in public.partition("://")[2].partition("/")[0]
    Repository(url=public)


# Texts


@pytest.mark.parametrize(
    "place",
    [place for place in ALL if isinstance(at(FULL.to_json(), place), str)],
    ids=spelled,
)
def test_every_text_is_among_those_to_be_searched_for_secrets(place):
    ours = {"id", "workspace_id", "state", "outcome", "rating", "revision", "event", "context_source"}
    assert (spelled(place) in FULL.texts()) == (place[-1] not in ours and at(FULL.to_json(), place) != "")


@given(snapshots())
def test_texts_can_be_changed_by_their_places(snapshot):
    texts = {place: text.replace("a", "b") for place, text in snapshot.texts().items()}
    changed_one = snapshot.with_texts(texts, redactions=7)
    assert changed_one.redactions == 7
    assert changed_one.texts() == texts
    assert snapshot.with_texts({}, redactions=snapshot.redactions) == snapshot


def test_a_change_that_moves_the_offsets_is_refused():
    texts = {place: text.replace("def", "*") for place, text in FULL.texts().items()}
    with pytest.raises(ValueError, match="region"):
        FULL.with_texts(texts, redactions=1)
