"""Examples as a team's pipeline would meet them, as many as are wanted, the same ones every time, no two alike.

They are the moments of ``bench/sessions`` as settled snapshots (``bench/uploading/samples.py``), of three sizes,
exported for evaluation, with a second prediction that did only a part. Where more are wanted than there are moments,
they come again with other names for what they name: each name as long as before, so that every offset and every patch
stays right. Every fifth example is the one before it with one name changed: a near-duplicate. Files of a size begin
with those of the smaller sizes. Knows nothing of what is measured.
"""

from __future__ import annotations

import hashlib
import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from bench.session import read_sessions
from bench.uploading.samples import contents, snapshots
from bench.workspaces import workspace_of
from capture.inputs import Span
from capture.snapshot.snapshot import Snapshot
from daemon.prompts.base import NewRegion
from training_export.errors import ExampleRejected
from training_export.example import Example
from training_export.exporting.snapshot_example import example_of
from training_export.patches import NotSayable, patch_of_region
from training_export.stage import OURS

SNAPSHOT_SIZES_BYTES = (5_000, 6_000, 9_000)  # settled; as examples 6 to 15 kB
EDITABLE = "editable_180"  # what prompts are made of; a snapshot that would be too large shows less
MOMENTS = 600  # of each size
DUPLICATE_OF = 5  # one in so many is a near-duplicate; sizes alternate by three
_ESCAPE_OR_WORD = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)|[A-Za-z_][A-Za-z0-9_]{3,}")
_KEPT_WORDS = frozenset(
    (
        *keyword.kwlist,
        "null",
        "true",
        "false",
        "self",
        "BufferChange",
        "export",
        "const",
        "function",
        "return",
        "interface",
        "package",
        "func",
    )
)


@dataclass(frozen=True, slots=True)
class Template:
    """An example's line in pieces; ``slots`` are the places of names among them."""

    pieces: tuple[str, ...]
    slots: tuple[int, ...]
    snapshot_id: str

    @classmethod
    def of(cls, example: Example, kept: frozenset[str]) -> Template:
        """Names are the words of its excerpt, but for those that are kept."""
        line = example.to_line()
        inputs = example.prompt_inputs
        names = set(re.findall(r"[A-Za-z_][A-Za-z0-9_]{3,}", inputs.cursor_excerpt if inputs else "")) - kept
        pieces: list[str] = []
        slots: list[int] = []
        end = 0
        for found in _ESCAPE_OR_WORD.finditer(line):
            if found[0] in names:
                pieces += [line[end : found.start()], found[0]]
                slots.append(len(pieces) - 1)
                end = found.end()
        pieces.append(line[end:])
        return cls(tuple(pieces), tuple(slots), str(example.value[OURS]["snapshot"]["id"]))

    def line(self, number: int, seed: int) -> str:
        """The example with this number, names drawn by ``seed``; where they differ, one name is drawn by number."""
        names = dict.fromkeys(self.pieces[slot] for slot in self.slots)
        drawn = {name: _drawn(name, seed) for name in names}
        if number != seed and names:
            other = list(names)[number % len(names)]
            drawn[other] = _drawn(other, number)
        pieces = list(self.pieces)
        for slot in self.slots:
            pieces[slot] = drawn[pieces[slot]]
        new_id = hashlib.sha256(str(number).encode()).hexdigest()[:12]
        return "".join(pieces).replace(self.snapshot_id[:12], new_id)


def lines(count: int) -> Iterator[str]:
    """So many examples, one a line, without its end."""
    templates = _templates(MOMENTS)
    for number in range(count):
        seed = number - (number % DUPLICATE_OF == DUPLICATE_OF - 1)
        yield templates[seed % len(templates)].line(number, seed)


