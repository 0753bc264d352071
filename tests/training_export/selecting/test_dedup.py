"""Duplicates go, what is different stays, and nothing is changed on the way."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from training_export.commands.dedup import application
from training_export.errors import OutputRefused
from training_export.selecting.dedup import DedupOptions, dedup
from training_export.selecting.grouping import GroupBy
from training_export.selecting.near_duplicates import clusters, most_different
from training_export.selecting.signatures import Signer


def runs_of_five(text):
    words = re.findall(r"\w+|\s+|[^\w\s]", text)
    return {tuple(words[start : start + 5]) for start in range(max(1, len(words) - 4))}


def true_similarity(one, other):
    one, other = runs_of_five(one), runs_of_five(other)
    return len(one & other) / len(one | other)


def names_in(path):
    return [json.loads(line)["name"] for line in path.read_text().splitlines()]


def test_of_a_cluster_only_the_first_is_kept(new_example, as_file, tmp_path):
    examples = [new_example(1), new_example(2), new_example(1, variant=3), new_example(1, variant=4), new_example(3)]
    report = dedup([str(as_file(examples))], str(tmp_path / "out.jsonl"), DedupOptions())
    assert names_in(tmp_path / "out.jsonl") == ["1-0", "2-0", "3-0"]
    assert (report.kept_count, report.near_count, report.exact_count) == (3, 2, 0)
    assert [len(cluster.near) for cluster in report.clusters] == [2]


def test_the_same_excerpt_with_another_history_is_an_exact_duplicate(new_example, as_file, tmp_path):
    examples = [new_example(1), new_example(1, name="again", edit_history="--- a/x\n")]
    report = dedup([str(as_file(examples))], str(tmp_path / "out.jsonl"), DedupOptions(max_duplicates=5))
    assert (report.kept_count, report.exact_count, report.near_count) == (1, 1, 0)
    assert "again" in report.clusters[0].exact[0]


def test_of_several_that_are_kept_the_most_different_are_chosen(new_example, as_file, tmp_path):
    near, far = new_example(1, variant=5), new_example(1, variant=6)
    lines = far.cursor_position.split("\n")
    for row in (1, 14, 20, 25):
        lines[row] += "  # something else"
    far = far.with_fields(cursor_position="\n".join(lines))
    examples = [new_example(1), near, far]
    dedup([str(as_file(examples))], str(tmp_path / "out.jsonl"), DedupOptions(max_duplicates=2))
    assert names_in(tmp_path / "out.jsonl") == ["1-0", "1-6"]


def test_with_a_group_duplicates_of_another_repository_stay(new_example, as_file, tmp_path):
    examples = [new_example(1), new_example(1, repository="fork"), new_example(1, variant=1, repository="fork")]
    path = str(as_file(examples))
    report = dedup([path], str(tmp_path / "out.jsonl"), DedupOptions(by=GroupBy.REPOSITORY))
    assert (report.kept_count, report.near_count, report.exact_count) == (2, 1, 0)
    assert dedup([path], str(tmp_path / "all.jsonl"), DedupOptions()).kept_count == 1


def test_lines_that_are_kept_are_kept_byte_for_byte(new_example, as_file, tmp_path):
    odd = '{"b": 1.50, "repository_url":"", "revision":"","name": "odd","cursor_path":"a","edit_history":"",'
    odd += ' "expected_patches":[ ],"cursor_position":"\\u00e4<|user_cursor|>" }'
    path = as_file([new_example(1), odd, new_example(1, variant=2)])
    dedup([str(path)], str(tmp_path / "out.jsonl"), DedupOptions())
    assert (tmp_path / "out.jsonl").read_text().splitlines() == path.read_text().splitlines()[:2]


def test_bad_lines_are_rejected_and_counted(new_example, as_file, tmp_path):
    report = dedup([str(as_file([new_example(1), "{}", new_example(2)]))], str(tmp_path / "o.jsonl"), DedupOptions())
    assert (report.kept_count, report.rejected_count) == (2, 1)
    assert json.loads((tmp_path / "o.jsonl.rejected.jsonl").read_text())["line"] == 2


def test_the_command_prints_the_clusters(new_example, as_file, tmp_path):
    path = as_file([new_example(1), new_example(1, variant=1), new_example(2)])
    result = CliRunner().invoke(application, [str(path), "-o", str(tmp_path / "out.jsonl"), "--json"])
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert (found["examples"], found["kept"], found["near_duplicates"]) == (3, 2, 1)
    assert found["clusters"] == [{"kept": [f"{path}:1 1-0"], "exact": [], "near": [f"{path}:2 1-1"]}]


def test_an_output_that_is_there_is_not_replaced(new_example, as_file, tmp_path):
    path = as_file([new_example(1)])
    (tmp_path / "out.jsonl").write_text("mine\n")
    with pytest.raises(OutputRefused):
        dedup([str(path)], str(tmp_path / "out.jsonl"), DedupOptions())
    assert (tmp_path / "out.jsonl").read_text() == "mine\n"


@given(st.lists(st.sampled_from(["x", "y = 1", "z()", "ä", "\n"]), max_size=60), st.integers(0, 60))
def test_what_signatures_say_is_near_the_truth(parts, cut):
    one, other = " ".join(parts), " ".join([*parts[:cut], "new", *parts[cut:]])
    signer = Signer()
    estimated = (signer.signature(one) == signer.signature(other)).mean()
    # Of 128 draws the mean is within 0.25 but for one time in many millions (Hoeffding: 2 exp(-2 * 128 * 0.25²)).
    assert abs(estimated - true_similarity(one, other)) < 0.25


TABLES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 127)), min_size=1, max_size=30)


@settings(deadline=None)
@given(TABLES, st.data())
def test_clusters_are_those_of_comparing_every_two_that_share_a_band(rows, data):
    table = np.empty((len(rows), 128), np.uint32)
    for number, (family, changed) in enumerate(rows):
        table[number] = np.arange(128) + 1000 * family
        table[number, :changed] = 10_000 + 200 * number + np.arange(changed)
    groups = data.draw(st.lists(st.integers(0, 1), min_size=len(rows), max_size=len(rows)))
    found = clusters(table, 0.5, groups)
    expected = list(range(len(rows)))
    for one in range(len(rows)):
        for other in range(one):
            if groups[one] == groups[other] and (table[one] == table[other]).mean() >= 0.5:
                old, new = max(expected[one], expected[other]), min(expected[one], expected[other])
                expected = [new if label == old else label for label in expected]
    assert found.tolist() == expected  # pairs at 0.5 agree in the same 64 columns here, so in whole bands, too


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_most_different_starts_with_the_first_and_repeats_none(size, count, seed):
    table = np.random.default_rng(seed).integers(0, 2, (size, 128), np.uint32)
    chosen = most_different(table, count)
    assert chosen[0] == 0
    assert len(chosen) == len(set(chosen)) == min(size, count)
    if len(chosen) > 1:
        assert (table[chosen[1]] != table[0]).mean() == max((row != table[0]).mean() for row in table[1:])
