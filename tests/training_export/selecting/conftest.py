"""Examples to select from, made from a few numbers: a file, a place in it, a variant of it."""

from __future__ import annotations

from random import Random

import pytest

from training_export.example import Example

WORDS = ("total", "price", "basket", "order", "label", "amount", "tax", "customer", "stock", "rate", "email", "city")


def _code(seed: object, lines: int) -> list[str]:
    """A page of code of its own: other seeds share hardly a shingle with it."""
    random = Random(str(seed))
    names = [f"{random.choice(WORDS)}_{random.choice(WORDS)}_{random.randrange(1000)}" for _ in range(40)]
    return [
        f"    {random.choice(names)} = {random.choice(names)}({random.choice(names)}, {random.randrange(99)})"
        for _ in range(lines)
    ]


@pytest.fixture(scope="session")
def new_example():
    """``new_example(seed)``: examples of other seeds have nothing in common; a variant changes a line of its own."""

    def make(seed=0, variant=0, repository="shop", path="", name="", **fields):
        lines = _code(seed, 30)
        if variant:
            lines[variant % 30] += f"  # {variant}"
        lines[10] = lines[10][:12] + "<|user_cursor|>" + lines[10][12:]
        return Example.new(
            name=name or f"{seed}-{variant}",
            repository_url=f"https://example.org/{repository}.git",
            cursor_path=path or f"src/{seed}.py",
            cursor_position="\n".join(lines) + "\n",
            **fields,
        )

    return make


@pytest.fixture
def as_file(tmp_path):
    """Writes lines to a file and returns its path."""

    def write(examples, name="in.jsonl"):
        path = tmp_path / name
        path.write_text("".join(f"{getattr(line, 'to_line', lambda line=line: line)()}\n" for line in examples))
        return path

    return write
