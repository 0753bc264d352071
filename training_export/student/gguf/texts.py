"""Held-out cases as the tokens a model is to read: the prompt the daemon would ask, and the answer that would be right.

Knows nothing of files, time or probabilities.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from daemon.prompts.base import NewRegion, PromptFormat, Refusal, TargetError
from training_export.example import Example
from training_export.student.evaluation.cases import Case, NoCase

Tokenise = Callable[[str], list[int]]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class HeldOut:
    """An example, which the engine is asked about, and the case it is judged as."""

    example: Example
    case: Case


@dataclass(frozen=True, slots=True)
class Text:
    """Token ids; the answer is what comes from ``answer_start`` on, the token that ends it included."""

    tokens: tuple[int, ...]
    answer_start: int


@dataclass(slots=True)
class Texts:
    """What can be read, the case that each text was made of, and why there are no others: a sentence, how many."""

    texts: list[Text] = field(default_factory=list)
    made_of: list[HeldOut] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def texts_of(
    held_out: Iterable[HeldOut],
    prompt_format: PromptFormat,
    tokens: Tokenise,
    prompt_tokens: Tokenise,
    max_tokens: int,
) -> Texts:
    """Every case of which the format makes a prompt and an answer of at most ``max_tokens`` together.

    ``prompt_tokens`` puts the beginning first that the model asks for.
    """
    found = Texts()
    for one in held_out:
        text = _text(one.case, prompt_format, tokens, prompt_tokens)
        if isinstance(text, str):
            found.left_out[text] += 1
        elif len(text.tokens) > max_tokens:
            found.left_out[f"longer than the {max_tokens:,} tokens of the model's context"] += 1
        else:
            found.texts.append(text)
            found.made_of.append(one)
    return found


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """So many of them, evenly from the first to the last: files are often sorted by task. 0: all."""
    if not count or count >= len(items):
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]


def _text(case: Case, prompt_format: PromptFormat, tokens: Tokenise, prompt_tokens: Tokenise) -> Text | str:
    prompt = prompt_format.render(case.inputs, lambda text: len(tokens(text)))
    if isinstance(prompt, Refusal):
        return prompt.value
    try:
        wanted = case.wanted_in(prompt.region)
    except NoCase as error:
        return str(error)
    for text in wanted:
        try:
            answer = prompt_format.training_target(case.inputs, prompt, NewRegion(text))
        except TargetError:
            continue
        asked = prompt_tokens(prompt.text)
        return Text((*asked, *tokens(answer)), len(asked))
    return "the format cannot say what comes next"
