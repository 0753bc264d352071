"""What somebody might try, or stumble over, to get into a snapshot what must never be in one.

Each test has a window whose ordinary file is remembered, and something beside it that must not be.
"""

from __future__ import annotations

import json
import subprocess

import pytest

from capture.consent.book import ConsentBook
from capture.consent.policy import PolicyFile
from capture.store import stored
from capture.store.choice import EVERYTHING
from capture.store.store import Store
from capture.store.writer import Limits
from daemon.lsp.documents import path_of
from daemon.snapshot_keeper import SnapshotKeeper

TEXT = "def total(items):\n    return sum(old_name)\n\n\nx = 1\n"
QUIET = 'work_ahead = "off"\nsettle_seconds = 60\n'  # snapshots end with the window
WORD = "zqmuvexorbital"


@pytest.fixture
def project(tmp_path):
    """A folder with consent: ``main.py`` in it, and its git ignores ``private.py`` and ``cloned/``."""
    folder = tmp_path / "shop"
    (folder / "generated").mkdir(parents=True)
    git(folder, "init")
    (folder / ".gitignore").write_text("private.py\ncloned/\n")
    (folder / "main.py").write_text(TEXT)
    return folder


@pytest.fixture
def store_path(tmp_path):
    return tmp_path / "data" / "snapshots.sqlite3"


@pytest.fixture
def book(tmp_path, project):
    book = ConsentBook(tmp_path / "config" / "consent.json", PolicyFile(tmp_path / "policy.toml"))
    book.grant(str(project), "local")
    return book


@pytest.fixture
async def keeper(book, store_path, settings, set_settings):
    set_settings(QUIET)
    keeper = SnapshotKeeper(Store(store_path, limits=Limits(reserve_bytes=0)), book, lambda: settings.current)
    yield keeper
    await keeper.close()


@pytest.fixture
async def editor(window, project):
    return await window(workspaceFolders=[folder(project)])


@pytest.fixture
def kept(editor, keeper, store_path):
    """``await kept()``: the window ends, and what was stored of it is this."""

    async def end_and_read():
        await editor.request("shutdown", None)
        editor.notify("exit", None)
        await editor.exit_code()
        await keeper.close()
        with stored.reading(store_path) as database:
            rows = [] if database is None else stored.summaries(database, EVERYTHING)
            return [json.loads(stored.content(database, row.id)) for row in rows]

    return end_and_read


@pytest.fixture
def scribble(editor):
    """``scribble(uri)``: the word is typed in a file, which is opened for it."""

    def type_word(uri):
        editor.open("", uri)
        start = {"line": 0, "character": 0}
        editor.change(2, {"range": {"start": start, "end": start}, "text": f"{WORD} = 1\n"}, uri=uri)

    return type_word


@pytest.fixture
def remember(editor, services):
    """``await remember(uri, beside)``: a snapshot of the file is open.

    It was opened once it was known whether git ignores the files ``beside``: what is not known yet no model sees.
    """

    async def ask(uri, *beside):
        for each in (uri, *beside):
            await services.ignored.find_out(path_of(each))
        editor.open(TEXT, uri)
        return await editor.inline_edits(1, 4, uri=uri)

    return ask


def git(folder, *words):
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", "-C", folder, *who, *words, "--quiet"], check=True)


def folder(path):
    return {"uri": path.as_uri(), "name": path.name}


def is_remembered(kept):
    """Whether the word is in what was kept, of which there must be something."""
    assert kept
    return WORD in json.dumps(kept)


async def test_the_edits_of_an_ordinary_file_are_remembered(editor, project, remember, scribble, kept):
    scribble((project / "other.py").as_uri())
    await remember((project / "main.py").as_uri(), (project / "other.py").as_uri())
    assert is_remembered(await kept())


@pytest.mark.parametrize(
    "spelling",
    [
        "{root}/.env",
        "{root}/.ENV",
        "{root}/%2Eenv",
        "{root}/.env#fragment",
        "{root}/.env%23fragment",
        "{root}/.env?query",
        "{root}/shop/../.env",
        "{root}/../{name}/.env",
        "{root}/private.py",
        "{root}//private.py",
        "{root}/%70rivate.py",
        "{root}/shop/../private.py",
        "{root}/private.py#cell",
        "{root}/generated/values.py",
        "{root}//generated/values.py",
        "{root}/./generated/values.py",
        "{root}/shop/../generated/values.py",
        "{root}/../{name}/generated/values.py",
        "{root}/generated%2Fvalues.py",
        "/{root}/generated/values.py",
        "/{root}/private.py",
        "{root}/../elsewhere.py",
        "{root}/shop/../../elsewhere.py",
        "{root}/leads_out.py",
        "{root}/leads_in.py",
    ],
)
@pytest.mark.parametrize("before", [True, False])
async def test_no_spelling_of_a_forbidden_file_gets_its_edits_into_a_snapshot(
    editor, project, tmp_path, remember, scribble, kept, set_settings, spelling, before, services
):
    set_settings(f'{QUIET}exclude = ["/generated/"]\n')
    (project / "shop").mkdir()
    (project / "leads_out.py").symlink_to(tmp_path / "elsewhere.py")
    (project / "leads_in.py").symlink_to(project / "generated" / "values.py")
    uri = "file://" + spelling.format(root=project, name=project.name)
    if before:
        scribble(uri)
    await remember((project / "main.py").as_uri(), uri)
    if not before:
        scribble(uri)
        await editor.alive()
    assert not is_remembered(await kept())


