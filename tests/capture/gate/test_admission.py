"""Of a snapshot only what shows files that may be kept is kept, and of which files that is known."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.gate.admission import EXCLUDED, IGNORED, OUTSIDE, UNKNOWN, NotAdmitted, Origins, admitted
from capture.gate.exclude import PathGate
from capture.gate.ignored import GitIgnored, Standing
from capture.inputs import EditEvent, ExcerptRanges, PredictionInputs, RelatedExcerpt, RelatedFile, Span
from capture.snapshot.parts import FileDiff, PredictionRecord, Region, Repository
from capture.snapshot.snapshot import MAX_LATER_EVENTS, Snapshot

# Paths by how they begin (in the workspace, beside it, anywhere), and whether such a file may be kept.
IN, BESIDE, ANY = "in", "beside", "any"
FILES = {
    (IN, "a.py"): True,
    (IN, "src/b.py"): True,
    (IN, "not/yet/there.py"): True,
    (IN, "src/../a.py"): True,
    (IN, "link_in.py"): True,
    (IN, "a.py#cell"): True,
    (IN, ".env"): False,
    (IN, ".env?version=2"): False,
    (IN, "notes.log"): False,
    (IN, "notes.log#cell"): False,
    (IN, "link_out.py"): False,
    (IN, "link_folder/x.py"): False,
    (IN, "link_folder/../a.py"): False,  # beside the folder that the link leads to
    (IN, "link_env.py"): False,
    (IN, "link_log.py"): False,
    (IN, "../beside/x.py"): False,
    (IN, ""): False,
    (IN, "with\0nul.py"): False,
    (IN, "half\ud800.py"): False,
    (BESIDE, "x.py"): False,
    (ANY, "/usr/lib/python3/os.py"): False,
    (ANY, "/"): False,
    (ANY, "a.py"): False,
    (ANY, "Untitled-1"): False,
    (ANY, ""): False,
}
# As displayed; git names files so too, below the root.
NAMES = ("a.py", "src/b.py", ".env", "notes.log", "link_out.py", "usr/lib/python3/os.py")
BELOW_ROOT = {name: FILES.get((IN, name), True) for name in NAMES}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A workspace with links, and what lies beside it."""
    work = tmp_path_factory.mktemp("work")
    beside = work.with_name(work.name + "-beside")
    (beside / "deep").mkdir(parents=True)
    (work / "src").mkdir()
    for name in ("a.py", "src/b.py", ".env", "notes.log"):
        (work / name).write_text("x = 1\n")
    (beside / "x.py").write_text("x = 1\n")
    (work / "link_in.py").symlink_to("a.py")
    (work / "link_env.py").symlink_to(".env")
    (work / "link_log.py").symlink_to("notes.log")
    (work / "link_out.py").symlink_to(beside / "x.py")
    (work / "link_folder").symlink_to(beside / "deep")
    return work, beside


class Asked:
    """The questions that are asked about paths, with answers as plain as can be."""

    def __init__(self):
        self.seen, self.standings = [], []

    def may_be_seen(self, path):
        self.seen.append(path)
        return PathGate().reason(path) is None

    def standing(self, path):
        self.standings.append(path)
        return Standing.IGNORED if os.path.realpath(path).endswith(".log") else Standing.SEEN


def snapshot(path="a.py", cursor_path=None, events=(), related=None, later=(), diffs=None, **members):
    inputs = PredictionInputs(
        path if cursor_path is None else cursor_path,
        "x = 1",
        5,
        ExcerptRanges({}),
        events=tuple(EditEvent(new, old, f"@@ {new} {old}") for new, old in events),
        related_files=(
            None
            if related is None
            else tuple(RelatedFile(name, 9, (RelatedExcerpt(Span(0, 1), "y"),)) for name in related)
        ),
    )
    return Snapshot(
        **{
            "id": "0" * 32,
            "state": "settled",
            "workspace_id": "1" * 32,
            "created_at": 1.5,
            "finalised_at": 2.5,
            "language_id": "python",
            "path": path,
            "prompt_format": "zeta2",
            "model": "zeta-2",
            "client_name": "",
            "inputs": inputs,
            "region": Region(0, 5, "x = 1", "x = 2"),
            "prediction": PredictionRecord(),
            "later_events": tuple(EditEvent(new, old, f"@@ {new} {old}") for new, old in later),
            "repository": (
                None
                if diffs is None
                else Repository(revision="a" * 40, diffs=tuple(FileDiff(name, "d") for name in diffs))
            ),
            **members,
        }
    )


