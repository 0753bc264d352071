"""A change cut anywhere: the parent's files, the history, the target and the rest give the commit's files exactly."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.editing.unified_diff import CURSOR_MARKER
from daemon.errors import BadArgument
from training_export.example import Example
from training_export.example_format.doubts import warnings_of
from training_export.importing.changes import ChangeSet, Refused, change_of
from training_export.importing.moment import TargetLimits
from training_export.importing.script import script_of
from training_export.importing.split_point import Kind, WantedSplit, choose
from training_export.importing.splitting import SplitSettings, examples_of
from training_export.patches import patched_excerpt

KINDS = [kind.value for kind in Kind if kind is not Kind.NOTHING]


def change_set(
    before: dict[str, str], after: dict[str, str], renamed: dict[str, str] | None = None, **more
) -> ChangeSet:
    """What leads from these files to those; ``renamed`` has the new names of old files."""
    renamed = renamed or {}
    new_names = set(renamed.values())
    changes = []
    for path in dict.fromkeys([*before, *(path for path in after if path not in new_names)]):
        new_path = renamed.get(path, path)
        old, new = before.get(path), after.get(new_path)
        if old != new or path != new_path:
            changes.append(change_of(path, *(None if text is None else text.encode() for text in (old, new)), new_path))
    return ChangeSet("0123abcd", "shop@0123abcd", "shop-0123abcd", "", "0123abcd~1", tuple(changes), **more)


def examples(found: ChangeSet, **chosen) -> list[Example]:
    return [
        each for each in examples_of(found, SplitSettings(**{"min_lines": 1, **chosen})) if isinstance(each, Example)
    ]


def reasons(found: ChangeSet, **chosen) -> list[str]:
    return [each.reason for each in examples_of(found, SplitSettings(**chosen)) if isinstance(each, Refused)]


LINES = st.lists(
    st.sampled_from([
        "", "", "import os", "def total(prices):", "    return sum(prices)", "class Cart:", "    items = []", "x = 1",
        "    total = sum(items)  # Σ", "größe = {'a': 1, 'b': 2}", "    }", "\u2028", "\tif total(x): pass",
    ]),
    min_size=1,
    max_size=40,
)  # fmt: skip


@st.composite
def edited(draw, lines):
    """Lines with some taken out, put in and replaced."""
    lines = list(lines)
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(lines)))
        end = draw(st.integers(start, min(len(lines), start + 4)))
        lines[start:end] = draw(st.lists(LINES.map(lambda found: found[0]), max_size=6))
    return lines


def as_text(lines):
    return "".join(f"{line}\n" for line in lines)


@st.composite
def commits(draw):
    before, after, renamed = {}, {}, {}
    for path in draw(
        st.lists(st.sampled_from(["shop/cart.py", "shop/price.py", "README.md"]), min_size=1, unique=True)
    ):
        lines = draw(LINES)
        before[path] = as_text(lines)
        new_path = path
        if draw(st.integers(0, 5)) == 0:
            new_path = renamed[path] = f"moved/{path}"
        after[new_path] = as_text(draw(edited(lines)))
        if path in renamed and not after[new_path]:
            after[new_path] = "x\n"
    if draw(st.booleans()):
        after["shop/new.py"] = as_text(draw(LINES))
    if draw(st.booleans()):
        before["shop/old.py"] = as_text(draw(LINES))
    return before, after, renamed


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(
    commit=commits(),
    wanted=st.sampled_from(["", "0", "0.5", "3", *KINDS]),
    seed=st.integers(0, 3),
    limits=st.sampled_from([TargetLimits(), TargetLimits(groups=1), TargetLimits(whole_excerpt=True)]),
)
def test_history_target_and_rest_give_the_files_of_the_commit(replay, commit, wanted, seed, limits):
    before, after, renamed = commit
    found = change_set(before, after, renamed)
    split = WantedSplit.read(wanted) if wanted else None
    refused = reasons(found, samples=3, seed=seed, split=split, limits=limits)
    assert not [reason for reason in refused if "cannot say" in reason or "not give" in reason or "come to" in reason]
    for example in examples(found, samples=3, seed=seed, split=split, limits=limits):
        moment, finished = replay(example, before)
        assert finished == after
        inputs = example.prompt_inputs
        assert inputs.cursor_excerpt in moment[example.cursor_path]
        (patch,) = example.expected_patches
        assert CURSOR_MARKER not in patch
        kind = example.tags[0].removeprefix("split:")
        assert kind == wanted or wanted not in KINDS
        assert bool(patch) == (kind != "nothing-left")
        if kind != "cross-file":
            assert (patched_excerpt(inputs, patch) == inputs.cursor_excerpt) == (not patch)
            # Zed finds a hunk by its text alone, and these few lines occur again and again; tree-sitter's nodes do not
            # begin with white space.
            assert [
                warned
                for warned in warnings_of(example)
                if "not at one place only" not in warned.reason and "syntax_ranges" not in warned.field
            ] == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES, ends=st.tuples(st.booleans(), st.booleans()), data=st.data())
def test_a_last_newline_that_is_missing_comes_or_goes_is_said_or_the_sample_refused(replay, lines, ends, data):
    texts = []
    for number, (content, has_newline) in enumerate(zip((lines, data.draw(edited(lines))), ends, strict=True)):
        texts.append(
            as_text([*content, f"end = {number}"]) if has_newline else as_text([*content, f"end = {number}"])[:-1]
        )
    before, after = {"a.py": texts[0]}, {"a.py": texts[1]}
    for example in examples(change_set(before, after), samples=3):
        assert replay(example, before)[1] == after


@pytest.mark.parametrize("turned", [False, True])
def test_a_newline_that_an_editor_adds_at_the_end_is_no_reason_to_refuse(replay, turned):
    before, after = {"a.py": "a = 1\nb = 2\n\n\n\nend"}, {"a.py": "a = 3\nb = 4\n\n\n\nend\n"}
    if turned:
        before, after = after, before
    (example,) = examples(change_set(before, after))
    assert example.uncommitted_diff.count("No newline") == 1
    assert replay(example, before)[1] == after


TRAPS = {"a.sql": "-- old\nselect 1;\nselect 2;\n"}, {"a.sql": "select 1;\n++ x\nselect 3;\n"}


def test_what_zeds_patches_would_misread_is_refused_and_never_written(replay):
    for seed in range(20):
        for example in examples(change_set(*TRAPS), samples=3, seed=seed):
            assert replay(example, TRAPS[0])[1] == TRAPS[1]
            assert example.edit_history.count("--- ") == example.edit_history.count("+++ ") == 1
    assert any("reads as a file header" in reason for reason in reasons(change_set(*TRAPS), samples=9))


CART = "".join(f"def step_{number}(value):\n    return value + {number}\n\n\n" for number in range(40))
EDITED = CART.replace("value + 3\n", "value * 3\n").replace("value + 8\n", "value * 8\n").replace("+ 39", "* 39")
TWO_FILES = (
    {"cart.py": CART, "use.py": "import cart\n\nprint(cart.step_1(2))\n"},
    {"cart.py": EDITED, "use.py": "import cart\n\nprint(cart.step_8(2))\nprint(cart.step_3(2))\n"},
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_that_is_asked_for_is_what_one_gets(replay, kind):
    found = examples(change_set(*TWO_FILES), samples=8, split=WantedSplit.read(kind))
    assert found
    for example in found:
        assert example.tags == (f"split:{kind}",)
        following = example.expected_patches[0]
        assert ("--- a/use.py" in following) == (kind == "cross-file" or example.cursor_path == "use.py")
        assert replay(example, TWO_FILES[0])[1] == TWO_FILES[1]


def test_without_a_wish_every_kind_comes_up():
    kinds = Counter(example.tags[0] for seed in range(30) for example in examples(change_set(*TWO_FILES), seed=seed))
    assert set(kinds) == {f"split:{kind.value}" for kind in Kind}


def test_a_split_at_nothing_is_no_edit():
    (example,) = examples(change_set(*TWO_FILES), split=WantedSplit.read("0"))
    assert example.edit_history == example.uncommitted_diff == ""
    assert example.expected_patches == ("",)
    assert example.prompt_inputs.events == ()


def test_a_half_typed_line_is_in_the_history_and_completed_by_the_target():
    before, after = {"a.py": "a = 1\n"}, {"a.py": "a = 1\ntotal = sum(prices, start)\n"}
    found = examples(change_set(before, after), samples=30, split=WantedSplit.read("1"))
    assert {example.expected_patches for example in found} == {("",)}  # there is nothing before which one could type on
    before, after = {"a.py": "a = 1\nb = 2\n"}, {"a.py": "a = 1\ntotal = sum(prices, start)\n"}
    found = examples(change_set(before, after), samples=30, split=WantedSplit.read("fim"))
    assert len(found) > 5
    for example in found:
        excerpt, offset = example.cursor_excerpt.text, example.cursor_excerpt.offset_bytes
        line = excerpt.split("\n")[1]
        typed = excerpt[:offset].split("\n")[1]
        assert "total = sum(prices, start)".startswith(typed)
        assert f"+{line}\n" in example.edit_history
        assert "-b = 2\n" in example.edit_history
        assert f"-{line}\n+total = sum(prices, start)\n" in example.expected_patches[0]


def test_the_region_of_an_example_is_the_one_its_target_shows():
    (example,) = examples(change_set(*TWO_FILES), split=WantedSplit.read("fim:0"))
    region = example.value["foretype"]["region"]
    shown = example.prompt_inputs.excerpt_bytes[region["start"] : region["end"]].decode()
    lines = [line[1:] for line in example.expected_patches[0].split("\n")[3:] if line[:1] in {" ", "-"}]
    assert "\n".join(lines).rstrip("\n") == shown.rstrip("\n")


def test_a_target_of_one_group_leaves_the_other_groups_to_the_rest(replay):
    before, after = {"cart.py": CART}, {"cart.py": EDITED}
    wanted = WantedSplit.read("fim:0")
    (narrow,) = examples(change_set(before, after), split=wanted, limits=TargetLimits(groups=1))
    (wide,) = examples(change_set(before, after), split=wanted, limits=TargetLimits(whole_excerpt=True))
    assert [wide.expected_patches[0].count(f"+    return value * {number}\n") for number in (3, 8, 39)] == [1, 1, 1]
    assert [narrow.expected_patches[0].count(f"+    return value * {number}\n") for number in (3, 8, 39)] == [1, 0, 0]
    assert replay(narrow, before)[1] == replay(wide, before)[1] == after


def test_a_sample_depends_on_its_commit_and_the_seed_alone():
    few, many = (examples(change_set(*TWO_FILES), samples=count, seed=7) for count in (3, 12))
    assert [each.to_line() for each in few] == [each.to_line() for each in many[: len(few)]]
    other = examples(change_set(*TWO_FILES), samples=3, seed=8)
    assert {each.cursor_position for each in few} != {each.cursor_position for each in other}


def test_samples_that_are_the_same_are_counted_and_not_written_twice():
    before, after = {"a.py": "a = 1\n"}, {"a.py": "a = 2\nb = 3\n"}
    found = examples(change_set(before, after), samples=60)
    assert len({each.with_fields(name="").to_line() for each in found}) == len(found)
    same = [reason for reason in reasons(change_set(before, after), samples=60) if "is the same as" in reason]
    assert len(found) + len(same) == 60


def test_the_cursor_is_never_in_a_lock_file_where_there_is_another():
    before = {"a.py": "a = 1\n", "uv.lock": "x\n" * 50}
    after = {"a.py": "a = 2\nb = 4\n", "uv.lock": "y\n" * 50}
    found = examples(change_set(before, after), samples=20)
    assert found
    assert {each.cursor_path for each in found} == {"a.py"}
    only = {path: before[path] for path in ("uv.lock",)}, {path: after[path] for path in ("uv.lock",)}
    assert reasons(change_set(*only)) == ["changes are in lock files, generated files and the like only"]


def test_languages_choose_where_the_cursor_is():
    before = {"a.py": "a = 1\n" * 9, "b.go": "var a = 1\n" * 9}
    after = {"a.py": "a = 2\n" * 9, "b.go": "var a = 2\n" * 9}
    found = examples(change_set(before, after), samples=10, languages=frozenset({"go"}))
    assert found
    assert {each.cursor_path for each in found} == {"b.go"}
    assert reasons(change_set(before, after), languages=frozenset({"rust"})) == ["no change is in a file of rust"]


@pytest.mark.parametrize(
    ("before", "after", "chosen", "reason"),
    [
        ({"a.py": "a\n"}, {"a.py": "b\n" * 9}, {"max_lines": 5}, "too many lines are changed: 10"),
        ({"a.py": "a\n"}, {"a.py": "a\nb\n"}, {"min_lines": 2}, "too few lines are changed: 1"),
        ({"a.py": "a\n"}, {}, {}, "no text file is changed"),
        ({"a.py": "a\n"}, {"a.py": "b\n"}, {"split": WantedSplit(index=9)}, "has only 2 changed lines"),
        ({"a.py": "a\n"}, {"a.py": "b\n"}, {"split": WantedSplit(Kind.CROSS_FILE)}, "no place of this kind"),
    ],
)
def test_a_change_that_gives_no_example_says_why(before, after, chosen, reason):
    (said,) = reasons(change_set(before, after), **chosen)
    assert reason in said


@pytest.mark.parametrize("text", ["", "fim:", ":3", "1.5", "-1", "near", "fim:x", "0.5:fim", "³"])
def test_a_split_that_means_nothing_is_refused_with_what_would(text):
    with pytest.raises(BadArgument, match="same-file-near"):
        WantedSplit.read(text)


def test_an_order_that_somebody_found_is_kept(replay):
    before = {"a.py": "one = 1\ntwo = 2\nthree = 3\n", "b.py": "x = 1\n"}
    after = {"a.py": "ONE = 1\ntwo = 2\nTHREE = 3\n", "b.py": "x = 2\n"}
    reordered = (
        "// Rename the last\n--- a/a.py\n+++ b/a.py\n@@ -3,1 +3,1 @@\n-three = 3\n+THREE = 3\n"
        "// Use it\n--- a/b.py\n+++ b/b.py\n@@ -1,1 +1,1 @@\n-x = 1\n+x = 2\n"
        "// Then the first\n--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n-one = 1\n+ONE = 1\n two = 2\n"
    )
    for split, wanted in (("2", "THREE = 3"), ("4", "x = 2"), ("6", "ONE = 1")):
        (example,) = examples(change_set(before, after, reordered=reordered), split=WantedSplit.read(split))
        assert example.edit_history.rstrip("\n").split("\n+")[-1].split("\n")[0] == wanted
        assert example.value["foretype"]["split"]["order"] == "given"
        assert replay(example, before)[1] == after
    elsewhere = change_set(before, after, reordered=reordered.replace("THREE", "DREI"))
    assert reasons(elsewhere) == ["the changed lines, put in one after the other, do not give the files of the commit"]
    nowhere = change_set(before, after, reordered=reordered.replace("-three", "-drei"))
    assert "hunk 1 of the reordered commit, of a.py" in reasons(nowhere)[0]


def test_the_target_holds_the_next_edit_even_where_a_later_one_is_nearer(replay):
    def hunk(number, operator):
        return (
            f"--- a/cart.py\n+++ b/cart.py\n@@ -{4 * number + 1},2 +{4 * number + 1},2 @@\n def step_{number}(value):\n"
            f"-    return value + {number}\n+    return value {operator} {number}\n"
        )

    found = change_set({"cart.py": CART}, {"cart.py": EDITED}, reordered=hunk(3, "*") + hunk(39, "*") + hunk(8, "*"))
    (example,) = examples(found, split=WantedSplit.read("same-file-far:0"))
    assert "return value * 3\n" in example.edit_history
    assert "+    return value * 39\n" in example.expected_patches[0]
    assert replay(example, {"cart.py": CART})[1] == {"cart.py": EDITED}


def test_the_cursor_is_mostly_behind_the_last_edit_and_seldom_beside_its_place():
    script = script_of(change_set({"cart.py": CART}, {"cart.py": EDITED}))
    places = Counter()
    for seed in range(1000):
        split = choose(script, WantedSplit(index=2), frozenset(), Random(seed))
        places[split.row, split.column] += 1
    end_of_last, start_of_next = (13, len("    return value * 3")), (33, len("    "))
    rows = Counter(row for row, _ in places.elements())
    assert set(rows) == {13, 33}
    assert 760 < rows[13] < 840
    exact = places[end_of_last] + places[start_of_next]
    # Of those beside it, none is behind the line's end: half of those at the end stay where they are.
    assert 840 < exact < 920
    assert {abs(column - start_of_next[1]) for row, column in places if row == 33} == {0, 1, 2, 3, 4, 5}
