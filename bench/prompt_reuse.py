"""How many tokens of the student's prompt a keystroke makes new: ``python -m bench.prompt_reuse [SESSION ...]``.

Renders the embedded student's prompt for every key of the typing sessions, without context and with it
(``surroundings.py``), and counts what the last few prompts do not begin with, as the engine's cache keeps them. Nothing
is evaluated: no answers, no reuse of predictions, no guesses, no times. *Moved* are the keys whose prompt has another
context than the one before; of these *in flow* came less than half a second after a key in the same rows, where nothing
may move. Prints a row for each session and one JSON object as the last line.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import llama_cpp
import orjson

from bench.session import Session, read_sessions
from bench.surroundings import seen_inputs
from capture.context.gathering import QUIET_SECONDS
from capture.context.identifiers import ROWS_AROUND_CURSOR
from capture.inputs import PredictionInputs
from daemon.engine.cache import common_prefix
from daemon.engine.loaded import CACHED_PROMPTS
from daemon.prompts.base import Refusal
from daemon.prompts.line_region import REGION
from daemon.prompts.registry import choose_format
from daemon.registry import EMBEDDED_PATH


@dataclass(frozen=True, slots=True)
class Key:
    """What one key's prompt costs: how many of its tokens are new; ``front`` is what stands before the region."""

    new_tokens: int
    front: str
    is_in_flow: bool


def keys_in_flow(session: Session) -> list[bool]:
    """For each key whether it goes on where the key before it was pressed, without a pause between them."""
    flow, before = [], None
    for key in session.keystrokes:
        goes_on = (
            before is not None
            and key.at_ms - before.at_ms < 1000 * QUIET_SECONDS
            and abs(key.cursor.line - before.cursor.line) <= ROWS_AROUND_CURSOR
        )
        flow.append(goes_on)
        before = key
    # The first key behind a jump finds what became known at the new place.
    return [goes_on and went_on for goes_on, went_on in zip(flow, [False, *flow], strict=False)]


def count(session: Session, seen: Sequence[PredictionInputs], vocabulary: llama_cpp.Llama) -> list[Key]:
    """Every key whose prompt is not refused; ``seen`` are the inputs of all keys."""

    def tokens_of(text: str) -> list[int]:
        found: list[int] = vocabulary.tokenize(text.encode(), add_bos=False, special=True)
        return found

    prompt_format = choose_format("", vocabulary.metadata, EMBEDDED_PATH.name)
    keys: list[Key] = []
    held: list[list[int]] = []
    for inputs, is_in_flow in zip(seen, keys_in_flow(session), strict=True):
        prompt = prompt_format.render(inputs, lambda text: len(tokens_of(text)))
        if isinstance(prompt, Refusal):
            continue
        tokens = tokens_of(prompt.text)
        new = len(tokens) - max((common_prefix(earlier, tokens[:-1]) for earlier in held), default=0)
        keys.append(Key(new, prompt.text.partition(REGION)[0], is_in_flow))
        # A prompt typed on takes its predecessor's place, as in ``daemon/engine/cache.py``.
        others = [earlier for earlier in held if 2 * common_prefix(earlier, tokens) < len(earlier)]
        held = [tokens, *others][:CACHED_PROMPTS]
    return keys


def moved(keys: Sequence[Key]) -> list[Key]:
    """The keys before whose region something else stands than at the key before."""
    return [key for before, key in pairwise(keys) if key.front != before.front]


def figures(sessions: Sequence[Sequence[Key]]) -> dict[str, Any]:
    """Median, mean and 95th percentile of the new tokens, and how often the context moved within a session."""
    counts = [key.new_tokens for keys in sessions for key in keys]
    moving = [key for keys in sessions for key in moved(keys)]
    return {
        "keys": len(counts),
        "median": statistics.median(counts),
        "mean": round(statistics.mean(counts), 1),
        "p95": round(statistics.quantiles(counts, n=20, method="inclusive")[-1]),
        "moved": len(moving),
        "moved_in_flow": sum(key.is_in_flow for key in moving),
    }


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sessions", nargs="*", help="names, all of them unless given")
    options = parser.parse_args()
    vocabulary = llama_cpp.Llama(str(EMBEDDED_PATH), vocab_only=True, verbose=False)
    counted: dict[str, list[list[Key]]] = {"without_context": [], "with_context": []}
    for session in read_sessions(options.sessions):
        for name, of_sessions in counted.items():
            of_sessions.append(count(session, seen_inputs(session, with_context=name == "with_context"), vocabulary))
            print(f"{session.name:20} {_line(name, figures(of_sessions[-1:]))}", flush=True)
    result = {name: figures(of_sessions) for name, of_sessions in counted.items()}
    for name, value in result.items():
        print(f"{'all sessions':20} {_line(name, value)}")
    print(orjson.dumps({"bench": "prompt_reuse", **result}).decode())


def _line(name: str, value: dict[str, Any]) -> str:
    return f"{name.replace('_', ' '):16} " + ", ".join(f"{what.replace('_', ' ')} {n:g}" for what, n in value.items())


if __name__ == "__main__":
    main()
