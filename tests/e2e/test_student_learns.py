"""The whole circle: the shipped student errs in the same way again and again, and learns from what was typed instead.

Somebody renames a parameter, again and again, in code of one kind in which the student does not go on with it. Each
moment is captured, and settles with more in it than anybody could have foretold. What comes out of ``export`` and
``settle`` is trained on; judged is the other half of the session, in which nothing but the rename was typed, and
moments of all kinds from other code.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from bench.captured_session import FORETYPE, REPOSITORY, Machine, capture

pytestmark = pytest.mark.train

FILES = 48  # every other one is learnt from
FILES_A_ROUND = 8  # that settle side by side
STEPS = 32
STANDARD_MOMENTS, REPLAYED_MOMENTS = 200, 600
STANDARD_TASKS = "rename=1,repeat=1,quiet=2"
VERBS = ("load", "store", "price", "count", "scale", "merge", "weigh", "sort", "pack", "ship", "send", "read")
THINGS = ("order", "item", "parcel", "basket", "voucher", "label", "route", "customer", "rack", "pallet")
NAMES = (
    "size",
    "width",
    "total",
    "amount",
    "limit",
    "weight",
    "height",
    "factor",
    "ratio",
    "depth",
    "margin",
    "offset",
)
AFTERTHOUGHTS = ("rounded", "without taxes", "for the label", "as agreed", "see the manual")


@dataclass(frozen=True, slots=True)
class Right:
    """How many answers of a model were right."""

    count: int
    total: int

    def __str__(self) -> str:
        return f"{self.count} of {self.total}"


@pytest.fixture
def folder():
    """A machine's; short, for the path of a socket."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def session() -> tuple[dict[str, str], list[dict[str, object]]]:
    """The files and what is done in each; in every other one something is added that no model could know."""
    random = Random(3)
    files: dict[str, str] = {}
    moments: list[dict[str, object]] = []
    for number in range(FILES):
        verb, thing = VERBS[number % len(VERBS)], THINGS[number // 2 % len(THINGS)]
        old, new, other = random.sample(NAMES, 3)
        path = f"shop/part_{number:02}.py"
        files[path] = f'''
def {verb}_{thing}({old}, {other}):
    """How a {thing} is to {verb}."""
    if {old} > {other}:
        raise ValueError("{old} is too large")
    report("{old}", {old})
    return {old} * {other}
'''
        moment: dict[str, object] = {
            "round": number // FILES_A_ROUND, "file": path, "answer": "reject",
            "replace": [old, new], "everywhere": [old, new],
        }  # fmt: skip
        if is_learnt_from(number):
            moment["then"] = [{"at": f"{old} * {other}", "type": f"  # {random.choice(AFTERTHOUGHTS)}"}]
        moments.append(moment)
    return files, moments


def is_learnt_from(number: int) -> bool:
    return number % 2 == 0


def part(path: Path, out: Path, *, learnt_from: bool) -> None:
    """The lines of the files that are learnt from, or of the others."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    numbers = (int(json.loads(line)["cursor_path"].rpartition("_")[2].removesuffix(".py")) for line in lines)
    kept = [line for line, number in zip(lines, numbers, strict=True) if is_learnt_from(number) is learnt_from]
    assert len(kept) == FILES // 2
    out.write_text("".join(kept), encoding="utf-8")


def test_what_the_shipped_student_gets_wrong_again_and_again_is_learnt_from_the_session(folder):
    files, moments = session()
    machine = Machine(folder, files)

    def foretype(*words):
        env = {**machine.env, "PYTHONPATH": str(REPOSITORY)}
        made = subprocess.run(
            [*FORETYPE, *map(str, words)], cwd=folder, env=env, capture_output=True, text=True, check=False
        )
        assert made.returncode == 0, made.stderr
        return made.stdout

    def right(model, cases):
        out = folder / f"evaluated-{Path(model).stem}-{cases.stem}"
        said = json.loads(
            foretype("model", "evaluate", model, "--cases", cases, "--out", out, "--no-ranking", "--json")
        )
        alone = [row["alone"] for row in said["by_task"]]
        return Right(sum(row["count"] for row in alone), sum(row["total"] for row in alone))

    try:
        asyncio.run(capture(machine, moments, folder / "log"))
        foretype("export", "-o", "exported.jsonl")
        foretype("export", "--for-eval", "-o", "for_eval.jsonl")
    finally:
        machine.foretype("stop")
    part(folder / "exported.jsonl", folder / "errors.jsonl", learnt_from=True)
    held_out, standard = folder / "held_out.jsonl", folder / "standard.jsonl"
    part(folder / "for_eval.jsonl", held_out, learnt_from=False)

    settled = json.loads(foretype("settle", "errors.jsonl", "-o", "settled.jsonl", "--json"))
    assert settled["tallies"]["learnable"] >= FILES // 4
    sources = [REPOSITORY / room for room in ("capture", "daemon", "training_export")]
    usual = ("synthesize", *sources, "--tasks", STANDARD_TASKS)
    foretype(*usual, "--side", "train", "--count", REPLAYED_MOMENTS, "-o", "replay.jsonl")
    foretype(*usual, "--side", "test", "--count", STANDARD_MOMENTS, "-o", standard)
    trained = ("train", "--from", "settled.jsonl", "--base", "embedded", "--replay", "replay.jsonl")
    foretype(*trained, "--steps", STEPS, "--out", "run")
    foretype("model", "export", "run", "-o", "retrained.gguf", "--type", "q8_0")

    before, after = (right(model, held_out) for model in ("embedded", "retrained.gguf"))
    usually_before, usually_after = (right(model, standard) for model in ("embedded", "retrained.gguf"))
    print(
        f"right in the other half: {before}, then {after}; in the standard set: {usually_before}, then {usually_after}"
    )
    assert after.count >= before.count + FILES // 8
    assert usually_after.count >= usually_before.count - 0.01 * usually_before.total
