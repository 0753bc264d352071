"""The import for a name just used: the line, or the name in the line that already imports from there.

The name's only use is the statement typed last. Where the imports are far from it, the cursor has gone there. Another
file of the project that imports the same is given as context, where there is one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Final

from capture.inputs import RelatedExcerpt, RelatedFile, Span
from training_export.student.syntax.parsed import ParsedFile, Word, WordKind
from training_export.student.synthesis.anatomy import Anatomy, anatomy_of
from training_export.student.synthesis.edits import Edit, apply_edits, offset_after, place_at, without_rows
from training_export.student.synthesis.leftovers import element_deletion
from training_export.student.synthesis.messages import MESSAGES
from training_export.student.synthesis.moment import Diagnosed, Moment, Step, Task
from training_export.student.synthesis.propagation import NEAR_ROWS, moment_of

if TYPE_CHECKING:
    from tree_sitter import Node

    from training_export.student.synthesis.moment import Surroundings

_REQUIRED: Final = re.compile(r"= require\([^()]*\);?$")
TRIES = 12
MOST_ROWS_OF_USE = 4
SHARE_REPORTED = 0.5  # by a language server
SHARE_BEGUN = 0.4  # of the lines at which the cursor is
_LAST_SEGMENT: Final = re.compile(r"([A-Za-z_]\w*)(?:/v\d+)?\"$")


@dataclass(frozen=True, slots=True)
class Imported:
    """A name, what deletes its import, and the words that use it."""

    name: str
    deletion: Edit
    is_line: bool
    row: int
    uses: tuple[Word, ...]


def imports(file: ParsedFile, random: Random, surroundings: Surroundings) -> Moment | None:
    """A name was used whose import comes next."""
    anatomy = anatomy_of(file)
    found: list[Imported] | None = anatomy.memo.get(imports)
    if found is None:
        found = anatomy.memo[imports] = list(_imported_once(anatomy))
    for imported in random.sample(found, min(len(found), TRIES)):
        moment = _used(anatomy, random, imported)
        if moment is not None:
            return _with_context(moment, imported, file, surroundings)
    return None


def _used(anatomy: Anatomy, random: Random, imported: Imported) -> Moment | None:
    file, rows, use = anatomy.file, anatomy.rows, imported.uses[0]
    statement = anatomy.statement_of(use)
    if statement is None or not anatomy.fills_rows(statement):
        return None
    first, last = anatomy.row_span(statement)
    if last - first >= MOST_ROWS_OF_USE:
        first = last = use.row  # a line of something long
    if not all(first <= other.row <= last for other in imported.uses):
        return None
    missing = imported.deletion
    before = apply_edits(file.text, [missing, without_rows(rows, first, last + 1)])
    text = apply_edits(file.text, [missing])
    typed_at = offset_after(rows.end_of(last), [missing])
    steps = [Step(file.path, text, place_at(text, typed_at), random.uniform(0.5, 4.0))]
    if abs(use.row - imported.row) > NEAR_ROWS or random.random() < SHARE_BEGUN:
        steps.append(_at_imports(anatomy, random, imported))
    moment = moment_of(file, Task.IMPORT, "line" if imported.is_line else "name", steps, file.text, before=before)
    if moment is None or random.random() >= SHARE_REPORTED:
        return moment
    return _with_report(anatomy, random, moment, imported)


def _at_imports(anatomy: Anatomy, random: Random, imported: Imported) -> Step:
    """The cursor where the import belongs, perhaps with a line begun."""
    file, rows, missing = anatomy.file, anatomy.rows, imported.deletion
    if imported.is_line and random.random() < SHARE_BEGUN:
        line = file.lines[imported.row]
        indent = line[: len(line) - len(line.lstrip())]
        keyword = next((word for word in anatomy.grammar.import_keywords if line.lstrip().startswith(word)), "")
        begun = indent + random.choice(("", keyword))
        start = rows.starts[imported.row]
        text = apply_edits(file.text, [Edit(start, rows.end_of(imported.row), begun)])
        return Step(file.path, text, place_at(text, start + len(begun)), random.uniform(1.0, 5.0))
    text = apply_edits(file.text, [missing])
    offset = max(0, missing.start - 1) if imported.is_line else missing.start
    return Step(file.path, text, place_at(text, offset), random.uniform(1.0, 5.0))


def _with_report(anatomy: Anatomy, random: Random, moment: Moment, imported: Imported) -> Moment:
    message = random.choice(MESSAGES[anatomy.file.language]["undefined"]).format(name=imported.name)
    added = moment.current.count("\n") - anatomy.text.count("\n")
    use = imported.uses[0]
    row = use.row + (added if use.row > imported.row else 0)
    return replace(moment, diagnostics=(Diagnosed(row, use.start, use.end, message),))


def _with_context(moment: Moment, imported: Imported, file: ParsedFile, surroundings: Surroundings) -> Moment:
    """The same import in another file of the project, where one has it."""
    line = file.lines[imported.row].strip()
    for sibling in surroundings.siblings:
        rows = [row for row, other in enumerate(sibling.lines) if imported.is_line and other.strip() == line]
        if rows:
            span = Span(max(0, rows[0] - 1), min(len(sibling.lines), rows[0] + 2))
            shown = "".join(text + "\n" for text in sibling.lines[span.start : span.end])
            related = RelatedFile(sibling.path, len(sibling.lines) - 1, (RelatedExcerpt(span, shown),))
            return replace(moment, related=(related,))
    return moment


def _imported_once(anatomy: Anatomy) -> Iterator[Imported]:
    """Names of imports that one statement alone can use: all their uses are near each other."""
    uses: dict[str, list[Word]] = defaultdict(list)
    nodes = [
        *anatomy.nodes(anatomy.grammar.imports),
        *(node for node in anatomy.nodes(anatomy.grammar.import_calls) if _REQUIRED.search(anatomy.source(node))),
    ]
    import_rows = {row for node in nodes for row in range(anatomy.row_span(node)[0], anatomy.row_span(node)[1] + 1)}
    for row, words in anatomy.file.words.items():
        for word in words:
            if row not in import_rows and word.kind in (WordKind.NAME, WordKind.TYPE) and not word.is_attribute:
                uses[word.text].append(word)
    for node in nodes:
        first, last = anatomy.row_span(node)
        if first != last or not anatomy.fills_rows(node):
            continue
        names = _names_of(anatomy, node)
        for name, holder in names:
            found = tuple(uses[name])
            if not found or found[-1].row - found[0].row >= MOST_ROWS_OF_USE:
                continue
            if len(names) == 1:
                yield Imported(name, without_rows(anatomy.rows, first, first + 1), True, first, found)
            elif holder is not None and (deletion := element_deletion(anatomy, holder)) is not None:
                yield Imported(name, deletion, False, first, found)


def _names_of(anatomy: Anatomy, node: Node) -> list[tuple[str, Node | None]]:
    """The names that an import brings, each with the node that stands for it alone."""
    row = anatomy.row_span(node)[0]
    words = [word for word in anatomy.file.words.get(row, ()) if word.is_definition]
    if words:
        return [(word.text, anatomy.node_of(word)) for word in words]
    segment = _LAST_SEGMENT.search(anatomy.source(node))
    return [(segment[1], None)] if segment else []
