"""Secrets that Kingfisher's rules know: hundreds of providers' keys beside those of our own search.

An extra (``scan``): a program of its own, in a wheel. It reads files, so the texts of some thousand examples at a time
lie in a private folder for as long as it works. It is told to ask no provider whether a key is valid, and nobody
whether there is a newer version. Knows nothing of what is done with a secret.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from training_export.errors import ExtraMissing, StageBroken
from training_export.example import Example
from training_export.running.sources import Sources
from training_export.selecting.twice import examples_of
from training_export.stages.redact import texts_of, without_marks

BATCH_EXAMPLES: Final = 2000
BATCH_BYTES: Final = 32 << 20
FOUND_NONE, FOUND_SOME = 0, 200  # its exit codes
ARGUMENTS: Final = (
    *("--no-validate", "--no-update-check", "--no-rule-cache", "--no-dedup", "--no-base64", "--no-extract-archives"),
    *("--git-history", "none", "--quiet", "--format", "jsonl", "--output", "found.jsonl", "texts"),
)


def secrets_of_examples(inputs: Sources) -> dict[bytes, tuple[str, ...]]:
    """The secrets in each example that has some, by its line. Raises ExtraMissing, StageBroken."""
    program = _program()
    found: dict[bytes, tuple[str, ...]] = {}
    for batch in _batches(inputs):
        found |= {batch[number]: secrets for number, secrets in _search(program, batch).items()}
    return found


def _program() -> str:
    try:
        from kingfisher import get_binary_path  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise ExtraMissing("--scanner kingfisher", "kingfisher-bin", "scan") from error
    return str(get_binary_path())


def _batches(inputs: Sources) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size_bytes = 0
    for loaded in examples_of(inputs):
        line = loaded.example.to_line().encode()
        if batch and (len(batch) == BATCH_EXAMPLES or size_bytes + len(line) > BATCH_BYTES):
            yield batch
            batch, size_bytes = [], 0
        batch.append(line)
        size_bytes += len(line)
    if batch:
        yield batch


def _search(program: str, lines: list[bytes]) -> dict[int, tuple[str, ...]]:
    with tempfile.TemporaryDirectory(prefix="foretype-") as folder:
        texts = Path(folder) / "texts"
        texts.mkdir()
        for number, line in enumerate(lines):
            parts = (without_marks(text) for _, text in texts_of(Example.from_line(line.decode())))
            (texts / f"{number}.txt").write_text("\n".join(parts), encoding="utf-8", newline="")
        done = subprocess.run([program, "scan", *ARGUMENTS], cwd=folder, capture_output=True, check=False)
        if done.returncode not in (FOUND_NONE, FOUND_SOME):
            # What it says may quote a secret.
            raise StageBroken(f"kingfisher ended with code {done.returncode}; without --scanner our own rules do alone")
        return secrets_in((Path(folder) / "found.jsonl").read_bytes())


def secrets_in(report: bytes) -> dict[int, tuple[str, ...]]:
    """The secrets by the number of the file, out of a report; its last line is a summary."""
    found: dict[int, dict[str, None]] = {}
    for line in report.splitlines():
        finding: dict[str, Any] | None = orjson.loads(line).get("finding")
        if finding is not None:
            found.setdefault(int(Path(finding["path"]).stem), {})[finding["snippet"]] = None
    return {number: tuple(secrets) for number, secrets in found.items()}
