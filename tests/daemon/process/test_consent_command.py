"""``foretype consent`` as a person meets it: shows what would be remembered, asks, and takes no for an answer."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest
import typer

from capture.consent.book import CONSENT_TEXT, CONSENT_TEXT_VERSION
from daemon.commands.consent import build_application


def command_line(*arguments):
    return [sys.executable, "-m", "daemon.main", "consent", *map(str, arguments)]


def answered(world, answer, *arguments):
    """Run the command in a terminal, answer its question; exit code and everything it showed."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        command_line(*arguments), env=world.env, cwd=world.project, stdin=follower, stdout=follower, stderr=follower
    )
    os.close(follower)
    shown = b""
    try:
        while chunk := os.read(leader, 4096):
            shown += chunk
            if answer and b"[y/N]" in shown:
                os.write(leader, answer)
                answer = b""
    except OSError:  # how Linux says that nobody has the terminal open any more
        pass
    finally:
        os.close(leader)
    return process.wait(20), shown.decode().replace("\r\n", "\n")


def consent_file(world):
    return world.config / "foretype" / "consent.json"


def show(world, *arguments):
    return json.loads(world.foretype("consent", "show", *map(str, arguments), "--json").stdout)


def test_by_default_nothing_is_remembered_and_looking_writes_nothing(world):
    found = world.foretype("consent", "show")
    assert found.returncode == 0
    assert "not remembered here" in found.stdout
    assert f"foretype consent grant {world.project}" in found.stdout
    assert show(world)["consent"] is None
    assert world.written_files() == []


def test_it_shows_the_whole_text_and_no_is_no(world):
    code, shown = answered(world, b"\n", "grant")
    assert code == 1
    assert CONSENT_TEXT in shown
    assert str(world.project) in shown
    assert "nothing is remembered" in shown
    assert world.written_files() == []


def test_yes_is_recorded_for_this_folder_with_scope_time_and_version(world):
    code, shown = answered(world, b"y\n", "grant", "--scope", "upload")
    assert code == 0, shown
    found = show(world)
    assert found["consent"]["root"] == str(world.project)
    assert found["consent"]["scope"] == "upload"
    assert found["consent"]["text_version"] == CONSENT_TEXT_VERSION == found["text_version"]
    assert found["reason"] == ""
    assert [one["root"] for one in found["on_record"]] == [str(world.project)]
    assert str(world.project) in world.foretype("consent", "show").stdout
    assert show(world, world.home)["consent"] is None


def test_where_nobody_can_be_asked_it_refuses_and_says_how_to_agree(world):
    refused = world.foretype("consent", "grant", input_text="y\n")
    assert refused.returncode == 1
    assert "--yes" in refused.stderr.splitlines()[-1]
    assert world.written_files() == []
    agreed = world.foretype("consent", "grant", "--yes", "--json")
    assert CONSENT_TEXT in agreed.stderr
    assert json.loads(agreed.stdout)["scope"] == "local"


def test_taking_back_counts_at_once_and_says_what_ended(world):
    world.foretype("consent", "grant", "--yes")
    (world.project / "src").mkdir()
    exempt = world.foretype("consent", "revoke", "src")
    assert exempt.returncode == 0
    assert "taken back for" in exempt.stdout
    assert show(world, "src")["consent"] is None
    assert show(world)["consent"] is not None
    ended = world.foretype("consent", "revoke", "--json")
    assert [one["root"] for one in json.loads(ended.stdout)["ended"]] == [str(world.project)]
    assert show(world)["consent"] is None
    again = world.foretype("consent", "revoke")
    assert again.returncode == 0
    assert "nothing is remembered" in again.stdout


@pytest.mark.parametrize(("folder", "said"), [("nowhere", "there is no folder"), ("/", "too wide"), ("~", "too wide")])
def test_a_folder_that_is_none_or_too_wide_is_refused(world, folder, said):
    refused = world.foretype("consent", "grant", str(world.home) if folder == "~" else folder, "--yes")
    assert refused.returncode == 1
    assert said in refused.stderr
    assert not consent_file(world).exists()


def test_a_damaged_file_means_no_consent_and_every_command_says_so(world):
    world.foretype("consent", "grant", "--yes")
    consent_file(world).write_text("{")
    assert "damaged" in show(world)["reason"]
    for words in (("grant", "--yes"), ("revoke",)):
        refused = world.foretype("consent", *words)
        assert refused.returncode == 1
        assert str(consent_file(world)) in refused.stderr


def test_uninstall_takes_the_consents_along(world):
    world.foretype("consent", "grant", "--yes")
    assert world.foretype("uninstall", "--yes").returncode == 0
    assert world.written_files() == []


# --- deleting what was captured, with a store that only counts ---


@pytest.fixture
def run(world, monkeypatch):
    """``run(words)``: the command in this process with a store; returns what it was told to delete."""
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, world.env[name])
    deleted = []

    def purge(workspace_ids):
        deleted.extend(workspace_ids)
        return 3

    def run(*words):
        deleted.clear()
        command = typer.main.get_command(build_application(purge))
        command([*map(str, words), str(world.project)], standalone_mode=False)
        return list(deleted)

    return run


def test_taking_back_deletes_only_when_told_to(run, capsys):
    for words, is_deleted in ((("revoke", "--keep"), False), (("revoke",), False), (("revoke", "--purge"), True)):
        run("grant", "--yes", "--json")
        granted = json.loads(capsys.readouterr().out)
        assert run(*words) == ([granted["workspace_id"]] if is_deleted else [])
        said = capsys.readouterr()
        assert ("deleted 3 snapshots" in said.out) is is_deleted
        assert ("foretype snapshots purge" in said.err) is (words == ("revoke",))


def test_where_nothing_ended_nothing_is_deleted(run):
    assert run("revoke", "--purge") == []
