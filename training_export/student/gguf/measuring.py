"""How well several GGUFs of one model predict texts, and how fast each reads and writes them here.

Models are timed in turns, each text by all of them before the next, and the order changes: what else the machine does
then falls on all alike, and ratios of neighbouring measurements hold where times do not. What is read is the same for
all, so what is compared is the arithmetic. Knows nothing of cases, formats or files' names.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from daemon.engine import guard
from daemon.engine.errors import ModelRefused
from daemon.engine.llama import Context, LlamaError, Log, Model
from training_export.errors import ModelUnusable
from training_export.student.gguf.texts import Text

Floats = NDArray[np.float64]

BATCH_TOKENS: Final = 128  # as the daemon reads a prompt when nothing can supersede it


@dataclass(frozen=True, slots=True)
class Computing:
    """How a model is run: ``gpu_layers`` -1 offloads all."""

    threads: int
    gpu_layers: int = 0


@dataclass(frozen=True, slots=True)
class TextSeconds:
    """What one text took: the prompt as a whole, and each token of the answer."""

    prompt_tokens: int
    prompt_seconds: float
    answer_seconds: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.prompt_seconds + sum(self.answer_seconds)


class OpenModel:
    """One GGUF in this process."""

    def __init__(self, model: Model, context: Context) -> None:
        self.model = model
        self._context = context

    def log_probabilities(self, text: Text) -> Floats:
        """The natural logarithm of the probability of each token but the first, behind those before it.

        Raises ModelUnusable where the model's output is not a number.
        """
        self._context.clear()
        found: list[Floats] = []
        for start in range(0, len(text.tokens), BATCH_TOKENS):
            chunk = text.tokens[start : start + BATCH_TOKENS]
            self._context.decode(chunk, start, logits=len(chunk))
            rows = self._context.logits()
            following = np.array(text.tokens[start + 1 : start + 1 + len(chunk)], dtype=np.int64)
            found.append(_logarithms(rows[: len(following)], following))
        values = np.concatenate(found)
        if not np.isfinite(values).all():
            raise ModelUnusable("the model's output is not a number: it was trained badly, or its file is damaged")
        return values

    def timed(self, text: Text) -> TextSeconds:
        """Read the prompt from nothing, then the answer token by token, as it would be written."""
        self._context.clear()
        asked = text.tokens[: text.answer_start]
        started = time.perf_counter()
        for start in range(0, len(asked), BATCH_TOKENS):
            chunk = asked[start : start + BATCH_TOKENS]
            self._context.decode(chunk, start, logits=int(start + len(chunk) == len(asked)))
        self._context.finish()
        prompt_seconds = time.perf_counter() - started
        answer_seconds = []
        for position in range(text.answer_start, len(text.tokens)):
            started = time.perf_counter()
            self._context.decode(text.tokens[position : position + 1], position, logits=1)
            self._context.finish()
            answer_seconds.append(time.perf_counter() - started)
        return TextSeconds(len(asked), prompt_seconds, tuple(answer_seconds))


@contextmanager
def opened_vocabulary(path: Path) -> Iterator[Model]:
    """Its tokens and metadata alone, while the block runs; raises ModelUnusable."""
    try:
        guard.check_file(path)
        model = Model.load(str(path), Log(lambda _line: None), vocabulary_only=True)
    except ModelRefused as error:
        raise ModelUnusable(str(error)) from error
    except LlamaError as error:
        raise ModelUnusable(f"llama.cpp cannot read {path}: {error}; write it anew or choose another") from error
    with closing(model):
        yield model


@contextmanager
def opened_model(path: Path, computing: Computing, context_tokens: int) -> Iterator[OpenModel]:
    """The model in memory while the block runs; raises ModelUnusable, also for what llama.cpp refuses in the block."""
    try:
        guard.check_file(path)
        with ExitStack() as stack:
            log = Log(lambda _line: None)
            model = Model.load(str(path), log, gpu_layers=computing.gpu_layers)
            stack.callback(model.close)
            if computing.gpu_layers == 0:
                needed = guard.needed_bytes(0, model.facts().metadata, context_tokens)  # the file itself is mapped
                guard.check_memory(path, needed, guard.available_bytes())
            context = Context(
                model, log, context_tokens=context_tokens, batch_tokens=BATCH_TOKENS, threads=computing.threads
            )
            stack.callback(context.close)
            yield OpenModel(model, context)
    except ModelRefused as error:
        raise ModelUnusable(str(error)) from error
    except LlamaError as error:
        raise ModelUnusable(f"llama.cpp cannot run {path}: {error}; write it anew or choose another") from error


def timed_in_turns(models: Sequence[OpenModel], texts: Sequence[Text], rounds: int) -> Iterator[list[TextSeconds]]:
    """What each text took in each model, ``rounds`` times all texts; who comes first changes from text to text.

    Before that each model reads the first text once, which nobody hears of.
    """
    for model in models:
        model.timed(texts[0])
    for number in range(rounds * len(texts)):
        taken: dict[int, TextSeconds] = {}
        for turn in range(len(models)):
            index = (number + turn) % len(models)
            taken[index] = models[index].timed(texts[number % len(texts)])
        yield [taken[index] for index in range(len(models))]


def _logarithms(rows: NDArray[np.float32], tokens: NDArray[np.int64]) -> Floats:
    best = rows.max(axis=-1, keepdims=True)
    totals: Floats = np.log(np.exp(rows - best).sum(axis=-1, dtype=np.float64))
    chosen: Floats = np.take_along_axis(rows, tokens[:, None], axis=-1)[:, 0].astype(np.float64)
    logarithms: Floats = chosen - best[:, 0] - totals
    return logarithms
