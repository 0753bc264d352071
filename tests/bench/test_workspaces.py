"""The projects that sessions are typed in: what is on disk, what git knows, and what a model gets of it."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from bench.prompt_reuse import keys_in_flow
from bench.session import read_sessions
from bench.surroundings import seen_inputs
from bench.workspaces import Workspace, workspace_of

SESSIONS = read_sessions()


def git(folder, *arguments):
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session.name)
def test_every_session_has_a_project_with_its_own_file_as_it_begins(session, tmp_path):
    workspace = workspace_of(session)
    workspace.write(tmp_path)
    assert (tmp_path / session.header.path).read_text(encoding="utf-8") == session.header.text
    assert 2 <= len(workspace.files) - 1 <= 6
    assert git(tmp_path, "status", "--porcelain") == "", "all of it is committed"
    assert int(git(tmp_path, "rev-list", "--count", "HEAD")) == len(workspace.commits)


def test_the_history_is_the_same_every_time(tmp_path):
    heads = []
    for name in ("first", "second"):
        workspace_of(SESSIONS[0]).write(tmp_path / name)
        heads.append(git(tmp_path / name, "rev-parse", "HEAD"))
    assert heads[0] == heads[1]


def test_a_file_grows_with_its_commits(tmp_path):
    Workspace({"a": "1\n2\n3\n4\n", "b": "x\n"}, (("a",), ("a", "b"))).write(tmp_path)
    assert git(tmp_path, "show", "HEAD~1:a") == "1\n2\n"
    assert git(tmp_path, "show", "HEAD:a") == "1\n2\n3\n4\n"
    assert git(tmp_path, "show", "--format=", "--name-only", "HEAD").split() == ["a", "b"]


def test_a_recorded_session_gets_an_empty_folder_whatever_its_name(tmp_path):
    simulated = SESSIONS[0]
    recorded = replace(simulated, header=replace(simulated.header, simulated=""))
    workspace_of(recorded).write(tmp_path / "empty")
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ('commits = [["gone"]]\n[files]\n"a" = "x"\n', "commits what it does not hold: gone"),
        ('commits = []\n[files]\n"src/ring.c" = "x"\n', "holds src/ring.c, which is the session's own"),
    ],
)
def test_a_workspace_that_is_wrong_is_refused(tmp_path, written, why):
    [ring] = read_sessions(["c_ring"])
    (tmp_path / "c_ring.toml").write_text(written)
    with pytest.raises(ValueError, match=why):
        workspace_of(ring, tmp_path)


def test_definitions_and_files_that_change_together_are_found_in_a_sessions_own_time():
    [session] = read_sessions(["python_basket"])
    seen = seen_inputs(session)
    assert seen == seen_inputs(session), "the same every time"
    assert len(seen) == len(session.keystrokes)
    found = [(file.path, each) for inputs in seen for file in inputs.related_files for each in file.excerpts]
    assert {each.context_source for _, each in found} == {"lsp", "git_log"}
    assert any(path == "shop/logs.py" and each.text.startswith("def log(") for path, each in found)
    assert all(not inputs.related_files for inputs in seen_inputs(session, with_context=False))


def test_a_key_is_in_flow_from_the_second_behind_a_jump_or_a_rest_on():
    [session] = read_sessions(["python_basket"])
    keys = session.keystrokes
    flow = keys_in_flow(session)
    jump = next(at for at in range(20, 100) if keys[at].kind == "move" and not flow[at])
    assert (flow[jump], flow[jump + 1]) == (False, False)
    assert flow[jump + 2] == (keys[jump + 2].at_ms - keys[jump + 1].at_ms < 500)
