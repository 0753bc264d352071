"""``foretype judge``."""

from __future__ import annotations

from typing import Annotated

import typer

from training_export.commands import stage_options as options
from training_export.commands import teacher_options as teachers
from training_export.commands.bundles import flattened

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
@flattened
def judge(
    sources: options.Sources,
    output: options.Output,
    teacher: teachers.TeacherName = "gpt52",
    judges_all: Annotated[bool, typer.Option("--all", help="Judge every prediction, not the first alone.")] = False,
    max_tokens: Annotated[int, typer.Option(min=16, help="The longest answer, thinking included.")] = 4096,
    *,
    asked: teachers.Asked,
    run: options.Running,
) -> None:
    """Ask a language model what it thinks of predictions: do they undo the user's edits, would they be accepted?

    Its verdicts stand in `qa`, beside `predictions`: `reverts_edits`, and `confidence` from 1 to 5. `foretype repair`
    acts on them. Answers are kept and never paid for twice, as with `foretype distill`.

    For instance: foretype judge distilled.jsonl -o judged.jsonl --teacher gpt52 --budget 5
    """
    from training_export.stages.judge import Judge  # noqa: PLC0415 (when it is called)

    settings = teachers.read_options(teacher, output, asked)
    stage = Judge(settings, judges_all=judges_all, max_tokens=max_tokens)
    ready = teachers.prepared(stage, sources, asked, run)
    if ready is None:
        return
    options.run_and_report(ready, sources, output, run)
