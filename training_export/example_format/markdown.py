"""Examples as Markdown, for people to read and write, interoperable with Zed's `ExampleSpec`.

Front matter, ``# name``, then H2 sections whose fenced blocks are the content (Zed at 09adbb01). The reader
follows Zed's event by event, so that both read the same from a file; what it passes over is listed. The
writer reads back what it wrote and refuses an example that would come back changed. Only the spec has a place
in Markdown; `losses` names the rest. Knows nothing of files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.common.utils import unescapeAll
from markdown_it.token import Token

from daemon.prompts.zed.markers import RUST_WHITESPACE
from training_export.errors import ExampleRejected
from training_export.example import KEYS, Example
from training_export.example_format.front_matter import ROLLBACK_KEY, read_front_matter, write_front_matter
from training_export.example_format.records import RecentFile

ACCEPTED_PREDICTION: Final = "// User accepted prediction:"
NO_EDIT_HISTORY: Final = "(No edit history)"
# Section title -> key; Zed compares titles without ASCII case.
SECTIONS: Final = {
    "Uncommitted Diff": "uncommitted_diff",
    "Recently Opened Files": "recently_opened_files",
    "Recently Viewed Files": "recently_viewed_files",
    "Edit History": "edit_history",
    "Cursor Position": "cursor_position",
    "Expected Patch": "expected_patches",
    "Rejected Patch": "rejected_patch",
}
_TITLES: Final = {key: title for title, key in SECTIONS.items()}
_KEY_OF_TITLE: Final = {title.lower().encode(): key for title, key in SECTIONS.items()}
_REPEATABLE: Final = ("edit_history", "expected_patches")
# What is compared after writing; the keys of the front matter and the heading among them.
CARRIED: Final = ("name", "repository_url", "revision", "tags", "uncommitted_diff_contains_edit_history",
                  "cursor_path", *SECTIONS.values())  # fmt: skip
_PUNCTUATION: Final = re.compile(r"([!-/:-@\[-`{-~])")


@dataclass(frozen=True, slots=True)
class MarkdownExample:
    """What was read, and sentences about what the file holds besides."""

    example: Example
    ignored: tuple[str, ...]


def from_markdown(document: str) -> MarkdownExample:
    """Read one example; raises ExampleRejected where Zed would fail, or lose the front matter."""
    keys, body = read_front_matter(document)
    reader = _Reader()
    for token in _events(MarkdownIt("commonmark").parse(body.lstrip(RUST_WHITESPACE) if keys else body)):
        reader.take(token)
    found = reader.found
    if not found.get("cursor_path") or not found.get("cursor_position"):
        raise ExampleRejected("cursor_position", "is missing: a `## Cursor Position` section with a fenced block, "
                              "whose info string is the file's path")  # fmt: skip
    ignored = [f"the key {key} of the front matter" for key in keys if key not in {*CARRIED, ROLLBACK_KEY}]
    if "\r" in document:
        ignored.append("carriage returns")
    example = Example.new(
        **found,
        repository_url=keys.get("repository_url", ""),
        revision=keys.get("revision", ""),
        tags=keys.get("tags", []),
        uncommitted_diff_contains_edit_history=keys.get(ROLLBACK_KEY, False),
    )
    return MarkdownExample(example, (*ignored, *reader.ignored))


def to_markdown(example: Example) -> str:
    """The spec as Markdown; raises ExampleRejected, with the field, where it would not come back equal.

    `losses` are not written, but for the reasoning, which stands in the file for people and is not read back.
    """
    for key in ("name", "cursor_path"):
        if set("\n\r") & set(getattr(example, key)):
            raise ExampleRejected(key, "holds a line break, for which its line in Markdown has no place")
    document = _written(example)
    if example.reasoning is None:
        _check_comes_back(example, document)
        return document
    to_markdown(example.with_fields(reasoning=None))  # a fault of another field is named as such
    try:
        _check_comes_back(example, document)
    except ExampleRejected as error:
        raise ExampleRejected("reasoning", "its own Markdown would be read as a part of the example") from error
    return document


def _check_comes_back(example: Example, document: str) -> None:
    back = from_markdown(document).example
    for key in CARRIED:
        was, is_now = getattr(example, key), getattr(back, key)
        if was == is_now:
            continue
        if isinstance(was, tuple) and len(was) == len(is_now):
            index = next(index for index, (old, new) in enumerate(zip(was, is_now, strict=True)) if old != new)
            raise ExampleRejected(f"{key}[{index}]", _why_changed(was[index], is_now[index]))
        raise ExampleRejected(key, _why_changed(was, is_now))


def losses(example: Example) -> list[str]:
    """Paths of what Markdown has no place for: what stages found, the reasoning, keys nobody here knows."""
    lost = [
        key
        for key, part in example.value.items()
        if key not in CARRIED and not (key in KEYS and (part is None or part == []))
    ]
    for key in ("recently_opened_files", "recently_viewed_files"):
        for index, item in enumerate(example.value.get(key, ())):
            lost += [f"{key}[{index}].{name}" for name in item if name not in RecentFile.__slots__]
    return lost


def without_losses(example: Example, *, keep_reasoning: bool) -> Example:
    """The example with nothing in it but what Markdown can carry (and the reasoning, if that is wanted)."""
    kept = {key: part for key, part in example.spec_json().items() if key in CARRIED}
    if keep_reasoning and example.reasoning is not None:
        kept["reasoning"] = example.reasoning
    return Example.new(**kept)


def with_final_newlines(example: Example) -> tuple[Example, list[str]]:
    """The example with a newline at the end of every text that a fenced block would give one, and which."""
    changed: dict[str, Any] = {}
    paths: list[str] = []
    for key in ("uncommitted_diff", "edit_history", "cursor_position", "rejected_patch"):
        text = example.value.get(key)
        if text and not text.endswith("\n"):
            changed[key] = f"{text}\n"
            paths.append(key)
    patches = [f"{patch}\n" if patch and not patch.endswith("\n") else patch for patch in example.expected_patches]
    for index, (old, new) in enumerate(zip(example.expected_patches, patches, strict=True)):
        if old != new:
            changed["expected_patches"] = patches
            paths.append(f"expected_patches[{index}]")
    return example.with_fields(**changed), paths


def _why_changed(was: object, is_now: object) -> str:
    if isinstance(was, str) and f"{was}\n" == is_now:
        return "has no newline at its end, and a fenced block always has one"
    if isinstance(was, str) and "\r" in was:
        return "holds carriage returns, which Markdown turns into newlines"
    return "would not come back equal from Markdown"


def _written(example: Example) -> str:
    front: dict[str, str | bool | list[str]] = {
        "repository_url": example.repository_url,
        "revision": example.revision,
    }
    if example.tags:
        front["tags"] = list(example.tags)
    if example.uncommitted_diff_contains_edit_history:
        front[ROLLBACK_KEY] = True
    parts = [write_front_matter(front), f"\n# {_heading(example.name)}\n"]
    if example.reasoning is not None:
        parts.append(f"\n## Reasoning\n\n{_ended(example.reasoning)}")
    if example.uncommitted_diff:
        parts += [_title("uncommitted_diff"), _block("diff", example.uncommitted_diff)]
    for key, files in (
        ("recently_opened_files", example.recently_opened_files),
        ("recently_viewed_files", example.recently_viewed_files),
    ):
        if files:
            parts += [_title(key), _block("", "".join(map(_recent_line, files)))]
    history = _block("diff", example.edit_history) if example.edit_history else f"\n{NO_EDIT_HISTORY}\n"
    parts += [_title("edit_history"), history]
    parts += [_title("cursor_position"), _block(_info(example.cursor_path), example.cursor_position)]
    parts += [_title("expected_patches"), *(_block("diff", patch) for patch in example.expected_patches)]
    if example.rejected_patch is not None:
        parts += [_title("rejected_patch"), _block("diff", example.rejected_patch)]
    return f"{''.join(parts)}\n"


def _title(key: str) -> str:
    return f"\n## {_TITLES[key]}\n"


def _block(info: str, content: str) -> str:
    """A fence longer than any run in the content; of tildes where the info string holds a backtick."""
    mark = "~" if "`" in info else "`"
    longest = max(map(len, re.findall(f"{mark}+", content)), default=0)
    fence = mark * max(3, longest + 1)
    return f"\n{fence}{info}\n{_ended(content) if content else ''}{fence}\n"


def _ended(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"


def _recent_line(file: RecentFile) -> str:
    return f"{file.path}\n" if file.cursor_position is None else f"{file.path}\t{file.cursor_position}\n"


def _heading(name: str) -> str:
    """As it is where that reads back, else with its punctuation escaped."""
    reader = _Reader()
    for token in _events(MarkdownIt("commonmark").parse(f"# {name}\n")):
        reader.take(token)
    return name if reader.found == {"name": name} else _PUNCTUATION.sub(r"\\\1", name)


def _info(path: str) -> str:
    return path if unescapeAll(path) == path else _PUNCTUATION.sub(r"\\\1", path)


def _events(tokens: list[Token]) -> Iterator[Token]:
    """Block and inline tokens in the order of the text."""
    for token in tokens:
        yield from [token] if token.children is None else _events(token.children)


class _Reader:
    """Zed's walk over the events: any start forgets the text before it, an end takes what was gathered."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.ignored: list[str] = []
        self._text = ""
        self._section = ""

    def take(self, token: Token) -> None:
        if token.type == "heading_close":
            self._end_heading(token.tag)
        elif token.type == "fence":
            self._take_block(unescapeAll(token.info).strip(RUST_WHITESPACE), token.content)
        elif token.type == "code_block":
            where = f" (line {token.map[0] + 1} below the front matter)" if token.map else ""
            raise ExampleRejected("", f"has a code block made by indentation{where}; fence it with ```")
        elif token.type == "text":
            self._text += token.content
        elif token.nesting == 1:
            self._text = ""

    def _end_heading(self, tag: str) -> None:
        title, self._text = self._text, ""
        if tag == "h1":
            self.found["name"] = title
        elif tag == "h2":
            self._section = _KEY_OF_TITLE.get(title.encode().lower(), "")
            if not self._section:
                self.ignored.append(f"the section {title!r}")
        elif tag not in {"h3", "h4"}:
            raise ExampleRejected("", f"has a heading of level {tag[1:]} ({title!r}); levels 1 to 4 may be used")

    def _take_block(self, info: str, content: str) -> None:
        lead, self._text = self._text.strip(RUST_WHITESPACE), ""
        key = self._section
        if not key:
            self.ignored.append("a code block outside the known sections")
            return
        if key in self.found and key not in _REPEATABLE:
            self.ignored.append(f"all blocks but the last of {_TITLES[key]!r}")
        if key == "edit_history":
            mark = f"{ACCEPTED_PREDICTION}\n" if lead == ACCEPTED_PREDICTION else ""
            self.found[key] = f"{self.found.get(key, '')}{mark}{content}"
        elif key == "expected_patches":
            self.found[key] = [*self.found.get(key, ()), content]
        elif key in {"recently_opened_files", "recently_viewed_files"}:
            self.found[key] = [item.to_json() for item in self._recent_files(content)]
        else:
            self.found[key] = content
            if key == "cursor_position":
                self.found["cursor_path"] = info

    def _recent_files(self, content: str) -> Iterator[RecentFile]:
        for line in content.split("\n"):
            trimmed = line.strip(RUST_WHITESPACE)
            path, tab, position = trimmed.rpartition("\t")
            if not tab:
                if trimmed:
                    yield RecentFile(trimmed)
                continue
            digits = position.removeprefix("+")
            is_number = digits.isascii() and digits.isdecimal()
            if not is_number:
                self.ignored.append(f"the position {position!r} of {path!r}")
            yield RecentFile(path, int(digits) if is_number else None)
