"""What an answer probably says: that nothing changes, or that the user's last substitution is done once more.

Both are written in the format's own words, as it would be trained to say them; so the draft of a rename is the
renamed rest, whether the format rewrites the region or names lines. Knows formats only through their interface,
and nothing of models beyond a function that makes tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from capture.editing.substitution import last_substitution, substitute
from daemon.engine.answer import Unchanged
from daemon.prompts.base import NewRegion, TargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from capture.inputs import PredictionInputs
    from daemon.prompts.base import Prompt, PromptFormat
    from daemon.prompts.raw_prompt import ShownRegion

    Tokenize = Callable[[str], list[int]]


@dataclass(frozen=True, slots=True)
class Expected:
    """``drafts`` in tokens, the preferred first; ``unchanged`` only where that answer is a copy of the region."""

    drafts: tuple[Sequence[int], ...]
    unchanged: Unchanged | None


NOTHING_EXPECTED: Final = Expected((), None)


def expected_answers(
    prompt_format: PromptFormat, inputs: PredictionInputs, prompt: Prompt, tokenize: Tokenize
) -> Expected:
    """The answers ``prompt_format`` would give to ``prompt`` for what is likely, less those it cannot say."""
    unchanged = answer_for(prompt_format, inputs, prompt, prompt.region_text)
    texts = [] if unchanged is None else [unchanged]
    substitution = last_substitution(inputs.events)
    if substitution is not None:
        repeated = substitute(prompt.region_text, substitution.removed, substitution.added)
        answer = None if repeated == prompt.region_text else answer_for(prompt_format, inputs, prompt, repeated)
        texts = texts if answer is None else [answer, *texts]
    copy = None
    if prompt.answer_copies_region:
        text = "" if unchanged is None else unchanged[: _end(unchanged, prompt.stop)[0]]
        if unchanged is not None and _holds_lines(prompt.prefill + text, prompt.region_text):
            copy = Unchanged(text.encode(), tokenize(unchanged))
        else:  # a format with a word for "nothing changes" still copies where something does
            texts.append(prompt.region_text.removeprefix(prompt.prefill))
    return Expected(tuple(tokenize(text) for text in texts if text), copy)


def expected_completions(region: ShownRegion, tokenize: Tokenize) -> Expected:
    """The same for a prompt that a client rendered: the region as it stands, of which nothing else is known."""
    text = tokenize(region.text)
    if region.unchanged is None or region.no_edit is None:
        return Expected((text,), None)
    unchanged = tokenize(region.unchanged)
    if not region.copies:
        return Expected((text, unchanged), None)
    return Expected((unchanged,), Unchanged(region.no_edit.encode(), unchanged))


def answer_for(prompt_format: PromptFormat, inputs: PredictionInputs, prompt: Prompt, region_text: str) -> str | None:
    """What the format would say for this region, up to and with its stop marker; None where it cannot."""
    try:
        target = prompt_format.training_target(inputs, prompt, NewRegion(region_text))
    except TargetError:
        return None
    return target[: _end(target, prompt.stop)[1]]


def _holds_lines(text: str, region_text: str) -> bool:
    """Whether the region's lines stand in the text: a copy, perhaps between lines with markers."""
    region_lines = region_text.removesuffix("\n")
    return f"\n{region_lines}\n" in f"\n{text}\n"


def _end(target: str, stop: Sequence[str]) -> tuple[int, int]:
    """Where the first stop marker begins and ends."""
    found = [(target.find(marker), len(marker)) for marker in stop if marker in target]
    at, length = min(found, default=(len(target), 0))
    return at, at + length
