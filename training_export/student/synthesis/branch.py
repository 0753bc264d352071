"""A sibling modelled on the one before: another case, method, field or test, where a pattern is visible.

Siblings stand one below the other and have the same type of node. The newer one is begun, and what follows is what
its predecessor says, with other words. Natural siblings of the file: nothing is invented.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final

from training_export.student.synthesis.anatomy import Anatomy, anatomy_of
from training_export.student.synthesis.edits import Edit, apply_edits, place_at, without_rows
from training_export.student.synthesis.finish import pause_column
from training_export.student.synthesis.moment import Moment, Step, Task
from training_export.student.synthesis.propagation import moment_of

if TYPE_CHECKING:
    from tree_sitter import Node

    from training_export.student.syntax.parsed import ParsedFile
    from training_export.student.synthesis.moment import Surroundings

MOST_ROWS = 8  # of a sibling that is to come
TRIES = 20
LEAST_ALIKE = 0.6  # share of words that two siblings have in common, place by place
SHARE_BELOW_STANDS = 0.7
SHARE_BEHIND_THE_NEW = 0.75
SHARE_MODEL_TYPED = 0.4  # a moment ago, before the newer one
_WORD: Final = re.compile(r"\w+|[^\w\s]")
_CHAINS: Final = ("if_statement", "if_expression")
_KINDS: Final = (
    ("arm", ("case", "arm", "elif", "default")),
    ("method", ("function", "method")),
    ("field", ("field", "property", "pair", "element", "variant", "spec", "initializer")),
    ("branch", ("if_",)),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two siblings, in characters. ``start`` to ``end`` is what the newer one adds to the text.

    ``model_start`` is where the model was added, None where it cannot be taken away without the newer one.
    ``model`` and ``said_from`` to ``end`` are the texts that are alike; ``last`` is the newer one's node where its own
    siblings may follow on rows of their own.
    """

    model_start: int | None
    model: str
    start: int
    said_from: int
    end: int
    kind: str
    last: Node | None


def branch(file: ParsedFile, random: Random, surroundings: Surroundings) -> Moment | None:
    """The rest of a sibling that was begun."""
    del surroundings
    anatomy = anatomy_of(file)
    by_kind: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs_of(anatomy):
        by_kind[pair.kind].append(pair)
    if not by_kind:
        return None
    pairs = by_kind[random.choice(sorted(by_kind))]
    for pair in random.sample(pairs, min(len(pairs), TRIES)):
        moment = _begun(anatomy, random, pair)
        if moment is not None:
            return moment
    return None


def kind_of(node_type: str) -> str:
    """The kind under which siblings of this type go."""
    return next((kind for kind, parts in _KINDS if any(part in node_type for part in parts)), "statement")


def pairs_of(anatomy: Anatomy) -> list[Pair]:
    """Siblings, the newer modelled on the one before it."""
    found: list[Pair] | None = anatomy.memo.get(pairs_of)
    if found is None:
        pairs = [*_below_one_another(anatomy), *_chained(anatomy)]
        found = [pair for pair in pairs if is_modelled(pair.model, anatomy.text[pair.said_from : pair.end])]
        anatomy.memo[pairs_of] = found
    return found


def _below_one_another(anatomy: Anatomy) -> Iterator[Pair]:
    rows = anatomy.rows
    for newer in anatomy.nodes(anatomy.grammar.siblings):
        model = newer.prev_named_sibling
        if model is None or model.type != newer.type:
            continue
        (first, last), (newer_first, newer_last) = anatomy.row_span(model), anatomy.row_span(newer)
        if not last < newer_first <= last + 2 or newer_last - newer_first >= MOST_ROWS:
            continue
        if anatomy.fills_rows(newer) and (anatomy.fills_rows(model) or first == last):
            yield Pair(
                model_start=rows.end_of(first - 1) if first else None,
                model=anatomy.source(model),
                start=rows.end_of(last),
                said_from=anatomy.span(newer)[0],
                end=rows.end_of(newer_last),
                kind=kind_of(newer.type),
                last=newer,
            )


