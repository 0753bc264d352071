"""Examples as Markdown: what Zed's tools write is read, what is written is read back, what is lost is named."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_export.errors import ExampleRejected
from training_export.example import KEYS, Example
from training_export.example_format.doubts import warnings_of
from training_export.example_format.front_matter import read_front_matter, write_front_matter
from training_export.example_format.markdown import (
    CARRIED,
    from_markdown,
    losses,
    to_markdown,
    with_final_newlines,
    without_losses,
)

BY_HAND = """\
+++
repository_url = 'https://example.org/ada/shop.git'
revision = "4be1c5d"
tags = ["rename", "python"]
uncommitted_diff_requires_edit_history_rollback = true
+++

# A rename, *half* done

Some words about it.

## uncommitted diff

```diff
--- a/x
+++ b/x
```

## Recently Opened Files

```
shop/cart.py\t120
  shop/till.py
docs/a b.md\tnine
```

## EDIT HISTORY

```diff
@@ first
```

// User accepted prediction:

~~~diff
@@ second
~~~

Anything else:
```diff
@@ third
```

### A remark

## Cursor Position

````shop/my cart.py
x = 1
```
# ^[CURSOR_POSITION]
````

## Expected Patch

```diff
@@ one
```

```diff
@@ two
```

## Rejected Patch

```diff
```

## Afterthought

```diff
@@ no section of ours
```
"""


PAGE = (Path(__file__).resolve().parents[2] / "docs" / "examples.md").read_text()


def example(**changes):
    return Example.new(
        **{
            "name": "cart",
            "repository_url": "https://example.org/ada/shop.git",
            "revision": "4be1c5d",
            "cursor_path": "cart.py",
            "cursor_position": "a = <|user_cursor|>1\n",
            "edit_history": "--- a/cart.py\n",
            "expected_patches": ["--- a/cart.py\n"],
            **changes,
        }
    )


def document(**parts):
    """A minimal document; ``before`` goes above the cursor's section, ``after`` below it."""
    cursor = parts.get("cursor", "```cart.py\na<|user_cursor|>\n```\n")
    return (
        f"{parts.get('front', '')}{parts.get('before', '')}\n## Cursor Position\n\n{cursor}\n{parts.get('after', '')}"
    )


def test_a_document_by_hand_is_read_as_zed_reads_it():
    found = from_markdown(BY_HAND)
    read = found.example
    assert read.name == "half done"  # what stands before an emphasis is lost, as it is in Zed
    assert read.repository_url == "https://example.org/ada/shop.git"
    assert read.revision == "4be1c5d"
    assert read.tags == ("rename", "python")
    assert read.uncommitted_diff_contains_edit_history
    assert read.uncommitted_diff == "--- a/x\n+++ b/x\n"
    assert [(file.path, file.cursor_position) for file in read.recently_opened_files] == [
        ("shop/cart.py", 120),
        ("shop/till.py", None),
        ("docs/a b.md", None),
    ]
    assert read.edit_history == "@@ first\n// User accepted prediction:\n@@ second\n@@ third\n"
    assert read.cursor_path == "shop/my cart.py"
    assert read.cursor_excerpt.text == "x = 1\n```"
    assert read.expected_patches == ("@@ one\n", "@@ two\n")
    assert read.rejected_patch == ""
    assert found.ignored == (
        "the position 'nine' of 'docs/a b.md'",
        "the section 'Afterthought'",
        "a code block outside the known sections",
    )


