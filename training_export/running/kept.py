"""Findings as bytes, and back: what the work file holds of one example. Knows nothing of SQLite."""

from __future__ import annotations

import json
from dataclasses import dataclass

from training_export.example import KEYS, Example
from training_export.example_format.json_line import write_object
from training_export.stage import FAILURES, OURS, STAGES, Findings, Stage, ours


@dataclass(frozen=True, slots=True)
class Finding:
    """``content`` is JSON: what was found of an example with this key."""

    key: str
    content: bytes
    has_failed: bool


def to_finding(key: str, findings: Findings) -> Finding:
    """Raises ExampleRejected where it holds what JSON cannot hold."""
    value = {"fields": dict(findings.fields), "ours": dict(findings.ours), "failure": findings.failure}
    return Finding(key, write_object(value).encode(), bool(findings.failure))


def findings_in(finding: Finding) -> Findings:
    """What was kept; tallies are of the run that found it, and are not kept."""
    value = json.loads(finding.content)
    return Findings(fields=value["fields"], ours=value["ours"], failure=value["failure"])


def finding_of(stage: Stage, example: Example) -> Finding | None:
    """What the stage found of an example of its output; None where it should be tried again."""
    key = (ours(example, STAGES) or {}).get(stage.name)
    if not isinstance(key, str):
        return None
    mine = example.value.get(OURS) or {}
    parts = [part.partition(".") for part in stage.writes]
    # A part that is not there was taken out, or never came: setting it to None does either.
    names = [name for name, dot, _ in parts if not dot and (name in example.value or name in KEYS)]
    fields = {name: example.value.get(name) for name in names}
    members = {member: mine.get(member) for name, dot, member in parts if dot and name == OURS}
    failure = str((mine.get(FAILURES) or {}).get(stage.name, ""))
    return to_finding(key, Findings(fields=fields, ours=members, failure=failure))
