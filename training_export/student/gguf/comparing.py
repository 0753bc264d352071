"""Quantises a model in several ways and measures each on held-out cases: size, perplexity, exact match, speed.

What is made lies in a folder of its own until everything is measured; then it moves to where it was asked for. Knows
nothing of the command line.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from daemon.engine import guard
from daemon.engine.llama import system_info
from daemon.engine.messages import ModelSettings
from daemon.engine.tokens import Tokenizer
from daemon.prompts.base import PromptFormat
from daemon.prompts.registry import UnknownModel, choose_format
from daemon.registry import checksum
from training_export.errors import ModelUnusable, ModelUnwritable, NothingToEvaluate, OutputRefused
from training_export.student.evaluation.answers import MEMBER, Answer
from training_export.student.evaluation.asking import AskStudent
from training_export.student.evaluation.judging import judged
from training_export.student.gguf.choosing import choose
from training_export.student.gguf.comparison import Comparison, Row, Speed, speeds
from training_export.student.gguf.files import unwritable
from training_export.student.gguf.measuring import (
    Computing,
    OpenModel,
    opened_model,
    opened_vocabulary,
    timed_in_turns,
)
from training_export.student.gguf.quantisation import Quantisation
from training_export.student.gguf.quantising import Quantised, quantise
from training_export.student.gguf.texts import HeldOut, Text, Texts, spread, texts_of

Step = Callable[[str], None]

REPORT, PLOT = "compare.json", "compare.png"
MAX_CONTEXT_TOKENS: Final = 8192  # as much as the daemon uses of a context


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to compare: ``speed_cases`` are timed, ``rounds`` times each; ``largest_bytes`` 0 chooses any size."""

    quantisations: tuple[Quantisation, ...]
    computing: Computing
    prompt_format: str = ""
    speed_cases: int = 40
    rounds: int = 3
    largest_bytes: int = 0


def compare(model: Path, held_out: Sequence[HeldOut], folder: Path, wanted: Wanted, step: Step) -> Comparison:
    """Quantise ``model`` into ``folder`` and measure; ``step`` is told what is being done.

    Raises ConversionRefused for a model that is quantised already, NothingToEvaluate where no case can be used,
    ModelUnusable and ModelUnwritable.
    """
    made = []
    for quantisation in wanted.quantisations:
        step(f"quantising to {quantisation}")
        made.append(quantise(model, folder / file_name(model, quantisation), quantisation))
    texts = _texts(made[0].path, model.name, held_out, wanted)
    right = [_answers(quantised, texts.made_of, wanted, step) for quantised in made]
    _check_memory(made, wanted)
    context_tokens = max(len(text.tokens) for text in texts.texts)
    with ExitStack() as stack:
        models = [
            stack.enter_context(opened_model(quantised.path, wanted.computing, context_tokens)) for quantised in made
        ]
        perplexities = [
            _perplexities(opened, texts.texts, quantised.quantisation, step)
            for opened, quantised in zip(models, made, strict=True)
        ]
        measured = _timed(models, texts.texts, wanted, step)
    rows = tuple(
        Row(quantised, *perplexity, *answers, prompt, answer, case_ratio)
        for quantised, perplexity, answers, (prompt, answer, case_ratio) in zip(
            made, perplexities, right, measured, strict=True
        )
    )
    choice = choose([row.candidate for row in rows], wanted.largest_bytes)
    return Comparison(rows, choice, _about(model, texts, wanted))


def file_name(model: Path, quantisation: Quantisation) -> str:
    """How a quantisation of a model is called."""
    return f"{model.stem}-{quantisation}.gguf"


@contextmanager
def collected(folder: Path, names: Sequence[str], *, force: bool) -> Iterator[Path]:
    """A folder to make files in; when the block ends well, those of these names move to ``folder``.

    Else nothing is left of them. Raises OutputRefused where one is there already and ``force`` is not given.
    """
    there = [name for name in names if (folder / name).exists()]
    if there and not force:
        raise OutputRefused(f"{folder / there[0]} exists; --force replaces it, or give --out another folder")
    if folder.exists() and not folder.is_dir():
        raise OutputRefused(f"{folder} is a file; give --out a folder")
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".compare-", dir=folder) as name:
            made = Path(name)
            yield made
            for file in names:
                if (made / file).exists():
                    (made / file).replace(folder / file)
    except OSError as error:
        raise unwritable(folder / REPORT, error) from error
    finally:
        if is_new:
            with suppress(OSError):  # what holds something stays
                folder.rmdir()


