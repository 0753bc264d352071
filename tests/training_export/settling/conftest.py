"""Moments whose kind is known because they were made so: the planted set."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from capture.inputs import Span
from training_export.example import Example
from training_export.settling.bands import SettleClass
from training_export.student.corpus import SourceFile, corpus_names
from training_export.student.moments import Case, parse_file
from training_export.student.synthesis import Synthesiser, defeats_plain_rule

SESSIONS = Path(__file__).parents[3] / "bench" / "sessions"

# Libraries that do not exist: in each, one call was moved to the new interface, and the others want something more
# than what the first one shows. (file, what the line was, what was typed, what the others were and became)
UNKNOWN_APIS = (
    (
        "from quorumkit import Ballot\n\n\ndef open_votes(store):\n    mayor = {}\n    council = {}\n    school = {}\n    return mayor, council, school",
        ('load_ballot(store["mayor"])', 'Ballot.unseal(store["mayor"])'),
        ('load_ballot(store["council"])', 'Ballot.unseal(store["council"], quorum=5)'),
        ('load_ballot(store["school"])', 'Ballot.unseal(store["school"], quorum=3)'),
    ),
    (
        "import tidewire\n\n\ndef gauges(bus):\n    north = {}\n    south = {}\n    harbour = {}\n    return [north, south, harbour]",
        ("bus.read_gauge('north')", "bus.sluice('north')"),
        ("bus.read_gauge('south')", "bus.sluice('south').settle()"),
        ("bus.read_gauge('harbour')", "bus.sluice('harbour').settle()"),
    ),
    (
        "import glyphpress as gp\n\n\ndef pages(book):\n    cover = {}\n    index = {}\n    notes = {}\n    return cover + index + notes",
        ("render_page(book.cover)", "gp.impose(book.cover)"),
        ("render_page(book.index)", "gp.impose(book.index, bleed=2)"),
        ("render_page(book.notes)", "gp.impose(book.notes, bleed=2)"),
    ),
    (
        "from lanternd import beacon\n\n\ndef start(node):\n    left = {}\n    right = {}\n    rear = {}\n    node.lights = (left, right, rear)",
        ("make_lamp(node.left_pin)", "beacon(node.left_pin)"),
        ("make_lamp(node.right_pin)", "beacon(node.right_pin, phase=1)"),
        ("make_lamp(node.rear_pin)", "beacon(node.rear_pin, phase=2)"),
    ),
    (
        "import mossdb\n\n\ndef totals(path):\n    orders = {}\n    returns = {}\n    visits = {}\n    return orders - returns, visits",
        ('count_rows(path, "orders")', 'tally(path, "orders")'),
        ('count_rows(path, "returns")', 'tally(path, "returns", live=True)'),
        ('count_rows(path, "visits")', 'tally(path, "visits", live=True)'),
    ),
    (
        "from ferrypass import Slip\n\n\ndef board(queue):\n    car = {}\n    bike = {}\n    foot = {}\n    return car, bike, foot",
        ("print_ticket(queue.car)", "Slip(queue.car)"),
        ("print_ticket(queue.bike)", "Slip(queue.bike).stamped"),
        ("print_ticket(queue.foot)", "Slip(queue.foot).stamped"),
    ),
)


@dataclass(frozen=True)
class Planted:
    """A moment, what kind it is, and where it comes from."""

    kind: SettleClass
    origin: str
    case: Case

    def example(self, region=None):
        return settled_example(self.case, name=self.origin, region=region)


def settled_example(case: Case, name: str = "", region: Span | None = None) -> Example:
    """The moment as an example whose whole text (or ``region``) settled as what was expected."""
    inputs = case.inputs()
    text = inputs.excerpt_bytes
    region = region or Span(0, len(text))
    tail = len(text) - region.end
    settled = case.expected.encode()
    at = inputs.cursor_offset_in_excerpt
    marked = (text[:at] + b"<|user_cursor|>" + text[at:]).decode()
    return Example.new(
        name=name,
        cursor_path=inputs.cursor_path,
        cursor_position=marked,
        prompt_inputs=inputs.to_json(),
        foretype={"region": region.to_json(), "settled": settled[region.start : len(settled) - tail].decode()},
    )


def _files() -> list[SourceFile]:
    tables = [tomllib.loads(path.read_text()) for path in sorted(SESSIONS.glob("python_*.toml"))]
    return [SourceFile("sessions", table["path"], table["text"]) for table in tables]


class Planting:
    """Makes planted moments, always the same from the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.files = _files()
        self.names = corpus_names(self.files)
        self.parsed = [parsed for file in self.files if (parsed := parse_file(file)) is not None]
        self.synthesiser = Synthesiser(self.random, self.names)

    def cases(self, tasks, count):
        """Different moments of the tasks in turn."""
        found: dict[str, Case] = {}
        turn = 0
        while len(found) < count:
            case = self.synthesiser.case(self.random.choice(self.parsed), tasks[turn % len(tasks)])
            turn += 1
            if case is not None:
                found.setdefault(case.current, case)
        return list(found.values())

    def obvious(self, count):
        """What was changed once changes everywhere: nothing else could be meant."""
        followed = [case for case in self.cases(("rename", "repeat"), 3 * count) if not defeats_plain_rule(case)]
        return [Planted(SettleClass.OBVIOUS, case.task, case) for case in followed[:count]]

    def noise(self, count):
        """The lines around the cursor became others, out of another file."""
        planted = []
        for case in self.cases(("rename", "repeat", "finish_line", "quiet_single", "quiet_typed"), 2 * count):
            lines, others = case.current.split("\n"), self.random.choice(self.files).text.split("\n")
            height, first = self.random.randint(4, 8), max(0, case.cursor[0] - self.random.randint(0, 3))
            start = self.random.randrange(len(others) - height)
            rewritten = "\n".join([*lines[:first], *others[start : start + height], *lines[first + height :]])
            if rewritten != case.current:
                planted.append(Planted(SettleClass.NOISE, case.task, replace(case, expected=rewritten)))
        return planted[:count]

    def learnable(self, count):
        """What was changed once changes everywhere, and a name elsewhere changes that nothing foretells."""
        planted = []
        for case in (planted.case for planted in self.obvious(2 * count)):
            settled, now = case.expected.split("\n"), case.current.split("\n")
            rows = [row for row, line in enumerate(settled) if line == now[row] and re.search(r"[A-Za-z_]\w{3,}", line)]
            if not rows:
                continue
            row = self.random.choice(rows)
            word = self.random.choice(re.findall(r"[A-Za-z_]\w{3,}", settled[row]))
            settled[row] = settled[row].replace(word, self.random.choice(self.names), 1)
            expected = "\n".join(settled)
            if expected != case.expected:
                planted.append(
                    Planted(SettleClass.LEARNABLE, f"{case.task} and more", replace(case, expected=expected))
                )
        return planted[:count]


def unknown_apis() -> list[Planted]:
    """A library that no training data holds is being introduced, and the rest of its use follows."""
    return [Planted(SettleClass.LEARNABLE, "unknown interface", _migration(*api)) for api in UNKNOWN_APIS]


def _migration(frame, first, *others) -> Case:
    before = frame.format(first[0], *(old for old, _ in others))
    now = frame.format(first[1], *(old for old, _ in others))
    settled = frame.format(first[1], *(new for _, new in others))
    row = next(row for row, line in enumerate(now.split("\n")) if first[1] in line)
    typed = first[1].partition("(")[0]
    column = now.split("\n")[row].index(typed) + len(typed)
    return Case("migration", "app/main.py", (before, now), (row, column), settled)


@pytest.fixture(scope="session")
def planting():
    return Planting


@pytest.fixture(scope="session")
def apis():
    return unknown_apis()


@pytest.fixture(scope="session")
def as_settled():
    return settled_example
