"""Train the embedded student from scratch: ``python -m training_export.student.train --out RUN``.

Writes the tokenizer, checkpoints that resume, and a log of the loss. Muon for the matrices, AdamW for
embeddings, norms and biases; warm-up, constant rate, then a linear decay over the last part of the steps.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from daemon.prompts.line_edits import ADD, AGAIN, DEL, DELETE, INSERT, LINES, SAME
from training_export.student.circuit import TokenRoles, install
from training_export.student.corpus import manifest, read_corpus
from training_export.student.examples import Example, corpus_names, stream, training_stream
from training_export.student.model import Student, StudentConfig
from training_export.student.synthesis import TASKS
from training_export.student.tokenizer import load_tokenizer, train_tokenizer

BATCH_TOKENS = 6144
BUCKET_EXAMPLES = 96  # sorted by length together, so that batches hold little padding
WARM_UP_STEPS, DECAY_PART = 30, 0.35
MUON_RATE, ADAM_RATE = 0.02, 3e-3
EARLY_WEIGHT = 0.3
SAVE_SECONDS = 240.0
TOKENIZER_FILES = 3000
VALIDATION_CASES_PER_TASK = 40


def batches(examples: Iterator[Example], random: Random) -> Iterator[list[Example]]:
    """Batches of about ``BATCH_TOKENS`` padded tokens, of examples of similar length, in random order."""
    while True:
        bucket = sorted(itertools.islice(examples, BUCKET_EXAMPLES), key=lambda example: len(example.tokens))
        made: list[list[Example]] = [[]]
        for example in bucket:
            if made[-1] and (len(made[-1]) + 1) * len(example.tokens) > BATCH_TOKENS:
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


def weighted_loss(
    model: Student, batch: Sequence[Example], is_line_mark: Tensor, device: torch.device
) -> Tensor:
    """Mean cross-entropy over the weighted positions, and a share of the lines' targets two blocks early.

    The early share makes what happens to a line known before the last two blocks, which name lines by it.
    ``is_line_mark`` (vocabulary) is true for line tokens.
    """
    tokens, targets, weights = (value.to(device) for value in pad(batch))
    with torch.autocast(device.type, dtype=torch.bfloat16):
        hidden, early = model(tokens)
        chosen = weights > 0
        logits = model.logits(hidden[chosen])
        marks = is_line_mark.to(device)[tokens] & chosen
        early_logits = model.logits(early[marks])
    losses = functional.cross_entropy(logits.float(), targets[chosen], reduction="none")
    early_losses = functional.cross_entropy(early_logits.float(), targets[marks], reduction="none")
    side = EARLY_WEIGHT * (early_losses * weights[marks]).sum() / weights[marks].sum()
    return (losses * weights[chosen]).sum() / weights.sum() + side


@torch.no_grad()
def exact_rates(model: Student, examples: Sequence[Example], device: torch.device) -> dict[str, float]:
    """Share of answers, by task, whose every token is the model's first choice: greedy decoding's exact rate."""
    right: dict[str, list[bool]] = defaultdict(list)
    for first in range(0, len(examples), 16):
        batch = examples[first : first + 16]
        tokens, targets, _ = (value.to(device) for value in pad(batch))
        with torch.autocast(device.type, dtype=torch.bfloat16):
            choices = model.logits(model(tokens)[0]).argmax(-1)
        for row, example in enumerate(batch):
            answer = slice(example.answer_start - 1, len(example.tokens) - 1)
            right[example.task].append(bool((choices[row, answer] == targets[row, answer]).all()))
    return {task: sum(values) / len(values) for task, values in sorted(right.items())}


def optimisers(model: Student) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices, AdamW for everything else."""
    matrices = [value for value in model.blocks.parameters() if value.ndim == 2]
    known = {id(value) for value in matrices}
    others = [value for value in model.parameters() if id(value) not in known]
    return [
        torch.optim.Muon(matrices, lr=MUON_RATE, momentum=0.95, weight_decay=0.01),
        torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.97), weight_decay=0.0),
    ]


