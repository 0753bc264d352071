"""Editing moments made out of source files: what somebody had just done there, and what comes next."""

from __future__ import annotations

# The student's first synthesiser, in windows of Python alone; it goes when nothing asks for it any more.
from training_export.student.synthesis.windows import (
    COPY_MIXTURE,
    JUST_OPENED,
    MIXTURE,
    TASKS,
    Synthesiser,
    defeats_plain_rule,
    rule_baseline,
)

__all__ = [
    "COPY_MIXTURE",
    "JUST_OPENED",
    "MIXTURE",
    "TASKS",
    "Synthesiser",
    "defeats_plain_rule",
    "rule_baseline",
]
