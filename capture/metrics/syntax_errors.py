"""Errors a prediction brings in or takes away: syntax errors by tree-sitter, diagnostics by a language server.

Syntax errors are the ERROR and missing nodes of the text's tree. Knows nothing of patches.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capture.editing.syntax import COUNT_SECONDS, error_count

if TYPE_CHECKING:
    from collections.abc import Iterable

ERROR, WARNING, INFORMATION, HINT = range(1, 5)  # LSP's DiagnosticSeverity


@dataclass(frozen=True, slots=True)
class SyntaxErrors:
    """Syntax errors of a text before and after a prediction."""

    before: int
    after: int

    @property
    def added(self) -> int:
        """Below 0 where the prediction repairs more than it breaks."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class DiagnosticCounts:
    """Diagnostics by severity. Those without a severity count as errors, as LSP lets a client decide."""

    errors: int = 0
    warnings: int = 0
    information: int = 0
    hints: int = 0


@dataclass(frozen=True, slots=True)
class DiagnosticChange:
    """Diagnostics before and after a prediction."""

    before: DiagnosticCounts
    after: DiagnosticCounts


def syntax_errors(
    language_id: str, before: str, after: str, *, limit_seconds: float = COUNT_SECONDS
) -> SyntaxErrors | None:
    """Count in both texts; None where the language is unknown, its grammar is not installed, or one takes too long.

    ``limit_seconds`` is for each, of processor time.

    A region cut from a file has errors at its edges in both texts: read `SyntaxErrors.added`.
    """
    errors_before, errors_after = (
        error_count(language_id, text.encode(), limit_seconds=limit_seconds) for text in (before, after)
    )
    return None if errors_before is None or errors_after is None else SyntaxErrors(errors_before, errors_after)


def diagnostic_change(before: Iterable[int | None], after: Iterable[int | None]) -> DiagnosticChange:
    """Count the LSP severities (1 error to 4 hint) reported for a text before and after a prediction."""
    return DiagnosticChange(_counted(before), _counted(after))


def _counted(severities: Iterable[int | None]) -> DiagnosticCounts:
    counts = Counter(ERROR if severity is None else severity for severity in severities)
    return DiagnosticCounts(counts[ERROR], counts[WARNING], counts[INFORMATION], counts[HINT])
