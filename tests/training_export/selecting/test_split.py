"""Every example lands in exactly one file, groups stay whole, near-duplicates stay together, few move."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from daemon.errors import BadArgument
from training_export.commands.split import application
from training_export.selecting.grouping import GroupBy
from training_export.selecting.partition import Splitter
from training_export.selecting.shares import Group, Share, assign, read_shares, wanted_sizes
from training_export.selecting.split import SplitOptions, split

THREE = ["train.jsonl=80%", "valid.jsonl=10%", "test.jsonl=rest"]


def split_into(examples, shares, **options):
    splitter = Splitter(
        by=options.pop("by", GroupBy.PATH), joins_near_duplicates=options.pop("joins_near_duplicates", True)
    )
    for example in examples:
        splitter.add(example)
    return splitter.partition(read_shares(shares), options.pop("seed", 0))


def test_every_line_is_in_one_file_unchanged_and_in_order(new_example, as_file, tmp_path):
    lines = [new_example(seed, path=f"src/{seed % 17}.py").to_line() for seed in range(60)]
    shares = read_shares([str(tmp_path / text) for text in THREE])
    report = split([str(as_file(lines))], shares, SplitOptions(seed=3))
    written = [(tmp_path / share.partition("=")[0]).read_text().splitlines() for share in THREE]
    assert Counter(line for part in written for line in part) == Counter(lines)
    for part in written:
        assert part == [line for line in lines if line in set(part)]
    assert [len(part) for part in written] == list(report.partition.sizes)
    assert all(
        abs(size - wanted) <= 4 for size, wanted in zip(report.partition.sizes, report.partition.wanted, strict=True)
    )


@settings(max_examples=40, deadline=None)
@given(
    moments=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40),
    by=st.sampled_from(GroupBy),
    seed=st.integers(0, 5),
)
def test_neither_a_group_nor_a_cluster_is_divided(new_example, moments, by, seed):
    examples = [
        new_example(code, variant=variant, path=f"src/{file}.py", repository=f"r{file % 3}")
        for code, variant, file in moments
    ]
    found = split_into(examples, THREE, by=by, seed=seed)
    assert found.leaks == ()
    sides = {}
    for (code, _, file), side in zip(moments, found.share_of.tolist(), strict=True):
        assert sides.setdefault(("code", code), side) == side
        if by is GroupBy.PATH:
            assert sides.setdefault(("file", file), side) == side
        if by is GroupBy.REPOSITORY:
            assert sides.setdefault(("repository", file % 3), side) == side
    assert sum(found.sizes) == len(examples)


def test_the_same_seed_gives_the_same_split_and_another_seed_another(new_example):
    examples = [new_example(seed) for seed in range(80)]
    first, again, other = (split_into(examples, THREE, seed=seed).share_of.tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_the_order_of_the_input_does_not_matter(new_example):
    examples = [new_example(seed) for seed in range(60)]
    forwards = split_into(examples, THREE).share_of.tolist()
    assert split_into(examples[::-1], THREE).share_of.tolist() == forwards[::-1]


GROUPS = st.lists(st.integers(1, 30), min_size=1, max_size=60)
PARTS = st.sampled_from([(0.8, 0.1, 0.1), (0.5, 0.5), (0.9, 0.1), (1.0,), (0.98, 0.01, 0.01)])


@given(GROUPS, PARTS, st.integers(0, 99))
def test_no_share_is_over_by_more_than_the_largest_group(sizes, parts, seed):
    groups = [Group(f"g{number}".encode(), size) for number, size in enumerate(sizes)]
    wanted = [part * sum(sizes) for part in parts]
    got = [0.0] * len(parts)
    for group, share in zip(groups, assign(groups, wanted, seed), strict=True):
        got[share] += group.size
    assert all(have <= want + max(sizes) + 1e-6 for have, want in zip(got, wanted, strict=True))


@given(st.integers(20, 400), st.integers(0, 99), st.integers(0, 99))
def test_one_example_more_moves_at_most_one_of_the_others_over_each_border(count, seed, added):
    groups = [Group(f"g{number}".encode(), 1) for number in range(count)]
    before = assign(groups, [part * count for part in (0.8, 0.1, 0.1)], seed)
    more = [*groups, Group(f"new {added}".encode(), 1)]
    after = assign(more, [part * (count + 1) for part in (0.8, 0.1, 0.1)], seed)
    limit = 0.1 * 0.1 * count
    moved = sum(one != other for one, other in zip(before, after, strict=False))
    assert moved <= 2 or limit < 1.1  # in a set so small every group is a large one, and large ones may trade places


def test_a_large_group_does_not_spoil_the_proportions():
    groups = [Group(b"huge", 500), *(Group(f"g{number}".encode(), 5) for number in range(100))]
    chosen = assign(groups, [800.0, 100.0, 100.0], seed=0)
    sizes = Counter()
    for group, share in zip(groups, chosen, strict=True):
        sizes[share] += group.size
    assert sizes == {0: 800, 1: 100, 2: 100}


def test_allowed_leaks_are_reported_with_their_places(new_example, as_file, tmp_path):
    path = as_file([new_example(1, variant=number, path=f"src/{number}.py") for number in range(20)])
    shares = read_shares([f"{tmp_path}/a.jsonl=50%", f"{tmp_path}/b.jsonl=rest"])
    report = split([str(path)], shares, SplitOptions(allow_leaks=True))
    assert report.partition.sizes == (10, 10)
    assert len(report.leaks) == 1
    assert len(report.leaks[0]) == 20
    assert f"{path}:1 1-0" in report.leaks[0]


def test_zeds_way_to_write_it_works(new_example, as_file, tmp_path):
    path = as_file([new_example(seed) for seed in range(10)])
    shares = [f"{tmp_path}/train.jsonl=80%", f"{tmp_path}/valid.jsonl=rest"]
    result = CliRunner().invoke(application, [str(path), *shares, "--json", "--seed", "4"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert sum(file["examples"] for file in found["files"]) == 10
    assert found["leaks"] == []
    assert "train.jsonl" in result.stderr


def test_a_share_that_gets_nothing_is_warned_of(new_example, as_file, tmp_path):
    path = as_file([new_example(seed, path="one.py") for seed in range(10)])
    shares = ["-o", f"{tmp_path}/train.jsonl=80%", "-o", f"{tmp_path}/valid.jsonl=rest"]
    result = CliRunner().invoke(application, [str(path), *shares])
    assert "valid.jsonl got nothing" in result.stderr
    assert (tmp_path / "valid.jsonl").read_text() == ""


def test_nothing_is_written_where_one_of_the_files_is_in_the_way(new_example, as_file, tmp_path):
    path = as_file([new_example(seed) for seed in range(4)])
    (tmp_path / "valid.jsonl").write_text("mine\n")
    result = CliRunner().invoke(application, [str(path), f"{tmp_path}/train.jsonl=50%", f"{tmp_path}/valid.jsonl=rest"])
    assert result.exit_code != 0
    assert not (tmp_path / "train.jsonl").exists()
    assert (tmp_path / "valid.jsonl").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "nothing says"),
        (["a.jsonl=50%"], "let one file have the rest"),
        (["a.jsonl=50%", "a.jsonl=50%"], "twice"),
        (["a.jsonl=rest", "b.jsonl=rest"], "cannot both"),
        (["a.jsonl=70%", "b.jsonl=40%"], "110 %"),
        (["a.jsonl"], "says no share"),
    ],
)
def test_shares_that_make_no_sense_are_refused(texts, message):
    with pytest.raises(BadArgument, match=message):
        read_shares(texts)


def test_a_number_of_examples_can_be_asked_for():
    shares = read_shares(["test.jsonl=500", "train.jsonl=rest"])
    assert shares[0] == Share("test.jsonl", count=500)
    assert wanted_sizes(shares, 2000) == [500, 1500]
    with pytest.raises(BadArgument, match="there are 400"):
        wanted_sizes(shares, 400)
