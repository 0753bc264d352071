"""``foretype targets``."""

from __future__ import annotations

from typing import Annotated

import typer

from training_export.commands import stage_options as options
from training_export.commands.bundles import flattened

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
@flattened
def targets(
    sources: options.Sources,
    output: options.Output,
    provider: Annotated[
        str, typer.Option(metavar="NAME", help="Only predictions of this provider, such as `teacher:sonnet46`.")
    ] = "",
    best: Annotated[int, typer.Option(min=0, help="Only so many, best score first; 0: all.")] = 0,
    drops_no_edits: Annotated[
        bool, typer.Option("--drop-no-edits", help="No targets from predictions that nothing should change.")
    ] = False,
    keeps_predictions: Annotated[
        bool, typer.Option("--keep-predictions", help="Leave predictions and verdicts in the examples.")
    ] = False,
    *,
    run: options.Running,
) -> None:
    """Make predictions what should come next: they become `expected_patches`, and what is stale then goes.

    Where `foretype repair` asked again, its answer counts and not the first. That nothing should change is a target,
    too: an empty patch. What failed, or holds a mark of a prompt, never becomes one; an example for which nothing is
    left has no target, and says why. Predictions, scores, verdicts and the rendered prompt are cleared.

    For instance: foretype targets repaired.jsonl -o train.jsonl --drop-no-edits
    """
    from training_export.stages.targets import Targets  # noqa: PLC0415 (when it is called)

    options.run_and_report(Targets(provider, best, drops_no_edits, keeps_predictions), sources, output, run)
