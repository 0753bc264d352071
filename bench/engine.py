"""What passes cost, what drafting saves, how fast an abort frees the engine: ``python -m bench.engine MODEL.gguf``.

Prints medians with the 10th and 90th percentile for people and, as the last line, one JSON object. Measures
the decoder alone, in this process, on random tokens (their text does not change the time). What drafting saves is
measured on answers that are forced upon the model: every pass is real, the choice of each token is not. Three kinds:
a copy of the region (no edit), one with a changed line in it, and one that shares nothing with it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from daemon.engine.abort import AbortCause, AbortFlag
from daemon.engine.decoder import Decoder, DecodeRequest
from daemon.engine.llama import Context, DecodeStatus, Log, Logits, Model
from daemon.engine.loaded import BATCH_TOKENS, WARM_UP_SECONDS
from daemon.engine.messages import Counters, StopReason

REGION_TOKENS = 120
CHANGED_TOKENS = 8
ANSWERS = ("no edit", "one change", "nothing shared")
FORCED_LOGIT = 1e4


class ForcedContext:
    """A context in whose eyes a given answer is certain."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._next_position = 0
        self.prompt_tokens = 0
        self.answer: Sequence[int] = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def decode(self, tokens: Sequence[int], start: int, *, logits: int, sequence: int = 0) -> DecodeStatus:
        """As the context does."""
        self._next_position = start + len(tokens) - logits + 1
        return self._context.decode(tokens, start, logits=logits, sequence=sequence)

    def logits(self) -> Logits:
        """The rows, each with the answer's token far ahead."""
        rows = self._context.logits()
        first = self._next_position - self.prompt_tokens
        for row, token in zip(rows, self.answer[first : first + len(rows)], strict=False):
            row[token] = FORCED_LOGIT
        return rows


