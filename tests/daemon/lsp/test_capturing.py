"""What is remembered of a window with consent, and that nothing is without."""

from __future__ import annotations

import asyncio
import subprocess

import orjson
import pytest

from capture.consent.book import CONSENT_TEXT_VERSION, ConsentBook
from capture.consent.policy import PolicyFile
from capture.store import stored
from capture.store.choice import EVERYTHING
from capture.store.store import Store
from capture.store.writer import Limits
from daemon.engine.messages import Origin
from daemon.engine.scripted import completing, replacing
from daemon.snapshot_keeper import CAPACITY, SnapshotKeeper

PATIENCE_SECONDS = 10.0
SETTLE_SECONDS = 0.2
HEARS = {"capabilities": {"experimental": {"foretype": {"snapshotStored": True}}}}
TEXT = "def total(items):\n    return sum(old_name)\n\n\nx = 1\n"


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "main.py").write_text(TEXT)
    return folder


@pytest.fixture
def repository(project):
    """The project is a git repository now: ``main.py`` committed, then changed; ``private.py`` ignored."""

    def git(*words):
        subprocess.run(
            ["git", "-C", project, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *words], check=True
        )

    git("init", "-q")
    git("remote", "add", "origin", "https://ada:hush-hush@example.org/ada/shop.git")
    (project / ".gitignore").write_text("private.py\n")
    git("add", "main.py")
    git("commit", "-qm", "first")
    (project / "main.py").write_text(TEXT.replace("x = 1", "x = 2"))
    return project


@pytest.fixture
def book(tmp_path):
    return ConsentBook(tmp_path / "config" / "consent.json", PolicyFile(tmp_path / "policy.toml"))


@pytest.fixture
def store_path(tmp_path):
    return tmp_path / "data" / "snapshots.sqlite3"


@pytest.fixture
async def keeper(book, store_path, settings, set_settings):
    set_settings(f'work_ahead = "accepted"\nsettle_seconds = {SETTLE_SECONDS}\n')
    # The tests' disk may be nearly full; what the limits do is shown elsewhere.
    store = Store(store_path, limits=Limits(reserve_bytes=0))
    keeper = SnapshotKeeper(store, book, lambda: settings.current)
    yield keeper
    await keeper.close()


@pytest.fixture
async def editor(window, project):
    return await window(workspaceFolders=[{"uri": project.as_uri(), "name": "shop"}], **HEARS)


@pytest.fixture
def uri(project):
    return (project / "main.py").as_uri()


def kept(store_path):
    """All snapshots in the store, the oldest first."""
    with stored.reading(store_path) as database:
        rows = [] if database is None else stored.summaries(database, EVERYTHING)
        return [stored.get(database, row.id) for row in rows]


async def announced(editor, number=1):
    """The first announcements, once there are so many."""
    method = "foretype/snapshotStored"
    await editor.until(lambda _: len(editor.notifications(method)) >= number)
    return editor.notifications(method)


def insertion(line, character, text):
    where = {"line": line, "character": character}
    return {"range": {"start": where, "end": where}, "text": text}


async def test_without_consent_there_is_not_even_a_folder_for_the_store(editor, uri, store_path, keeper):
    editor.open(TEXT, uri)
    [edit] = await editor.inline_edits(1, 4, uri=uri)
    assert edit["text"]
    await asyncio.sleep(2 * SETTLE_SECONDS)
    editor.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    await editor.alive()
    await keeper.close()
    assert not store_path.parent.exists()
    assert keeper.status()["counts"] == {}


async def test_an_accepted_prediction_is_stored_once_its_place_is_quiet(editor, uri, project, book, store_path):
    book.grant(str(project), "local")
    editor.open(TEXT, uri)
    [edit] = await editor.inline_edits(1, 4, uri=uri)
    editor.change(2, {"range": edit["range"], "text": edit["text"]}, uri=uri)
    editor.notify(
        "workspace/executeCommand", {"command": "foretype.didAccept", "arguments": edit["command"]["arguments"]}
    )
    [told] = await announced(editor)
    [snapshot] = kept(store_path)
    assert told == {"id": snapshot.id, "sha256": snapshot.sha256()}
    assert (snapshot.state, snapshot.outcome, snapshot.path) == ("settled", "accepted", "main.py")
    assert snapshot.inputs.cursor_excerpt == TEXT
    assert snapshot.inputs.cursor_offset_in_excerpt == TEXT.index("return")
    assert "new_name" in snapshot.region.text_settled
    assert "old_name" in snapshot.region.text_before
    assert snapshot.prediction.new_region_text == snapshot.region.text_settled
    assert snapshot.kept_rate == 1.0


