"""What is in a file, counted right."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from training_export.commands.census import application
from training_export.example import Example
from training_export.selecting.census import Census, Lengths, example_language

PROMPT = {"input": "p" * 30, "expected_output": "äb", "rejected_output": None, "provider": "zeta1"}


@pytest.fixture
def path(new_example, as_file):
    return as_file(
        [
            new_example(
                1, expected_patches=[""], foretype={"snapshot": {"outcome": "accepted", "language_id": "rust"}}
            ),
            new_example(2, name="1-0", foretype={"failures": {"score": "no"}, "stages": {"score": "k", "format": "k"}}),
            new_example(3, path="Makefile", prompt=PROMPT, foretype={"settle": {"class": "learnable"}, "settled": ""}),
            "nonsense",
        ]
    )


def test_every_kind_is_counted(path):
    result = CliRunner().invoke(application, [str(path), "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["examples"], found["rejected"]) == (3, 1)
    assert found["counts"]["language"] == {"rust": 1, "python": 1, "(none)": 1}
    assert found["counts"]["repository"] == {"https://example.org/shop": 3}
    assert found["counts"]["outcome"] == {"accepted": 1}
    assert found["counts"]["class"] == {"learnable": 1}
    assert found["counts"]["stage that ran"] == {"score": 1, "format": 1}
    assert found["counts"]["stage that failed"] == {"score": 1}
    assert found["counts"]["format of the prompt"] == {"zeta1": 1}
    assert found["facts"]["names that another example has"] == 1
    assert found["facts"]["that expect no edit"] == found["facts"]["with expected patches"] == 1
    assert found["facts"]["with settled text"] == 1
    assert found["lengths"]["prompt (bytes)"] == {"count": 1, "median": 30, "p95": 30, "max": 30}
    assert found["lengths"]["answer (bytes)"]["max"] == 3


def test_the_table_names_the_most_frequent_and_how_many_there_are_besides(new_example, as_file):
    path = as_file([new_example(seed, repository=f"r{seed % 4}") for seed in range(9)])
    result = CliRunner().invoke(application, [str(path), "--top", "1"], env={"COLUMNS": "120"})
    assert result.stdout.startswith("9 examples\n")
    assert "https://example.org/r0" in result.stdout
    assert "https://example.org/r1" not in result.stdout
    assert "3 others" in result.stdout
    assert "33.3%" in result.stdout


def test_an_empty_file_has_nothing(as_file):
    assert CliRunner().invoke(application, [str(as_file([]))]).stdout.strip() == "0 examples"


def test_percentiles_are_lengths_that_occur(new_example):
    census = Census()
    for seed in range(100):
        census.add(Example.new(cursor_position="<|user_cursor|>" + "x" * seed))
    mark = len("<|user_cursor|>")
    assert Lengths.of(census.lengths["cursor_position (bytes)"]) == Lengths(100, mark + 49, mark + 94, mark + 99)


@pytest.mark.parametrize(
    ("path", "language"), [("a/b.py", "python"), ("a.b/c", ""), ("x.toml", ".toml"), ("", ""), ("x.cs", "csharp")]
)
def test_the_language_is_told_by_the_suffix(path, language):
    assert example_language(Example.new(cursor_path=path, cursor_position="<|user_cursor|>")) == language
