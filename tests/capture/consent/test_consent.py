"""Nothing counts as consent but a record of it: of this folder or one around it, of this text, in a sound file."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from capture.consent import book as consent_module
from capture.consent.book import CONSENT_TEXT, CONSENT_TEXT_VERSION, ConsentBook, ConsentRefused
from capture.consent.policy import PolicyFile


class Machine:
    """A user's configuration folder, an administrator's policy, and a workspace with a folder in it."""

    def __init__(self, root):
        self.path = root / "config" / "consent.json"
        self.policy_path = root / "policy.toml"
        self.workspace = root / "shop"
        self.inner = self.workspace / "vendor" / "lib"
        self.inner.mkdir(parents=True)
        self.now = 1_800_000_000.0

    def book(self):
        return ConsentBook(self.path, PolicyFile(self.policy_path), lambda: self.now)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_the_text_has_the_version_it_had_when_people_agreed_to_it():
    """Who changes the text changes both: then everybody is asked again."""
    assert (CONSENT_TEXT_VERSION, hashlib.sha256(CONSENT_TEXT.encode()).hexdigest()[:16]) == (2, "1d4a0536140d72f7")


def test_by_default_there_is_none_and_asking_writes_nothing(machine):
    book = machine.book()
    decision = book.decide(str(machine.workspace))
    assert decision.consent is None
    assert f"foretype consent grant {machine.workspace}" in decision.reason
    assert book.all() == ()
    assert book.revoke(str(machine.workspace)) == ()
    assert not machine.path.parent.exists()


def test_a_grant_holds_for_the_folder_and_what_is_in_it_and_for_no_other(machine):
    granted = machine.book().grant(str(machine.workspace), "local")
    book = machine.book()
    assert granted.root == str(machine.workspace)
    assert (granted.scope, granted.granted_at, granted.text_version) == ("local", machine.now, CONSENT_TEXT_VERSION)
    assert book.for_workspace(str(machine.workspace)) == granted
    assert book.for_workspace(str(machine.inner)) == granted
    assert book.for_workspace(str(machine.workspace.parent)) is None
    assert book.for_workspace(f"{machine.workspace}-two") is None
    assert book.for_workspace("shop") is None
    assert book.for_workspace("") is None


def test_a_workspace_is_the_same_by_whatever_link_it_is_reached(machine, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(machine.workspace)
    granted = machine.book().grant(str(link), "local")
    assert granted.root == str(machine.workspace)
    assert machine.book().for_workspace(str(link / "vendor")) == granted


def test_the_record_is_private_and_its_id_says_nothing_of_the_place(machine):
    granted = machine.book().grant(str(machine.workspace), "local")
    assert machine.path.stat().st_mode & 0o077 == 0
    assert len(granted.workspace_id) == 32
    machine.book().revoke(str(machine.workspace))
    again = machine.book().grant(str(machine.workspace), "local")
    assert again.workspace_id != granted.workspace_id


def test_granting_again_changes_the_scope_and_keeps_the_id(machine):
    first = machine.book().grant(str(machine.workspace), "local")
    machine.now += 60
    second = machine.book().grant(str(machine.workspace), "upload")
    assert (second.workspace_id, second.scope) == (first.workspace_id, "upload")
    assert second.granted_at == first.granted_at + 60
    assert machine.book().all() == (second,)


@pytest.mark.parametrize("scope", ["local", "upload"])
def test_granting_the_same_again_keeps_the_time_since_which_it_holds(machine, scope, monkeypatch):
    first = machine.book().grant(str(machine.workspace), scope)
    machine.now += 7 * 24 * 3600
    assert machine.book().grant(str(machine.workspace), scope) == first
    assert machine.book().all() == (first,)
    monkeypatch.setattr(consent_module, "CONSENT_TEXT_VERSION", CONSENT_TEXT_VERSION + 1)
    assert machine.book().grant(str(machine.workspace), scope).granted_at == machine.now, "another text was agreed to"


def test_what_may_be_uploaded_is_what_was_agreed_to_for_that_and_since_then(machine):
    book = machine.book()
    assert book.uploads() == {}
    local = book.grant(str(machine.workspace), "local")
    machine.now += 60
    inner = book.grant(str(machine.inner), "upload")
    assert book.uploads() == {inner.workspace_id: machine.now}
    machine.now += 60
    book.grant(str(machine.workspace), "upload")
    assert book.uploads() == {inner.workspace_id: machine.now - 60, local.workspace_id: machine.now}
    book.grant(str(machine.inner), "local")
    assert book.uploads() == {local.workspace_id: machine.now}
    machine.now += 60
    book.grant(str(machine.inner), "upload")
    assert book.uploads()[inner.workspace_id] == machine.now, "what was captured while it was local stays"
    book.revoke(str(machine.workspace))
    assert book.uploads() == {}


@pytest.mark.parametrize("policy", ['upload = "forbidden"\n', 'capture = "forbidden"\n', "upload = yes\n"])
def test_a_policy_against_it_forbids_every_upload(machine, policy):
    book = machine.book()
    granted = book.grant(str(machine.workspace), "upload")
    machine.policy_path.write_text(policy)
    assert book.uploads() == {}
    machine.policy_path.unlink()
    assert book.uploads() == {granted.workspace_id: granted.granted_at}


def test_an_older_text_or_a_damaged_file_is_no_consent_to_upload(machine, monkeypatch):
    book = machine.book()
    book.grant(str(machine.workspace), "upload")
    monkeypatch.setattr(consent_module, "CONSENT_TEXT_VERSION", CONSENT_TEXT_VERSION + 1)
    assert book.uploads() == {}
    monkeypatch.undo()
    assert book.uploads()
    machine.path.write_text(machine.path.read_text().replace('"upload"', '"uploads"'))
    assert book.uploads() == {}


def test_the_innermost_record_decides(machine):
    book = machine.book()
    outer = book.grant(str(machine.workspace), "upload")
    inner = book.grant(str(machine.inner), "local")
    assert book.for_workspace(str(machine.inner / "src")) == inner
    assert book.for_workspace(str(machine.workspace / "src")) == outer


def test_a_folder_inside_can_be_exempt_and_granted_again(machine):
    book = machine.book()
    outer = book.grant(str(machine.workspace), "local")
    assert book.revoke(str(machine.inner)) == ()
    assert book.for_workspace(str(machine.inner)) is None
    assert str(machine.inner) in book.decide(str(machine.inner)).reason
    assert book.for_workspace(str(machine.workspace)) == outer
    inner = book.grant(str(machine.inner), "local")
    assert book.for_workspace(str(machine.inner)) == inner


def test_taking_back_ends_what_is_inside_too_and_says_what_ended(machine):
    book = machine.book()
    both = {book.grant(str(machine.workspace), "local"), book.grant(str(machine.inner), "upload")}
    assert set(book.revoke(str(machine.workspace))) == both
    assert book.all() == ()
    assert book.for_workspace(str(machine.inner)) is None


def test_another_process_s_change_counts_at_once(machine):
    mine, other = machine.book(), machine.book()
    for _ in range(20):  # faster than the clock of most file systems
        granted = other.grant(str(machine.workspace), "local")
        assert mine.for_workspace(str(machine.workspace)) == granted
        other.revoke(str(machine.workspace))
        assert mine.for_workspace(str(machine.workspace)) is None


def test_who_agreed_to_an_older_text_has_not_agreed(machine, monkeypatch):
    book = machine.book()
    book.grant(str(machine.workspace), "local")
    monkeypatch.setattr(consent_module, "CONSENT_TEXT_VERSION", CONSENT_TEXT_VERSION + 1)
    decision = book.decide(str(machine.workspace))
    assert decision.consent is None
    assert "has changed since" in decision.reason
    assert [consent.is_outdated for consent in book.all()] == [True]
    assert book.grant(str(machine.workspace), "local").text_version == CONSENT_TEXT_VERSION + 1
    assert book.for_workspace(str(machine.workspace)) is not None


def test_an_outdated_consent_inside_does_not_fall_back_on_the_one_around_it(machine):
    book = machine.book()
    book.grant(str(machine.workspace), "local")
    book.grant(str(machine.inner), "local")
    records = json.loads(machine.path.read_text())
    for record in records["workspaces"]:
        if record["root"] == str(machine.inner):
            record["text_version"] = 0
    machine.path.write_text(json.dumps(records))
    assert book.for_workspace(str(machine.inner)) is None
    assert book.for_workspace(str(machine.workspace)) is not None


@pytest.mark.parametrize("folder", ["/", "~"])
def test_one_consent_is_never_for_everything(machine, folder):
    with pytest.raises(ConsentRefused, match="too wide"):
        machine.book().grant(str(Path(folder).expanduser()), "local")
    assert not machine.path.exists()


def test_a_folder_that_is_not_there_is_refused(machine):
    with pytest.raises(ConsentRefused, match="there is no folder"):
        machine.book().grant(str(machine.workspace / "nowhere"), "local")


# --- an organisation's policy ---


def test_a_policy_wins_over_every_grant(machine):
    book = machine.book()
    granted = book.grant(str(machine.workspace), "upload")
    machine.policy_path.write_text('capture = "forbidden"\n')
    assert book.for_workspace(str(machine.workspace)) is None
    assert str(machine.policy_path) in book.decide(str(machine.workspace)).reason
    with pytest.raises(ConsentRefused, match="forbidden"):
        book.grant(str(machine.inner), "local")
    machine.policy_path.write_text('upload = "forbidden"\n')
    assert book.for_workspace(str(machine.workspace)).scope == "local"
    assert book.policy_refusal("local") == ""
    with pytest.raises(ConsentRefused, match="upload is forbidden"):
        book.grant(str(machine.inner), "upload")
    machine.policy_path.unlink()
    assert book.for_workspace(str(machine.workspace)) == granted


def test_consent_can_be_taken_back_whatever_the_policy_says(machine):
    granted = machine.book().grant(str(machine.workspace), "local")
    machine.policy_path.write_text('capture = "forbidden"\n')
    assert machine.book().revoke(str(machine.workspace)) == (granted,)
    machine.policy_path.unlink()
    assert machine.book().for_workspace(str(machine.workspace)) is None


# --- damaged and unreadable files ---


def damaged_files():
    good = {"root": "/p", "workspace_id": "0" * 32, "scope": "local", "granted_at": 1.0, "text_version": 1}

    def file(*records, **members):
        return json.dumps({"format": 1, "workspaces": list(records), **members})

    yield ""
    yield "{"
    yield "[]"
    yield "null"
    yield file(good, format=2)
    yield file(workspaces={})
    yield file("p")
    yield file(good, good)
    yield file(good, {"root": "/p", "scope": "none"})
    yield file({**good, "root": "p"})
    for name, wrong in [
        ("root", 1),
        ("workspace_id", "../../etc"),
        ("workspace_id", None),
        ("scope", "everything"),
        ("scope", None),
        ("granted_at", "now"),
        ("granted_at", True),
        ("text_version", "1"),
        ("text_version", True),
        ("text_version", 1.0),
    ]:
        yield file({**good, name: wrong})
        yield file({key: value for key, value in good.items() if key != name})


@pytest.mark.parametrize("text", list(damaged_files()))
def test_with_a_damaged_file_there_is_no_consent_anywhere_and_nothing_is_overwritten(machine, text):
    book = machine.book()
    book.grant(str(machine.workspace), "local")
    machine.path.write_text(text)
    decision = book.decide(str(machine.workspace))
    assert decision.consent is None
    assert str(machine.path) in decision.reason
    assert book.all() == ()
    for change in (lambda: book.grant(str(machine.workspace), "local"), lambda: book.revoke(str(machine.workspace))):
        with pytest.raises(ConsentRefused, match="damaged"):
            change()
    assert machine.path.read_text() == text


def test_a_file_that_is_not_text_is_damaged(machine):
    machine.path.parent.mkdir()
    machine.path.write_bytes(b"\xff\xfe\x00")
    assert "damaged" in machine.book().decide(str(machine.workspace)).reason


def test_what_cannot_be_read_is_no_consent(machine):
    book = machine.book()
    book.grant(str(machine.workspace), "local")
    machine.path.unlink()
    machine.path.mkdir()
    decision = book.decide(str(machine.workspace))
    assert decision.consent is None
    assert "cannot read" in decision.reason
    machine.path.rmdir()
    machine.path.symlink_to(machine.path)
    assert book.for_workspace(str(machine.workspace)) is None


def test_what_cannot_be_written_says_so_and_changes_nothing(machine):
    machine.path.parent.write_text("a file stands where the folder should be")
    with pytest.raises(ConsentRefused, match="cannot write"):
        machine.book().grant(str(machine.workspace), "local")


# --- several processes, and processes that die ---


IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from capture.consent.book import ConsentBook
from capture.consent.policy import PolicyFile
what, path, policy, *folders = sys.argv[1:]
book = ConsentBook(Path(path), PolicyFile(Path(policy)))
for folder in folders:
    book.grant(folder, "local")
while what == "for ever":
    book.grant(folders[0], "local")
    print("granted", flush=True)
    book.revoke(folders[0])
"""


