"""Files of examples become arrays of tokens in the run's folder: by several processes, in order, on after a kill.

Knows nothing of torch.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Final

from tokenizers import Tokenizer

from daemon.prompts.registry import FORMATS
from training_export.errors import StageBroken, TrainingRefused
from training_export.example_format.files import STANDARD_INPUT, Loaded, Raw, Rejected
from training_export.running.processes import core_count, end_when_told, worker_processes
from training_export.running.progress import ProgressLine
from training_export.running.sources import Sources, opened, read
from training_export.student.tokenizer import train_tokenizer
from training_export.student.training.arrays import ArraySet, ArrayWriter
from training_export.student.training.encoding import Encoded, Encoder, LeftOut
from training_export.student.training.recipe import Recipe
from training_export.student.training.run_files import writing

VERSION: Final = 1  # raised when the same example under the same settings becomes other tokens
CHUNK_LINES: Final = 32
CHUNKS_PER_WORKER: Final = 8
COMMIT_LINES: Final = 4096
NO_EXAMPLE: Final = "lines that are no example"
TOKENIZER_EXAMPLES: Final = 20_000  # of the first ones; more text does not change three thousand merges
LINE_TASK: Final = "tokens"


@dataclass(frozen=True, slots=True)
class Encoding:
    """How examples become tokens. Can be pickled; ``tokenizer_path`` is a `tokenizer.json`."""

    format_name: str
    tokenizer_path: Path
    max_tokens: int
    window_lines: int = 0

    def encoder(self) -> Encoder:
        """With the tokenizer in memory."""
        tokenizer = Tokenizer.from_file(str(self.tokenizer_path))
        return Encoder(FORMATS[self.format_name], tokenizer, self.max_tokens, self.window_lines)

    def key(self, sources: Sources) -> str:
        """The same where the same files would become the same tokens."""
        files = [_identity(name) for name in sources.names]
        digest = hashlib.blake2b(self.tokenizer_path.read_bytes(), digest_size=16).hexdigest()
        described = [VERSION, self.format_name, digest, self.max_tokens, self.window_lines, files]
        return hashlib.blake2b(json.dumps(described).encode(), digest_size=16).hexdigest()


def prepare(sources: Sequence[str], encoding: Encoding, folder: Path, *, workers: int = 0) -> ArraySet:
    """The arrays for these files (globs, folders) in ``folder``: made, or finished, or as they are there already.

    Raises ExamplesUnreadable, TrainingRefused where not one example can be learnt, RunUnwritable, StageBroken.
    """
    inputs = opened(sources)
    if STANDARD_INPUT in inputs.names:
        raise TrainingRefused("a training reads its examples again when it is resumed: give files, not -")
    with writing(folder), ArrayWriter(folder, encoding.key(inputs)) as writer:
        if not writer.is_finished:
            _fill(writer, inputs, encoding, workers or core_count())
        if not len(writer):
            raise TrainingRefused(f"no example of {', '.join(sources)} can be learnt from ({told(writer.left_out)})")
    return ArraySet(folder)


def told(left_out: dict[str, int]) -> str:
    """``3 longer than 640 tokens, 1 no prompt_inputs``; what there was most of comes first."""
    ordered = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {reason}" for reason, count in ordered) or "there is none"


def make_tokenizer(sources: Sequence[str], recipe: Recipe, path: Path, seed: int) -> None:
    """Learn a tokenizer from the texts of examples, each file's once, into ``path``, unless it is there.

    Raises ExamplesUnreadable, TrainingRefused where there is no text, RunUnwritable.
    """
    if path.exists():
        return
    texts = list(_texts(opened(sources)))
    if not texts:
        raise TrainingRefused(f"no example of {', '.join(sources)} has a text that a tokenizer could be made from")
    Random(seed).shuffle(texts)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        made = train_tokenizer(texts, recipe.sizes.vocabulary_size, recipe.control_tokens)
        part = path.with_suffix(".part")
        part.write_text(made.to_str(), encoding="utf-8")
        part.replace(path)


def _texts(sources: Sources) -> Iterator[str]:
    """The longest excerpt of each file, in order of first appearance."""
    longest: dict[tuple[str, str], str] = {}
    with ProgressLine("tokenizer", sources.total_bytes) as progress:
        for number, found in enumerate(itertools.islice(sources, TOKENIZER_EXAMPLES)):
            if isinstance(found, Rejected) or found.example.prompt_inputs is None:
                continue
            text = found.example.prompt_inputs.cursor_excerpt
            key = (found.example.repository_url, found.example.cursor_path)
            if len(text) > len(longest.get(key, "")):
                longest[key] = text
            counts = {"examples": number + 1, "reused": 0, "failed": 0, "rejected": 0}
            progress.update(sources.read_bytes, counts, {})
    yield from longest.values()


def _fill(writer: ArrayWriter, sources: Sources, encoding: Encoding, workers: int) -> None:
    skipped = writer.lines_done
    lines = itertools.islice(sources.raw(), skipped, None)
    done = since_commit = 0
    with ProgressLine(LINE_TASK, sources.total_bytes) as progress:
        for outcomes in _encoded(lines, encoding, workers):
            for outcome in outcomes:
                if isinstance(outcome, Encoded):
                    writer.add(outcome)
                else:
                    writer.leave_out(outcome.reason)
            done += len(outcomes)
            since_commit += len(outcomes)
            if since_commit >= COMMIT_LINES:
                writer.commit(skipped + done)
                since_commit = 0
            left = sum(writer.left_out.values())
            counts = {"examples": skipped + done, "reused": 0, "failed": left, "rejected": 0}
            progress.update(sources.read_bytes, counts, {})
    writer.commit(skipped + done, is_finished=True)


Outcome = Encoded | LeftOut


def _encoded(lines: Iterator[Raw | Rejected], encoding: Encoding, workers: int) -> Iterator[list[Outcome]]:
    """What comes of the lines, chunk after chunk, in order."""
    chunks = iter(lambda: list(itertools.islice(lines, CHUNK_LINES)), [])
    if workers == 1:
        encoder = encoding.encoder()
        yield from (_outcomes(encoder, chunk) for chunk in chunks)
        return
    flight: deque[Future[list[Outcome]]] = deque()
    with worker_processes(workers, _begin, (encoding,), preload=__name__) as executor:
        try:
            for chunk in chunks:
                flight.append(executor.submit(_work, chunk))
                if len(flight) >= workers * CHUNKS_PER_WORKER:
                    yield flight.popleft().result()
            while flight:
                yield flight.popleft().result()
        except BrokenProcessPool as error:
            raise StageBroken(
                "a process that makes tokens was killed, perhaps for lack of memory; what was finished is kept: "
                "run the same command again, with --workers 1 if it was memory"
            ) from error


_encoder: Encoder | None = None


def _begin(encoding: Encoding, stop: Connection) -> None:
    global _encoder  # noqa: PLW0603 (a pool gives its initializer and its functions nothing else in common)
    end_when_told(stop)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _encoder = encoding.encoder()


def _work(chunk: list[Raw | Rejected]) -> list[Outcome]:
    if _encoder is None:
        raise RuntimeError("_begin() comes first")
    return _outcomes(_encoder, chunk)


def _outcomes(encoder: Encoder, chunk: list[Raw | Rejected]) -> list[Outcome]:
    found = (line if isinstance(line, Rejected) else read(line) for line in chunk)
    return [encoder.encode(one.example) if isinstance(one, Loaded) else LeftOut(NO_EXAMPLE) for one in found]


def _identity(name: str) -> list[object]:
    path = Path(name)
    if not path.exists():
        return [name]  # in an object store, where names are kept for one content
    found = path.stat()
    return [str(path.resolve()), found.st_size, found.st_mtime_ns]