async def test_what_is_typed_instead_is_what_the_place_settles_to(editor, uri, project, book, store_path):
    book.grant(str(project), "local")
    editor.open(TEXT, uri)
    await editor.inline_edits(1, 4, uri=uri)
    editor.change(2, insertion(1, 24, " + 1"), uri=uri)
    await announced(editor)
    [snapshot] = kept(store_path)
    assert (snapshot.state, snapshot.outcome) == ("settled", "rejected")
    assert snapshot.outcome_reason == "something else was typed"
    assert "    return sum(old_name) + 1" in snapshot.region.text_settled


async def test_what_the_rule_wrote_is_kept_as_the_rules(editor, uri, project, book, store_path, engine):
    engine.origin = Origin.RULE
    book.grant(str(project), "local")
    editor.open(TEXT, uri)
    await editor.inline_edits(1, 4, uri=uri)
    await announced(editor)
    [snapshot] = kept(store_path)
    assert (snapshot.prediction.origin, snapshot.schema_version) == ("rule", 2)


async def test_no_prediction_is_an_answer_too(editor, uri, project, book, store_path, engine):
    engine.script = replacing("nothing like this", "anything")
    book.grant(str(project), "local")
    editor.open(TEXT, uri)
    assert await editor.inline_edits(1, 4, uri=uri) == []
    await announced(editor)
    [snapshot] = kept(store_path)
    assert snapshot.prediction.edits == ()
    assert (snapshot.outcome, bool(snapshot.prediction.reason)) == ("not_shown", True)


async def test_a_document_that_is_closed_ends_its_snapshot_unsettled(
    editor, uri, project, book, store_path, set_settings
):
    set_settings('work_ahead = "off"\nsettle_seconds = 60\n')
    book.grant(str(project), "local")
    editor.open(TEXT, uri)
    await editor.inline_edits(1, 4, uri=uri)
    editor.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    await announced(editor)
    [snapshot] = kept(store_path)
    assert (snapshot.state, snapshot.region.text_settled) == ("unsettled", None)


async def test_a_window_that_ends_leaves_what_was_open(editor, uri, project, book, store_path, set_settings, keeper):
    set_settings('work_ahead = "off"\nsettle_seconds = 60\n')
    book.grant(str(project), "local")
    editor.open(TEXT, uri)
    await editor.inline_edits(1, 4, uri=uri)
    await editor.request("shutdown", None)
    editor.notify("exit", None)
    await editor.exit_code()
    [snapshot] = kept(store_path)
    assert snapshot.state == "unsettled"


async def test_consent_that_is_taken_back_takes_what_is_open_with_it(editor, uri, project, book, store_path, keeper):
    book.grant(str(project), "local")
    editor.open(TEXT, uri)
    await editor.inline_edits(1, 4, uri=uri)
    book.revoke(str(project))
    await asyncio.sleep(2 * SETTLE_SECONDS)
    await keeper.close()
    assert keeper.status()["counts"] == {"no_consent": 1}
    assert not store_path.exists()


async def test_an_editor_takes_consent_back_and_has_it_all_deleted(editor, uri, project, book, store_path):
    asked = {"textVersion": CONSENT_TEXT_VERSION, "workspace": project.as_uri()}
    await editor.request("foretype/consent", {"action": "grant", **asked})
    editor.open(TEXT, uri)
    await editor.inline_edits(1, 4, uri=uri)
    await announced(editor)
    answer = await editor.request("foretype/consent", {"action": "revoke", "purge": True})
    assert (answer["granted"], answer["purged"]) == (False, 1)
    assert kept(store_path) == []


