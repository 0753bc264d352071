"""Scores side by side, and what is held against them."""

from __future__ import annotations

import pytest

from daemon.engine.messages import Origin
from training_export.student.evaluation.goals import Facts, goals
from training_export.student.evaluation.scoring import by_origin, fewest_cases, latency, of_task, row, rows


@pytest.fixture
def cases(moments, make_judged):
    """Of eight names: six renames right with confidence 0.9, two with 0.2; against the rule one right; one loud."""
    found = []
    for number in range(8):
        followed, defeating, done = moments[3 * number : 3 * number + 3]
        found.append(make_judged(followed, followed.expected, 0.9 if number < 6 else 0.2))
        found.append(make_judged(defeating, defeating.expected if number == 0 else None, 0.9))
        found.append(make_judged(done, done.current.replace("rate", "share") if number == 0 else None, 0.7))
    return found


def counts(share):
    return share.count, share.total


def test_student_rule_and_silence_stand_side_by_side(cases) -> None:
    rename, quiet = (next(one for one in rows(cases, 0.5, of_task) if one.name == name) for name in ("rename", "quiet"))
    assert counts(rename.alone) == (9, 16)
    assert counts(rename.alone_gated) == (7, 16)
    assert counts(rename.rule) == (8, 16)
    assert counts(rename.never) == (0, 16)
    assert counts(rename.where_rule_fails) == (1, 8)
    assert counts(rename.shown_right) == (7, 7)
    assert rename.ranked is None
    assert counts(quiet.never) == (8, 8)
    assert counts(quiet.quiet) == (7, 8)
    assert counts(row("all", cases, 0.8).quiet) == (17, 24)


def test_what_the_rule_wrote_never_counts_for_the_student(moments, make_judged) -> None:
    cases = [make_judged(moment, None, ranked=(moment.expected, 0.8, Origin.RULE)) for moment in moments[0:24:3]]
    found = row("rename", cases, 0.5)
    assert counts(found.alone) == counts(found.alone_gated) == (0, 8)
    assert found.ranked is not None
    assert counts(found.ranked) == (8, 8)
    reached = {goal.what: goal for goal in goals(cases, Facts(0.5, size_bytes=1))}
    assert reached["rename propagated, gate off"].is_met is False
    assert reached["rename propagated, at the gate"].is_met is False
    assert {origin: counts(share) for origin, share in by_origin(cases, 0.5).items()} == {Origin.RULE: (8, 8)}


def test_goals_are_reached_missed_or_not_measured(cases) -> None:
    found = {goal.what: goal for goal in goals(cases, Facts(0.5, 30_000_000, keystroke_ms=59.9, keystroke_count=10))}
    verdicts = {what: goal.verdict for what, goal in found.items()}
    assert verdicts["keystroke to prediction, p50"] == "reached"
    assert verdicts["size"] == "missed"
    assert verdicts["change repeated, gate off"] == "not measured", "there are no such cases"
    assert verdicts["renames and repeats that the rule gets wrong, gate off"] == "reached"
    assert verdicts["quiet where nothing is to come, alone, at the gate"] == "missed"
    assert verdicts["held-out cases of each task and language"] == "missed"
    assert found["rename propagated, gate off"].cases == "16"
    without = {goal.what: goal.verdict for goal in goals(cases, Facts(0.5, 30_000_000))}
    assert without["keystroke to prediction, p50"] == "not measured"


@pytest.mark.parametrize(("reverts", "verdict"), [(0, "reached"), (4, "reached"), (5, "missed")])
def test_reverts_are_bounded_over_two_thousand_edits(moments, make_judged, reverts: int, verdict: str) -> None:
    moment = moments[0]
    right, back = make_judged(moment, moment.expected), make_judged(moment, moment.texts[moment.path])
    enough = [right] * (2000 - reverts) + [back] * reverts
    what = "edits that take back what was just typed, alone, gate off"
    found = {goal.what: goal for goal in goals(enough, Facts(0.5, size_bytes=1))}[what]
    assert found.verdict == verdict
    assert f"({reverts} of 2,000)" in found.reached
    fewer = {goal.what: goal for goal in goals(enough[:1999], Facts(0.5, size_bytes=1))}[what]
    assert fewer.verdict == "not measured"


def test_dialects_of_a_language_are_counted_together(moments, make_moment, make_judged) -> None:
    cases = [
        make_judged(make_moment("price", "cost", "f({0});\nprint({0})", f"a.{suffix}", language=language), None)
        for language, suffix in (("javascript", "js"), ("typescript", "ts"), ("typescriptreact", "tsx"))
    ]
    assert fewest_cases(cases, ["rename"], ["JavaScript/TypeScript"]) == ("rename, JavaScript/TypeScript", 3)
    assert fewest_cases(cases, ["rename", "quiet"], ["JavaScript/TypeScript"])[1] == 0


def test_latency_is_of_answers(cases) -> None:
    found = latency(cases)
    assert (found.count, found.p50_ms, found.p95_ms) == (24, 10.0, 10.0)
    assert found.prompt_tokens == 100