@pytest.mark.parametrize(
    "uri",
    [
        "untitled:Untitled-1",
        "untitled:{root}/new.py",
        "git:{root}/private.py?%7B%22ref%22%3A%22~%22%7D",
        "vscode-remote://ssh-remote+elsewhere{root}/other.py",
        "file://another-machine{root}/other.py",
        "output:task",
    ],
)
async def test_what_is_no_file_of_the_workspace_on_this_machine_is_in_no_snapshot(
    editor, project, remember, scribble, kept, uri
):
    uri = uri.format(root=project)
    scribble(uri)
    await editor.inline_edits(0, 4, version=2, uri=uri)
    await remember((project / "main.py").as_uri(), uri)
    assert not is_remembered(await kept())


async def test_what_is_ignored_excluded_or_moved_out_of_the_workspace_after_the_edit_is_left_out(
    editor, project, remember, scribble, kept, set_settings
):
    names = ("later_ignored.py", "later_excluded.py", "later_a_link.py")
    for name in names:
        scribble((project / name).as_uri())
    await remember((project / "main.py").as_uri(), *((project / name).as_uri() for name in names))
    (project / ".gitignore").write_text("later_ignored.py\n")
    set_settings(f'{QUIET}exclude = ["later_excluded.py"]\n')
    (project / "later_a_link.py").symlink_to("/etc/hostname")
    assert not is_remembered(await kept())


async def test_a_file_that_was_ignored_is_not_remembered_by_its_old_name_when_it_gets_another(
    editor, project, remember, scribble, kept
):
    private, public = (project / "private.py").as_uri(), (project / "public.py").as_uri()
    scribble(private)
    editor.notify("textDocument/didClose", {"textDocument": {"uri": private}})
    editor.open("import os\n", public)
    await remember((project / "main.py").as_uri(), private, public)
    assert not is_remembered(await kept())


async def test_a_folder_that_leaves_the_window_does_not_open_what_was_excluded_in_it(
    editor, project, remember, scribble, kept, set_settings
):
    set_settings(f'{QUIET}exclude = ["/generated/"]\n')
    await remember((project / "main.py").as_uri(), (project / "generated" / "values.py").as_uri())
    editor.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [], "removed": [folder(project)]}})
    scribble((project / "generated" / "values.py").as_uri())
    await editor.alive()
    assert not is_remembered(await kept())


async def test_a_folder_of_the_window_without_consent_is_not_in_a_snapshot_of_one_with(
    editor, project, tmp_path, remember, scribble, kept
):
    other = tmp_path / "other"
    other.mkdir()
    editor.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [folder(other)], "removed": []}})
    scribble((other / "x.py").as_uri())
    scribble((other / "main.py").as_uri())  # of the name of a file that may be remembered
    await remember((project / "ordinary.py").as_uri(), *((other / name).as_uri() for name in ("x.py", "main.py")))
    assert not is_remembered(await kept())


async def test_a_folder_whose_consent_was_taken_back_is_not_in_a_snapshot_of_the_one_around_it(
    editor, project, remember, scribble, kept, book
):
    (project / "exempt").mkdir()
    book.revoke(str(project / "exempt"))
    scribble((project / "exempt" / "x.py").as_uri())
    await remember((project / "main.py").as_uri(), (project / "exempt" / "x.py").as_uri())
    assert not is_remembered(await kept())


async def test_a_repository_in_a_folder_that_git_ignores_is_not_remembered(editor, project, remember, scribble, kept):
    (project / "cloned" / "library").mkdir(parents=True)
    git(project / "cloned" / "library", "init")
    scribble((project / "cloned" / "library" / "x.py").as_uri())
    await remember((project / "main.py").as_uri(), (project / "cloned" / "library" / "x.py").as_uri())
    assert not is_remembered(await kept())


async def test_two_windows_remember_by_their_own_patterns(editor, project, remember, scribble, kept, window):
    other = await window(workspaceFolders=[folder(project)])
    other.notify("workspace/didChangeConfiguration", {"settings": {"foretype": {"exclude": ["/other.py"]}}})
    editor.notify("workspace/didChangeConfiguration", {"settings": {"foretype": {"exclude": ["/shared.py"]}}})
    scribble((project / "shared.py").as_uri())
    other.open(f"{WORD} = 1\n", (project / "shared.py").as_uri())
    await remember((project / "main.py").as_uri(), (project / "shared.py").as_uri())
    assert not is_remembered(await kept())


@pytest.mark.parametrize("carrier", ["language", "client"])
async def test_a_secret_in_a_name_that_a_client_gives_drops_the_snapshot(window, project, store_path, keeper, carrier):
    secret = "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5"
    who = {"name": secret if carrier == "client" else "an editor"}
    editor = await window(workspaceFolders=[folder(project)], clientInfo=who)
    uri = (project / "main.py").as_uri()
    editor.open(TEXT, uri, language_id=secret if carrier == "language" else "python")
    await editor.inline_edits(1, 4, uri=uri)
    await editor.request("shutdown", None)
    editor.notify("exit", None)
    await editor.exit_code()
    await keeper.close()
    assert keeper.status()["counts"] == {"secret": 1}
    assert not store_path.exists()