def another_process(machine, what, folders):
    arguments = [what, machine.path, machine.policy_path, *(machine.workspace / folder for folder in folders)]
    return subprocess.Popen(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


def test_processes_that_write_at_once_lose_nothing(machine):
    groups = [[f"{group}-{number}" for number in range(10)] for group in range(4)]
    for name in (name for group in groups for name in group):
        (machine.workspace / name).mkdir()
    writers = [another_process(machine, "once", group) for group in groups]
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0] * 4
    assert len(machine.book().all()) == 40


def test_a_process_killed_while_writing_leaves_a_sound_file_and_no_lock(machine):
    for _ in range(10):
        with another_process(machine, "for ever", ["vendor"]) as writer:
            assert writer.stdout.readline() == "granted\n"
            writer.kill()
        assert machine.book().problem == ""
    assert machine.book().grant(str(machine.workspace), "local")


# --- any order of grants and revocations ---

FOLDERS = ("a", "a/b", "a/b/c", "a/d", "e")


class Consents(RuleBasedStateMachine):
    """Against a model that walks outwards from the folder."""

    @initialize()
    def begin(self):
        self.root = Path(os.path.realpath(self.make_root()))
        for folder in FOLDERS:
            (self.root / folder).mkdir(parents=True)
        self.reader = self.book()
        self.said = {}  # folder -> scope, or "none"

    def book(self):
        return ConsentBook(self.root / "consent.json", PolicyFile(self.root / "policy.toml"))

    @rule(folder=st.sampled_from(FOLDERS), scope=st.sampled_from(["local", "upload"]))
    def grant(self, folder, scope):
        self.book().grant(str(self.root / folder), scope)
        self.said[folder] = scope

    @rule(folder=st.sampled_from(FOLDERS))
    def revoke(self, folder):
        self.book().revoke(str(self.root / folder))
        self.said = {other: said for other, said in self.said.items() if not f"{other}/".startswith(f"{folder}/")}
        if self.expected(folder):
            self.said[folder] = "none"

    def expected(self, folder):
        while folder:
            if folder in self.said:
                return "" if self.said[folder] == "none" else self.said[folder]
            folder = folder.rpartition("/")[0]
        return ""

    @invariant()
    def every_folder_has_what_was_said_last(self):
        for folder in FOLDERS:
            consent = self.reader.for_workspace(str(self.root / folder))
            assert ("" if consent is None else consent.scope) == self.expected(folder)
        for consent in self.reader.all():
            assert asdict(consent)


def test_any_order_of_grants_and_revocations(tmp_path_factory):
    Consents.make_root = staticmethod(lambda: tmp_path_factory.mktemp("consents"))
    run_state_machine_as_test(Consents, settings=settings(max_examples=30, stateful_step_count=20, deadline=None))
