"""``foretype/consent``: an editor may ask for its own folders, and only a person who saw the text can agree."""

from __future__ import annotations

import pytest

from capture.consent.book import CONSENT_TEXT, CONSENT_TEXT_VERSION, ConsentBook
from capture.consent.policy import PolicyFile
from capture.store.store import Store
from daemon.lsp.consent import AGREE, DECLINE
from daemon.snapshot_keeper import SnapshotKeeper

INVALID_PARAMS, REQUEST_FAILED = -32602, -32803


@pytest.fixture
def project(tmp_path):
    (tmp_path / "shop").mkdir()
    return tmp_path / "shop"


@pytest.fixture
def book(tmp_path):
    return ConsentBook(tmp_path / "consent.json", PolicyFile(tmp_path / "policy.toml"))


@pytest.fixture
async def keeper(book, tmp_path, settings):
    keeper = SnapshotKeeper(Store(tmp_path / "data" / "snapshots.sqlite3"), book, lambda: settings.current)
    yield keeper
    await keeper.close()


@pytest.fixture
async def person(window, project):
    """An editor window on the project, whose person has not been asked yet."""
    return await window(workspaceFolders=[{"uri": project.as_uri(), "name": "shop"}])


async def ask(editor, action, **more):
    return await editor.request("foretype/consent", {"action": action, **more})


async def refused(editor, params):
    reply = await editor.reply(editor.ask("foretype/consent", params))
    return reply["error"]


async def test_showing_changes_nothing_and_has_the_text_to_show(person, project, book):
    shown = await ask(person, "show")
    assert shown["workspace"] == project.as_uri()
    assert (shown["granted"], shown["scope"], shown["workspaceId"], shown["ended"]) == (False, None, None, [])
    assert (shown["text"], shown["textVersion"]) == (CONSENT_TEXT, CONSENT_TEXT_VERSION)
    assert shown["reason"]
    assert not book.path.exists()


async def test_an_editor_that_showed_the_text_grants_and_takes_back(person, project, book):
    granted = await ask(person, "grant", textVersion=CONSENT_TEXT_VERSION, workspace=project.as_uri(), scope="upload")
    assert (granted["granted"], granted["scope"], granted["reason"]) == (True, "upload", "")
    assert book.for_workspace(str(project)).workspace_id == granted["workspaceId"]
    ended = await ask(person, "revoke")
    assert (ended["granted"], ended["ended"]) == (False, [granted["workspaceId"]])
    assert book.for_workspace(str(project)) is None


@pytest.mark.parametrize(
    ("answer", "is_granted"), [({"title": AGREE}, True), ({"title": DECLINE}, False), (None, False)]
)
async def test_otherwise_the_person_is_asked_with_the_text_itself(person, project, book, answer, is_granted):
    asked = person.ask("foretype/consent", {"action": "grant"})
    question = await person.until(lambda message: message.get("method") == "window/showMessageRequest")
    assert CONSENT_TEXT in question["params"]["message"]
    assert str(project) in question["params"]["message"]
    assert [action["title"] for action in question["params"]["actions"]] == [AGREE, DECLINE]
    assert not book.path.exists()
    person.send({"id": question["id"], "result": answer})
    assert (await person.answer(asked))["granted"] is is_granted
    assert book.path.exists() is is_granted


async def test_an_editor_that_cannot_ask_grants_nothing(person, book):
    asked = person.ask("foretype/consent", {"action": "grant"})
    question = await person.until(lambda message: message.get("method") == "window/showMessageRequest")
    person.send({"id": question["id"], "error": {"code": -32601, "message": "no such method"}})
    assert (await person.reply(asked))["error"]["message"] == "no such method"
    assert not book.path.exists()


@pytest.mark.parametrize(
    "params",
    [
        None,
        [],
        {},
        {"action": "ask"},
        {"action": "grant", "textVersion": 0},
        {"action": "grant", "textVersion": "1"},
        {"action": "grant", "textVersion": CONSENT_TEXT_VERSION, "scope": "everything"},
        {"action": "grant", "textVersion": CONSENT_TEXT_VERSION, "scope": ["local"]},
        {"action": "grant", "textVersion": CONSENT_TEXT_VERSION, "workspace": "file:///"},
        {"action": "revoke", "workspace": "file:///home"},
        {"action": "show", "workspace": 7},
        {"action": "show", "workspace": {}},
    ],
)
async def test_what_is_not_understood_is_refused(person, book, params):
    assert (await refused(person, params))["code"] == INVALID_PARAMS
    assert not book.path.exists()


async def test_a_window_with_several_folders_says_which_and_one_without_cannot_agree(person, window, project):
    both = [{"uri": project.as_uri(), "name": "a"}, {"uri": project.parent.as_uri(), "name": "b"}]
    several = await window(workspaceFolders=both)
    assert (await refused(several, {"action": "show"}))["code"] == INVALID_PARAMS
    assert (await ask(several, "show", workspace=project.parent.as_uri()))["workspace"] == project.parent.as_uri()
    none = await window(workspaceFolders=None)
    assert (await refused(none, {"action": "show"}))["code"] == INVALID_PARAMS
    remote = await window(workspaceFolders=[{"uri": "vscode-remote://ssh/home/ada/shop", "name": "shop"}])
    assert (await refused(remote, {"action": "grant", "textVersion": CONSENT_TEXT_VERSION}))["code"] == INVALID_PARAMS


async def test_a_policy_and_a_damaged_file_refuse_with_their_reason(person, project, book, tmp_path):
    (tmp_path / "policy.toml").write_text('upload = "forbidden"\n')
    error = await refused(person, {"action": "grant", "scope": "upload"})
    assert (error["code"], "forbidden" in error["message"]) == (REQUEST_FAILED, True)
    book.path.write_text("{")
    error = await refused(person, {"action": "grant", "textVersion": CONSENT_TEXT_VERSION})
    assert (error["code"], str(book.path) in error["message"]) == (REQUEST_FAILED, True)
    assert "damaged" in (await ask(person, "show"))["reason"]
