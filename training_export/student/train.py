"""Train a student from scratch: ``python -m training_export.student.train --out RUN [--recipe zeta2]``.

Writes the tokenizer, checkpoints that resume, and a log of the loss. Muon for the matrices, AdamW for
embeddings, norms and biases; warm-up, a constant stretch, then a linear decay to nothing. The recipe's stages follow
one another without a break.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from training_export.student.copying import look_back
from training_export.student.corpus import SourceFile, corpus_names, manifest, read_corpus
from training_export.student.examples import Example, stream
from training_export.student.model import Student
from training_export.student.recipe import RECIPES, Recipe, Stage
from training_export.student.tokenizer import load_tokenizer, train_tokenizer

WARM_UP_STEPS = 30
MUON_RATE, ADAM_RATE = 0.015, 1e-3
LOG_STEPS, EXACT_STEPS, SAVE_SECONDS = 20, 200, 240.0
CHECKPOINT = "checkpoint.pt"
TOKENIZER_FILES = 3000


def batches(examples: Iterator[Example], random: Random, stage: Stage) -> Iterator[list[Example]]:
    """A stage's batches of padded tokens, of examples of similar length, in random order."""
    while True:
        bucket = sorted(itertools.islice(examples, stage.bucket_examples), key=lambda example: len(example.tokens))
        made: list[list[Example]] = [[]]
        for example in bucket:
            if made[-1] and (len(made[-1]) + 1) * len(example.tokens) > stage.batch_tokens:
                made.append([])
            made[-1].append(example)
        random.shuffle(made)
        yield from made


def pad(batch: Sequence[Example]) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, targets (both int64) and weights (float32), each (batch, longest)."""
    longest = max(len(example.tokens) for example in batch)
    tokens = torch.zeros(len(batch), longest, dtype=torch.long)
    targets = torch.zeros(len(batch), longest, dtype=torch.long)
    weights = torch.zeros(len(batch), longest)
    for row, example in enumerate(batch):
        size = len(example.tokens)
        tokens[row, :size] = torch.tensor(example.tokens)
        targets[row, :size] = torch.tensor(example.targets)
        weights[row, :size] = torch.tensor(example.weights)
    return tokens, targets, weights


def positions(batch: Sequence[Example]) -> Tensor | None:
    """Where the tokens stand, (batch, longest), None where no example has a gap."""
    if not any(example.gap_tokens for example in batch):
        return None
    where = torch.arange(max(len(example.tokens) for example in batch)).repeat(len(batch), 1)
    for row, example in enumerate(batch):
        where[row, example.answer_start :] += example.gap_tokens
    return where


def weighted_loss(model: Student, batch: Sequence[Example], device: torch.device) -> Tensor:
    """Mean cross-entropy over the weighted positions."""
    tokens, targets, weights = (value.to(device) for value in pad(batch))
    where = positions(batch)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        hidden = model(tokens, None if where is None else where.to(device))
        chosen = weights > 0
        logits = model.logits(hidden[chosen])
    losses = functional.cross_entropy(logits.float(), targets[chosen], reduction="none")
    return (losses * weights[chosen]).sum() / weights.sum()


@torch.no_grad()
def answer_rates(model: Student, examples: Sequence[Example], device: torch.device) -> dict[str, dict[str, float]]:
    """What greedy decoding would get right, by task: the share of whole answers, and that of their tokens."""
    right: dict[str, list[Tensor]] = defaultdict(list)
    for first in range(0, len(examples), 16):
        batch = examples[first : first + 16]
        tokens, targets, _ = (value.to(device) for value in pad(batch))
        with torch.autocast(device.type, dtype=torch.bfloat16):
            hidden = model(tokens)
            for row, example in enumerate(batch):
                answer = slice(example.answer_start - 1, len(example.tokens) - 1)
                right[example.task].append(model.logits(hidden[row, answer]).argmax(-1) == targets[row, answer])
    found = sorted(right.items())
    return {
        "exact": {task: sum(bool(answer.all()) for answer in answers) / len(answers) for task, answers in found},
        "tokens_right": {task: round(torch.cat(answers).float().mean().item(), 4) for task, answers in found},
    }


def optimisers(model: Student) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices, AdamW for everything else."""
    matrices = [value for value in model.blocks.parameters() if value.ndim == 2]
    known = {id(value) for value in matrices}
    others = [value for value in model.parameters() if id(value) not in known]
    return [
        torch.optim.Muon(matrices, lr=MUON_RATE, momentum=0.95, weight_decay=0.01),
        torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.97), weight_decay=0.0),
    ]


def rate_factor(step: int, steps: int, decay_part: float) -> float:
    """Warm-up, a constant stretch, a linear decay to nothing."""
    decay_start = int(steps * (1 - decay_part))
    if step < WARM_UP_STEPS:
        return (step + 1) / WARM_UP_STEPS
    if step < decay_start:
        return 1.0
    return max(0.0, (steps - step) / (steps - decay_start))


