"""How many answers two models share: ``python -m bench.agreement MODEL OTHER [--moments N]``.

Asks both the same prompts, made of moments of the typing sessions, as the daemon's engine asks: an answer is given up
once it is less sure than the file itself wants, and two that were given up are equal. For a student and what it was
widened to (``widen.py``): their answers should be the same. One model is loaded at a time.
Prints one JSON object as the last line.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import llama_cpp
import orjson

from bench.session import Session, read_sessions
from capture.editing.state import EditingState
from capture.inputs import PredictionInputs
from daemon.engine.abort import AbortFlag
from daemon.engine.decoder import Decoder, DecodeRequest
from daemon.engine.llama import Context, Log, Model
from daemon.engine.loaded import BATCH_TOKENS, MIN_CONFIDENCE_KEY
from daemon.engine.messages import StopReason
from daemon.prompts.base import Prompt, Refusal
from daemon.prompts.registry import choose_format

SECONDS_BETWEEN_KEYS = 0.2
CONTEXT_TOKENS = 1024


def moments(session: Session, every: int) -> Iterator[PredictionInputs]:
    """What a model may see at every ``every``-th keystroke of a session."""
    clock = count()
    editing = EditingState(lambda: SECONDS_BETWEEN_KEYS * next(clock))
    header = session.header
    editing.open(header.session, header.text, path=header.path, language_id=header.language_id)
    for number, keystroke in enumerate(session.keystrokes, start=1):
        if keystroke.change is not None:
            editing.change(header.session, number, [keystroke.change])
        if number % every == 0:
            yield editing.inputs(header.session, keystroke.cursor)


def prompts(model: Path, sessions: list[Session], every: int) -> list[Prompt]:
    """The prompts of these moments in the model's own format; those that the format refuses are left out."""
    vocabulary = llama_cpp.Llama(str(model), vocab_only=True, verbose=False)
    prompt_format = choose_format("", vocabulary.metadata, model.name)
    rendered = [
        prompt_format.render(inputs, lambda text: len(vocabulary.tokenize(text.encode(), add_bos=False, special=True)))
        for session in sessions
        for inputs in moments(session, every)
    ]
    vocabulary.close()
    return [prompt for prompt in rendered if not isinstance(prompt, Refusal)]


def answers(path: Path, asked: list[Prompt], *, threads: int = 1) -> list[bytes | None]:
    """A model's greedy answers, None for those that were given up."""
    log = Log(sys.stderr.write)
    model = Model.load(str(path), log)
    facts = model.facts()
    flag = AbortFlag.create()
    context = Context(
        model,
        log,
        context_tokens=CONTEXT_TOKENS,
        batch_tokens=BATCH_TOKENS,
        threads=threads,
        abort=flag,
    )
    decoder = Decoder(model, context, flag)
    limit = float(facts.metadata.get(MIN_CONFIDENCE_KEY, "0"))
    found: list[bytes | None] = []
    for prompt in asked:
        decoded = decoder.decode(
            DecodeRequest(
                prompt=model.tokenize(prompt.text, add_beginning=True),
                stop=tuple(marker.encode() for marker in prompt.stop),
                max_answer_tokens=prompt.max_answer_tokens,
                least_log_probability=math.log(limit) if limit else -math.inf,
            )
        )
        found.append(None if decoded.stop is StopReason.UNSURE else decoded.answer)
    context.close()
    model.close()
    flag.close()
    return found


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("--moments", type=int, default=200)
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    options = parser.parse_args()
    sessions = read_sessions()
    keystrokes = [len(session.keystrokes) for session in sessions]
    # At least one of each session, at most all.
    asked = prompts(options.model, sessions, max(1, min(*keystrokes, sum(keystrokes) // options.moments)))
    mine, theirs = (answers(path, asked, threads=options.threads) for path in (options.model, options.other))
    equal = sum(one == other for one, other in zip(mine, theirs, strict=True))
    given_up = mine.count(None)
    print(f"{equal} of {len(asked)} answers are equal ({100 * equal / len(asked):.1f} %); {given_up} were given up")
    print(orjson.dumps({"bench": "agreement", "answers": len(asked), "equal": equal, "given_up": given_up}).decode())


if __name__ == "__main__":
    main()
