"""What is measured: the pipeline's commands, each with what it reads and up to how many examples it is worth the time.

Knows nothing of measuring.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.pipelining.examples import write_checkout, write_examples, write_moments_in, write_snapshots

FORETYPE = (sys.executable, "-m", "daemon.main")
CHECKOUT = "checkout"
MODEL_EXAMPLES = 1_000  # where a model is asked, or a stand-in for one
SAMPLES = 50


@dataclass(frozen=True, slots=True)
class Scene:
    """The files of one size: ``folder`` has what is read, ``scratch`` is empty before each command."""

    folder: Path
    scratch: Path
    teacher_url: str
    count: int

    def path(self, name: str) -> str:
        """An input, made where it is not there yet."""
        path = self.folder / name
        if not path.exists():
            self._make(path)
        return str(path)

    @property
    def output(self) -> str:
        """Where examples go."""
        return str(self.scratch / "out.jsonl")

    def _make(self, path: Path) -> None:
        """Raises KeyError for what only another row makes."""
        part = path.with_name(f"{path.name}.part")
        _MAKERS[path.name](part, self.count)
        part.rename(path)


def _write_moments(path: Path, count: int) -> None:
    """With the checkout beside them."""
    checkout = path.parent / CHECKOUT
    write_checkout(checkout)
    write_moments_in(checkout, path, count)


_MAKERS: Mapping[str, Callable[[Path, int], None]] = {
    "examples.jsonl": write_examples,
    "snapshots.jsonl": write_snapshots,
    "moments.jsonl": _write_moments,
}


@dataclass(frozen=True, slots=True)
class Measured:
    """One row. ``command`` says what is run; ``most`` is the largest size at which it is, 0 for any.

    ``keeps`` is the name under which its output is kept for a later row. ``of`` is the row a yardstick belongs to.
    """

    name: str
    command: Callable[[Scene], Sequence[str]]
    reads: str = "examples.jsonl"
    most: int = 0
    keeps: str = ""
    of: str = ""


def _foretype(name: str, *options: str, reads: str = "examples.jsonl") -> Callable[[Scene], Sequence[str]]:
    return lambda scene: (*FORETYPE, name, scene.path(reads), "-o", scene.output, *options)


def _without_output(name: str, *options: str, reads: str = "examples.jsonl") -> Callable[[Scene], Sequence[str]]:
    return lambda scene: (*FORETYPE, name, scene.path(reads), *options)


def _teacher(name: str, reads: str = "examples.jsonl") -> Callable[[Scene], Sequence[str]]:
    def command(scene: Scene) -> Sequence[str]:
        cache = str(scene.scratch / "answers.sqlite3")
        asked = ("--teacher", "sonnet46", "--base-url", scene.teacher_url, "--cache", cache)
        return (*FORETYPE, name, scene.path(reads), "-o", scene.output, *asked)

    return command


def _split(scene: Scene) -> Sequence[str]:
    shares = (f"{scene.scratch / 'train.jsonl'}=80%", f"{scene.scratch / 'test.jsonl'}=rest")
    return (*FORETYPE, "split", scene.path("examples.jsonl"), "-o", shares[0], "-o", shares[1])


def _context(scene: Scene) -> Sequence[str]:
    moments = scene.path("moments.jsonl")
    return (*FORETYPE, "context", moments, "-o", scene.output, "--checkout", str(scene.folder / CHECKOUT))


def _trivial(scene: Scene) -> Sequence[str]:
    return (sys.executable, "-m", "bench.pipelining.trivial", scene.path("examples.jsonl"), scene.output)


def _datasets(kind: str) -> Callable[[Scene], Sequence[str]]:
    program = (sys.executable, "-m", "bench.pipelining.datasets_map", kind)
    return lambda scene: (*program, scene.path("examples.jsonl"), scene.output, str(scene.scratch / "cache"))


STAGES: Sequence[Measured] = (
    Measured("export", _foretype("export", reads="snapshots.jsonl"), reads="snapshots.jsonl"),
    Measured("import", _foretype("import")),
    Measured("trivial map", _trivial),
    Measured("datasets: trivial map", _datasets("trivial"), of="trivial map"),
    Measured("score", _foretype("score"), keeps="scored.jsonl"),
    Measured("datasets: score", _datasets("score"), most=10_000, of="score"),
    Measured("eval", _without_output("eval", "--json", reads="scored.jsonl"), reads="scored.jsonl"),
    Measured("targets", _foretype("targets")),
    Measured("format", _foretype("format", "--format", "zeta2")),
    Measured("format, tokens counted", _foretype("format"), most=10_000),
    Measured("redact", _foretype("redact"), most=10_000),
    Measured("filter", _foretype("filter", "--has", "foretype.settled")),
    Measured("sample", _foretype("sample", "--fraction", "0.5")),
    Measured("dedup", _foretype("dedup")),
    Measured("split", _split),
    Measured("census", _without_output("census", "--json")),
    Measured("validate", _without_output("validate", "--json", "--quiet"), most=10_000),
    Measured("context", _context, reads="moments.jsonl", most=MODEL_EXAMPLES),
    Measured("distill", _teacher("distill"), most=MODEL_EXAMPLES, keeps="distilled.jsonl"),
    Measured("judge", _teacher("judge", "distilled.jsonl"), reads="distilled.jsonl", most=MODEL_EXAMPLES),
    Measured("repair", _teacher("repair", "distilled.jsonl"), reads="distilled.jsonl", most=MODEL_EXAMPLES),
    Measured("settle", _foretype("settle", "--samples", str(SAMPLES)), most=MODEL_EXAMPLES),
)
