"""Cases as token sequences with a target and a weight at every position.

The daemon's own prompt format renders and encodes, so a student is trained on exactly what it will be asked. Besides
the answer it learns the prompt's own text, with less weight: a language model of the code.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from rapidfuzz.distance import Indel
from tokenizers import Tokenizer

from daemon.prompts.base import NewRegion, Prompt, Refusal, TargetError
from daemon.prompts.line_region import ADD, AGAIN, DEL, DELETE, HISTORY, INSERT, LINE_NAMES, REGION, SAME
from training_export.student.corpus import SourceFile
from training_export.student.earlier_edits import with_earlier_edits
from training_export.student.moments import Case, ParsedFile, parse_file
from training_export.student.recipe import Recipe, Stage
from training_export.student.synthesis import Synthesiser
from training_export.student.tokenizer import END_OF_TEXT, special_tokens, token_id

# A quarter of the prompt's positions are learnt, so that few logits are computed (the study: logits cost most).
PROMPT_PART, PROMPT_WEIGHT = 4, 0.2
LINE_WEIGHT_SAME, LINE_WEIGHT_EDITED = 0.3, 2.0
ANSWER_WEIGHT, ANSWER_LINE_WEIGHT = 2.0, 5.0  # naming the line is the hard part
CASES_PER_FILE = 10
COPIED_WEIGHT, CHANGED_WEIGHT = 0.5, 3.0  # of an answer that copies the region: most of its tokens teach nothing new

# A region without meaning: how many tokens it has at least, and how many different ones.
FEWEST_TOKENS, KINDS = 16, (8, 256)

_ANSWER_LINE = re.compile("(" + "|".join(re.escape(name) for name in LINE_NAMES) + r")(<\|\w+\|>)?")


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids; ``targets[i]`` is what position i should predict and ``weights[i]`` how much it counts.

    The answer's tokens start at ``answer_start`` (index into ``tokens``) and stand ``gap_tokens`` further on than that,
    as behind a longer prompt.
    """

    task: str
    tokens: list[int]
    targets: list[int]
    weights: list[float]
    answer_start: int
    gap_tokens: int = 0


def expected_region(case: Case, prompt: Prompt) -> NewRegion | None:
    """The region's new text, None when what comes next lies outside the region."""
    text = case.current.encode()
    before, after = text[: prompt.region.start].decode(), text[prompt.region.end :].decode()
    if not (case.expected.startswith(before) and case.expected.endswith(after)):
        return None
    return NewRegion(case.expected[len(before) : len(case.expected) - len(after)])


def encode_case(case: Case, tokenizer: Tokenizer, recipe: Recipe, stage: Stage) -> Example | None:
    """The case as an example, None when it does not fit the format."""
    inputs = case.inputs()
    prompt = recipe.prompt_format.render(inputs, lambda text: len(tokenizer.encode(text).ids))
    if isinstance(prompt, Refusal):
        return None
    region = expected_region(case, prompt)
    if region is None:
        return None
    try:
        answer = recipe.prompt_format.training_target(inputs, prompt, region)
    except TargetError:
        return None
    prompt_ids = tokenizer.encode(prompt.text).ids
    answer_ids = tokenizer.encode(answer).ids
    tokens = prompt_ids + answer_ids
    if len(tokens) > stage.max_tokens or len(answer_ids) > prompt.max_answer_tokens:
        return None
    targets = [*tokens[1:], tokens[-1]]
    start = len(prompt_ids)
    learnt = targets[: start - 1]
    weights = _prompt_weights(tokenizer, recipe, learnt) if recipe.learns_prompts else [0.0] * len(learnt)
    if prompt.answer_copies_region:
        weights += _copy_weights(tokenizer.encode(prompt.region_text).ids, answer_ids)
    else:
        weights += _line_edit_weights(tokenizer, answer_ids)
        _teach_lines(tokenizer, tokens, targets, weights, answer)
    return Example(case.task, tokens, targets, [*weights, 0.0], start)


def _prompt_weights(tokenizer: Tokenizer, recipe: Recipe, targets: Sequence[int]) -> list[float]:
    control = {token_id(tokenizer, token) for token in recipe.control_tokens}
    return [
        0.0 if target in control or (index * 7 + len(targets)) % PROMPT_PART else PROMPT_WEIGHT
        for index, target in enumerate(targets)
    ]