def write_report(comparison: Comparison, path: Path) -> None:
    """All numbers as JSON; raises ModelUnwritable."""
    try:
        path.write_text(json.dumps(comparison.to_json(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ModelUnwritable(f"cannot write {path}: {error.strerror}") from error


def _answers(
    quantised: Quantised, held_out: Sequence[HeldOut], wanted: Wanted, step: Step
) -> tuple[tuple[bool, ...], int]:
    """Which cases the daemon's own engine gets exactly right, and how many it did not answer."""
    computing = wanted.computing
    # Ranking would mend what the model itself gets wrong.
    settings = ModelSettings(
        str(quantised.path), wanted.prompt_format, computing.gpu_layers, computing.threads, ranking=False
    )
    right, unanswered = [], 0
    with AskStudent(settings, quantised.path.name).opened() as ask:
        for number, one in enumerate(held_out):
            step(f"{quantised.quantisation}: predicting case {number + 1:,} of {len(held_out):,}")
            found = (ask(one.example).ours or {}).get(MEMBER)
            unanswered += found is None
            right.append(found is not None and judged(one.case, Answer.from_json(found)).alone.is_right)
    return tuple(right), unanswered


def _texts(path: Path, name: str, held_out: Sequence[HeldOut], wanted: Wanted) -> Texts:
    """What all models read: quantisations share vocabulary and metadata. ``name`` is what the file was called."""
    with opened_vocabulary(path) as vocabulary:
        facts = vocabulary.facts()
        longest = min(facts.training_context_tokens or MAX_CONTEXT_TOKENS, MAX_CONTEXT_TOKENS)
        prompt_format = _format(wanted.prompt_format, facts.metadata, name)
        tokenizer = Tokenizer(vocabulary, prompt_format.control_tokens)
        texts = texts_of(held_out, prompt_format, tokenizer.tokens, tokenizer.prompt_tokens, longest)
    if not texts.texts:
        why = "; ".join(f"{count:,}: {reason}" for reason, count in texts.left_out.items())
        raise NothingToEvaluate(f"no case can be put to this model in {prompt_format.name} ({why})")
    return texts


def _format(name: str, metadata: dict[str, str], file: str) -> PromptFormat:
    try:
        return choose_format(name, metadata, file)
    except UnknownModel as error:
        raise ModelUnusable(str(error)) from error


def _check_memory(made: Sequence[Quantised], wanted: Wanted) -> None:
    needed, available = sum(quantised.size_bytes for quantised in made), guard.available_bytes()
    if wanted.computing.gpu_layers == 0 and needed > available:
        raise ModelUnusable(
            f"all quantisations are measured in turns, which takes {needed / 1e9:.1f} GB of memory, and"
            f" {available / 1e9:.1f} GB are free; name fewer with --quantisations"
        )


def _perplexities(
    opened: OpenModel, texts: Sequence[Text], quantisation: Quantisation, step: Step
) -> tuple[float, float]:
    """Of the answers' tokens, and of all."""
    answers, wholes = [], []
    for number, text in enumerate(texts):
        step(f"{quantisation}: reading text {number + 1:,} of {len(texts):,}")
        found = opened.log_probabilities(text)
        wholes.append(found)
        answers.append(found[text.answer_start - 1 :])
    return _perplexity(answers), _perplexity(wholes)


def _perplexity(found: Sequence[Any]) -> float:
    return float(np.exp(-np.concatenate(found).mean()))


def _timed(
    models: Sequence[OpenModel], texts: Sequence[Text], wanted: Wanted, step: Step
) -> list[tuple[Speed, Speed, float]]:
    chosen = spread(texts, wanted.speed_cases)
    taken = []
    for entry in timed_in_turns(models, chosen, wanted.rounds):
        taken.append(entry)
        step(f"timing all in turns: {len(taken):,} of {wanted.rounds * len(chosen):,}")
    return speeds(taken)


def _about(model: Path, texts: Texts, wanted: Wanted) -> dict[str, Any]:
    return {
        "model": model.name,
        "sha256": checksum(model),
        "cases": len(texts.texts),
        "left_out": dict(texts.left_out),
        "tokens": sum(len(text.tokens) for text in texts.texts),
        "answer_tokens": sum(len(text.tokens) - text.answer_start for text in texts.texts),
        "timed": {"cases": len(spread(texts.texts, wanted.speed_cases)), "rounds": wanted.rounds},
        "machine": {
            "cores": os.cpu_count(),
            "threads": wanted.computing.threads,
            "gpu_layers": wanted.computing.gpu_layers,
            "llama.cpp": system_info(wanted.computing.gpu_layers),
        },
    }
