"""What a reader should know before the numbers: sentences for the terminal and the page.

Knows nothing of either.
"""

from __future__ import annotations

from training_export.reports import figures
from training_export.reports.comparison import Comparison, runs_of
from training_export.reports.run import Run


def notices(run: Run, comparison: Comparison | None) -> list[str]:
    """One sentence each, none where there is nothing to say."""
    found = []
    for one in runs_of(run, comparison):
        if one.without_expected:
            examples = figures.count(one.without_expected, "example")
            found.append(f"{one.label}: {examples} without an expected patch, scored as if no edit were wanted.")
        if one.left_out.count or one.bad_lines.count:
            found.append(
                f"{one.label}: {figures.count(one.left_out.count, 'example')} could not be scored and "
                f"{figures.count(one.bad_lines.count, 'line')} could not be read."
            )
    if comparison is None:
        return found
    matching = comparison.matching
    if matching.only_first or matching.only_second:
        found.append(
            f"{figures.count(len(matching.pairs), 'example')} compared; {len(matching.only_first):,} only in "
            f"{run.label}, {len(matching.only_second):,} only in {comparison.second.label}."
        )
    if matching.other_expected:
        found.append(
            f"{figures.count(matching.other_expected, 'example')} with other expected patches in the two runs: "
            "their scores are not of the same task."
        )
    if matching.by_name:
        found.append(f"{figures.count(matching.by_name, 'example')} matched by name alone: the code shown differs.")
    return found