async def test_a_file_that_git_ignores_is_predicted_in_and_never_remembered(
    editor, repository, book, store_path, keeper
):
    book.grant(str(repository), "local")
    uri = (repository / "private.py").as_uri()
    editor.open(TEXT, uri)
    [edit] = await editor.inline_edits(1, 4, uri=uri)
    assert edit["text"]
    await asyncio.sleep(2 * SETTLE_SECONDS)
    await keeper.close()
    assert not store_path.exists()


async def test_edits_in_an_ignored_file_are_not_shown_beside_another(editor, uri, repository, engine):
    private = (repository / "private.py").as_uri()
    editor.open("secret_one = 1\n", private)
    editor.open("a = 1\n", (repository / "other.py").as_uri())
    editor.change(2, insertion(0, 14, "  # hidden"), uri=private)
    editor.change(2, insertion(0, 5, "  # seen"), uri=(repository / "other.py").as_uri())
    editor.open(TEXT, uri)
    version = 1
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not engine.asked or "other.py" not in {event.path for event in engine.asked[-1].events}:
            version += 1
            editor.change(version, insertion(4, 0, "y"), uri=uri)
            await editor.inline_edits(4, 1, version=version, uri=uri)
    assert "private.py" not in {event.path for asked in engine.asked for event in asked.events}
    related = {file.path for asked in engine.asked for file in asked.related_files or ()}
    assert "private.py" not in related


async def test_the_repository_is_in_it_without_who_may_enter(editor, uri, repository, book, store_path, set_settings):
    set_settings('work_ahead = "off"\nsettle_seconds = 1.5\n')
    book.grant(str(repository), "local")
    editor.open(TEXT.replace("x = 1", "x = 2"), uri)
    await editor.inline_edits(1, 4, uri=uri)
    await announced(editor)
    [snapshot] = kept(store_path)
    assert snapshot.repository.url == "https://example.org/ada/shop.git"
    [diff] = snapshot.repository.diffs
    assert (diff.path, "+x = 2" in diff.diff) == ("main.py", True)
    assert b"hush" not in orjson.dumps(snapshot.to_json())


async def test_typing_into_a_prediction_leaves_one_snapshot(editor, uri, project, book, store_path, engine):
    engine.script = completing("x = compute(items)")
    book.grant(str(project), "local")
    editor.open("x = \n", uri)
    [edit] = await editor.inline_edits(0, 4, uri=uri)
    for index, character in enumerate(edit["text"]):
        editor.change(2 + index, insertion(0, 4 + index, character), uri=uri)
        await editor.inline_edits(0, 5 + index, version=2 + index, uri=uri)
    await announced(editor)
    await asyncio.sleep(2 * SETTLE_SECONDS)
    [first, *later] = kept(store_path)
    assert (first.outcome, first.region.text_settled) == ("accepted", "x = compute(items)\n")
    assert later == []


async def test_more_than_can_be_examined_at_once_is_kept_all_the_same(
    editor, uri, project, book, store_path, set_settings
):
    set_settings('work_ahead = "off"\nsettle_seconds = 60\n')
    book.grant(str(project), "local")
    many = [(project / f"part_{number}.py").as_uri() for number in range(2 * CAPACITY)]
    for one in many:
        editor.open(TEXT, one)
        await editor.inline_edits(1, 4, uri=one)
    await editor.request("shutdown", None)
    editor.notify("exit", None)
    await editor.exit_code()
    assert len(kept(store_path)) == len(many)


async def test_edits_in_a_text_without_a_file_do_not_keep_the_moment_out(editor, uri, project, book, store_path):
    book.grant(str(project), "local")
    editor.open("notes\n", "untitled:~/notes.txt")
    editor.change(2, insertion(0, 5, " of mine"), uri="untitled:~/notes.txt")
    editor.open(TEXT, uri)
    await editor.inline_edits(1, 4, uri=uri)
    await announced(editor)
    [snapshot] = kept(store_path)
    assert snapshot.left_out == 1
    assert b"of mine" not in orjson.dumps(snapshot.to_json())
