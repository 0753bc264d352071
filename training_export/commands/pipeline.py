"""``foretype pipeline RECIPE``: a chain of commands, and a manifest of what came of it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.command_line import fail

if TYPE_CHECKING:
    from training_export.recipe.reading import Recipe, Step

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def pipeline(
    recipe_path: Annotated[Path, typer.Argument(metavar="RECIPE", help="A TOML file: docs/pipeline.md shows one.")],
    plan: Annotated[bool, typer.Option("--plan", help="Check the recipe and print its steps; run nothing.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Fail where a step comes to other files than in the last run.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Run the steps of a recipe in order, each on what an earlier one wrote.

    Every step is checked before the first one runs. Run again, a recipe does only what is new: stages keep what they
    found, teachers are asked nothing twice. The folder's manifest.json tells what was read and written, with hashes.

    For instance: foretype pipeline docs/recipes/diagnostics.toml
    """
    from training_export.recipe.manifest import differences  # noqa: PLC0415 (when it is called)
    from training_export.recipe.reading import read_recipe, shown  # noqa: PLC0415
    from training_export.recipe.running import StepFailed, check_recipe, run_recipe  # noqa: PLC0415

    recipe = read_recipe(recipe_path)
    if plan:
        check_recipe(recipe)
        _print_plan(recipe)
        return
    count = len(recipe.steps)

    def began(number: int, step: Step) -> None:
        what = "" if step.name == step.run else f" ({step.run})"
        typer.secho(f"[{number}/{count}] {step.name}{what}", bold=True, err=True)

    try:
        manifest = run_recipe(recipe, began)
    except StepFailed as failure:
        fail(f"{failure}; what was done is kept: run the same command to go on", failure.exit_code)
    if as_json:
        typer.echo(json.dumps(manifest.to_json(), indent=2, ensure_ascii=False))
    else:
        typer.echo(
            f"{count} step{'' if count == 1 else 's'} done; {shown(manifest.path)} tells what came of them", err=True
        )
    changed = differences(manifest.earlier, manifest.steps) if check else []
    for difference in changed:
        typer.echo(difference, err=True)
    if changed:
        raise typer.Exit(1)


def _print_plan(recipe: Recipe) -> None:
    for number, step in enumerate(recipe.steps, 1):
        typer.echo(f"[{number}/{len(recipe.steps)}] {step.name}: foretype {step.run} {shlex.join(step.command_line())}")
