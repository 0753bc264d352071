"""``foretype repair``."""

from __future__ import annotations

from typing import Annotated

import typer

from training_export.commands import stage_options as options
from training_export.commands import teacher_options as teachers
from training_export.commands.bundles import flattened

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
@flattened
def repair(
    sources: options.Sources,
    output: options.Output,
    teacher: teachers.TeacherName = "sonnet46",
    confidence: Annotated[int, typer.Option(min=0, max=5, help="A judge's confidence up to this is a doubt.")] = 2,
    reversal: Annotated[
        float, typer.Option(min=0.0, help="A reversal ratio above this is a doubt, where nobody judged.")
    ] = 0.9,
    discarded_bytes: Annotated[
        int, typer.Option(min=0, help="Out of proportion: more text than this that nobody wanted, and ...")
    ] = 80,
    false_lines: Annotated[int, typer.Option(min=0, help="... more lines than this that nobody wanted; or ...")] = 5,
    changed_tokens: Annotated[int, typer.Option(min=0, help="... more tokens than this in or out.")] = 100,
    proportion_counts: Annotated[
        bool, typer.Option("--proportion", help="Being out of proportion alone is a doubt; else it is only told.")
    ] = False,
    repairs_all: Annotated[bool, typer.Option("--all", help="Look at every prediction, not the first alone.")] = False,
    diagnostics: Annotated[bool, typer.Option("--diagnostics", help="If `foretype distill` had it.")] = False,
    jumps: Annotated[bool, typer.Option("--jumps", help="If `foretype distill` had it.")] = False,
    context: Annotated[str, typer.Option(metavar="NAME", help="As `foretype distill` had it.")] = "",
    max_tokens: Annotated[int, typer.Option(min=16, help="The longest answer.")] = 16_384,
    *,
    asked: teachers.Asked,
    run: options.Running,
) -> None:
    """Find doubtful predictions and ask a teacher again, with what was found; it may keep, change or withdraw them.

    Doubtful is what leaves the editable region or does not apply; what a judge doubts (`foretype judge`); and, where
    nobody judged, what undoes the user's newest edit or begins by deleting a run of lines. The second answer is
    appended to `predictions` as provider `repair`; `foretype targets` prefers it. Others are not touched.

    For instance: foretype repair judged.jsonl -o repaired.jsonl --confidence 3 --proportion
    """
    from training_export.stages.repair import Repair  # noqa: PLC0415 (when it is called)
    from training_export.teachers.faults import Thresholds  # noqa: PLC0415
    from training_export.teachers.prompt import DIAGNOSTICS_TOKENS, PromptSettings  # noqa: PLC0415

    settings = teachers.read_options(teacher, output, asked)
    prompt = PromptSettings(
        diagnostics_tokens=DIAGNOSTICS_TOKENS if diagnostics else 0, context_name=context, jumps=jumps
    )
    thresholds = Thresholds(
        confidence, reversal, discarded_bytes, false_lines, changed_tokens, proportion_counts=proportion_counts
    )
    stage = Repair(settings, prompt, thresholds, repairs_all=repairs_all, max_tokens=max_tokens)
    ready = teachers.prepared(stage, sources, asked, run)
    if ready is None:
        return
    options.run_and_report(ready, sources, output, run)
