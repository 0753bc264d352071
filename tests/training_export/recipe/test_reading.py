"""What a recipe is, and what is refused with which words."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training_export.commands import COMMANDS
from training_export.errors import RecipeRefused
from training_export.recipe.reading import OTHER_FILE_OPTIONS, WRITING_OPTIONS, read_recipe
from training_export.recipe.running import check_recipe

CHAIN = """
[[step]]
run = "export"

[[step]]
run = "filter"
options = {language = ["python", "go"], invert = true, strict = false}

[[step]]
run = "split"
name = "halves"
output = {"a.jsonl" = "50%", "b.jsonl" = "rest"}

[[step]]
run = "stats"
from = ["filter", "{folder}/a.jsonl", "{recipe}/other.jsonl"]
output = false
"""


def test_a_step_reads_what_the_one_before_wrote_unless_it_says_otherwise(recipes):
    export, chosen, halves, stats = read_recipe(recipes.write(CHAIN)).steps
    out = str(recipes.out)
    assert export.command_line() == [str(recipes.folder / "captured.jsonl.zst"), "-o", f"{out}/01-export.jsonl"]
    assert chosen.command_line() == [
        *(f"{out}/01-export.jsonl", "-o", f"{out}/02-filter.jsonl"),
        *("--language", "python", "--language", "go", "--invert"),
    ]
    assert halves.command_line() == [
        *(f"{out}/02-filter.jsonl", "-o", f"{out}/a.jsonl=50%", "-o", f"{out}/b.jsonl=rest"),
    ]
    assert stats.command_line() == [f"{out}/02-filter.jsonl", f"{out}/a.jsonl", str(recipes.folder / "other.jsonl")]


def test_paths_below_where_one_is_are_short(recipes, monkeypatch):
    monkeypatch.chdir(recipes.folder)
    assert read_recipe(recipes.write(CHAIN)).steps[0].command_line() == [
        "captured.jsonl.zst", "-o", "out/01-export.jsonl"
    ]  # fmt: skip


def test_files_that_options_name_are_the_steps_too(recipes):
    path = recipes.write('[[step]]\nrun = "format"\noptions = {trl_sft = "{folder}/sft.jsonl"}\n')
    [step] = read_recipe(path).steps
    assert [file.name for file in step.files] == ["01-format.jsonl", "sft.jsonl", "sft.jsonl.format.json"]


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ("", "step is missing"),
        ("[[step]]\nname = 'a'", "step 1 needs `run`"),
        ("[[step]]\nrun = 'stats'\noutputs = 'x'", "step 1 has the unknown key 'outputs'"),
        ("[[step]]\nrun = 'stats'\n[[step]]\nrun = 'stats'", "step 2 is a second one called 'stats'"),
        ("[[step]]\nrun = 'stats'\nname = 'A B'", "step 1 cannot be called 'A B'"),
        ("[[step]]\nrun = 'stats'\noptions = {by = {a = 1}}", "--by with a value that no command line can say"),
        ("[[step]]\nrun = 'score'\noutput = '../x.jsonl'", "which is not in the folder"),
        ("[[step]]\nrun = 'score'\noutput = '/x.jsonl'", "which is not in the folder"),
        ("[[step]]\nrun = 'format'\noptions = {trl_sft = 'sft.jsonl'}", "begin it with {folder}/"),
        (
            "[[step]]\nrun = 'score'\noutput = 'x.jsonl'\n[[step]]\nrun = 'dedup'\noutput = 'x.jsonl'",
            "step 2 writes x.jsonl, and so does score",
        ),
        (
            "[[step]]\nrun = 'stats'\noutput = false\n[[step]]\nrun = 'score'\nfrom = 'stats'",
            "step 2 reads from 'stats', which writes no examples",
        ),
        ("[[step]]\nrun = 'pipeline'", "'pipeline' is none of export"),
        ("[[step]]\nrun = 'uninstall'", "'uninstall' is none of export"),
        ("[[step]]\nrun = 'dedup'\noptions = {likeness = 1}", "step dedup: No such option: --likeness"),
        ("[[step]]\nrun = 'dedup'\noptions = {similarity = 2.5}", "step dedup: Invalid value for '--similarity'"),
        ("[[step]]\nrun = 'dedup'\noutput = false", "step dedup: Missing option '--output'"),
        ("[[step]]\nrun = 'dedup'\noptions = {help = true}", "step dedup would only print help"),
    ],
)
def test_what_cannot_be_run_is_refused_with_its_step(recipes, steps, reason):
    path = recipes.write(steps)
    with pytest.raises(RecipeRefused) as refused:
        check_recipe(read_recipe(path))
    assert reason in str(refused.value)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("content", [b"\xff", b"a = ", b"folder = 1\n", b""])
def test_what_is_no_recipe_is_refused(tmp_path, content):
    path = tmp_path / "recipe.toml"
    path.write_bytes(content)
    with pytest.raises(RecipeRefused, match=r"recipe\.toml"):
        read_recipe(path)


def test_a_recipe_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RecipeRefused, match="No such file"):
        read_recipe(tmp_path / "recipe.toml")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    options=st.dictionaries(
        st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True),
        st.one_of(st.booleans(), st.integers(0, 9), st.lists(st.text("ab c'", min_size=1), max_size=3)),
        max_size=4,
    )
)
def test_options_stand_on_the_command_line_as_often_and_in_the_order_they_are_given(recipes, options):
    said = ", ".join(f"{name} = {_toml(value)}" for name, value in options.items())
    [step] = read_recipe(recipes.write(f'[[step]]\nrun = "stats"\noutput = false\noptions = {{{said}}}\n')).steps
    wanted = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        for each in value if isinstance(value, list) else [value]:
            wanted += [option] if each is True else [] if each is False else [option, str(each)]
    assert list(step.arguments) == wanted


def test_of_every_option_that_names_a_file_it_is_known_whether_it_is_written():
    named = set()
    for name, entry in COMMANDS.items():
        module, _, attribute = entry.target.partition(":")
        application = getattr(__import__(module, fromlist=[attribute]), attribute)
        command = typer.main.get_command(application)
        if hasattr(command, "commands"):
            continue  # `example` has commands of its own, and is no step
        for parameter in command.params:
            if parameter.metavar in ("FILE", "DB"):
                named |= {(name, option) for option in parameter.opts if option.startswith("--")}
    assert {option for _, option in named} == {*WRITING_OPTIONS, *OTHER_FILE_OPTIONS}


def test_the_recipes_of_the_documentation_can_be_run():
    for path in (Path(__file__).parents[3] / "docs" / "recipes").glob("*.toml"):
        check_recipe(read_recipe(path))


def _toml(value):
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
