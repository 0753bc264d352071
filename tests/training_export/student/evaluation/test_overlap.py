"""Held-out cases that were seen in training."""

from __future__ import annotations

from training_export.student.evaluation.overlap import overlap

LINES = [f"    result_{number} = compute_{number}(first_{number}, second_{number})" for number in range(24)]


def test_the_same_and_nearly_the_same_are_found_and_the_rest_is_not(moments, make_moment) -> None:
    body = "\n".join(["def work({0}):", *LINES, "    return {0}"])
    nearly = body.replace("compute_23", "measure_23")
    other = "\n".join(["class Shop({0}):", *(f'    field_{number}: "text {number}"' for number in range(24)), "# {0}"])
    training = [make_moment("a", "b", body, "a.py").example(1)]
    cases = [
        make_moment("a", "b", text, "b.py").example(1).with_fields(name=name)
        for name, text in (("same", body), ("nearly", nearly), ("other", other))
    ]
    seen = []
    found = overlap(cases, training, seen.append)
    assert (found.case_count, found.training_count, found.exact, found.near) == (3, 1, 1, 1)
    assert found.names == ("same", "nearly")
    assert seen == [1, 2, 3, 4]
    assert overlap(cases, [], seen.append).names == ()