def test_a_document_is_written_as_zed_writes_it():
    written = to_markdown(
        example(
            tags=["one", "two"],
            uncommitted_diff_contains_edit_history=True,
            uncommitted_diff="u\n",
            recently_opened_files=[{"path": "a.py", "cursor_position": 7}, {"path": "b.py"}],
            edit_history="",
            rejected_patch="r\n",
            reasoning="Because.",
        )
    )
    assert (
        written
        == """\
+++
repository_url = "https://example.org/ada/shop.git"
revision = "4be1c5d"
tags = [
    "one",
    "two",
]
uncommitted_diff_requires_edit_history_rollback = true
+++

# cart

## Reasoning

Because.

## Uncommitted Diff

```diff
u
```

## Recently Opened Files

```
a.py\t7
b.py
```

## Edit History

(No edit history)

## Cursor Position

```cart.py
a = <|user_cursor|>1
```

## Expected Patch

```diff
--- a/cart.py
```

## Rejected Patch

```diff
r
```

"""
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"cursor_position": "```\n<|user_cursor|>````\n"},
        {"cursor_position": "    <|user_cursor|>indented\n\n"},
        {"cursor_path": "src/my `file`.py"},
        {"cursor_path": r"src\*x&amp;.py"},
        {"name": "__init__ of *everything* <b> `x` #"},
        {"name": ""},
        {"name": "1. first"},
        {"edit_history": "## Cursor Position\n\n```x\ny\n```\n"},
        {"expected_patches": []},
        {"expected_patches": ["", "\n", "~~~\n```\n"]},
        {"repository_url": 'a "quoted" \\ \t\x7f\x01 é', "revision": "+++"},
        {"tags": ["+++\n", "x"]},
    ],
)
def test_awkward_text_comes_back(changes):
    given_example = example(**changes)
    assert from_markdown(to_markdown(given_example)).example == given_example


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"cursor_position": "a<|user_cursor|>"}, "cursor_position", "no newline at its end"),
        ({"expected_patches": ["x\n", "y"]}, "expected_patches[1]", "no newline at its end"),
        ({"edit_history": "a\r\n"}, "edit_history", "carriage returns"),
        ({"uncommitted_diff": "a\rb\n"}, "uncommitted_diff", "carriage returns"),
        ({"rejected_patch": "a\0\n"}, "rejected_patch", "not come back equal"),
        ({"name": "two\nlines"}, "name", "line break"),
        ({"name": " cart"}, "name", "not come back equal"),
        ({"cursor_path": "a\rb"}, "cursor_path", "line break"),
        ({"cursor_path": ""}, "cursor_position", "is missing"),
        ({"recently_opened_files": [{"path": " a"}]}, "recently_opened_files[0]", "not come back equal"),
        ({"recently_viewed_files": [{"path": ""}]}, "recently_viewed_files", "not come back equal"),
        ({"reasoning": "##### Five\n"}, "reasoning", "its own Markdown"),
        ({"reasoning": "## Rejected Patch\n```\nx\n```\n"}, "reasoning", "its own Markdown"),
    ],
)
def test_what_would_come_back_changed_is_refused_by_field(changes, field, reason):
    with pytest.raises(ExampleRejected) as found:
        to_markdown(example(**changes))
    assert found.value.field == field
    assert reason in found.value.reason


def test_missing_final_newlines_can_be_added_and_are_listed():
    before = example(cursor_position="a<|user_cursor|>", expected_patches=["", "x", "y\n"], rejected_patch="")
    after, changed = with_final_newlines(before)
    assert changed == ["cursor_position", "expected_patches[1]"]
    assert after.expected_patches == ("", "x\n", "y\n")
    assert from_markdown(to_markdown(after)).example == after
    assert with_final_newlines(after) == (after, [])


def test_what_markdown_has_no_place_for_is_listed():
    full = example(
        reasoning="why",
        recently_opened_files=[{"path": "a.py", "pinned": True}],
        predictions=[{"actual_output": "", "provider": "p"}],
        rating="Negative",
        own=None,
    )
    assert losses(full) == ["reasoning", "rating", "predictions", "own", "recently_opened_files[0].pinned"]
    kept = without_losses(full, keep_reasoning=True)
    assert losses(kept) == ["reasoning"]
    assert "## Reasoning\n\nwhy\n" in to_markdown(kept)
    bare = without_losses(full, keep_reasoning=False)
    assert losses(bare) == []
    assert from_markdown(to_markdown(bare)).example == bare
    assert losses(example().with_fields(own=1)) == ["own"]
    assert losses(Example({**example().value, "predictions": [], "prompt": None})) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (document(before="text\n\n    indented\n"), "made by indentation"),
        (document(before="##### Five\n"), "heading of level 5"),
        (document(after="###### Six\n"), "heading of level 6"),
        ("# Only a name\n", "is missing"),
        (document(cursor="```\na<|user_cursor|>\n```\n"), "is missing"),
        (document(cursor="```cart.py\n```\n"), "is missing"),
        (document(cursor="```cart.py\na\n```\n"), "holds no cursor"),
        (document(front='+++\nrepository_url = "a"\n+++\n'), "is missing"),
        (document(front='+++\nrepository_url = "a"\nrevision = 1\n+++\n'), "must be a string"),
        (document(front="+++\nrepository_url =\n+++\n"), "not TOML"),
        (document(front='+++\nrepository_url = "a"\n'), "not closed"),
        ("\ufeff" + document(), "byte order mark"),
        (document(front='+++\r\nrepository_url = "a"\r\nrevision = "b"\r\n+++\r\n'), "LF line ends"),
    ],
)
def test_a_document_zed_cannot_read_is_refused(text, reason):
    with pytest.raises(ExampleRejected) as found:
        from_markdown(text)
    assert reason in str(found.value)


