"""What one forward pass costs and how fast an abort frees the engine: ``python -m bench.engine MODEL.gguf``.

Prints medians with the 10th and 90th percentile for people and, as the last line, one JSON object. Measures
the decoder alone, in this process, on random tokens (their text does not change the time).
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

from daemon.engine.abort import AbortCause, AbortFlag
from daemon.engine.decoder import Decoder, DecodeRequest
from daemon.engine.llama import Context, Log, Model
from daemon.engine.loaded import BATCH_TOKENS
from daemon.engine.messages import StopReason


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
            context_tokens=options.prompt_tokens + options.answer_tokens + 1,
            batch_tokens=options.batch_tokens,
            threads=options.threads,
            abort=self._flag,
        )
        self._decoder = Decoder(self._model, self._context, self._flag)
        self._random = random.Random(0)
        self._decode()  # the first pass touches pages

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
            self._context.decode((token,), position + offset, logits=True)
            self._context.last_logits().argmax()
        seconds = time.perf_counter() - start
        self._context.keep(position)  # what the decoder believes to be there
        return seconds * 1000 / count

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
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
    print(json.dumps({**vars(options), **results, "commit": commit.stdout.strip(), "machine": machine}))


if __name__ == "__main__":
    main()
