"""The measurement of distances measures what it says."""

from __future__ import annotations

import json
import statistics
import sys

from bench import levenshtein


def test_pairs_are_as_long_as_said_and_the_same_every_time():
    made = [levenshtein.Pairs(levenshtein.SEED) for _ in range(2)]
    examples, again = ([maker.example() for _ in range(60)] for maker in made)
    assert examples == again
    lengths = [len(text) for example in examples for text in example.samples]
    assert 950 < statistics.median(lengths) < 1150
    assert all(len(example.samples) == levenshtein.SAMPLES for example in examples)


def test_the_last_line_is_json_and_counts_every_pair(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["levenshtein", "--pairs", "2000", "--workers", "1"])
    levenshtein.main()
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["pairs"] == 2000
    assert set(found["unrelated_us_a_pair"]) == {"1050", "4096"}
