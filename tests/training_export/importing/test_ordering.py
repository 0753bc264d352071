"""In which order the lines of a commit are taken to have been typed."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from training_export.importing.changes import ChangeSet, TextChange
from training_export.importing.script import script_of


def order(before, after):
    """The added lines in their order."""
    changes = [TextChange(path, before.get(path), text, path) for path, text in after.items()]
    script = script_of(ChangeSet("", "", "", "", "", tuple(changes)))
    return [edit.text for edit in script.edits if edit.is_insertion]


BASE = {"a_use.py": "import b\n\nrun()\n", "b.py": "def run():\n    pass\n\n\ndef other():\n    pass\n"}


def test_what_is_defined_comes_before_what_uses_it():
    found = order(BASE, {
        "a_use.py": "import b\n\nrun()\ndiscounted(1)\n",
        "b.py": BASE["b.py"] + "\n\ndef discounted(price):\n    return price\n",
    })  # fmt: skip
    assert found.index("def discounted(price):") < found.index("discounted(1)")


def test_names_that_need_each_other_in_a_circle_end_all_the_same():
    found = order({}, {"a.py": "def one():\n    return two()\n", "b.py": "def two():\n    return one()\n"})
    assert sorted(found) == sorted(["def one():", "    return two()", "def two():", "    return one()"])


def test_tests_come_after_sources_and_lock_files_last():
    after = {
        "aaa.lock": "x\n", "tests/a.py": "a = 1\n", "README.md": "text\n", "zoo.py": "b = 2\n", "dist/x.js": "c\n"
    }  # fmt: skip
    assert order({}, after) == ["b = 2", "a = 1", "text", "x", "c"]


def test_whoever_is_in_a_file_stays_there():
    lines = [f"line_{number} = 0\n" for number in range(30)]
    changed = [line.replace("= 0", "= 1") if number in {2, 20} else line for number, line in enumerate(lines)]
    text, new = "".join(lines), "".join(changed)
    assert order({"a.py": text, "b.py": text}, {"a.py": new, "b.py": new}) == ["line_2 = 1", "line_20 = 1"] * 2


def test_as_many_lines_for_as_many_are_replaced_one_by_one():
    script = script_of(ChangeSet("", "", "", "", "", (TextChange("a.py", "one\ntwo\n", "ONE\nTWO\n", "a.py"),)))
    assert [(edit.text, edit.is_insertion) for edit in script.edits] == [
        ("one", False), ("ONE", True), ("two", False), ("TWO", True)
    ]  # fmt: skip


def test_new_functions_are_groups_of_their_own():
    added = "def one():\n    x = 1\n\n    return x\n\n\ndef two():\n    pass\n"
    script = script_of(ChangeSet("", "", "", "", "", (TextChange("a.py", None, added, "a.py"),)))
    groups = {edit.group: edit.text for edit in reversed(script.edits)}
    assert list(reversed(groups.values())) == ["def one():", "def two():"]


LINE = st.sampled_from(["def one():", "one()", "x = one", "", "    y = x", "import one"])


@given(before=st.lists(LINE, max_size=12), after=st.lists(LINE, max_size=12), other=st.lists(LINE, max_size=6))
def test_every_prefix_of_the_edits_can_be_made_and_all_of_them_are_the_change(before, after, other):
    old, new, added = ("".join(f"{line}\n" for line in lines) for lines in (before, after, other))
    changes = (TextChange("a.py", old, new, "a.py"), TextChange("b.py", None, added or "\n", "b.py"))
    script = script_of(ChangeSet("", "", "", "", "", changes))
    states = [script.texts(count) for count in range(len(script.edits) + 1)]
    assert states[0] == {"a.py": old}
    assert states[-1] == {"a.py": new, "b.py": added or "\n"}
    lines = [sum(text.count("\n") for text in state.values()) for state in states]
    assert all(abs(after - before) == 1 for before, after in pairwise(lines))