def write_examples(path: Path, count: int) -> None:
    """A file of examples."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(f"{line}\n" for line in lines(count))


def write_snapshots(path: Path, count: int) -> None:
    """A file of snapshots, as ``foretype snapshots export`` writes them; contents repeat, ids do not."""
    with path.open("wb") as file:
        for _, content in contents(snapshots(MOMENTS, SNAPSHOT_SIZES_BYTES[0]), count):
            file.write(content + b"\n")


def write_checkout(folder: Path) -> None:
    """The projects of all sessions side by side, as they are when the sessions begin."""
    for session in read_sessions():
        for name, text in workspace_of(session).files.items():
            path = folder / session.name / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")


def write_moments_in(folder: Path, path: Path, count: int) -> None:
    """Examples without ``prompt_inputs`` whose cursor goes through the files of a checkout, row by row."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    texts = [(str(file.relative_to(folder)), file.read_text(encoding="utf-8").split("\n")) for file in files]
    with path.open("w", encoding="utf-8", newline="") as output:
        for number in range(count):
            name, rows = texts[number % len(texts)]
            row = number // len(texts) % len(rows)
            marked = "\n".join([*rows[:row], f"<|user_cursor|>{rows[row]}", *rows[row + 1 :]])
            example = Example.new(name=f"{name}-{number}", cursor_path=name, cursor_position=marked)
            output.write(f"{example.to_line()}\n")


@cache
def _templates(moments: int) -> list[Template]:
    """In turn of all sizes, so that every thousand has some of each."""
    by_size = [[*_exported(snapshots(moments, size))] for size in SNAPSHOT_SIZES_BYTES]
    examples = list(chain.from_iterable(zip(*by_size, strict=False)))
    kept = _KEPT_WORDS | {word for example in examples for word in _structure(example.value)}
    return [Template.of(example, kept) for example in examples]


def _exported(made: list[Snapshot]) -> Iterator[Example]:
    """Those whose edit a patch can say, and that show more than the region alone."""
    for snapshot in made:
        if EDITABLE not in snapshot.inputs.excerpt_ranges.to_json():
            continue
        try:
            yield _with_a_part(example_of(snapshot, for_eval=True))
        except (ExampleRejected, NotSayable):
            continue


def _with_a_part(example: Example) -> Example:
    """With a second prediction, which changed the first of the region's rows that changed, and nothing else."""
    ours, inputs = example.value[OURS], example.prompt_inputs
    if inputs is None:
        return example
    region = Span.from_json(ours["region"])
    before = inputs.excerpt_bytes[region.start : region.end].decode().split("\n")
    settled = ours["settled"].split("\n")
    row = next((row for row, (old, new) in enumerate(zip(before, settled, strict=False)) if old != new), None)
    part = before if row is None else [*before[:row], settled[row], *before[row + 1 :]]
    patch = patch_of_region(inputs, region, NewRegion("\n".join(part)))
    prediction = {"actual_patch": patch, "actual_output": "", "provider": "student"}
    return example.with_fields(predictions=[*example.value["predictions"], prediction])


def _structure(value: Any) -> Iterator[str]:
    """All words that are keys, or short values, and stand for themselves."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from re.findall(r"\w{4,}", key)
            yield from _structure(part)
    elif isinstance(value, list):
        for part in value:
            yield from _structure(part)
    elif isinstance(value, str) and len(value) < 24 and "/" not in value:
        yield from re.findall(r"\w{4,}", value)


def _drawn(name: str, seed: int) -> str:
    """Another name of the same form: letters for letters, digits and underscores as they are."""
    drawn = hashlib.blake2b(f"{seed} {name}".encode(), digest_size=min(64, len(name))).digest()
    letters = (drawn * (1 + len(name) // 64))[: len(name)]
    return "".join(
        character if not character.isalpha() else chr((65 if character.isupper() else 97) + number % 26)
        for character, number in zip(name, letters, strict=True)
    )


def sizes_bytes(path: Path) -> dict[str, int]:
    """How long its lines are."""
    with path.open("rb") as file:
        found = sorted(map(len, file))
    return {"median": found[len(found) // 2], "least": found[0], "largest": found[-1], "mean": sum(found) // len(found)}
