"""``foretype distill``."""

from __future__ import annotations

from typing import Annotated

import typer

from training_export.commands import stage_options as options
from training_export.commands import teacher_options as teachers
from training_export.commands.bundles import flattened

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
@flattened
def distill(
    sources: options.Sources,
    output: options.Output,
    teacher: teachers.TeacherName = "sonnet46",
    samples: Annotated[int, typer.Option(min=1, max=1000, help="So many answers for each example.")] = 1,
    temperature: Annotated[
        float | None, typer.Option(min=0.0, max=2.0, help="Where the service takes one; Anthropic's does not.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=16, help="The longest answer.")] = 16_384,
    diagnostics: Annotated[bool, typer.Option("--diagnostics", help="Show the diagnostics, too.")] = False,
    context: Annotated[
        str, typer.Option(metavar="NAME", help="Related files and diagnostics from that run of `foretype context`.")
    ] = "",
    jumps: Annotated[bool, typer.Option("--jumps", help="Let it edit far from the cursor and in other files.")] = False,
    *,
    asked: teachers.Asked,
    run: options.Running,
) -> None:
    """Ask a teacher what it would predict; its answers become `predictions`, in place of those that were there.

    Answers are kept: no question is paid for twice, by whatever command, and a killed run goes on where it was.
    Keys come from ANTHROPIC_API_KEY and OPENAI_API_KEY. What cannot be used (a refusal, an answer that is no edit)
    stands in `predictions`, too, with its `error`.

    For instance: foretype distill examples.jsonl -o distilled.jsonl --teacher sonnet46 --budget 20
    """
    from training_export.stages.distill import Distill  # noqa: PLC0415 (when it is called)
    from training_export.teachers.predicting import Asking  # noqa: PLC0415
    from training_export.teachers.prompt import DIAGNOSTICS_TOKENS, PromptSettings  # noqa: PLC0415

    settings = teachers.read_options(teacher, output, asked)
    prompt = PromptSettings(
        diagnostics_tokens=DIAGNOSTICS_TOKENS if diagnostics else 0, context_name=context, jumps=jumps
    )
    stage = Distill(settings, Asking(prompt, samples, temperature, max_tokens))
    ready = teachers.prepared(stage, sources, asked, run)
    if ready is None:
        return
    options.run_and_report(ready, sources, output, run)