@dataclass(frozen=True, slots=True)
class Material:
    """What examples are made of: the files to learn from and those kept back, names, the tokenizer."""

    train_files: Sequence[SourceFile]
    held_out_files: Sequence[SourceFile]
    names: Sequence[str]
    tokenizer: Tokenizer

    @classmethod
    def prepare(cls, out: Path, recipe: Recipe, seed: int) -> Material:
        """Read the corpus; make the tokenizer in ``out`` where there is none."""
        files, sources = read_corpus()
        (out / "manifest.json").write_text(json.dumps(manifest(sources), indent=1) + "\n")
        train_files = [file for file in files if file.split == "train"]
        held_out_files = [file for file in files if file.split == "validation"]
        path = out / "tokenizer.json"
        if not path.exists():
            sample = Random(seed).sample(train_files, min(TOKENIZER_FILES, len(train_files)))
            vocabulary_size = recipe.config.vocabulary_size
            train_tokenizer((file.text for file in sample), vocabulary_size, recipe.control_tokens).save(str(path))
        return cls(train_files, held_out_files, corpus_names(train_files), load_tokenizer(path))

    def validation(self, recipe: Recipe, seed: int) -> list[Example]:
        """Fixed examples of the last stage from files that are never learnt from, the same number of each task."""
        stages = [replace(recipe.stages[-1], tasks={task: 1.0}) for task in recipe.stages[-1].tasks]
        return [
            example
            for stage in stages
            for example in itertools.islice(
                stream(self.held_out_files, self.names, self.tokenizer, recipe, stage, seed),
                recipe.validation_cases_per_task,
            )
        ]

    def batches(self, recipe: Recipe, seed: int, first_step: int) -> Iterator[list[Example]]:
        """The batches of all stages, from ``first_step`` on; the last stage has no end."""
        for index, stage in enumerate(recipe.stages):
            is_last = stage is recipe.stages[-1]
            if first_step >= stage.steps and not is_last:
                first_step -= stage.steps
                continue
            examples = stream(self.train_files, self.names, self.tokenizer, recipe, stage, seed + 2 * index)
            made = batches(examples, Random(seed), stage)
            yield from itertools.islice(made, first_step, None if is_last else stage.steps)
            first_step = 0


@dataclass(slots=True)
class Run:
    """A training run: what changes from step to step."""

    recipe: str
    model: Student
    optimizers: list[torch.optim.Optimizer]
    device: torch.device
    step: int = 0
    seconds: float = 0.0
    tokens: int = 0

    @classmethod
    def begin(cls, out: Path, recipe: str, device: torch.device) -> Run:
        """A fresh model, or the one of the checkpoint in ``out``; raises ValueError when that learns something else."""
        model = Student(RECIPES[recipe].config)
        if RECIPES[recipe].looks_back:
            look_back(model)
        model.to(device)
        run = cls(recipe, model, optimisers(model), device)
        if (out / CHECKPOINT).exists():
            run.restore(out)
        return run

    def restore(self, out: Path) -> None:
        """Take everything from the checkpoint in ``out``."""
        state = torch.load(out / CHECKPOINT, map_location=self.device)
        if state["recipe"] != self.recipe:
            raise ValueError(f"{out} holds a run of the recipe {state['recipe']}; choose another folder with --out")
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.seconds, self.tokens = state["step"], state["seconds"], state["tokens"]

    def take_step(self, batch: Sequence[Example], rate: float) -> float:
        """One update at ``rate`` times the optimisers' own rates; returns the loss."""
        for optimizer, base in zip(self.optimizers, (MUON_RATE, ADAM_RATE), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = base * rate
        loss = weighted_loss(self.model, batch, self.device)
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.tokens += sum(len(example.tokens) for example in batch)
        return loss.item()

    def save(self, out: Path) -> None:
        """Write a checkpoint beside the old one, then replace it."""
        state = {
            "recipe": self.recipe,
            "config": asdict(self.model.config),
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "seconds": self.seconds,
            "tokens": self.tokens,
        }
        torch.save(state, out / "checkpoint.tmp")
        (out / "checkpoint.tmp").replace(out / CHECKPOINT)


def train(run: Run, batch_stream: Iterator[list[Example]], validation: Sequence[Example], out: Path) -> None:
    """Train through all stages, logging every ``LOG_STEPS`` and saving as time goes by."""
    began = time.monotonic() - run.seconds
    saved_at, total = time.monotonic(), 0.0
    recipe = RECIPES[run.recipe]
    stage_ends = set(itertools.accumulate(stage.steps for stage in recipe.stages))
    while run.step < recipe.steps:
        rate = rate_factor(run.step, recipe.steps, recipe.decay_part)
        total += run.take_step(next(batch_stream), rate)
        run.seconds = time.monotonic() - began
        if run.step % LOG_STEPS == 0:
            line: dict[str, object] = {
                "step": run.step,
                "loss": round(total / LOG_STEPS, 4),
                "tokens": run.tokens,
            }
            line |= {"rate": round(rate, 3), "seconds": round(run.seconds, 1)}
            if run.step % EXACT_STEPS == 0:
                line |= answer_rates(run.model, validation, run.device)
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
            with (out / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            total = 0.0
        if time.monotonic() - saved_at > SAVE_SECONDS or run.step in stage_ends:
            run.save(out)
            saved_at = time.monotonic()


def main() -> None:
    """Parse arguments and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; a checkpoint in it is resumed")
    parser.add_argument("--recipe", choices=RECIPES, default="line_edits", help="what it learns to speak")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    recipe = RECIPES[options.recipe]
    material = Material.prepare(options.out, recipe, options.seed)
    run = Run.begin(options.out, options.recipe, device)
    # The stream is deterministic: a resumed run goes on with the next batch.
    batch_stream = material.batches(recipe, options.seed, run.step)
    train(run, batch_stream, material.validation(recipe, options.seed + 1), options.out)


if __name__ == "__main__":
    main()
