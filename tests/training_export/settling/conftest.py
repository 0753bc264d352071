"""Moments whose kind is known because they were made so: the planted set."""

from __future__ import annotations

import asyncio
import logging
import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from capture.inputs import PredictionInputs, Span
from daemon.engine.client import EngineClient
from daemon.engine.messages import EngineAnswer, ModelSettings
from daemon.registry import EMBEDDED_PATH
from training_export.example import Example
from training_export.patches import patched_excerpt
from training_export.settling.bands import SettleClass
from training_export.student.sources.source_file import SourceFile
from training_export.student.synthesis.asked import asked_by_rule
from training_export.student.synthesis.making import names_of
from training_export.student.synthesis.moment import Moment, Place, Step, Task
from training_export.student.synthesis.synthesiser import Settings, Tally, synthesised

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
class Case:
    """A moment, and the text of its excerpt once what comes next is done."""

    inputs: PredictionInputs
    expected: str

    @property
    def current(self) -> str:
        return self.inputs.cursor_excerpt

    @property
    def whole(self) -> Span:
        return Span(0, len(self.inputs.excerpt_bytes))

    @property
    def rule_is_right(self) -> bool:
        return asked_by_rule(self.inputs, self.whole) == self.expected

    def after(self, answer: EngineAnswer) -> str:
        """The excerpt with the answer applied."""
        if answer.new_region_text is None:
            return self.current
        text, new = self.inputs.excerpt_bytes, answer.new_region_text.encode()
        return (text[: answer.region_start_bytes] + new + text[answer.region_end_bytes :]).decode()


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
    text = case.inputs.excerpt_bytes
    region = region or case.whole
    tail = len(text) - region.end
    settled = case.expected.encode()
    at = case.inputs.cursor_offset_in_excerpt
    marked = (text[:at] + b"<|user_cursor|>" + text[at:]).decode()
    return Example.new(
        name=name,
        cursor_path=case.inputs.cursor_path,
        cursor_position=marked,
        prompt_inputs=case.inputs.to_json(),
        foretype={"region": region.to_json(), "settled": settled[region.start : len(settled) - tail].decode()},
    )


def _files() -> list[SourceFile]:
    tables = [tomllib.loads(path.read_text()) for path in sorted(SESSIONS.glob("python_*.toml"))]
    return [SourceFile("python", "sessions", table["path"], table["text"]) for table in tables]


class Planting:
    """Makes planted moments, always the same from the same seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.files = _files()
        self.names, _ = names_of([file.text for file in self.files])

    def cases(self, tasks, count):
        """Different moments of the tasks, by name of the task."""
        settings = Settings(count, self.seed, dict.fromkeys(tasks, 1.0), {"python": 1.0})
        found = []
        for line in synthesised(self.files, settings, Tally()):
            example = Example.from_line(line.decode())
            inputs = example.prompt_inputs
            expected = patched_excerpt(inputs, example.expected_patches[0])
            found.append((example.value["foretype"]["synthesis"]["task"], Case(inputs, expected)))
        return found

    def obvious(self, count):
        """What was changed once changes everywhere: nothing else could be meant."""
        cases = self.cases((Task.RENAME, Task.REPEAT), 4 * count)
        return [Planted(SettleClass.OBVIOUS, task, case) for task, case in cases if case.rule_is_right][:count]

    def noise(self, count):
        """The lines around the cursor became others, out of another file."""
        planted = []
        for task, case in self.cases((Task.RENAME, Task.REPEAT, Task.FINISH_LINE, Task.QUIET), 2 * count):
            lines, others = case.current.split("\n"), self.random.choice(self.files).text.split("\n")
            cursor_row = case.inputs.excerpt_bytes.count(b"\n", 0, case.inputs.cursor_offset_in_excerpt)
            height, first = self.random.randint(4, 8), max(0, cursor_row - self.random.randint(0, 3))
            start = self.random.randrange(len(others) - height)
            rewritten = "\n".join([*lines[:first], *others[start : start + height], *lines[first + height :]])
            if rewritten != case.current:
                planted.append(Planted(SettleClass.NOISE, task, replace(case, expected=rewritten)))
        return planted[:count]

    def learnable(self, count):
        """What was changed once changes everywhere, and a name elsewhere changes that nothing foretells."""
        planted = []
        for of, case in ((planted.origin, planted.case) for planted in self.obvious(2 * count)):
            settled, now = case.expected.split("\n"), case.current.split("\n")
            rows = [row for row, line in enumerate(settled) if line == now[row] and re.search(r"[A-Za-z_]\w{3,}", line)]
            if not rows:
                continue
            row = self.random.choice(rows)
            word = self.random.choice(re.findall(r"[A-Za-z_]\w{3,}", settled[row]))
            settled[row] = settled[row].replace(word, self.random.choice(self.names), 1)
            expected = "\n".join(settled)
            if expected != case.expected:
                planted.append(Planted(SettleClass.LEARNABLE, f"{of} and more", replace(case, expected=expected)))
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
    path = "app/main.py"
    step = Step(path, now, Place(row, column))
    moment = Moment(Task.REPEAT, "migration", "python", "app", path, {path: before}, (step,), settled)
    return Case(moment.inputs(), settled)


async def _known(planted: list[Planted]) -> list[Planted]:
    engine = EngineClient(ModelSettings(str(EMBEDDED_PATH), threads=1), log=logging.getLogger("engine"))
    try:
        answers = [await engine.predict(one.case.inputs, deadline_seconds=60) for one in planted]
    finally:
        await engine.close()
    return [one for one, answer in zip(planted, answers, strict=True) if one.case.after(answer) == one.case.expected]


@pytest.fixture(scope="session")
def known_to_student():
    """Those whose most probable prediction is what came next: obvious is what this student knows."""
    return lambda planted: asyncio.run(_known(planted))


@pytest.fixture(scope="session")
def planting():
    return Planting


@pytest.fixture(scope="session")
def apis():
    return unknown_apis()


@pytest.fixture(scope="session")
def as_settled():
    return settled_example
