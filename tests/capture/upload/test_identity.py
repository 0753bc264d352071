"""Under which names something was sent is never lost, and what a collector is to delete is asked until it confirmed it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from capture.store.choice import EVERYTHING, Choice
from capture.store.stored import PurgeRefused
from capture.upload.identity import MAX_PROOFS, Installs, InstallsUnusable
from capture.upload.selection import MAX_SNAPSHOT_IDS, NotSelectable, Selection, selection_of

ROOT = Path(__file__).parents[3]
HERE, THERE = "collector.example.org:443", "[::1]:4317"
NOW = 1_900_000_000.0
ALL = Selection(everything=True)


def an_id(number):
    return f"{number:032x}"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "config" / "installs.json"


@pytest.fixture
def installs(path):
    return Installs(path, lambda: NOW)


def test_nothing_is_written_before_something_is_sent(path, installs):
    assert installs.current(HERE) is None
    assert (installs.proofs(HERE), installs.addresses(), installs.deletions(HERE)) == ((), (), ())
    installs.rotate(HERE)
    installs.ask_deletion(ALL, [an_id(1)])
    assert not path.parent.exists()


def test_an_install_is_random_private_and_the_same_for_every_process(path, installs):
    taken = installs.take(HERE)
    assert (len(taken.id), len(taken.secret)) == (32, 32)
    assert installs.take(HERE) == Installs(path).take(HERE) == Installs(path).current(HERE) == taken
    other = installs.take(THERE)
    assert {other.id, other.secret}.isdisjoint({taken.id, taken.secret})
    assert installs.addresses() == tuple(sorted((HERE, THERE)))
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_a_secret_is_in_no_text_of_it(installs):
    taken = installs.take(HERE)
    installs.ask_deletion(ALL)
    shown = f"{taken!r} {taken} {installs.deletions(HERE)!r}"
    assert repr(taken.secret) not in shown
    assert taken.secret.hex() not in shown


def test_a_name_is_on_the_disk_before_anything_is_sent_under_it(installs, monkeypatch):
    synced = []
    real = os.fsync

    def note(descriptor):
        synced.append(stat.S_IFMT(os.fstat(descriptor).st_mode))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    installs.take(HERE)
    assert synced == [stat.S_IFREG, stat.S_IFDIR], "the file, then its name"


def test_after_a_rotation_the_next_upload_has_a_new_name_and_the_old_one_still_deletes(installs):
    first = installs.take(HERE)
    installs.rotate(HERE)
    assert installs.current(HERE) is None
    second = installs.take(HERE)
    assert second != first
    assert installs.proofs(HERE) == (second, first)


# --- deletions ---


def test_a_deletion_is_asked_of_every_collector_under_every_name_until_each_confirmed_it(installs):
    old = installs.take(HERE)
    installs.rotate(HERE)
    new, other = installs.take(HERE), installs.take(THERE)
    before = Selection(finalised_before=NOW - 60)
    installs.ask_deletion(before)
    (here,), (there,) = installs.deletions(HERE), installs.deletions(THERE)
    assert (here.address, here.selection, here.installs, here.asked_at) == (HERE, before, (new, old), NOW)
    assert there.installs == (other,)
    installs.deleted(here)
    assert installs.deletions(HERE) == ()
    assert installs.deletions(THERE) == (there,)
    installs.deleted(here)
    assert installs.proofs(HERE) == (new, old), "something younger may be there"


def test_what_is_sent_after_everything_was_to_be_deleted_is_not_deleted_with_it(installs):
    old = installs.take(HERE)
    installs.ask_deletion(ALL)
    new = installs.take(HERE)
    assert new != old
    assert [one.installs for one in installs.deletions(HERE)] == [(old,)]


def test_after_everything_was_deleted_the_old_names_are_forgotten_and_the_one_in_use_is_not(path, installs):
    old = installs.take(HERE)
    installs.ask_deletion(ALL)
    new = installs.take(HERE)
    installs.deleted(*installs.deletions(HERE))
    assert installs.proofs(HERE) == (new,)
    assert old.secret.hex() not in path.read_text()
    installs.ask_deletion(ALL)
    installs.deleted(*installs.deletions(HERE))
    assert installs.addresses() == ()
    assert new.secret.hex() not in path.read_text()


@pytest.mark.parametrize(
    ("selection", "has_new_name"),
    [
        (ALL, True),
        (Selection(workspace_ids=("a" * 32,)), True),
        (Selection(workspace_ids=("a" * 32,), finalised_before=NOW + 60), True),
        (Selection(workspace_ids=("a" * 32,), finalised_before=NOW - 60), False),
        (Selection(finalised_before=NOW), False),
        (Selection(snapshot_ids=(an_id(1),)), False),
        (None, False),
    ],
)
def test_only_a_deletion_that_could_match_what_is_sent_later_changes_the_name(installs, selection, has_new_name):
    first = installs.take(HERE)
    installs.ask_deletion(selection, [an_id(2)])
    assert (installs.take(HERE) != first) == has_new_name


def test_what_is_on_its_way_is_named_first(installs):
    installs.take(HERE)
    installs.ask_deletion(ALL, [an_id(1), an_id(2)])
    on_its_way, everything = installs.deletions(HERE)
    assert on_its_way.selection == Selection(snapshot_ids=(an_id(1), an_id(2)))
    assert everything.selection == ALL
    installs.deleted(everything)
    assert installs.proofs(HERE) == ()
    assert installs.deletions(HERE) == (on_its_way,), "its names are proved by what it holds itself"
    assert len(on_its_way.installs) == 1


def test_more_than_one_request_holds_is_split(installs):
    installs.take(HERE)
    ids = tuple(map(an_id, range(2 * MAX_SNAPSHOT_IDS + 1)))
    installs.ask_deletion(Selection(snapshot_ids=ids, finalised_before=5.0))
    asked = [one.selection for one in installs.deletions(HERE)]
    assert [len(one.snapshot_ids) for one in asked] == [MAX_SNAPSHOT_IDS, MAX_SNAPSHOT_IDS, 1]
    assert tuple(one for selection in asked for one in selection.snapshot_ids) == ids
    assert {one.finalised_before for one in asked} == {5.0}


def test_more_names_than_one_request_proves_are_split(path, installs):
    collector = {
        "address": HERE,
        "installs": [{"id": an_id(number), "secret": "0" * 64} for number in range(MAX_PROOFS + 5)],
        "is_first_in_use": True,
        "deletions": [],
    }
    path.parent.mkdir()
    path.write_text(json.dumps({"format": 1, "collectors": [collector]}))
    path.chmod(0o600)
    installs.ask_deletion(ALL)
    assert [len(one.installs) for one in installs.deletions(HERE)] == [MAX_PROOFS, 5]
    for deletion in installs.deletions(HERE):
        installs.deleted(deletion)
    assert installs.addresses() == ()


def test_a_purge_asks_and_is_refused_where_that_cannot_be_written_down(path, installs):
    installs.take(HERE)
    installs.before_purge(Choice(workspace_id="a" * 32))([an_id(7)])
    assert [one.selection for one in installs.deletions(HERE)] == [
        Selection(snapshot_ids=(an_id(7),)),
        Selection(workspace_ids=("a" * 32,)),
    ]
    path.write_text("{")
    with pytest.raises(PurgeRefused, match="damaged"):
        installs.before_purge(EVERYTHING)([])


# --- what a collector can be asked ---


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (EVERYTHING, ALL),
        (Choice(ids=()), None),
        (Choice(ids=(an_id(1),)), Selection(snapshot_ids=(an_id(1),))),
        (Choice(workspace_id="b" * 32), Selection(workspace_ids=("b" * 32,))),
        (Choice(before=7.0), Selection(finalised_before=7.0)),
        (
            Choice(ids=(an_id(1),), workspace_id="b" * 32, before=7.0),
            Selection(snapshot_ids=(an_id(1),), workspace_ids=("b" * 32,), finalised_before=7.0),
        ),
    ],
)
def test_a_choice_of_stored_snapshots_is_asked_for_as_it_is(wanted, expected):
    assert selection_of(wanted) == expected


@pytest.mark.parametrize("name", ["since", "outcome", "language_id", "model", "rating", "state"])
def test_what_a_collector_does_not_know_is_refused_and_never_more_is_deleted_instead(installs, name):
    value = 5.0 if name == "since" else "x"
    with pytest.raises(NotSelectable, match=name):
        installs.before_purge(Choice(workspace_id="b" * 32, **{name: value}))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"snapshot_ids": ()},
        {"everything": True, "snapshot_ids": (an_id(1),)},
        {"everything": True, "finalised_before": 0.0},
        {"snapshot_ids": ("A" * 32,)},
        {"workspace_ids": ("",)},
        {"finalised_before": float("nan")},
    ],
)
def test_a_selection_that_would_say_something_else_than_it_seems_cannot_be_made(wrong):
    with pytest.raises(ValueError):
        Selection(**wrong)


# --- files that cannot be used ---


def good():
    install = {"id": an_id(1), "secret": "0" * 64}
    selection = {"everything": True, "snapshot_ids": [], "workspace_ids": [], "finalised_before": None}
    deletion = {"id": an_id(2), "selection": selection, "installs": [install], "asked_at": 5.0}
    collector = {"address": HERE, "installs": [install], "is_first_in_use": True, "deletions": [deletion]}
    return {"format": 1, "collectors": [collector]}


def damaged_files():
    yield from ("", "{", "[]", "null", '"' + "0" * 64)
    for place, wrong in [
        (["format"], 2),
        (["collectors"], {}),
        (["collectors", 0], 1),
        (["collectors", 0, "address"], ""),
        (["collectors", 0, "address"], None),
        (["collectors", 0, "is_first_in_use"], 1),
        (["collectors", 0, "installs"], []),
        (["collectors", 0, "installs", 0, "id"], "x"),
        (["collectors", 0, "installs", 0, "secret"], "0" * 63),
        (["collectors", 0, "installs"], [good()["collectors"][0]["installs"][0]] * 2),
        (["collectors", 0, "deletions"], None),
        (["collectors", 0, "deletions", 0, "id"], 5),
        (["collectors", 0, "deletions", 0, "installs"], []),
        (["collectors", 0, "deletions", 0, "asked_at"], True),
        (["collectors", 0, "deletions", 0, "selection"], None),
        (["collectors", 0, "deletions", 0, "selection", "everything"], False),
        (["collectors", 0, "deletions", 0, "selection", "snapshot_ids"], [5]),
        (["collectors", 0, "deletions", 0, "selection", "workspace_ids"], ["a" * 32]),
        (["collectors", 0, "deletions", 0, "selection", "finalised_before"], "now"),
    ]:
        whole = good()
        inner = whole
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = wrong
        yield json.dumps(whole)
    yield json.dumps({**good(), "collectors": good()["collectors"] * 2})


def write(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)


def test_the_file_that_the_damaged_ones_are_made_of_is_sound(path, installs):
    write(path, json.dumps(good()))
    assert installs.current(HERE).id == an_id(1)
    assert installs.deletions(HERE)[0].selection == ALL


@pytest.mark.parametrize("text", list(damaged_files()))
def test_a_damaged_file_stops_everything_says_so_and_stays_as_it_is(path, installs, text):
    write(path, text)
    deletion = None
    for use in (
        lambda: installs.current(HERE),
        lambda: installs.take(HERE),
        lambda: installs.rotate(HERE),
        lambda: installs.proofs(HERE),
        installs.addresses,
        lambda: installs.ask_deletion(ALL),
        lambda: installs.deletions(HERE),
        lambda: installs.deleted(deletion),
    ):
        with pytest.raises(InstallsUnusable, match="damaged") as raised:
            use()
        assert str(path) in str(raised.value)
        assert "0" * 60 not in str(raised.value), "a secret, or nearly one"
    assert path.read_text() == text


def test_a_file_that_others_may_read_is_refused_until_it_is_private(path, installs):
    taken = installs.take(HERE)
    path.chmod(0o640)
    with pytest.raises(InstallsUnusable, match=f"chmod 600 {path}"):
        installs.take(HERE)
    path.chmod(0o600)
    assert installs.take(HERE) == taken


def test_a_file_that_cannot_be_read_or_written_is_named(path, installs):
    path.mkdir(parents=True)
    with pytest.raises(InstallsUnusable, match="cannot read"):
        installs.take(HERE)
    path.rmdir()
    path.parent.rmdir()
    path.parent.write_text("a file stands where the folder should be")
    with pytest.raises(InstallsUnusable, match=r"cannot (read|write)"):
        installs.take(HERE)


# --- several processes, and processes that die ---

IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from capture.upload.identity import Installs
from capture.upload.selection import Selection
what, path, *addresses = sys.argv[1:]
installs = Installs(Path(path))
if what == "once":
    sys.stdin.readline()
    for address in addresses:
        print(installs.take(address).id, flush=True)
while what == "for ever":
    taken = installs.take(addresses[0])
    print(taken.id, flush=True)
    installs.rotate(addresses[0])
    installs.ask_deletion(Selection(finalised_before=1.0))
    installs.deleted(installs.deletions(addresses[0])[0])
"""


