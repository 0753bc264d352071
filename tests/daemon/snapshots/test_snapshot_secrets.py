"""A snapshot with a secret in any of its texts is dropped, or masked throughout; what cannot be searched is dropped."""

from __future__ import annotations

import errno
import itertools
import json
from dataclasses import replace

import pytest

from capture.gate import provider_keys
from capture.gate.redaction import SecretScanner
from capture.inputs import EditEvent
from capture.snapshot.parts import Region
from capture.store.answers import Stored
from daemon.settings import Settings


@pytest.mark.parametrize("place", ["excerpt", "event", "settled", "prediction"])
async def test_a_secret_in_any_text_drops_the_snapshot_or_is_masked_as_the_setting_says(
    allowed, with_secret, key, place
):
    keeper = allowed.keeper()
    snapshot = with_secret(place, workspace_id=allowed.workspace_id)
    assert key in snapshot.canonical_bytes().decode()
    refused = await keeper.keep(allowed.finished(snapshot))
    assert refused.reason == "secret"
    assert key not in json.dumps(keeper.status())
    assert allowed.rows() == []
    allowed.settings = Settings(secrets="mask")
    answer = await keeper.keep(allowed.finished(snapshot))
    kept = allowed.kept(answer.id)
    assert answer == Stored(snapshot.id, kept.sha256())
    assert kept.redactions == 1
    expected = {where: text.replace(key, "*" * len(key)) for where, text in snapshot.texts().items()}
    assert kept.texts() == expected
    assert keeper.status()["counts"] == {"secret": 1, "stored": 1}


async def test_a_secret_in_what_is_taken_out_harms_nothing(allowed, with_secret):
    keeper = allowed.keeper()
    allowed.hidden = {"other.py"}
    snapshot = with_secret("event", workspace_id=allowed.workspace_id)
    kept = allowed.kept((await keeper.keep(allowed.finished(snapshot))).id)
    assert (kept.left_out, kept.redactions, kept.inputs.events) == (1, 0, ())


async def test_a_secret_that_cannot_be_masked_in_place_drops_the_snapshot(allowed, samples):
    keeper = allowed.keeper()
    allowed.settings = Settings(secrets="mask")
    # Its letters take two bytes each, a mask one, so what stands behind it would move.
    code = 'password = "ÄÖjd83ÜÖkf92nÄ"\ntotal = 1\n'
    sample = samples.sample(code=code)
    at = len(code.partition("\n")[0].encode()) + 1
    region = Region(at, at + len("total = 1"), "total = 1", text_settled="total = 2")
    answer = await keeper.keep(allowed.finished(region=region, inputs=sample.inputs))
    assert answer.reason == "secret"
    assert allowed.rows() == []


async def test_a_snapshot_that_could_not_be_masked_in_time_is_dropped(allowed, samples, with_secret):
    inputs = with_secret("excerpt").inputs
    events = tuple(EditEvent("src/other.py", "src/other.py", f"@@ -1,1 +1,1 @@\n-x\n+{row}\n") for row in range(10))
    snapshot = samples.sample(workspace_id=allowed.workspace_id, inputs=replace(inputs, events=events))
    for secrets, reason in (("drop", "secret"), ("mask", "scan_too_long")):
        # Each look at the clock takes a second: time to come to the excerpt, but not through the events.
        scanner = SecretScanner(budget_seconds=16.0, processor_seconds=itertools.count().__next__)
        keeper = allowed.keeper(new_scanner=lambda scanner=scanner: scanner)
        allowed.settings = Settings(secrets=secrets)
        assert (await keeper.keep(allowed.finished(snapshot))).reason == reason
    assert allowed.rows() == []


async def test_what_could_not_be_searched_in_time_is_dropped(allowed):
    keeper = allowed.keeper(new_scanner=lambda: SecretScanner(budget_seconds=0.0))
    for secrets in ("drop", "mask"):
        allowed.settings = Settings(secrets=secrets)
        assert (await keeper.keep(allowed.finished())).reason == "scan_too_long"
    assert keeper.status()["counts"] == {"scan_too_long": 2}
    assert keeper.status()["off"] == ""


async def test_once_secrets_cannot_be_looked_for_nothing_is_kept_any_more_and_status_says_so(allowed, monkeypatch):
    monkeypatch.setattr(provider_keys, "CANARY", "no key of anybody's")
    keeper = allowed.keeper(new_scanner=SecretScanner)
    assert keeper.status()["off"] == ""
    refused = await keeper.keep(allowed.finished())
    assert refused.reason == "scanner_broken"
    assert "reinstall foretype" in refused.explanation
    assert keeper.status()["off"] == refused.explanation
    monkeypatch.undo()
    assert (await keeper.keep(allowed.finished())).reason == "scanner_broken"
    assert keeper.status()["counts"] == {"scanner_broken": 2}
    assert not allowed.path.parent.exists()


async def test_a_search_that_fails_for_want_of_something_is_tried_again_with_the_next_snapshot(allowed):
    failures = [OSError(errno.EMFILE, "Too many open files")]

    def new_scanner():
        if failures:
            raise failures.pop()
        return allowed.new_scanner()

    keeper = allowed.keeper(new_scanner=new_scanner)
    refused = await keeper.keep(allowed.finished())
    assert (refused.reason, "Too many open files" in refused.explanation) == ("scan_failed", True)
    assert keeper.status()["off"] == ""
    assert isinstance(await keeper.keep(allowed.finished()), Stored)
