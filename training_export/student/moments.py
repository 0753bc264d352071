"""What synthetic editing moments are made of: a parsed file, a window of its lines, and the moment itself.

Knows Python's tokens and scopes; nothing of the tasks that are made of them, of models or prompt formats.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from capture.editing.unified_diff import write_hunks
from capture.inputs import EditEvent, ExcerptRanges, PredictionInputs, Span
from training_export.student.corpus import SourceFile


@dataclass(frozen=True, slots=True)
class Word:
    """A token of one line: its kind, text and character columns, and the token texts around it."""

    kind: int
    text: str
    row: int
    start: int
    end: int
    previous: str
    following: str
    depth: int  # open brackets around it


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """A file's lines, its words by row, and each row's innermost function (-1 outside any)."""

    source: SourceFile
    lines: tuple[str, ...]
    words: dict[int, tuple[Word, ...]]
    scopes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One moment: the texts the window went through (the last is the current one) and what comes next.

    ``cursor`` is (row, character column) in the current text.
    """

    task: str
    path: str
    steps: tuple[str, ...]
    cursor: tuple[int, int]
    expected: str

    @property
    def current(self) -> str:
        """The text the model is shown."""
        return self.steps[-1]

    def inputs(self) -> PredictionInputs:
        """The moment as the daemon would see it."""
        row, column = self.cursor
        before = "".join(line + "\n" for line in self.current.split("\n")[:row])
        offset = len((before + self.current.split("\n")[row][:column]).encode())
        whole = Span(0, len(self.current.encode()))
        events = tuple(
            EditEvent(self.path, self.path, diff)
            for old, new in zip(self.steps, self.steps[1:], strict=False)
            if (diff := write_hunks(old, new))
        )
        return PredictionInputs(
            cursor_path=self.path,
            cursor_excerpt=self.current,
            cursor_offset_in_excerpt=offset,
            excerpt_ranges=ExcerptRanges({"editable_350": whole, "editable_150": whole, "editable_180": whole}),
            excerpt_start_row=0,
            events=events,
            syntax_ranges=(),
        )


def parse_file(source: SourceFile) -> ParsedFile | None:
    """Words and scopes of a file, None when it is not valid Python of this version."""
    try:
        tree = ast.parse(source.text)
        tokens = list(tokenize.generate_tokens(io.StringIO(source.text).readline))
    except (SyntaxError, ValueError, tokenize.TokenError):
        return None
    lines = tuple(source.text.split("\n"))
    scopes = [-1] * (len(lines) + 1)
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    for index, function in enumerate(sorted(functions, key=lambda node: node.lineno)):
        for row in range(function.lineno - 1, function.end_lineno or function.lineno):
            scopes[row] = index
    words: dict[int, list[Word]] = defaultdict(list)
    depth = 0
    kept = [token for token in tokens if token.type not in (tokenize.NL, tokenize.NEWLINE)]
    for index, token in enumerate(kept):
        if token.string in "([{" and token.string:
            depth += 1
        elif token.string in ")]}" and token.string:
            depth -= 1
        if token.start[0] != token.end[0] or not token.string.strip():
            continue
        words[token.start[0] - 1].append(
            Word(
                kind=token.type,
                text=token.string,
                row=token.start[0] - 1,
                start=token.start[1],
                end=token.end[1],
                previous=kept[index - 1].string if index else "",
                following=kept[index + 1].string if index + 1 < len(kept) else "",
                depth=depth,
            )
        )
    return ParsedFile(source, lines, {row: tuple(items) for row, items in words.items()}, tuple(scopes))


class Window:
    """Rows ``first`` to ``last`` (exclusive) of a file, edited by row."""

    def __init__(self, file: ParsedFile, first: int, last: int) -> None:
        self.file = file
        self.first = first
        self.lines = list(file.lines[first:last])
        self.words = {row - first: file.words.get(row, ()) for row in range(first, last)}
        self.scopes = file.scopes[first:last]

    def text(self, replaced: dict[int, str] | None = None) -> str:
        """The window's text with some rows replaced."""
        replaced = replaced or {}
        return "\n".join(replaced.get(row, line) for row, line in enumerate(self.lines))

    def case(self, task: str, steps: Sequence[str], cursor: tuple[int, int], expected: str) -> Case:
        """A case in this window."""
        return Case(task, self.file.source.path, tuple(steps), cursor, expected)


def replace_words(line: str, words: Sequence[Word], text: str) -> str:
    """``line`` with the given words (of that line) replaced by ``text``."""
    for word in sorted(words, key=lambda item: -item.start):
        line = line[: word.start] + text + line[word.end :]
    return line
