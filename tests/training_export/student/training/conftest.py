"""Small files of examples, a recipe to go with them, and networks that are made in a moment."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from capture.inputs import EditEvent, ExcerptRanges, PredictionInputs, Span
from daemon.prompts.base import NewRegion
from training_export.example import Example
from training_export.patches import patch_of_region

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
NAMES = ("total", "price", "count", "label", "weight", "height", "owner", "colour", "amount", "index")
RANGES = ("editable_350", "editable_150", "editable_180", "editable_150_context_350", "editable_180_context_350")
RECIPE = """
prompt_format = "line_edits"
held_out_per_task = 8
look_steps = 4
[sizes]
architecture = "{architecture}"
vocabulary_size = 420
width = 32
layers = 1
heads = 2
key_value_heads = 2
hidden = 48
context_tokens = 768
[optimiser]
warm_up_steps = 2
matrix_rate = {rate}
adam_rate = {rate}
[weights]
prompt = 0.2
answer = 2.0
answer_line = 5.0
[[stages]]
steps = {steps}
batch_tokens = 1200
max_tokens = 700
"""


def moment(number: int, *, lines: int = 8) -> tuple[PredictionInputs, str]:
    """A name in a small function was changed at its definition; and the text with the change everywhere."""
    random = Random(number)
    old, other = random.sample(NAMES, 2)
    new = f"{old}_{random.choice(NAMES)}"
    body = [f"    {other} = {old} + {index}" for index in range(1, lines - 1)]
    head = f"def work({old}):"
    before = "\n".join([head, *body, f"    return {old}", ""])
    now = before.replace(head, f"def work({new}):", 1)
    path = f"src/file_{number}.py"
    whole = Span(0, len(now.encode()))
    inputs = PredictionInputs(
        cursor_path=path,
        cursor_excerpt=now,
        cursor_offset_in_excerpt=now.index(new) + len(new),
        excerpt_ranges=ExcerptRanges(dict.fromkeys(RANGES, whole)),
        excerpt_start_row=0,
        events=(EditEvent(path, path, f"@@ -1,1 +1,1 @@\n-{head}\n+def work({new}):\n"),),
        syntax_ranges=(),
    )
    return inputs, before.replace(old, new)


def made_example(number: int, *, is_quiet: bool = False, with_rejected: bool = False, lines: int = 8) -> Example:
    inputs, expected = moment(number, lines=lines)
    at, text = inputs.cursor_offset_in_excerpt, inputs.excerpt_bytes
    whole = Span(0, len(text))
    patch = "" if is_quiet else patch_of_region(inputs, whole, NewRegion(expected))
    worse = patch_of_region(inputs, whole, NewRegion(inputs.cursor_excerpt.replace("return", "yield")))
    made_by = {
        "task": "quiet" if is_quiet else "rename",
        "project": "small",
        "path": inputs.cursor_path,
        "rule_is_right": not is_quiet and number % 2 == 0,
    }
    fields = {"rejected_patch": worse} if with_rejected else {}
    return Example.new(
        name=f"moment-{number}",
        cursor_path=inputs.cursor_path,
        cursor_position=text[:at].decode() + "<|user_cursor|>" + text[at:].decode(),
        expected_patches=[patch],
        prompt_inputs=inputs.to_json(),
        foretype={"synthesis": made_by},
        **fields,
    )


@pytest.fixture(scope="session")
def example():
    """``example(number, is_quiet=..., with_rejected=..., lines=...)``: a rename to finish, or one that is finished."""
    return made_example


@pytest.fixture(scope="session")
def write_examples():
    """``write_examples(path, numbers, with_rejected=...)``: every fourth one is quiet."""

    def write(path: Path, numbers, **options) -> str:
        lines = [made_example(number, is_quiet=number % 4 == 3, **options).to_line() for number in numbers]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture(scope="session")
def write_recipe():
    """``write_recipe(folder, steps=12, rate=0.01)``: the path of a recipe for a network of twenty thousand weights."""

    def write(folder: Path, *, steps: int = 12, rate: float = 0.01, architecture: str = "qwen2") -> str:
        path = folder / "tiny.toml"
        path.write_text(RECIPE.format(steps=steps, rate=rate, architecture=architecture), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def one_thread():
    """Small products on many threads wait for each other more than they compute."""
    torch = pytest.importorskip("torch", reason="make test-train installs torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def write_arrays():
    """``write_arrays(folder, lengths, tasks=..., rejected=...)``: a set of random tokens below 60, half of each an answer."""
    pytest.importorskip("tokenizers", reason="make test-train installs tokenizers")
    from training_export.student.training.arrays import ArraySet, ArrayWriter  # noqa: PLC0415 (with the extra `train` alone)
    from training_export.student.training.encoding import Encoded, Role  # noqa: PLC0415

    def write(folder: Path, lengths, *, tasks=("rename",), rejected_tokens: int = 0) -> ArraySet:
        random = Random(len(lengths))
        with ArrayWriter(folder, "key") as writer:
            for number, length in enumerate(lengths):
                tokens = [random.randrange(1, 60) for _ in range(length)]
                start = max(1, length // 2)
                roles = [int(Role.PROMPT)] * (start - 1) + [int(Role.ANSWER)] * (length - start) + [0]
                worse = [random.randrange(1, 60) for _ in range(rejected_tokens)]
                task = tasks[number % len(tasks)]
                writer.add(Encoded(task, tokens, [*tokens[1:], tokens[-1]], roles, start, worse, file=number))
            writer.commit(len(lengths), is_finished=True)
        return ArraySet(folder)

    return write


@pytest.fixture(scope="session")
def tiny_network():
    """``tiny_network(seed=1, architecture="qwen2")``: one of transformers' models with a vocabulary of 60."""
    pytest.importorskip("torch", reason="make test-train installs torch")
    import torch  # noqa: PLC0415 (with the extra `train` alone)
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM  # noqa: PLC0415

    sizes = {
        "vocab_size": 60, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 256, "tie_word_embeddings": True,
        "attn_implementation": "sdpa", "initializer_range": 0.2,
    }  # fmt: skip

    def make(seed: int = 1, architecture: str = "qwen2"):
        torch.manual_seed(seed)
        if architecture == "llama":
            return LlamaForCausalLM(LlamaConfig(**sizes))
        return Qwen2ForCausalLM(Qwen2Config(**sizes))

    return make
