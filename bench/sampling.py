"""What it saves to draw many samples of one prompt together: ``python -m bench.sampling [MODEL.gguf]``.

Beside the batch of samples, in turns with it: calls that draw one sample each, reading the prompt anew, and calls that
find the prompt in the cache. All three draw with the same code, and a call draws the sample that the batch draws under
its number, so that lengths are equal. A few calls are timed; their median for a token, and that for reading the
prompt, count as often as all samples need them. Two cases:

- ``all differ``: answers of a given length that have no two tokens in common, so that nothing but the prompt is shared;
- ``as drawn``: moments of the typing sessions in the model's own format, each sample as long as it happens to be.
  What samples begin with in common is computed once here, which calls cannot do.

Times are of the decoding alone, in this process. Without a model it takes the student in the shape of a 0.5B model, if
that lies in the cache of ``bench.widen``, else the student. Prints medians with the extremes for people and, as the
last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Any

from bench.agreement import moments
from bench.session import read_sessions
from daemon import paths
from daemon.engine.abort import AbortFlag
from daemon.engine.answer import GrowingAnswer
from daemon.engine.llama import Context, Log, Model
from daemon.engine.loaded import BATCH_TOKENS, MAX_CONTEXT_TOKENS, SAMPLING_CELLS
from daemon.engine.logits import Distribution, Probabilities
from daemon.engine.messages import SampleRequest
from daemon.engine.sampling import SIDE_BY_SIDE, Sampler, SamplingTask
from daemon.engine.ways import default_threads
from daemon.prompts.base import Refusal
from daemon.prompts.registry import UnknownModel, choose_format
from daemon.registry import EMBEDDED_PATH, checksum

SEED = 1
NOTHING_IN_COMMON = 1e6  # a temperature at which all tokens are equally probable
KEYSTROKES_BETWEEN_MOMENTS = 67
CLOCKS = {"wall": time.perf_counter, "processor": time.thread_time}
EQUAL = "equal to the batch's"


class Endless:
    """A model in whose eyes no token ends an answer."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def ends_generation(self, _token: int) -> bool:
        """Never."""
        return False


class OneByOne:
    """Draws one sample a call, as plainly as can be."""

    def __init__(self, model: Any, context: Context) -> None:
        self._model = model
        self._context = context

    def read(self, prompt: Sequence[int]) -> None:
        """Evaluate the prompt, in batches as large as the sampler's."""
        self._context.keep(0)
        for start in range(0, len(prompt), BATCH_TOKENS):
            self._context.decode(prompt[start : start + BATCH_TOKENS], start, logits=1)

    def sample(self, task: SamplingTask, number: int) -> list[int]:
        """The tokens of the sample with this number; the cache holds the prompt, whose last token is evaluated anew."""
        context, prompt, request = self._context, task.prompt, task.request
        answer, random = GrowingAnswer(self._model, task.stop, None), Random(f"{request.seed} {number}")
        context.keep(len(prompt) - 1)
        context.decode(prompt[-1:], len(prompt) - 1, logits=1)
        while True:
            probabilities = Probabilities(context.logits()[-1])
            distribution = Distribution(probabilities, request.temperature, request.top_p)
            token = distribution.token(random.random)
            answer.take_drawn(token, probabilities)
            if answer.ending(task.max_answer_tokens, context.context_tokens - len(prompt)) is not None:
                return answer.tokens
            context.decode((token,), len(prompt) + len(answer.tokens) - 1, logits=1)


