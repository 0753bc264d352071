"""What settles is kept only if nothing stands against it, in the end too; what is not kept is counted, with the reason."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import threading
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from capture.file_lock import FileLock
from capture.inputs import EditEvent, RelatedExcerpt, RelatedFile, Span
from capture.snapshot.parts import FileDiff, Repository
from capture.store import sqlite, stored
from capture.store.answers import Refused, Stored
from capture.store.error import StorageError
from daemon.settings import Settings

ROOT = Path(__file__).parents[3]
PATIENCE_SECONDS = 20


class Gate:
    """Lets a test hold the examination, in which it stands as ``may_be_seen``."""

    def __init__(self):
        self.is_reached, self.is_open = threading.Event(), threading.Event()

    def __call__(self, _path):
        self.is_reached.set()
        assert self.is_open.wait(PATIENCE_SECONDS)
        return True

    async def reached(self):
        assert await asyncio.to_thread(self.is_reached.wait, PATIENCE_SECONDS)


async def test_with_consent_what_holds_nothing_forbidden_is_stored_as_it_is(allowed):
    keeper = allowed.keeper()
    finished = allowed.finished()
    assert await keeper.keep(finished) == Stored(finished.snapshot.id, finished.snapshot.sha256())
    assert allowed.kept(finished.snapshot.id) == finished.snapshot
    status = keeper.status()
    assert (status["off"], status["counts"], status["latest"], status["under_way"]) == ("", {"stored": 1}, "", 0)
    assert status["store"]["stored"] == 1
    assert json.loads(json.dumps(status)) == status


# Consent


async def test_without_consent_nothing_is_stored_and_no_store_is_made(world):
    keeper = world.keeper()
    refused = await keeper.keep(world.finished())
    assert refused.reason == "no_consent"
    assert "foretype consent grant" in refused.explanation
    assert keeper.status()["counts"] == {"no_consent": 1}
    assert keeper.status()["latest"] == refused.explanation
    assert not world.path.parent.exists()


async def test_what_began_under_a_consent_that_ended_is_not_stored_under_the_next_one(allowed):
    keeper = allowed.keeper()
    finished = allowed.finished()
    allowed.book.revoke(str(allowed.work))
    assert (await keeper.keep(finished)).reason == "no_consent"
    allowed.grant()
    assert (await keeper.keep(finished)).reason == "no_consent"
    assert isinstance(await keeper.keep(allowed.finished()), Stored)


@pytest.mark.parametrize("has_its_own", [False, True])
async def test_a_folder_with_another_consent_or_none_is_in_no_snapshot_of_the_workspace_around_it(allowed, has_its_own):
    keeper = allowed.keeper()
    allowed.write("vendor/lib.py", "x = 1\n")
    if has_its_own:
        allowed.book.grant(str(allowed.work / "vendor"), "local")
    else:
        allowed.book.revoke(str(allowed.work / "vendor"))
    inputs = allowed.samples.sample().inputs
    theirs = replace(inputs, cursor_path="vendor/lib.py")
    assert (await keeper.keep(allowed.finished(path="vendor/lib.py", inputs=theirs))).reason == "excluded"
    event = EditEvent("vendor/lib.py", "vendor/lib.py", "@@ -1,1 +1,1 @@\n-x\n+y\n")
    answer = await keeper.keep(allowed.finished(inputs=replace(inputs, events=(*inputs.events, event))))
    kept = allowed.kept(answer.id)
    assert (kept.inputs.events, kept.left_out) == (inputs.events, 1)


@pytest.mark.parametrize("is_given_anew", [False, True])
@pytest.mark.parametrize("folder", [".", "src"])
async def test_consent_taken_back_while_a_snapshot_waits_for_the_disk_counts(allowed, folder, is_given_anew):
    keeper = allowed.keeper()
    await keeper.keep(allowed.finished())
    others = FileLock(allowed.path.with_suffix(".writing.lock"))
    assert others.take()
    allowed.store.got_one.clear()
    keeping = asyncio.create_task(keeper.keep(allowed.finished()))
    assert await asyncio.to_thread(allowed.store.got_one.wait, PATIENCE_SECONDS)
    allowed.book.revoke(str(allowed.work / folder))
    if is_given_anew:
        allowed.book.grant(str(allowed.work / folder), "local")
    others.close()
    assert (await keeping).reason == "no_consent"
    assert len(allowed.rows()) == 1
    assert keeper.status()["counts"] == {"stored": 1, "no_consent": 1}


async def test_the_snapshots_of_a_workspace_whose_consent_ended_can_be_purged(allowed, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    keeper = allowed.keeper()
    other = allowed.home / "garden"
    other.mkdir()
    ended = [consent.workspace_id for consent in (allowed.book.grant(str(other), "local"), *allowed.book.all())]
    await keeper.keep(allowed.finished())
    await keeper.keep(allowed.finished())
    assert await keeper.purge([ended[0]]) == 0
    with stored.reading(allowed.path) as database, database.reading() as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM snapshot").fetchall()
        with pytest.raises(StorageError, match="still in its log"):
            await keeper.purge(set(ended))
        connection.execute("COMMIT")
    assert allowed.rows() == []
    assert await keeper.purge(set(ended)) == 0


# Licences


async def test_with_open_source_only_a_workspace_needs_a_licence_that_is_known(allowed):
    keeper = allowed.keeper()
    allowed.settings = Settings(open_source_only=True)
    refused = await keeper.keep(allowed.finished())
    assert (refused.reason, str(allowed.work) in refused.explanation) == ("not_open_source", True)
    shutil.copy(ROOT / "LICENSE", allowed.work)
    assert isinstance(await keeper.keep(allowed.finished()), Stored)
    allowed.write("LICENSE", "All rights reserved.\n")
    assert (await keeper.keep(allowed.finished())).reason == "not_open_source"
    allowed.settings = Settings()
    assert isinstance(await keeper.keep(allowed.finished()), Stored)


# Files


async def test_a_file_that_git_ignores_or_settings_exclude_gets_no_snapshot(allowed):
    keeper = allowed.keeper()
    allowed.write(".gitignore", "sums.py\n")
    assert (await keeper.keep(allowed.finished())).reason == "excluded"
    allowed.write(".gitignore", "")
    allowed.hidden = {"sums.py"}
    assert (await keeper.keep(allowed.finished())).reason == "excluded"
    allowed.hidden = set()
    assert isinstance(await keeper.keep(allowed.finished()), Stored)


async def test_what_shows_other_files_that_never_enter_is_taken_out_and_counted(allowed):
    keeper = allowed.keeper()
    allowed.write(".gitignore", "*.local\n")
    inputs = allowed.samples.sample().inputs
    events = tuple(EditEvent(path, path, "@@ -1,1 +1,1 @@\n-x\n+y\n") for path in ("my.local", "src/hidden.py"))
    related = tuple(
        RelatedFile(path, 3, (RelatedExcerpt(Span(0, 1), "y"),)) for path in ("src/other.py", "src/hidden.py")
    )
    repository = Repository(revision="a" * 40, diffs=(FileDiff("src/sums.py", "+x"), FileDiff("my.local", "+x")))
    allowed.hidden = {"hidden.py"}
    finished = allowed.finished(
        inputs=replace(inputs, events=(*inputs.events, *events), related_files=related),
        later_events=events,
        repository=repository,
    )
    kept = allowed.kept((await keeper.keep(finished)).id)
    assert kept.inputs.events == inputs.events
    assert kept.inputs.related_files == related[:1]
    assert kept.later_events == ()
    assert kept.repository.diffs == repository.diffs[:1]
    assert kept.left_out == 6
    assert b"hidden" not in kept.canonical_bytes()


# Many at a time, and the end


async def test_more_than_can_wait_are_refused_at_once_and_counted_and_the_rest_is_stored(allowed):
    keeper = allowed.keeper(capacity=3)
    gate = Gate()
    keeping = [asyncio.create_task(keeper.keep(allowed.finished(may_be_seen=gate))) for _ in range(3)]
    await gate.reached()
    refused = await keeper.keep(allowed.finished())
    assert refused.reason == "queue_full"
    assert keeper.status()["under_way"] == 3
    gate.is_open.set()
    assert all(isinstance(answer, Stored) for answer in await asyncio.gather(*keeping))
    assert isinstance(await keeper.keep(allowed.finished()), Stored)
    assert keeper.status()["counts"] == {"stored": 4, "queue_full": 1}


async def test_who_stops_waiting_does_not_take_the_snapshot_back(allowed, caplog):
    keeper = allowed.keeper()
    gate = Gate()
    finished = allowed.finished(may_be_seen=gate)
    keeping = asyncio.create_task(keeper.keep(finished))
    await gate.reached()
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    gate.is_open.set()
    await keeper.close()
    assert [row.id for row in allowed.rows()] == [finished.snapshot.id]
    assert keeper.status()["counts"] == {"stored": 1}
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_closing_waits_for_what_is_under_way_and_takes_no_more(allowed):
    keeper = allowed.keeper()
    gate = Gate()
    keeping = [asyncio.create_task(keeper.keep(allowed.finished(may_be_seen=gate))) for _ in range(5)]
    await gate.reached()
    closing = asyncio.create_task(keeper.close())
    await asyncio.sleep(0)  # it has begun
    assert (await keeper.keep(allowed.finished())).reason == "closed"
    assert not closing.done()
    gate.is_open.set()
    await closing
    assert all(isinstance(answer, Stored) for answer in await asyncio.gather(*keeping))
    assert len(allowed.rows()) == 5
    await keeper.close()


async def test_closing_does_not_wait_for_ever_and_everybody_is_answered(allowed):
    keeper = allowed.keeper(close_seconds=0.05)
    gate = Gate()
    stuck, *waiting = [asyncio.create_task(keeper.keep(allowed.finished(may_be_seen=gate))) for _ in range(3)]
    await gate.reached()
    await keeper.close()
    assert [answer.reason for answer in await asyncio.gather(*waiting)] == ["closed", "closed"]
    assert not stuck.done()
    gate.is_open.set()
    assert (await stuck).reason == "closed"
    assert keeper.status()["counts"] == {"closed": 3}


async def test_a_mistake_of_ours_costs_one_snapshot_and_tells_the_log_nothing_of_the_text(allowed, caplog):
    keeper = allowed.keeper()
    text = allowed.samples.sample().inputs.cursor_excerpt

    def mistaken(_path):
        raise RuntimeError(text)

    with caplog.at_level(logging.ERROR):
        assert (await keeper.keep(allowed.finished(may_be_seen=mistaken))).reason == "failed"
    assert "RuntimeError" in caplog.text
    assert text not in caplog.text
    assert isinstance(await keeper.keep(allowed.finished()), Stored)
    assert keeper.status()["counts"] == {"failed": 1, "stored": 1}


async def test_what_a_window_refused_itself_is_counted_with_the_rest(allowed):
    keeper = allowed.keeper()
    keeper.count("region too long")
    keeper.count("region too long")
    await keeper.keep(allowed.finished())
    assert keeper.status()["counts"] == {"region too long": 2, "stored": 1}


KINDS = {"good": "stored", "hidden": "excluded", "secret": "secret", "foreign": "no_consent"}


@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.sampled_from(sorted(KINDS)), max_size=6), max_size=4))
def test_each_of_many_gets_its_own_answer_and_the_counts_are_the_answers(make_world, with_secret, bursts):
    world = make_world()
    world.grant()

    def hidden(_path):
        return False

    def finished(kind):
        make = partial(with_secret, "settled") if kind == "secret" else world.samples.sample
        snapshot = make(workspace_id="f" * 32 if kind == "foreign" else world.workspace_id)
        return world.finished(snapshot, may_be_seen=hidden if kind == "hidden" else None)

    async def keep_all():
        keeper = world.keeper()
        answered = []
        for burst in bursts:
            answers = await asyncio.gather(*(keeper.keep(finished(kind)) for kind in burst))
            answered += zip(burst, answers, strict=True)
        status = keeper.status()
        await keeper.close()
        return answered, status

    answered, status = asyncio.run(keep_all())
    got = ["stored" if isinstance(answer, Stored) else answer.reason for _, answer in answered]
    assert got == [KINDS[kind] for kind, _ in answered]
    assert status["counts"] == Counter(got)
    assert {row.id for row in world.rows()} == {answer.id for _, answer in answered if not isinstance(answer, Refused)}
