"""The search for a peer's best setting."""

from __future__ import annotations

import json
import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.settings_search import Tried, search, search_again
from bench.systems import DRAFTING, FLASH_ATTENTION, SYSTEMS

SERVER = SYSTEMS["llama-server"]
COMBINATIONS = [
    dict(zip(SERVER.choices, names, strict=True))
    for names in product(*(choices for choices in SERVER.choices.values()))
]


def test_each_choice_is_tried_with_the_best_of_those_before_it():
    asked = []

    def mean_wait(setting):
        asked.append(dict(setting))
        costs = {"off": -1, "prefix and reuse": 2, "n-gram 3, draft 8": -3}
        return 10 + sum(costs.get(name, 0) for name in setting.values())

    tried = search(SERVER, mean_wait)
    assert tried.best == {FLASH_ATTENTION: "off", "prompt cache": "prefix", DRAFTING: "n-gram 3, draft 8"}
    assert asked[0] == SERVER.default_setting
    assert all(setting[FLASH_ATTENTION] == "off" for setting in asked[1:])
    assert len(asked) == 5
    assert all(asked.count(setting) == 1 for setting in asked)


@given(st.lists(st.integers(1, 50), min_size=len(COMBINATIONS), max_size=len(COMBINATIONS)))
def test_the_best_is_never_worse_than_the_defaults_nor_than_anything_tried(waits):
    tried = search(SERVER, lambda setting: waits[COMBINATIONS.index(dict(setting))])
    best = waits[COMBINATIONS.index(dict(tried.best))]
    assert SERVER.default_setting in tried.settings
    assert best == min(tried.mean_waits)


def test_a_setting_that_never_answers_is_not_the_best_and_reads_back():
    tried = search(SYSTEMS["llama-cpp-python"], lambda setting: math.inf if setting[FLASH_ATTENTION] == "off" else 7.0)
    assert tried.best == {FLASH_ATTENTION: "on"}
    assert tried.mean_waits == (None, 7.0)
    assert Tried.from_json(json.loads(json.dumps(tried.to_json()))) == tried


@pytest.mark.parametrize(
    ("best_drafting", "compared"),
    [("none", {"none", "n-gram 4, draft 32"}), ("n-gram 3, draft 8", {"none", "n-gram 3, draft 8"})],
)
def test_a_larger_shape_tries_the_best_setting_with_and_without_drafts(best_drafting, compared):
    waits = {"none": 5, "n-gram 3, draft 8": 9, "n-gram 4, draft 32": 8} | {best_drafting: 1}
    earlier = search(SERVER, lambda setting: waits[setting[DRAFTING]] + (setting[FLASH_ATTENTION] == "auto"))
    asked = []
    tried = search_again(earlier, lambda setting: asked.append(setting) or -len(asked))
    assert {setting[DRAFTING] for setting in asked} == compared
    assert {setting[FLASH_ATTENTION] for setting in asked} == {"off"}
    assert tried.best == asked[-1]


def test_a_larger_shape_without_drafting_takes_the_setting_as_it_is():
    earlier = search(SYSTEMS["llama-cpp-python"], lambda setting: len(setting[FLASH_ATTENTION]))
    assert search_again(earlier, lambda _: pytest.fail("nothing is to be tried")).best == {FLASH_ATTENTION: "on"}


def test_the_options_of_a_setting_reach_the_peer():
    chosen = SERVER.with_setting({FLASH_ATTENTION: "off", "prompt cache": "prefix and reuse", DRAFTING: "none"})
    assert chosen.options == {"arguments": ("--flash-attn", "off", "--cache-reuse", "64")}
    assert '"--flash-attn", "off", "--cache-reuse", "64"' in chosen.command("model.gguf", 1)[-1]
    assert SERVER.with_setting(SERVER.default_setting).options == {}
    lookup = SYSTEMS["llama-cpp-python lookup"].with_setting({FLASH_ATTENTION: "on"})
    assert lookup.options == {"lookup_tokens": 2, "flash_attention": True}
    with pytest.raises(KeyError):
        SERVER.with_setting({DRAFTING: "a large model"})
