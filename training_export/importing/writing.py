"""What is imported goes to a file of examples, what is not goes beside it with the reason, and both are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer

from training_export.commands.late_progress import late_progress
from training_export.errors import OutputRefused, RunInterrupted
from training_export.example_format.files import Loaded, Rejected
from training_export.importing.changes import ChangeSet, Refused
from training_export.importing.splitting import SplitSettings, examples_of
from training_export.running.interruption import interruptible
from training_export.running.outputs import STANDARD_OUTPUT, Lines, Rejections, selection, working_on, writing
from training_export.running.runner import Summary
from training_export.running.sources import opened


def write_changes(
    what: str,
    changes: Iterable[ChangeSet | Refused],
    settings: SplitSettings,
    output: str,
    *,
    strict: bool = False,
    force: bool = False,
) -> Summary:
    """The examples of changes. What gives none is rejected; ``strict`` stops at the first.

    Raises OutputRefused, ExamplesUnwritable, StoppedAtBadLine, and what reading the changes raises.
    """
    tallies: Counter[str] = Counter()
    with (
        _told_of_interruption(),
        _new_output(output, strict=strict, force=force) as (lines, rejections),
        late_progress(what) as done,
    ):
        for change in changes:
            tallies["changes"] += 1
            for found in [change] if isinstance(change, Refused) else examples_of(change, settings):
                if isinstance(found, Refused):
                    rejections.add(Rejected(found.source, 0, "", found.reason))
                    continue
                lines.write(found)
                tallies.update(found.tags)
                done(lines.count)
    return _summary(what, output, lines, rejections, tallies)


def write_files(
    what: str, sources: Sequence[str], output: str, *, strict: bool = False, force: bool = False
) -> Summary:
    """The examples of files, named where they had no name; what a file holds besides is said on standard error.

    Raises ExamplesUnreadable, OutputRefused, ExamplesUnwritable, StoppedAtBadLine.
    """
    inputs = opened(sources)
    ignored = 0
    with (
        _told_of_interruption(),
        selection(output, inputs, strict=strict, force=force) as (lines, rejections),
        late_progress(what) as done,
    ):
        for found in inputs:
            if not isinstance(found, Loaded):
                rejections.add(found)
                continue
            for part in found.ignored:
                ignored += 1
                typer.echo(f"{found.source}:{found.line}: not imported: {part}", err=True)
            lines.write(found.text)
            done(lines.count)
    return _summary(what, output, lines, rejections, Counter({"parts not imported": ignored} if ignored else {}))


@contextmanager
def _new_output(output: str, *, strict: bool, force: bool) -> Iterator[tuple[Lines, Rejections]]:
    if output != STANDARD_OUTPUT and Path(output).exists() and not force:
        raise OutputRefused(f"{output} exists; --force replaces it")
    with working_on(output, force=force) as work, writing(output, work, strict=strict) as written:
        yield written


@contextmanager
def _told_of_interruption() -> Iterator[None]:
    with interruptible():
        try:
            yield
        except KeyboardInterrupt as error:
            raise RunInterrupted("interrupted; nothing was written, start it again") from error


def _summary(what: str, output: str, lines: Lines, rejections: Rejections, tallies: Counter[str]) -> Summary:
    return Summary(stage=what, output=output, examples=lines.count, rejected=rejections.count, tallies=dict(tallies))