class EngineBench:
    """One model and the requests to time."""

    def __init__(self, options: argparse.Namespace) -> None:
        log = Log(sys.stderr.write)
        self._prompt_tokens: int = options.prompt_tokens
        self._answer_tokens: int = options.answer_tokens
        self._flag = AbortFlag.create()
        self._model = Model.load(options.model, log, gpu_layers=options.gpu_layers)
        self._vocabulary_tokens = self._model.facts().vocabulary_tokens
        self._context = Context(
            self._model,
            log,
            context_tokens=max(options.prompt_tokens + options.answer_tokens, 2 * REGION_TOKENS) + 1,
            batch_tokens=options.batch_tokens,
            threads=options.threads,
            abort=self._flag,
        )
        self._decoder = Decoder(self._model, self._context, self._flag, read_batch_tokens=options.batch_tokens)
        self._random = random.Random(0)
        self._decode()  # the first pass touches pages
        forced: Any = ForcedContext(self._context)
        self._forced = forced
        self._forced_decoder = Decoder(self._model, forced, self._flag, read_batch_tokens=options.batch_tokens)
        self._forced_decoder.warm_up(WARM_UP_SECONDS)

    def _decode(self) -> tuple[float, StopReason]:
        """Seconds for a prompt that shares (nearly) nothing with the one before, and why it ended."""
        prompt = [self._random.randrange(self._vocabulary_tokens) for _ in range(self._prompt_tokens)]
        start = time.perf_counter()
        decoded = self._decoder.decode(DecodeRequest(prompt=prompt, stop=(), max_answer_tokens=1))
        return time.perf_counter() - start, decoded.stop

    def prefill_ms(self) -> float:
        """Milliseconds per prompt token."""
        return self._decode()[0] * 1000 / self._prompt_tokens

    def answer_ms(self) -> float:
        """Milliseconds per answer token; random ones, as the model itself would stop when it likes."""
        self._decode()
        count, position = self._answer_tokens, self._prompt_tokens
        start = time.perf_counter()
        for offset in range(count):
            token = self._random.randrange(self._vocabulary_tokens)
            self._context.decode((token,), position + offset, logits=1)
            self._context.logits().argmax()
        seconds = time.perf_counter() - start
        self._context.keep(position)  # what the decoder believes to be there
        return seconds * 1000 / count

    def drafting(self, repeat: int) -> dict[str, dict[str, Any]]:
        """By kind of answer: milliseconds plain and drafted, their ratio, the passes of the drafted; kinds in turn."""
        self._decoder.cache.clear()  # the two decoders share a context
        plain: dict[str, list[float]] = {kind: [] for kind in ANSWERS}
        drafted: dict[str, list[float]] = {kind: [] for kind in ANSWERS}
        passes: dict[str, list[int]] = {kind: [] for kind in ANSWERS}
        for turn in range(repeat):
            for kind in ANSWERS:
                region = self._random_tokens(REGION_TOKENS)
                answer = self._changed(region, kind)
                order = [((), plain), ((region,), drafted)]
                for drafts, times in order if turn % 2 else order[::-1]:
                    milliseconds, counters = self._answer(region, answer, drafts)
                    times[kind].append(milliseconds)
                    if drafts:
                        passes[kind].append(counters.forward_passes)
        self._forced_decoder.cache.clear()
        return {
            kind: {
                "plain_ms": summary(plain[kind]),
                "drafted_ms": summary(drafted[kind]),
                "ratio": statistics.median(plain[kind]) / statistics.median(drafted[kind]),
                "passes": statistics.median(passes[kind]),
                "answer_tokens": REGION_TOKENS,
            }
            for kind in ANSWERS
        }

    def _random_tokens(self, count: int) -> list[int]:
        return [self._random.randrange(self._vocabulary_tokens) for _ in range(count)]

    def _changed(self, region: Sequence[int], kind: str) -> list[int]:
        start, end = {
            "no edit": (0, 0),
            "one change": (REGION_TOKENS // 2, REGION_TOKENS // 2 + CHANGED_TOKENS),
            "nothing shared": (0, REGION_TOKENS),
        }[kind]
        return [*region[:start], *self._random_tokens(end - start), *region[end:]]

    def _answer(
        self, prompt: Sequence[int], answer: Sequence[int], drafts: Sequence[Sequence[int]]
    ) -> tuple[float, Counters]:
        """Milliseconds for an answer to a prompt that the cache holds, and its counters."""
        self._forced.answer, self._forced.prompt_tokens = answer, len(prompt)
        self._forced_decoder.decode(DecodeRequest(prompt, (), 1))
        started = time.perf_counter()
        decoded = self._forced_decoder.decode(DecodeRequest(prompt, (), len(answer), drafts))
        return (time.perf_counter() - started) * 1000, decoded.counters

    def abort_ms(self) -> float:
        """Milliseconds from the flag to a free engine, somewhere in the prefill."""
        prefill = self._decode()[0]
        while True:
            raised_at: list[float] = []

            def abort(raised_at: list[float] = raised_at) -> None:
                raised_at.append(time.perf_counter())
                self._flag.set(AbortCause.CANCELLED)

            timer = threading.Timer(self._random.uniform(0.1, 0.7) * prefill, abort)
            timer.start()
            _, stop = self._decode()
            free_at = time.perf_counter()
            timer.cancel()
            timer.join()
            self._flag.set(AbortCause.NONE)
            if stop is StopReason.ABORTED:
                return (free_at - raised_at[0]) * 1000


def summary(samples: list[float]) -> dict[str, float]:
    """Median and the 10th and 90th percentile."""
    tenths = statistics.quantiles(samples, n=10, method="inclusive")
    return {"p50": statistics.median(samples), "p10": tenths[0], "p90": tenths[-1]}


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--prompt-tokens", type=int, default=1000)
    parser.add_argument("--answer-tokens", type=int, default=40)
    parser.add_argument("--batch-tokens", type=int, default=BATCH_TOKENS)
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    parser.add_argument("--gpu-layers", type=int, default=0)
    parser.add_argument("--repeat", type=int, default=20)
    options = parser.parse_args()
    bench = EngineBench(options)
    measures = {
        "prefill_ms_per_token": bench.prefill_ms,
        "answer_ms_per_token": bench.answer_ms,
        "abort_to_free_ms": bench.abort_ms,
    }
    results = {name: summary([measure() for _ in range(options.repeat)]) for name, measure in measures.items()}
    for name, result in results.items():
        print(f"{name:22} {result['p50']:8.3f}  (p10 {result['p10']:.3f}, p90 {result['p90']:.3f})")
    drafting = bench.drafting(options.repeat)
    for kind, found in drafting.items():
        plain, drafted = found["plain_ms"]["p50"], found["drafted_ms"]["p50"]
        print(f"{kind:22} {plain:8.3f} ms plain, {drafted:8.3f} ms drafted: {found['ratio']:.2f}, ", end="")
        print(f"{found['passes']:g} passes for {found['answer_tokens']} tokens")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
    print(
        json.dumps(
            {**vars(options), **results, "drafting": drafting, "commit": commit.stdout.strip(), "machine": machine}
        )
    )


if __name__ == "__main__":
    main()