def paths_in(value):
    """Every path that is left in a snapshot's JSON."""
    if isinstance(value, dict):
        for name, member in value.items():
            if name in ("path", "old_path", "cursor_path"):
                yield member
            else:
                yield from paths_in(member)
    elif isinstance(value, list):
        for item in value:
            yield from paths_in(item)


NAME = st.sampled_from(NAMES)
PAIRS = st.lists(st.tuples(NAME, NAME), max_size=MAX_LATER_EVENTS)
# One half of all files may be kept, or hardly any snapshot would be.
GOOD_FILES = st.sampled_from(sorted(file for file, is_good in FILES.items() if is_good))
ANY_FILES = st.frozensets(GOOD_FILES, min_size=1, max_size=2) | st.frozensets(
    st.sampled_from(sorted(FILES)), max_size=2
)
ORIGINS = st.dictionaries(NAME, ANY_FILES).map(lambda some: {"a.py": frozenset({(IN, "a.py")}), **some})


@settings(max_examples=400)
@given(
    origins=ORIGINS,
    path=st.just("a.py") | NAME,
    cursor_path=st.none() | NAME,
    events=PAIRS,
    related=st.none() | st.lists(NAME, max_size=3),
    later=PAIRS,
    diffs=st.none() | st.lists(NAME, max_size=3),
)
def test_what_is_kept_is_what_a_list_of_the_files_that_may_be_says(
    folders, origins, path, cursor_path, events, related, later, diffs
):
    beginnings = {IN: f"{folders[0]}/", BESIDE: f"{folders[1]}/", ANY: ""}
    named = {name: frozenset(beginnings[where] + rest for where, rest in behind) for name, behind in origins.items()}
    good = {name for name, behind in origins.items() if behind and all(FILES[one] for one in behind)}
    good_diffs = {name for name in NAMES if BELOW_ROOT[name] and all(FILES[one] for one in origins.get(name, ()))}
    before = snapshot(path, cursor_path, events, related, later, diffs)
    asked = Asked()
    after = admitted(before, Origins(str(folders[0]), named), may_be_seen=asked.may_be_seen, standing=asked.standing)
    assert len(asked.seen) == len(set(asked.seen)), "each path is asked about once"
    assert len(asked.standings) == len(set(asked.standings))
    assert set(asked.standings) <= set(asked.seen), "git is not asked about what is excluded"
    if not {before.path, before.inputs.cursor_path} <= good:
        assert isinstance(after, NotAdmitted)
        return
    kept_events = [pair for pair in events if set(pair) <= good]
    kept_later = [pair for pair in later if set(pair) <= good]
    kept_related = None if related is None else [name for name in related if name in good]
    kept_diffs = None if diffs is None else [name for name in diffs if name in good_diffs]
    parts = ((events, kept_events), (later, kept_later), (related, kept_related), (diffs, kept_diffs))
    left_out = sum(len(all_of_them or ()) - len(kept or ()) for all_of_them, kept in parts)
    expected = snapshot(path, cursor_path, kept_events, kept_related, kept_later, kept_diffs, left_out=left_out)
    assert after == expected
    assert set(paths_in(after.to_json())) <= good | good_diffs


def check(folders, names, expected, root=None):
    """Whether a snapshot of a file is admitted behind whose path stand ``names``; its reason if not."""
    asked = Asked()
    origins = Origins(str(folders[0] if root is None else root), {"a.py": frozenset(names)})
    found = admitted(snapshot(), origins, may_be_seen=asked.may_be_seen, standing=asked.standing)
    assert (found.reason if isinstance(found, NotAdmitted) else "admitted") == expected


@pytest.mark.parametrize(
    ("where", "name", "reason"),
    [
        (IN, "a.py", "admitted"),
        (IN, ".env", EXCLUDED),
        (IN, "link_env.py", EXCLUDED),
        (IN, "notes.log", IGNORED),
        (IN, "notes.log#cell", IGNORED),
        (IN, "link_out.py", OUTSIDE),
        (BESIDE, "x.py", OUTSIDE),
        (ANY, "a.py", UNKNOWN),
        (IN, "with\0nul.py", UNKNOWN),
    ],
)
def test_a_refusal_says_why_and_names_no_path(folders, where, name, reason):
    beginning = {IN: f"{folders[0]}/", BESIDE: f"{folders[1]}/", ANY: ""}[where]
    check(folders, [beginning + name], reason)
    assert "/" not in reason


