"""``foretype score``."""

from __future__ import annotations

from typing import Annotated

import typer

from training_export.commands import stage_options
from training_export.commands.bundles import flattened

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
@flattened
def score(
    sources: stage_options.Sources,
    output: stage_options.Output,
    related_bytes: Annotated[
        int, typer.Option(min=0, help="How much of the related files is compared, the most important first.")
    ] = 12_000,
    *,
    run: stage_options.Running,
) -> None:
    """Score every prediction against the expected patches: Zed's metrics, under Zed's keys, in `score`.

    An example without an expected patch is scored as one where no edit was wanted. Look at the scores with
    `foretype eval`.

    For instance: foretype score predicted.jsonl -o scored.jsonl
    """
    from training_export.stages.score import ScoreStage  # noqa: PLC0415 (when it is called)

    stage_options.run_and_report(ScoreStage(related_bytes), sources, output, run)