def test_front_matter_may_be_missing_and_its_unknown_keys_are_named():
    assert from_markdown(document()).example.repository_url == ""
    found = from_markdown(document(front='+++\nrepository_url = ""\nrevision = ""\nowner = "ada"\n+++\n'))
    assert found.ignored == ("the key owner of the front matter",)


def test_of_two_cursor_sections_the_last_counts_and_that_is_said():
    found = from_markdown(document(after="## cursor position\n\n```b.py\n<|user_cursor|>b\n```\n"))
    assert found.example.cursor_path == "b.py"
    assert found.ignored == ("all blocks but the last of 'Cursor Position'",)


def test_reasoning_is_for_people_only():
    found = from_markdown(document(before="## Reasoning\n\nwhy\n"))
    assert found.example.reasoning is None
    assert found.ignored == ("the section 'Reasoning'",)


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
AWKWARD = st.text(st.sampled_from("a`~#*_\\<&;>-+ \t\n\r[]()!|é\u2028\x0b\0"), max_size=24)
TEXT = AWKWARD | ANY_TEXT
RECENT = st.lists(
    st.fixed_dictionaries({"path": TEXT}, optional={"cursor_position": st.integers(0, 2**64 - 1)}), max_size=2
)
EXAMPLES = st.builds(
    example,
    name=TEXT,
    repository_url=TEXT,
    revision=TEXT,
    tags=st.lists(TEXT, max_size=3),
    uncommitted_diff_contains_edit_history=st.booleans(),
    uncommitted_diff=TEXT,
    recently_opened_files=RECENT,
    recently_viewed_files=RECENT,
    edit_history=TEXT,
    cursor_path=TEXT,
    cursor_position=st.builds(lambda a, b: f"{a}<|user_cursor|>{b}\n", TEXT, TEXT),
    expected_patches=st.lists(TEXT.map(lambda text: text.replace("+", "").replace("-", "")), max_size=3),
    rejected_patch=st.none() | TEXT.map(lambda text: text.replace("+", "").replace("-", "")),
)


@given(EXAMPLES)
def test_what_is_written_is_read_back_equal_or_refused_by_a_field(given_example):
    refused_field = ""
    try:
        written = to_markdown(given_example)
    except ExampleRejected as refusal:
        refused_field = refusal.field
    if refused_field:
        assert refused_field.partition("[")[0] in CARRIED
        return
    found = from_markdown(written)
    assert found.ignored == ()
    assert found.example.value == given_example.value


@given(EXAMPLES)
def test_text_without_what_markdown_loses_is_never_refused(given_example):
    clean = {
        key: part.replace("\r", "").replace("\0", "") if isinstance(part, str) else part
        for key, part in given_example.value.items()
        if key in {"uncommitted_diff", "edit_history", "cursor_position", "repository_url", "revision", "tags"}
    }
    ended, _ = with_final_newlines(example(**clean))
    assert from_markdown(to_markdown(ended)).example == ended


BLOCKS = st.lists(
    st.sampled_from(
        [
            "## Edit History", "## Expected Patch", "## Cursor Position", "## Rejected Patch", "# name", "### x",
            "```a.py\n<|user_cursor|>x\n```", "```diff\nx\n```", "~~~\n```\n~~~", "// User accepted prediction:",
            "- item\n  ```y\n  z\n  ```", "> ```q\n> <|user_cursor|>\n> ```", "text `code` *em*", "1. one", "***",
            "````\nx", "+++", "<b>\n\n</b>",
        ]
    ),
    max_size=12,
)  # fmt: skip


@given(BLOCKS)
def test_a_document_that_was_read_comes_back_equal_from_what_is_written(blocks):
    try:
        read = from_markdown("\n\n".join(blocks)).example
    except ExampleRejected:
        return
    ended, _ = with_final_newlines(read)
    assert from_markdown(to_markdown(ended)).example == ended


@given(ANY_TEXT | AWKWARD, st.lists(ANY_TEXT, max_size=3), st.booleans())
def test_front_matter_is_toml_and_comes_back(url, tags, rollback):
    keys = {
        "repository_url": url,
        "revision": "r",
        "tags": tags,
        "uncommitted_diff_requires_edit_history_rollback": rollback,
    }
    written = write_front_matter(keys)
    assert tomllib.loads(written.removeprefix("+++\n").removesuffix("+++\n")) == keys
    assert read_front_matter(f"{written}body") == (keys, "body")


def test_the_documented_example_is_sound_and_every_field_is_documented():
    written = PAGE.partition("````markdown\n")[2].partition("````")[0]
    found = from_markdown(written)
    assert found.ignored == ()
    assert list(warnings_of(found.example)) == []
    assert to_markdown(found.example) == written + "\n"
    documented = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`[^|]*) \|", PAGE, re.MULTILINE)))
    assert sorted(documented) == sorted(KEYS)
