"""Runs the artificial stage in a process of its own: ``run_shout.py KIND CALLS IN OUT [SECONDS] [WORKERS] [OPTION...]``."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

sys.path.insert(0, str(Path(__file__).parent))

from artificial_stages import Shout

from daemon.errors import ForetypeError
from training_export.commands.stage_options import Running, run_and_report
from training_export.stage import Concurrency


def main(
    kind: str,
    calls: str,
    source: str,
    output: str,
    seconds: float = 0.0,
    workers: int = 3,
    strict: bool = False,
    fresh: bool = False,
    as_json: bool = False,
) -> None:
    """Run it."""
    stage = Shout(calls, Concurrency(kind), seconds)
    try:
        run_and_report(stage, [source], output, Running(workers=workers, strict=strict, fresh=fresh, as_json=as_json))
    except ForetypeError as error:
        sys.stderr.write(f"foretype: {error}\n")
        raise SystemExit(error.exit_code) from error


if __name__ == "__main__":
    typer.run(main)