def another_process(path, what, *addresses):
    return subprocess.Popen(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, what, path, *addresses],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_processes_that_begin_at_once_have_one_name(path):
    addresses = [f"collector{number}.example.org:443" for number in range(8)]
    processes = [another_process(path, "once", *addresses) for _ in range(3)]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = {process.communicate(timeout=60)[0] for process in processes}
    assert len(answers) == 1
    assert len(set(answers.pop().split())) == len(addresses)


def test_a_process_killed_at_any_moment_loses_no_name_that_something_was_sent_under(path):
    used = set()
    for round_number in range(8):
        with another_process(path, "for ever", HERE) as process:
            used |= {process.stdout.readline().strip() for _ in range(3 + round_number)}
            process.kill()
            used |= {line.strip() for line in process.stdout if line.endswith("\n")}
    proved = {one.id for one in Installs(path).proofs(HERE)}
    assert used <= proved
    assert len(used) >= 45  # each process may begin with the name the one before ended with
    assert Installs(path).take(HERE)


# --- any order of everything ---

ADDRESSES = (HERE, THERE, "third.example.org:443")
SELECTIONS = (
    ALL,
    Selection(workspace_ids=("a" * 32,)),
    Selection(finalised_before=NOW - 60),
    Selection(snapshot_ids=(an_id(1),)),
)