def test_every_file_that_may_be_behind_a_path_must_be_admissible(folders):
    work, beside = folders
    check(folders, [f"{work}/a.py", f"{work}/src/b.py"], "admitted")
    check(folders, [f"{work}/a.py", f"{beside}/x.py"], OUTSIDE)
    check(folders, [], UNKNOWN)


def test_a_workspace_may_be_named_by_a_link_but_not_left_by_one(folders, tmp_path):
    work, _ = folders
    link = tmp_path / "project"
    link.symlink_to(work)
    check(folders, [f"{link}/a.py"], "admitted", root=link)
    check(folders, [f"{link}/link_out.py"], OUTSIDE, root=link)
    check(folders, [f"{link}/a.py"], OUTSIDE)  # the editor calls its folder by another name
    check(folders, [f"{work}/a.py"], "admitted", root=f"{work}/")
    check(folders, [f"{work}/a.py"], UNKNOWN, root="")
    check(folders, [f"{work}/a.py"], UNKNOWN, root="work")


def test_settings_may_name_a_folder_by_where_it_really_is(folders, tmp_path):
    link = tmp_path / "project"
    link.symlink_to(folders[0])
    real = os.path.realpath(folders[0])
    origins = Origins(str(link), {"a.py": frozenset({f"{link}/a.py"})})
    found = admitted(
        snapshot(),
        origins,
        may_be_seen=lambda path: not path.startswith(f"{real}/"),
        standing=lambda _: Standing.SEEN,
    )
    assert found == NotAdmitted(EXCLUDED)


def test_patterns_count_from_the_workspace_as_the_editor_names_it(folders, tmp_path):
    link = tmp_path / "project"
    link.symlink_to(folders[0])
    origins = Origins(str(link), {"a.py": frozenset({f"{link}/link_in.py"})})
    gate = PathGate(["/a.py"])
    found = admitted(
        snapshot(),
        origins,
        may_be_seen=lambda path: gate.reason(path, str(link)) is None,
        standing=lambda _: Standing.SEEN,
    )
    assert found == NotAdmitted(EXCLUDED)


def test_a_diff_is_of_the_file_that_git_named_and_of_whatever_else_is_displayed_so(folders):
    work, beside = folders
    behind = {"a.py": f"{work}/a.py", "src/b.py": f"{beside}/x.py", ".env": f"{work}/a.py"}
    origins = Origins(str(work), {name: frozenset({path}) for name, path in behind.items()})
    asked = Asked()
    names = ("a.py", "src/b.py", ".env", "not/displayed.py", "link_out.py", "notes.log")
    found = admitted(snapshot(diffs=names), origins, may_be_seen=asked.may_be_seen, standing=asked.standing)
    assert [diff.path for diff in found.repository.diffs] == ["a.py", "not/displayed.py"]
    assert found.left_out == 4


def test_what_was_left_out_before_stays_counted(folders):
    work, beside = folders
    origins = Origins(str(work), {"a.py": frozenset({f"{work}/a.py"}), "b.py": frozenset({f"{beside}/x.py"})})
    asked = Asked()
    before = snapshot(events=[("a.py", "a.py"), ("a.py", "b.py")], left_out=2)
    once = admitted(before, origins, may_be_seen=asked.may_be_seen, standing=asked.standing)
    assert (once.left_out, len(once.inputs.events)) == (3, 1)
    assert admitted(once, origins, may_be_seen=asked.may_be_seen, standing=asked.standing) is once


def test_git_itself_says_what_is_ignored(tmp_path):
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "GIT_CONFIG_NOSYSTEM": "1"}
    (tmp_path / "home").mkdir()
    work = tmp_path / "work"
    (work / "build").mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet"], cwd=work, env=environment, check=True)
    (work / ".gitignore").write_text("build/\n*.local\n")
    names = ("a.py", "new.py", "build/made.py", "my.local", ".git/config")
    before = snapshot(related=names, diffs=names)
    origins = Origins(str(work), {name: frozenset({f"{work}/{name}"}) for name in names})
    ignored = GitIgnored(environment)
    after = admitted(before, origins, may_be_seen=lambda _: True, standing=ignored.standing)
    kept = snapshot(related=names[:2], diffs=names[:2], left_out=6)
    assert after == kept
    outside_of_any = Origins(str(tmp_path / "home"), {"a.py": frozenset({f"{tmp_path}/home/a.py"})})
    alone = replace(before, inputs=snapshot().inputs, repository=None)
    assert admitted(alone, outside_of_any, may_be_seen=lambda _: True, standing=ignored.standing) is alone
