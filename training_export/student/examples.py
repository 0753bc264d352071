"""Cases as token sequences with a target and a weight at every position.

The daemon's own prompt format renders and encodes, so the student is trained on exactly what it will be asked.
Besides the answer there are two side targets: the prompt's own text (a language model learns the code), and,
at each region line's token, what will happen to that line (`<|same|>` or the first token of its edit): the
study found that naming the line is the hard part, and this makes every line a lesson.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from tokenizers import Tokenizer

from daemon.prompts.base import NewRegion, Prompt, Refusal, TargetError
from daemon.prompts.line_edits import (
    ADD,
    AGAIN,
    ANSWER,
    CONTROL_TOKENS,
    DEL,
    DELETE,
    INSERT,
    LINE_NAMES,
    REGION,
    SAME,
    LineEdits,
)
from training_export.student.corpus import SourceFile
from training_export.student.moments import Case, ParsedFile, parse_file
from training_export.student.synthesis import MIXTURE, Synthesiser
from training_export.student.tokenizer import token_id

# A quarter of the prompt's positions are learnt, so that few logits are computed (the study: logits cost most).
PROMPT_PART, PROMPT_WEIGHT = 4, 0.2
LINE_WEIGHT_SAME, LINE_WEIGHT_EDITED = 0.3, 2.0
ANSWER_WEIGHT, ANSWER_LINE_WEIGHT = 2.0, 5.0  # naming the line is the hard part
CASES_PER_FILE = 10
MAX_TOKENS = 640

_FORMAT = LineEdits()
_ANSWER_LINE = re.compile("(" + "|".join(re.escape(name) for name in LINE_NAMES) + r")(<\|\w+\|>)?")


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids; ``targets[i]`` is what position i should predict and ``weights[i]`` how much it counts.

    The answer's tokens start at ``answer_start`` (index into ``tokens``).
    """

    task: str
    tokens: list[int]
    targets: list[int]
    weights: list[float]
    answer_start: int


def expected_region(case: Case, prompt: Prompt) -> NewRegion | None:
    """The region's new text, None when what comes next lies outside the region."""
    text = case.current.encode()
    before, after = text[: prompt.region.start].decode(), text[prompt.region.end :].decode()
    if not (case.expected.startswith(before) and case.expected.endswith(after)):
        return None
    return NewRegion(case.expected[len(before) : len(case.expected) - len(after)])


def encode_case(case: Case, tokenizer: Tokenizer) -> Example | None:
    """The case as an example, None when it does not fit the format."""
    inputs = case.inputs()
    prompt = _FORMAT.render(inputs, lambda text: len(tokenizer.encode(text).ids))
    if isinstance(prompt, Refusal):
        return None
    region = expected_region(case, prompt)
    if region is None:
        return None
    try:
        answer = _FORMAT.training_target(inputs, prompt, region)
    except TargetError:
        return None
    prompt_ids = tokenizer.encode(prompt.text).ids
    answer_ids = tokenizer.encode(answer).ids
    tokens = prompt_ids + answer_ids
    if len(tokens) > MAX_TOKENS or len(answer_ids) > prompt.max_answer_tokens:
        return None
    targets = [*tokens[1:], tokens[-1]]
    start = len(prompt_ids)
    weights = [PROMPT_WEIGHT] * (start - 1) + [ANSWER_WEIGHT] * len(answer_ids) + [0.0]
    lines = {token_id(tokenizer, name) for name in LINE_NAMES}
    for index in range(start - 1, len(tokens) - 1):
        if index == start - 1 or targets[index] in lines:
            weights[index] = ANSWER_LINE_WEIGHT
    control = {token_id(tokenizer, token) for token in CONTROL_TOKENS}
    for index in range(start - 1):
        if targets[index] in control or (index * 7 + len(tokens)) % PROMPT_PART:
            weights[index] = 0.0
    _teach_lines(tokenizer, lines, tokens, targets, weights, start, answer)
    return Example(case.task, tokens, targets, weights, start)


def _teach_lines(
    tokenizer: Tokenizer,
    lines: set[int],
    tokens: list[int],
    targets: list[int],
    weights: list[float],
    start: int,
    answer: str,
) -> None:
    """Give every region line's token its own target."""
    kinds = {AGAIN, DEL, ADD, INSERT, DELETE}
    edits = {
        token_id(tokenizer, name): token_id(tokenizer, kind if kind in kinds else REGION)
        for name, kind in _ANSWER_LINE.findall(answer)
    }
    same = token_id(tokenizer, SAME)
    region_start = tokens.index(token_id(tokenizer, REGION))
    assert tokens[start - 1] == token_id(tokenizer, ANSWER)  # noqa: S101 (an invariant of render)
    for index in range(region_start, start - 1):
        if tokens[index] in lines:
            edited = edits.get(tokens[index])
            targets[index] = same if edited is None else edited
            weights[index] = LINE_WEIGHT_SAME if edited is None else LINE_WEIGHT_EDITED


def corpus_names(files: Sequence[SourceFile]) -> list[str]:
    """Identifiers of the corpus, sorted: what synthetic renames rename to."""
    return sorted({name for file in files for name in re.findall(r"\b[A-Za-z_]\w{2,30}\b", file.text)})


def stream(
    files: Sequence[SourceFile],
    names: Sequence[str],
    tokenizer: Tokenizer,
    seed: int,
    tasks: dict[str, float],
) -> Iterator[Example]:
    """Examples without end, in an order fixed by ``seed``."""
    random = Random(seed)
    synthesiser = Synthesiser(random, names)
    parsed: dict[str, ParsedFile | None] = {}
    while True:
        source = random.choice(files)
        key = f"{source.origin}/{source.path}"
        file = parsed[key] if key in parsed else parse_file(source)
        if len(parsed) < 1500:
            parsed[key] = file
        if file is None:
            continue
        for task in random.choices(list(tasks), list(tasks.values()), k=CASES_PER_FILE):
            case = synthesiser.case(file, task)
            example = encode_case(case, tokenizer) if case else None
            if example is not None:
                yield example


def training_stream(
    files: Sequence[SourceFile], names: Sequence[str], tokenizer: Tokenizer, seed: int
) -> Iterator[Example]:
    """The training mixture."""
    return stream(files, names, tokenizer, seed, MIXTURE)
