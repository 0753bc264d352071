"""How many tokens of the student's prompt a keystroke makes new: ``python -m bench.prompt_reuse [SESSION ...]``.

Renders the embedded student's prompt for every key of the typing sessions and counts what the last few prompts do not
begin with, as the engine's cache keeps them. Nothing is evaluated: no answers, no reuse of predictions, no times.
Prints a row for each session and one JSON object as the last line.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator

import llama_cpp
import orjson

from bench.session import Session, read_sessions
from capture.editing.state import EditingState
from daemon.engine.cache import common_prefix
from daemon.engine.loaded import CACHED_PROMPTS
from daemon.prompts.base import Refusal
from daemon.prompts.registry import choose_format
from daemon.registry import EMBEDDED_PATH


def new_tokens(session: Session, vocabulary: llama_cpp.Llama) -> Iterator[int]:
    """For each key whose prompt is not refused, how many of its tokens are new."""

    def tokens_of(text: str) -> list[int]:
        found: list[int] = vocabulary.tokenize(text.encode(), add_bos=False, special=True)
        return found

    prompt_format = choose_format("", vocabulary.metadata, EMBEDDED_PATH.name)
    header, now_seconds = session.header, 0.0
    state = EditingState(lambda: now_seconds)
    state.open(header.session, header.text, path=header.path, language_id=header.language_id)
    held: list[list[int]] = []
    for number, keystroke in enumerate(session.keystrokes, start=1):
        now_seconds = keystroke.at_ms / 1000
        if keystroke.change is not None:
            state.change(header.session, number, [keystroke.change])
        prompt = prompt_format.render(state.inputs(header.session, keystroke.cursor), lambda text: len(tokens_of(text)))
        if isinstance(prompt, Refusal):
            continue
        tokens = tokens_of(prompt.text)
        yield len(tokens) - max((common_prefix(earlier, tokens[:-1]) for earlier in held), default=0)
        # A prompt typed on takes its predecessor's place, as in ``daemon/engine/cache.py``.
        others = [earlier for earlier in held if 2 * common_prefix(earlier, tokens) < len(earlier)]
        held = [tokens, *others][:CACHED_PROMPTS]


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sessions", nargs="*", help="names, all of them unless given")
    options = parser.parse_args()
    vocabulary = llama_cpp.Llama(str(EMBEDDED_PATH), vocab_only=True, verbose=False)
    counts: list[int] = []
    for session in read_sessions(options.sessions):
        found = list(new_tokens(session, vocabulary))
        counts += found
        print(f"{session.name:20} {len(found):4} keys, ", end="")
        print(f"median {statistics.median(found):g}, mean {statistics.mean(found):.1f}")
    result = {
        "keys": len(counts),
        "median": statistics.median(counts),
        "mean": round(statistics.mean(counts), 1),
        "p95": statistics.quantiles(counts, n=20, method="inclusive")[-1],
    }
    print(", ".join(f"{name} {value:g}" for name, value in result.items()))
    print(orjson.dumps({"bench": "prompt_reuse", **result}).decode())


if __name__ == "__main__":
    main()