def rate_factor(step: int, steps: int) -> float:
    """Warm-up, constant, linear decay to nothing."""
    decay_start = int(steps * (1 - DECAY_PART))
    if step < WARM_UP_STEPS:
        return (step + 1) / WARM_UP_STEPS
    if step < decay_start:
        return 1.0
    return max(0.0, (steps - step) / (steps - decay_start))


def prepare(out: Path, seed: int) -> tuple[Tokenizer, Iterator[Example], list[Example]]:
    """Corpus, tokenizer, the stream of examples and the fixed validation examples."""
    files, sources = read_corpus()
    (out / "manifest.json").write_text(json.dumps(manifest(sources), indent=1) + "\n")
    train_files = [file for file in files if file.split == "train"]
    held_out = [file for file in files if file.split == "validation"]
    path = out / "tokenizer.json"
    if not path.exists():
        sample = Random(seed).sample(train_files, min(TOKENIZER_FILES, len(train_files)))
        train_tokenizer((file.text for file in sample), StudentConfig().vocabulary_size).save(str(path))
    tokenizer = load_tokenizer(path)
    names = corpus_names(train_files)
    validation = [
        example
        for task in TASKS
        for example in itertools.islice(
            stream(held_out, names, tokenizer, seed + 1, {task: 1.0}), VALIDATION_CASES_PER_TASK
        )
    ]
    return tokenizer, training_stream(train_files, names, tokenizer, seed), validation


def save(out: Path, model: Student, optimizers: Sequence[torch.optim.Optimizer], step: int, seconds: float) -> None:
    """Write a checkpoint beside the old one, then replace it."""
    state = {
        "config": asdict(model.config),
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "step": step,
        "seconds": seconds,
    }
    torch.save(state, out / "checkpoint.tmp")
    (out / "checkpoint.tmp").replace(out / "checkpoint.pt")


def main() -> None:
    """Parse arguments and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer, examples, validation = prepare(options.out, options.seed)
    model = Student(StudentConfig()).to(device)
    roles = TokenRoles(
        lines=[tokenizer.token_to_id(token) for token in LINES],
        edits=[tokenizer.token_to_id(token) for token in (AGAIN, DEL, ADD, INSERT, DELETE)],
        same=tokenizer.token_to_id(SAME),
    )
    pins = install(model, roles)
    is_line_mark = torch.zeros(model.config.vocabulary_size, dtype=torch.bool)
    is_line_mark[list(roles.lines)] = True
    optimizers = optimisers(model)
    step, seconds = 0, 0.0
    if (options.out / "checkpoint.pt").exists():
        state = torch.load(options.out / "checkpoint.pt", map_location=device)
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        step, seconds = state["step"], state["seconds"]
    base_rates = [MUON_RATE, ADAM_RATE]
    stepper = batches(examples, Random(options.seed))
    for _ in range(step):  # the stream is deterministic: a resumed run goes on with the next batch
        next(stepper)
    started, saved_at, tokens, total = time.monotonic() - seconds, time.monotonic(), 0, 0.0
    for step in range(step, options.steps):
        batch = next(stepper)
        factor = rate_factor(step, options.steps)
        for optimizer, rate in zip(optimizers, base_rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        loss = weighted_loss(model, batch, is_line_mark, device)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if factor == 1.0 or step < WARM_UP_STEPS:  # released when the rate decays: at full rate they would be lost
            for pin in pins:
                pin.hold()
        tokens += sum(len(example.tokens) for example in batch)
        total += loss.item()
        if (step + 1) % 20 == 0:
            line = {"step": step + 1, "loss": round(total / 20, 4), "tokens": tokens, "rate": round(factor, 3)}
            line["seconds"] = round(time.monotonic() - started, 1)
            if (step + 1) % 200 == 0:
                line["exact"] = exact_rates(model, validation, device)
            print(json.dumps(line), flush=True)
            with (options.out / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            total = 0.0
        if time.monotonic() - saved_at > SAVE_SECONDS or step + 1 == options.steps:
            save(options.out, model, optimizers, step + 1, time.monotonic() - started)
            saved_at = time.monotonic()


if __name__ == "__main__":
    main()