def _copy_weights(region: Sequence[int], answer: Sequence[int]) -> list[float]:
    weights = [CHANGED_WEIGHT] * len(answer)
    for operation in Indel.opcodes(region, answer):
        if operation.tag == "equal":
            # The first token after a change is a decision too: the change ends here.
            first = operation.dest_start + (operation.dest_start > 0)
            weights[first : operation.dest_end] = [COPIED_WEIGHT] * (operation.dest_end - first)
    return weights


def _line_edit_weights(tokenizer: Tokenizer, answer: Sequence[int]) -> list[float]:
    lines = {token_id(tokenizer, name) for name in LINE_NAMES}
    return [ANSWER_LINE_WEIGHT if index == 0 or token in lines else ANSWER_WEIGHT for index, token in enumerate(answer)]


def _teach_lines(
    tokenizer: Tokenizer, tokens: Sequence[int], targets: list[int], weights: list[float], answer: str
) -> None:
    """Give every region line's token its own target."""
    lines = {token_id(tokenizer, name) for name in LINE_NAMES}
    kinds = {AGAIN, DEL, ADD, INSERT, DELETE}
    edits = {
        token_id(tokenizer, name): token_id(tokenizer, kind if kind in kinds else REGION)
        for name, kind in _ANSWER_LINE.findall(answer)
    }
    same = token_id(tokenizer, SAME)
    for index in range(tokens.index(token_id(tokenizer, REGION)), tokens.index(token_id(tokenizer, HISTORY))):
        if tokens[index] in lines:
            edited = edits.get(tokens[index])
            targets[index] = same if edited is None else edited
            weights[index] = LINE_WEIGHT_SAME if edited is None else LINE_WEIGHT_EDITED


def stream(
    files: Sequence[SourceFile],
    names: Sequence[str],
    tokenizer: Tokenizer,
    recipe: Recipe,
    stage: Stage,
    seed: int,
) -> Iterator[Example]:
    """Examples of a stage without end, in an order fixed by ``seed``."""
    random = Random(seed)
    if stage.random_copies:
        while True:
            yield random_copy(random, tokenizer, recipe, stage)
    synthesiser = Synthesiser(random, names, stage.max_window_lines)
    parsed: dict[str, ParsedFile | None] = {}
    while True:
        source = random.choice(files)
        key = f"{source.origin}/{source.path}"
        file = parsed[key] if key in parsed else parse_file(source)
        if len(parsed) < 1500:
            parsed[key] = file
        if file is None:
            continue
        for task in random.choices(list(stage.tasks), list(stage.tasks.values()), k=CASES_PER_FILE):
            case = synthesiser.case(file, task)
            if case is not None and stage.max_earlier_edits:
                case = with_earlier_edits(case, random, names, random.randint(0, stage.max_earlier_edits))
            example = encode_case(case, tokenizer, recipe, stage) if case else None
            if example is not None:
                yield _with_gap(example, random, stage)


def random_copy(random: Random, tokenizer: Tokenizer, recipe: Recipe, stage: Stage) -> Example:
    """Tokens without meaning between the format's own marks of a prompt, and the same tokens again.

    Nothing but copying helps. Where they are drawn from a few tokens, only a long match tells places apart.
    """
    smallest = len(special_tokens(tokenizer))
    alphabet = random.choices(range(smallest, tokenizer.get_vocab_size()), k=_evenly_by_magnitude(random, *KINDS))
    begin, middle = (tokenizer.encode(text).ids for text in recipe.prompt_format.delimiters)
    longest = (stage.max_tokens - len(begin) - len(middle) - 1) // 2
    region = random.choices(alphabet, k=_evenly_by_magnitude(random, FEWEST_TOKENS, longest))
    answer = [*region, token_id(tokenizer, END_OF_TEXT)]
    tokens = begin + region + middle + answer
    start = len(tokens) - len(answer)
    weights = [0.0] * (start - 1) + [1.0] * len(answer) + [0.0]
    return _with_gap(Example("random", tokens, [*tokens[1:], tokens[-1]], weights, start), random, stage)


def _with_gap(example: Example, random: Random, stage: Stage) -> Example:
    if not stage.max_gap_tokens:
        return example
    return replace(example, gap_tokens=_evenly_by_magnitude(random, 1, stage.max_gap_tokens))


def _evenly_by_magnitude(random: Random, least: int, most: int) -> int:
    """A number between these: as often from 8 to 16 as from 64 to 128."""
    return int(math.exp(random.uniform(math.log(least), math.log(most))))
