"""The stand-in's verdicts follow from the question, so that a repair after them has something to do."""

from __future__ import annotations

import pytest

from training_export.teachers.judge_prompt import read_verdict
from training_export.teachers.stand_in.answers import answer

QUESTION = """\
Answer with "reverts_edits" and "confidence". Changes look like [-this-]{+that+}.

# Edits so far

    def add(self, [-qty-]{+count+}):
    total [-sum-]{+total+}

# The code now

    for _ in range(qty):

# The suggested edit

    for _ in range(%s):

# How to answer

{"reasoning": "...", "reverts_edits": true or false, "confidence": 1 to 5}
"""


@pytest.mark.parametrize(
    ("edit", "reverts"),
    [("[-total-]{+sum+}", True), ("[-qty-]{+count+}", False), ("[-count-]{+qty+}", False), ("nothing", False)],
)
def test_an_edit_that_turns_the_newest_change_round_is_said_to_revert(edit, reverts):
    verdict = read_verdict(answer([("user", QUESTION % edit)]))
    assert verdict.reverts_edits is reverts
    assert verdict.confidence == (1 if reverts else 4)