class SamplingBench:
    """One model, a sampler and its peer."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._log = Log(sys.stderr.write)
        self._flag = AbortFlag.create()
        self._model = Model.load(str(options.model), self._log, gpu_layers=options.gpu_layers)
        self._facts = self._model.facts()
        self._random = Random(SEED)
        self._clock = CLOCKS[options.clock]
        training_tokens = self._facts.training_context_tokens or MAX_CONTEXT_TOKENS
        self._context_tokens = min(training_tokens, MAX_CONTEXT_TOKENS)
        self._side_by_side = self._open(1 + SIDE_BY_SIDE, SAMPLING_CELLS)
        self._alone = self._open(1, 0)
        self._alone.decode([0] * BATCH_TOKENS, 0, logits=1)  # touches pages

    def _open(self, sequences: int, cells: int) -> Context:
        return Context(
            self._model,
            self._log,
            context_tokens=self._context_tokens,
            batch_tokens=BATCH_TOKENS,
            threads=self._options.threads,
            abort=self._flag,
            sequences=sequences,
            cells=cells,
        )

    def all_differ(self) -> dict[str, Any]:
        """Random prompts, and answers of equal length."""
        options = self._options
        vocabulary = range(min(1000, self._facts.vocabulary_tokens))
        request = SampleRequest(options.samples, NOTHING_IN_COMMON, SEED)
        tasks = (
            SamplingTask(self._random.choices(vocabulary, k=options.prompt_tokens), (), options.answer_tokens, request)
            for _ in range(options.repeat)
        )
        return self._compare(Endless(self._model), tasks)

    def as_drawn(self) -> dict[str, Any]:
        """Moments of the sessions; raises UnknownModel for a model whose format nobody knows."""
        request = SampleRequest(self._options.samples, self._options.temperature, SEED)
        tasks = (
            SamplingTask(prompt, stop, most, request)
            for prompt, stop, most in islice(cycle(self._prompts()), self._options.moments)
        )
        return self._compare(self._model, tasks)

    def _prompts(self) -> list[tuple[list[int], tuple[bytes, ...], int]]:
        """Tokens, stop markers and answer budget, in an order that mixes the sessions."""
        prompt_format = choose_format("", self._facts.metadata, self._options.model.name)
        rendered = [
            prompt_format.render(inputs, lambda text: len(self._model.tokenize(text)))
            for session in read_sessions()
            for inputs in moments(session, KEYSTROKES_BETWEEN_MOMENTS)
        ]
        found = [
            (self._model.tokenize(prompt.text, add_beginning=True), prompt)
            for prompt in rendered
            if not isinstance(prompt, Refusal)
        ]
        self._random.shuffle(found)
        return [
            (tokens, tuple(marker.encode() for marker in prompt.stop), prompt.max_answer_tokens)
            for tokens, prompt in found
            if len(tokens) < self._context_tokens
        ]

    def _compare(self, model: Any, tasks: Iterable[SamplingTask]) -> dict[str, Any]:
        """Medians over the tasks."""
        sampler = Sampler(model, lambda: self._side_by_side, lambda _deadline: None)
        one_by_one = OneByOne(model, self._alone)
        rows = [self._measure(sampler, one_by_one, task) for task in tasks]
        seconds = {way: [row["seconds"][way] for row in rows] for way in ("together", "calls anew", "calls reusing")}
        counters = [row["counters"] for row in rows]
        return {
            "seconds": {way: summary(values) for way, values in seconds.items()},
            "ratio anew": ratio(seconds["calls anew"], seconds["together"]),
            "ratio reusing": ratio(seconds["calls reusing"], seconds["together"]),
            EQUAL: f"{sum(row['equal'] for row in rows)} of {len(rows) * self._options.calls}",
            "counters": {name: statistics.median(each[name] for each in counters) for name in counters[0]},
        }

    def _measure(self, sampler: Sampler, one_by_one: OneByOne, task: SamplingTask) -> dict[str, Any]:
        """Seconds for all samples of a task, together and one a call."""
        reading = [self._timed(one_by_one.read, task.prompt)[0]]
        numbers = self._random.sample(range(task.request.count), self._options.calls)
        calls = {number: self._timed(one_by_one.sample, task, number) for number in numbers}
        together, found = self._timed(sampler.sample, task)
        reading.append(self._timed(one_by_one.read, task.prompt)[0])
        a_reading = statistics.median(reading)
        a_pass = statistics.median(seconds / len(tokens) for seconds, tokens in calls.values())
        # A call is a pass for each token, of which the last of the prompt is one; where the prompt is read, that is it.
        passes = found.counters.answer_tokens
        return {
            "seconds": {
                "together": together,
                "calls anew": task.request.count * a_reading + (passes - task.request.count) * a_pass,
                "calls reusing": a_reading + passes * a_pass,
            },
            "equal": sum(list(found.samples[number].tokens) == tokens for number, (_, tokens) in calls.items()),
            "counters": asdict(found.counters),
        }

    def _timed(self, work: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
        started = self._clock()
        result = work(*arguments)
        return self._clock() - started, result


def summary(samples: Sequence[float]) -> dict[str, float]:
    """Median and extremes."""
    return {"p50": statistics.median(samples), "least": min(samples), "most": max(samples)}


def ratio(slower: Sequence[float], faster: Sequence[float]) -> dict[str, float]:
    """Of what was measured side by side."""
    return summary([one / other for one, other in zip(slower, faster, strict=True)])


def default_model() -> Path:
    """The widened student if there is one, made from the student as it is now."""
    folder = paths.cache_directory() / "bench" / "models"
    widened = sorted(folder.glob(f"{EMBEDDED_PATH.stem}-{checksum(EMBEDDED_PATH)[:12]}-0.5b-q8_0-*.gguf"))
    return widened[-1] if widened else EMBEDDED_PATH


def show(case: str, found: dict[str, Any]) -> None:
    """Print one case for people."""
    for way, times in found["seconds"].items():
        print(f"{case:12} {way:14} {times['p50']:9.3f} s  ({times['least']:.3f} to {times['most']:.3f})")
    for peer in ("anew", "reusing"):
        times = found[f"ratio {peer}"]
        print(f"{case:12} {'together':14} {times['p50']:9.2f} times as fast as calls {peer}", end="")
        print(f"  ({times['least']:.2f} to {times['most']:.2f})")
    counters = found["counters"]
    print(
        f"{case:12} {counters['prompt_tokens']:g} prompt tokens, {counters['answer_tokens']:g} drawn in"
        f" {counters['forward_passes']:g} passes over {counters['tokens_evaluated']:g} tokens;"
        f" {found[EQUAL]} calls wrote the same"
    )


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?", default=None)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--prompt-tokens", type=int, default=350)
    parser.add_argument("--answer-tokens", type=int, default=20, help="of the case where all differ")
    parser.add_argument("--temperature", type=float, default=1.0, help="of the case as drawn")
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--gpu-layers", type=int, default=0)
    parser.add_argument("--repeat", type=int, default=3, help="prompts of the case where all differ")
    parser.add_argument("--moments", type=int, default=6, help="prompts of the case as drawn")
    parser.add_argument("--calls", type=int, default=3, help="calls that are timed for each prompt")
    parser.add_argument(
        "--clock",
        choices=sorted(CLOCKS),
        default="wall",
        help="processor: of one thread, without what else the machine does",
    )
    options = parser.parse_args()
    options.model = options.model or default_model()
    bench = SamplingBench(options)
    results = {"all differ": bench.all_differ()}
    show("all differ", results["all differ"])
    try:
        results["as drawn"] = bench.as_drawn()
        show("as drawn", results["as drawn"])
    except UnknownModel as error:
        print(f"as drawn     not measured: {error}")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
    print(
        json.dumps(
            {
                **vars(options),
                "model": options.model.name,
                **results,
                "commit": commit.stdout.strip(),
                "machine": machine,
            }
        )
    )


if __name__ == "__main__":
    main()
