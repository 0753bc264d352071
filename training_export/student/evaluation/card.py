"""The model card: Markdown whose every number is measured or read from a file, none of them written by hand.

Two drawings go beside it: how reliable confidence is, and the training's curves where there are any. The same
evaluation gives the same bytes. Knows nothing of how anything was measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from training_export.example_format.files import replacing
from training_export.student.evaluation.evaluation import Evaluation
from training_export.student.evaluation.failures import Failure
from training_export.student.evaluation.goals import with_interval
from training_export.student.evaluation.markdown import block, cell, code, table
from training_export.student.evaluation.model_facts import ModelFacts
from training_export.student.evaluation.reliability import calibration_error, diagram
from training_export.student.evaluation.run_facts import RunFacts
from training_export.student.evaluation.scoring import Row
from training_export.student.evaluation.shares import NOTHING, Share

RELIABILITY_NAME, CURVES_NAME = "reliability.svg", "curves.svg"
FORMAT_NOTE: Final = "prompts and answers in the format"


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card holds besides the scores.

    ``commands`` made the model, in order; ``hardware`` is what it was trained on, ``machine`` what it was scored on.
    ``origins`` are rows of the corpus's manifest. ``evaluated_by`` is the command that made the card.
    """

    model: ModelFacts
    run: RunFacts | None
    commands: tuple[str, ...]
    hardware: str
    machine: str
    origins: tuple[Mapping[str, Any], ...]
    evaluated_by: str


def write_card(path: Path, evaluation: Evaluation, facts: CardFacts) -> list[Path]:
    """The card and its drawings, which take the place of those that are there; returns what was written.

    Raises ExamplesUnwritable.
    """
    written = {path.parent / RELIABILITY_NAME: diagram(evaluation.reliability, evaluation.limit).encode()}
    if facts.run is not None and facts.run.curves is not None:
        written[path.parent / CURVES_NAME] = facts.run.curves.read_bytes()
    written[path] = card(evaluation, facts).encode()
    for target, content in written.items():
        with replacing(target) as file:
            file.write(content)
    return list(written)