class Names(RuleBasedStateMachine):
    """Against what was sent: under which name each thing is there, and whether a deletion covers it."""

    @initialize()
    def begin(self):
        self.path = self.make_folder() / "installs.json"
        self.installs = Installs(self.path, lambda: NOW)
        self.sent = {
            address: [] for address in ADDRESSES
        }  # install, in the order of sending, for each thing that is there
        self.asked = {address: [] for address in ADDRESSES}  # (the deletion's id, what it selects, names covered)

    @rule(address=st.sampled_from(ADDRESSES))
    def send(self, address):
        install = self.installs.take(address)
        assert self.installs.current(address) == install
        for _, selection, covered in self.asked[address]:
            assert install not in covered or selection not in SELECTIONS[:2], "it would be deleted with what was before"
        self.sent[address].append(install)

    @rule(address=st.sampled_from(ADDRESSES))
    def rotate(self, address):
        before = self.installs.current(address)
        self.installs.rotate(address)
        assert self.installs.current(address) is None
        assert before is None or before in self.installs.proofs(address)

    @rule(selection=st.sampled_from(SELECTIONS), in_flight=st.booleans())
    def ask(self, selection, in_flight):
        known = {address: {one.id for one in self.installs.deletions(address)} for address in ADDRESSES}
        self.installs.ask_deletion(selection, [an_id(9)] if in_flight else [])
        for address in ADDRESSES:
            new = [one for one in self.installs.deletions(address) if one.id not in known[address]]
            assert len(new) == ((1 + in_flight) if self.sent[address] else 0)
            for one in new:
                assert set(one.installs) >= set(self.sent[address])
                self.asked[address].append((one.id, one.selection, set(one.installs)))

    @rule(data=st.data(), address=st.sampled_from(ADDRESSES))
    @precondition(lambda self: any(self.asked.values()))
    def confirm(self, data, address):
        if not self.asked[address]:
            return
        deletion = data.draw(st.sampled_from(self.installs.deletions(address)))
        self.installs.deleted(deletion)
        _, selection, covered = next(one for one in self.asked[address] if one[0] == deletion.id)
        self.asked[address] = [one for one in self.asked[address] if one[0] != deletion.id]
        if selection == ALL:
            self.sent[address] = [install for install in self.sent[address] if install not in covered]

    @rule()
    def another_process_goes_on(self):
        self.installs = Installs(self.path, lambda: NOW)

    @invariant()
    def whatever_is_there_can_be_deleted(self):
        for address, sent in getattr(self, "sent", {}).items():
            assert set(self.installs.proofs(address)) >= set(sent)
            assert [one.id for one in self.installs.deletions(address)] == [one[0] for one in self.asked[address]]
            assert (address in self.installs.addresses()) == bool(sent or self.asked[address])


def test_no_order_of_uploads_and_deletions_leaves_something_nobody_can_delete(tmp_path_factory):
    Names.make_folder = staticmethod(lambda: tmp_path_factory.mktemp("names"))
    run_state_machine_as_test(Names, settings=settings(max_examples=40, stateful_step_count=25, deadline=None))
