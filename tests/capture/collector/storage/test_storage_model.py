"""Storage beside a plain model of it: whatever is stored, sent again, taken, deleted, sealed or restarted, they agree."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from capture.collector.index import Sealing
from capture.collector.indexed import Upkeep
from capture.collector.opening import open_from
from capture.collector.storage import Deleted, Wanted, WrongSecret

NUMBERS = st.integers(0, 11)  # few, so that they meet
INSTALLS = st.integers(0, 2)
UPKEEP = Upkeep(sealing=Sealing(500, 600.0), rewriting_seconds=20.0)


def machine_of(samples):  # noqa: C901 (a class is made in it)
    """The rules, for Hypothesis."""

    def arrival_of(number, variant):
        workspace, finalised_at = number % 3, 100.0 * number
        return samples.arrival_of(number, variant=variant, workspace=workspace, finalised_at=finalised_at)

    class StorageMachine(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.directory = Path(tempfile.mkdtemp(prefix="ft-"))
            self.clock = samples.Clock()
            self.runner = asyncio.Runner()
            self.held = {}  # number -> (install, variant)
            self.graves = set()  # (install, number)
            self.open()

        def open(self):
            opening = open_from([str(self.directory)], upkeep=UPKEEP, clock=self.clock, reserve_bytes=0)
            self.storage = self.runner.run(opening)

        def expected(self, install, number, variant):
            if (install, number) in self.graves:
                return "deleted"
            if number not in self.held:
                self.held[number] = (install, variant)
                return "accepted"
            return "duplicate" if self.held[number] == (install, variant) else "id_taken"

        @rule(install=INSTALLS, numbers=st.lists(NUMBERS, unique=True, max_size=6), variant=st.sampled_from(["", "x"]))
        def store(self, install, numbers, variant):
            arrivals = [arrival_of(number, variant) for number in numbers]
            found = self.runner.run(self.storage.store(samples.install_of(install), arrivals))
            assert found == [self.expected(install, number, variant) for number in numbers]

        @rule(installs=st.permutations([0, 1, 2]), number=NUMBERS)
        def store_at_the_same_time(self, installs, number):
            async def all_of_them():
                return await asyncio.gather(
                    *(self.storage.store(samples.install_of(one), [arrival_of(number, "")]) for one in installs)
                )

            # Batches are packed in threads, so who comes first is anybody's guess, but one does.
            found = [verdict for (verdict,) in self.runner.run(all_of_them())]
            if "accepted" in found:
                assert number not in self.held
                assert found.count("accepted") == 1
                self.held[number] = (installs[found.index("accepted")], "")
            for install, verdict in zip(installs, found, strict=True):
                assert verdict in ("accepted", self.expected(install, number, ""))

        @rule(install=INSTALLS, number=NUMBERS)
        def store_without_the_secret(self, install, number):
            first = samples.arrival_of(100 + install)
            self.runner.run(self.storage.store(samples.install_of(install), [first]))
            self.expected(install, 100 + install, "")
            thief = samples.InstallKey(samples.install_of(install).id, bytes(32))
            try:
                self.runner.run(self.storage.store(thief, [arrival_of(number, "")]))
            except WrongSecret:
                return
            raise AssertionError("stored without the secret")

        @rule(
            installs=st.sets(INSTALLS, min_size=1),
            everything=st.booleans(),
            numbers=st.sets(NUMBERS, max_size=4),
            workspaces=st.sets(st.integers(0, 2), max_size=2),
            before=st.none() | st.integers(0, 1200),
        )
        def delete(self, installs, everything, numbers, workspaces, before):
            def is_wanted(number):
                if self.held[number][0] not in installs:
                    return False
                if everything:
                    return True
                return (
                    bool(numbers or workspaces or before is not None)
                    and (not numbers or number in numbers)
                    and (not workspaces or (number % 3 if number < 100 else 0) in workspaces)
                    and (before is None or (100.0 * number if number < 100 else 1000.0) < before)
                )

            gone = {number for number in self.held if is_wanted(number)}
            wanted = Wanted(
                everything,
                tuple(samples.id_of(number) for number in numbers),
                tuple(samples.id_of(0xF000 + workspace) for workspace in workspaces),
                before,
            )
            keys = [samples.install_of(install) for install in installs]
            assert self.runner.run(self.storage.delete(keys, wanted)) == Deleted(len(gone), 0)
            self.held = {number: value for number, value in self.held.items() if number not in gone}
            kept_of_theirs = {number for number, (install, _) in self.held.items() if install in installs}
            self.graves |= {(install, number) for install in installs for number in gone | numbers - kept_of_theirs}

        @rule(seconds=st.sampled_from([0, 300, 700, 50_000]))
        def seal(self, seconds):
            self.clock.now += seconds
            self.runner.run(self.storage.keep_up())

        @rule()
        def restart(self):
            self.runner.run(self.storage.close())
            self.open()

        @invariant()
        def what_is_kept_is_what_the_model_holds(self):
            contents = samples.kept_in(self.directory).check()
            assert set(contents) == {
                (arrival_of(number, variant) if number < 100 else samples.arrival_of(number)).content
                for number, (_, variant) in self.held.items()
            }

        def teardown(self):
            self.runner.run(self.storage.close())
            self.runner.close()
            shutil.rmtree(self.directory)

    return StorageMachine


def test_storage_does_what_its_model_does(samples):
    run_state_machine_as_test(
        machine_of(samples),
        settings=settings(
            max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