def _chained(anatomy: Anatomy) -> Iterator[Pair]:
    """``else if`` behind an ``if`` of which it is a part; what it adds begins behind the first one's block."""
    for model in anatomy.nodes(_CHAINS):
        newer = model.child_by_field_name("alternative")
        if newer is not None and newer.type == "else_clause":
            newer = next((node for node in newer.named_children if node.type == model.type), None)
        block = model.child_by_field_name("consequence")
        added = None if newer is None else newer.child_by_field_name("consequence")
        if newer is None or block is None or added is None or newer.type not in (*_CHAINS, "elif_clause"):
            continue
        start, end = anatomy.span(block)[1], anatomy.span(added)[1]
        is_cut_at_rows = anatomy.grammar.braces or anatomy.row_span(block)[1] + 1 == anatomy.row_span(newer)[0]
        if not is_cut_at_rows or anatomy.text.count("\n", start, end) > MOST_ROWS:
            continue
        text = anatomy.text[anatomy.span(model)[0] : start]
        yield Pair(None, text, start, anatomy.span(newer)[0], end, "arm", None)


def is_modelled(model: str, newer: str) -> bool:
    """Whether most words of the newer text are the model's, and each other one stands for the same word throughout."""
    old: list[str] = _WORD.findall(model)
    new: list[str] = _WORD.findall(newer)
    if len(old) != len(new) or len(new) < 4 or old == new:
        return False
    stands_for: dict[str, str] = {}
    for before, after in zip(old, new, strict=True):
        if before.isalnum() is not after.isalnum() or stands_for.setdefault(before, after) != after:
            return False
    same = sum(before == after for before, after in zip(old, new, strict=True))
    return same >= LEAST_ALIKE * len(new)


def _begun(anatomy: Anatomy, random: Random, pair: Pair) -> Moment | None:
    """The newer sibling typed up to where its predecessor says the rest."""
    file = anatomy.file
    unwritten = _siblings_below(anatomy, pair.last) if random.random() >= SHARE_BELOW_STANDS else []
    column = _where(anatomy, random, pair)
    if column >= pair.end:
        return None
    before = apply_edits(file.text, [*unwritten, Edit(pair.start, pair.end, "")])
    steps = []
    if pair.model_start is not None and random.random() < SHARE_MODEL_TYPED:
        steps.append(Step(file.path, before, place_at(before, pair.start), random.uniform(1.0, 4.0)))
        before = apply_edits(file.text, [*unwritten, Edit(pair.model_start, pair.end, "")])
    text = apply_edits(file.text, [*unwritten, Edit(column, pair.end, "")])
    steps.append(Step(file.path, text, place_at(text, column), random.uniform(0.3, 3.0)))
    return moment_of(file, Task.BRANCH, pair.kind, steps, apply_edits(file.text, unwritten), before=before)


def _where(anatomy: Anatomy, random: Random, pair: Pair) -> int:
    """Behind the words that only the programmer knows, or in the middle of the first line."""
    known: set[str] = set()
    behind = pair.said_from
    words = _WORD.finditer(anatomy.text[pair.said_from : pair.end])
    for before, found in zip(_WORD.findall(pair.model), words, strict=True):
        if before != found[0] and before not in known:
            known.add(before)
            behind = pair.said_from + found.end()
    if random.random() < SHARE_BEHIND_THE_NEW or behind == pair.said_from:
        return behind
    line = anatomy.text[pair.said_from : pair.end].split("\n")[0]
    return pair.said_from + pause_column(random, line) if len(line) > 2 else behind


def _siblings_below(anatomy: Anatomy, node: Node | None) -> list[Edit]:
    """What deletes the siblings of its type right below it."""
    last = node
    while last is not None and (following := last.next_named_sibling) is not None and following.type == last.type:
        if not anatomy.fills_rows(following):
            return []
        last = following
    if last is None or node is None or last == node:
        return []
    return [without_rows(anatomy.rows, anatomy.row_span(node)[1] + 1, anatomy.row_span(last)[1] + 1)]