def card(evaluation: Evaluation, facts: CardFacts) -> str:
    """The card's text."""
    parts = [
        _head(facts),
        _facts(evaluation, facts),
        _use(),
        _goals(evaluation),
        _scores(evaluation),
        _reliability(evaluation),
        _times(evaluation, facts),
        _training(facts),
        _data(facts),
        _failures(evaluation.failures),
        _limits(evaluation),
        _repeating(facts),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _head(facts: CardFacts) -> str:
    model = facts.model
    version = f", version {cell(model.version)}" if model.version else ""
    return (
        f"# {cell(model.name)}{version}\n\nA small next-edit model, {FORMAT_NOTE} {code(model.prompt_format)}. "
        "Every number on this page was measured by the command at its end, or read from the files it names."
    )


def _facts(evaluation: Evaluation, facts: CardFacts) -> str:
    model, run = facts.model, facts.run
    types = ", ".join(f"{kind} {share:.1%}" for kind, share in model.number_types)
    shape = (
        f"{model.architecture}: {model.layers} layers of {model.width}, {model.heads} heads, "
        f"{model.parameters:,} parameters, context of {model.context_tokens:,} tokens"
    )
    rows = [
        ("architecture", shape),
        ("vocabulary", f"{model.vocabulary_tokens:,} tokens"),
        ("file", f"{model.size_bytes:,} bytes; numbers kept as {types}"),
        ("licence", model.licence or NOTHING),
        ("gate", f"edits with a confidence below {evaluation.limit:.2f} are not shown"),
    ]
    if run is not None:
        rows += [
            ("training", f"{run.steps:,} steps, {run.tokens / 1e6:,.1f} million tokens, seed {run.seed}"),
            ("duration", f"{run.seconds / 60:,.0f} minutes in {run.number_type}"),
        ]
        if run.base:
            rows.append(("begun with", run.base))
    if facts.hardware:
        rows.append(("trained on", facts.hardware))
    return table(("", ""), rows)


def _use() -> str:
    return (
        "## What it is for\n\n"
        "Suggesting the next edit to somebody who types, on their own machine: a name changed in one place and not yet "
        "in the others, a change that other lines want too, the rest of a line or a block; and nothing where nothing "
        "follows. Somebody looks at every suggestion and takes it or not. It is not meant to write code that nobody "
        "reads, to answer questions, or to judge people's work."
    )


def _goals(evaluation: Evaluation) -> str:
    rows = [(goal.what, goal.wanted, goal.reached, goal.verdict, goal.cases or NOTHING) for goal in evaluation.goals]
    return (
        "## Goals\n\nShares with their 95 % interval (Wilson); bounds are one-sided (Clopper-Pearson). *Gate off* is "
        "the student's own most probable answer, whatever its confidence. The rule's answers count for the student "
        "nowhere.\n\n" + table(("goal", "wanted", "reached", "verdict", "cases"), rows)
    )


def _scores(evaluation: Evaluation) -> str:
    notes = (
        "Percent right: the region that the model was asked about becomes exactly what came next, or stays as it was "
        "where nothing did. *Student*: its own decode, the gate off. *At the gate*: what is less sure is no edit. "
        "*With ranking*: the likeliest of its decode, the rule's proposals and no edit, by the student's own "
        "probability, at the gate: what is shown by default. *Rule*: the last substitution done everywhere in the "
        "region, no model. *Never*: no edit. *Beyond the rule*: the student where the rule is wrong, the gate off. "
        "*Quiet*: no edit is shown. *Right of shown*: of the edits that are shown."
    )
    parts = ["## Scores", notes, "By task:", _rows("task", [*evaluation.by_task, evaluation.total])]
    parts += ["By language:", _rows("language", evaluation.by_language)]
    parts += ["By task and language:", _rows("task, language", evaluation.by_task_and_language)]
    parts += ["By kind:", _rows("kind", evaluation.by_kind)]
    if evaluation.by_origin:
        shown = [(origin, str(share), f"{share.total:,}") for origin, share in evaluation.by_origin.items()]
        parts += ["What is shown by default, by who wrote it:", table(("written by", "right", "shown"), shown)]
    if evaluation.left_out:
        reasons = "; ".join(f"{count:,} x {reason}" for reason, count in evaluation.left_out.most_common())
        parts.append(f"Left out: {cell(reasons)}.")
    if (overlap := evaluation.overlap) is not None:
        parts.append(
            f"Of {overlap.case_count:,} cases, {overlap.exact:,} stand word for word among the "
            f"{overlap.training_count:,} training examples, {overlap.near:,} nearly so."
        )
    return "\n\n".join(parts)


def _rows(name: str, rows: Sequence[Row]) -> str:
    head = (name, "cases", "student", "at the gate", "with ranking", "rule", "never")
    return table(
        (*head, "beyond the rule", "quiet", "right of shown"),
        (
            (
                row.name,
                f"{row.count:,}",
                with_interval(row.alone),
                _percent(row.alone_gated),
                _percent(row.ranked_gated),
                _percent(row.rule),
                _percent(row.never),
                _of(row.where_rule_fails),
                _percent(row.quiet),
                _of(row.shown_right),
            )
            for row in rows
        ),
    )


def _percent(share: Share | None) -> str:
    return NOTHING if share is None else str(share)


def _of(share: Share) -> str:
    return f"{share} of {share.total:,}" if share.total else NOTHING


def _reliability(evaluation: Evaluation) -> str:
    rows = [
        (name, f"{sum(one.right.total for one in found):,}", f"{calibration_error(found):.3f}")
        for name, found in evaluation.reliability.items()
    ]
    half = evaluation.shown_on(is_calibration=False)
    if evaluation.gate is not None:
        shown = evaluation.gate.shown
        gate = (
            f"The gate, {evaluation.limit:.2f}, is the lowest at which what is shown was right often enough on one "
            f"half of the files: {_of(shown)} shown edits. On the other half: {with_interval(half)} of {half.total:,}."
        )
    else:
        gate = f"The gate is {evaluation.limit:.2f}."
    return (
        "## How sure it is\n\n"
        f"![Reliability: how often edits are right, by confidence]({RELIABILITY_NAME})\n\n"
        "Points: edits in ten bins of confidence, with 95 % intervals; the dashed line is where confidence would tell "
        f"exactly how often an edit is right; the red line is the gate; bars: how many edits. {gate}\n\n"
        + table(("edits of", "edits", "expected calibration error"), rows)
    )


def _times(evaluation: Evaluation, facts: CardFacts) -> str:
    found, keys = evaluation.latency, evaluation.keystrokes
    worker = (
        f"Every case asked cold, nothing reused, on {cell(facts.machine)}, other engines at work beside it: "
        f"{found.p50_ms:.0f} ms median and {found.p95_ms:.0f} ms at the 95th percentile in the worker; "
        f"{found.prompt_tokens:g} prompt tokens and {found.answer_tokens:g} answer tokens in the median "
        f"({found.count:,} cases)."
    )
    lines = ["## How fast it is", worker]
    if keys is not None:
        lines.append(
            f"While typing (`bench/keystrokes`, a whole daemon, {keys.count:,} keys of {', '.join(keys.sessions)}; "
            f"{cell(keys.machine)}): {keys.p50_ms:.1f} ms median and {keys.p95_ms:.1f} ms at the 95th percentile from "
            "the key to the first answer still wanted."
        )
    return "\n\n".join(lines)


def _training(facts: CardFacts) -> str:
    run = facts.run
    if run is None and not facts.commands:
        return ""
    parts = ["## Training"]
    if facts.commands:
        parts.append(block("\n".join(facts.commands)))
    if run is not None:
        learnt = [f"Learnt from {', '.join(map(code, run.sources))}."]
        if run.replay:
            learnt.append(f"Replayed beside it: {', '.join(map(code, run.replay))}.")
        parts.append(" ".join(learnt))
        if run.curves is not None:
            parts.append(f"![Loss and held-out scores over the training]({CURVES_NAME})")
    return "\n\n".join(parts)


def _data(facts: CardFacts) -> str:
    if not facts.origins:
        return ""
    rows = [
        (
            str(row["project"]),
            f"{row['registry']} {row['name']} {row['version']}",
            str(row["licence"]),
            _listed(row["languages"]),
            str(row["side"]),
            f"{row['files']:,}",
            f"{row['bytes']:,}",
        )
        for row in facts.origins
    ]
    return (
        "## Data\n\nEditing moments made (`foretype synthesize`) of these projects; a project that is held out gave no "
        "training data. No file's text is stored in this repository, but for the lines quoted under known failures.\n\n"
        + table(("project", "archive", "licence", "languages", "side", "files", "bytes"), rows)
    )


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _failures(failures: Sequence[Failure]) -> str:
    if not failures:
        return "## Known failures\n\nNo edit was wrong."
    intro = "Of each task the wrong edits it was surest of: what was just done, what it predicted, what came."
    return "\n\n".join(["## Known failures", intro, *(part for failure in failures for part in _failure(failure))])


def _failure(failure: Failure) -> Iterator[str]:
    kind = f" ({cell(failure.kind)})" if failure.kind else ""
    yield f"### {cell(failure.task)}{kind}, {cell(failure.language)}: {code(failure.path)}"
    yield f"Confidence {failure.confidence:.2f}, written by the {failure.origin.value}; {code(failure.name)}"
    if failure.before:
        yield f"Just done:\n\n{block(failure.before, 'diff')}"
    yield f"Predicted:\n\n{block(failure.predicted, 'diff')}"
    yield f"Came:\n\n{block(failure.expected, 'diff')}" if failure.expected else "Nothing was to come."


def _limits(evaluation: Evaluation) -> str:
    languages = ", ".join(row.name for row in evaluation.by_language)
    held = "; ".join(f"{count:,} {reason}" for reason, count in sorted(evaluation.held_back.items()))
    known = (
        f"Scored on {languages} only: of other languages nothing is known. The moments are synthetic: real edits mix "
        "several intentions, and their shares here are not those of a working day. Scopes are learnt from examples, "
        "not computed, so a rename can reach a name of another scope. It never says why."
    )
    lines = ["## Limits", known]
    if held:
        lines.append(f"Edits that the daemon never shows, however sure, among these cases: {held}.")
    return "\n\n".join(lines)


def _repeating(facts: CardFacts) -> str:
    return f"## Repeating this\n\n{block(facts.evaluated_by)}"
