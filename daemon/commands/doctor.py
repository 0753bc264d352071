"""``foretype doctor``: prints what was checked, and the cure of what failed."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from daemon.commands.progress import working
from daemon.doctor import Verdict, examine

application = typer.Typer(add_completion=False, rich_markup_mode=None)

MARKS = {Verdict.FINE: "ok     ", Verdict.WARNING: "warning", Verdict.FAILED: "FAILED "}


@application.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check everything a prediction needs. Exit code 1 when something stands in the way of predictions."""
    with working("loading the model to see whether it can be"):
        findings = examine()
    failed = any(finding.verdict is Verdict.FAILED for finding in findings)
    if as_json:
        typer.echo(json.dumps({"ok": not failed, "findings": [finding.to_json() for finding in findings]}, indent=2))
    else:
        for finding in findings:
            typer.echo(f"{MARKS[finding.verdict]} {finding.subject:<13} {finding.text}")
            if finding.cure:
                typer.echo(f"{'':<21} -> {finding.cure}")
    raise typer.Exit(1 if failed else 0)
