"""What says whose machine it was, is excluded by now or is a secret does not leave, wherever in a snapshot it stands."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.gate.provider_keys import ScannerBroken
from capture.gate.redaction import SecretScanner, Verdict
from capture.inputs import ActiveBufferDiagnostic, EditEvent, RelatedExcerpt, RelatedFile, Span
from capture.snapshot.parts import FileDiff, PredictionRecord, Repository
from capture.upload.outgoing import CheckBroken, Machine, OutgoingGate, machine_now

ROOT = Path(__file__).parents[3]
MACHINE = Machine(("/home/alice", "/data/people/alice"), ("alice",), ("wonderland.example.org", "wonderland"))
KEY = "ghp_" + "a8F3kd92LmQx7ZpR4tYw6Vb1Nc5Hs0JgUe3D"


def load_samples():
    spec = importlib.util.spec_from_file_location(
        "outgoing_samples", Path(__file__).parents[1] / "store" / "samples.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sample = load_samples().sample


class Silent:
    """Finds nothing."""

    def verdict(self, _parts):
        return Verdict()


@pytest.fixture(scope="session")
def scanner():
    return SecretScanner()


def gate(machine=MACHINE, exclude=(), new_scanner=Silent):
    return OutgoingGate(machine, lambda: exclude, new_scanner)


def full(text):
    """A snapshot by where it holds the text, for each place that takes one."""
    plain = sample()
    inputs = plain.inputs
    diff = f"@@ -1,1 +1,1 @@\n-count = 1\n+count = 2 # {text}\n"
    event = EditEvent("src/other.py", "src/other.py", diff)
    related = RelatedFile("src/other.py", 5, (RelatedExcerpt(Span(0, 1), f"# {text}"),))
    diagnostic = ActiveBufferDiagnostic(1, f"cannot open {text}", "totl", Span(11, 12), Span(0, 4))
    of_snippet = ActiveBufferDiagnostic(1, "no such name", f"{text} ", Span(11, 12), Span(0, 1))
    repository = Repository(
        url="https://example.org/shop", revision="0" * 40, diffs=(FileDiff("src/other.py", f"+# {text}\n"),)
    )
    return {
        "excerpt": sample(code=f"total = 1\nprint({text!r})\n"),
        "region": sample(code=f"total = {text!r}\nprint(total)\n"),
        "settled": sample(settled=f"total = {text!r}\n"),
        "prediction": sample(predicted=f"total = {text!r}\n"),
        "reason": sample(prediction=PredictionRecord(reason=f"failed in {text}")),
        "event": replace(plain, inputs=replace(inputs, events=(event,))),
        "later event": sample(later_events=(event,)),
        "diagnostic": replace(plain, inputs=replace(inputs, active_buffer_diagnostics=(diagnostic,))),
        "snippet": replace(plain, inputs=replace(inputs, active_buffer_diagnostics=(of_snippet,))),
        "related file": replace(plain, inputs=replace(inputs, related_files=(related,))),
        "diff": sample(repository=repository),
        "client": sample(client_name=f"editor of {text}"),
        "outcome": sample(outcome_reason=f"see {text}"),
        "language": sample(language_id=f"python {text}"),
    }


@pytest.mark.parametrize("place", list(full("x")))
def test_what_names_the_machine_does_not_leave_wherever_it_stands(place):
    look = gate()
    assert look(full("/home/bob/shop")[place]) == ""
    for text in ("/home/alice/shop", "/data/people/alice", "alice", "wonderland", "wonderland.example.org"):
        assert look(full(text)[place]) == "names_machine"


@pytest.mark.parametrize(
    ("path", "expected"), [("src/alice/sums.py", "names_machine"), ("alice.py", "names_machine"), ("malice.py", "")]
)
def test_a_path_that_names_the_user_does_not_leave(path, expected):
    assert gate()(sample(path=path)) == expected
    event = EditEvent(path, path, "@@ -1,1 +1,1 @@\n-count = 1\n+count = 2\n")
    assert gate()(sample(later_events=(event,))) == expected


@pytest.mark.parametrize(
    ("text", "is_named"),
    [
        ("alice", True),
        ("ALICE", True),
        ("# TODO(alice): later", True),
        ("alice@example.org", True),
        ("alice_token = 1", True),
        ("~alice/x", True),
        ("C:\\Users\\Alice\\x", True),
        ("malice", False),
        ("alices", False),
        ("alice2", False),
        ("/home/alice2/x", False),
        ("backup/home/alice", True),
        ("file:///home/alice/x", True),
        ("wonderlands", False),
        ("ssh wonderland", True),
        ("http://wonderland:8080/", True),
    ],
)
def test_a_name_counts_as_a_whole_word(text, is_named):
    assert gate()(sample(code=f"total = 1\n{text}\n")) == ("names_machine" if is_named else "")


@given(before=st.text(max_size=30), after=st.text(max_size=30), data=st.data())
def test_a_home_directory_is_found_in_any_text(before, after, data):
    home = data.draw(st.sampled_from(MACHINE.home_directories))
    text = f"{before}{home}/{after}".replace("\r", "").encode("utf-8", "ignore").decode()
    assert gate()(sample(settled=text)) == "names_machine"


def test_the_repository_s_address_may_name_whoever_it_belongs_to():
    url = "https://example.org/alice/shop"
    named = sample(repository=Repository(url=url, revision="0" * 40))
    named = replace(named, inputs=replace(named.inputs, repo_url=url))
    assert gate()(named) == ""
    assert gate()(replace(named, outcome_reason=url)) == "names_machine"


@pytest.mark.parametrize("account", ["root", "user", "admin", "ubuntu", "max", "print", "import", "jo"])
def test_an_account_called_as_many_are_or_as_code_calls_things_is_no_name(account):
    look = gate(Machine((), (account,), ("localhost",)))
    assert look(sample(code=f"total = 1\n{account} localhost\n")) == ""


@pytest.mark.parametrize(
    ("home", "tells"),
    [
        ("/root", False),
        ("/var/lib/postgres", False),
        ("/home/user", False),
        ("/home/max", True),
        ("/Users/jo", True),
        ("/home/dev/of-carol", True),
    ],
)
def test_a_home_directory_tells_something_unless_everybody_s_is_called_so(home, tells):
    look = gate(Machine((home,), (), ()))
    assert look(sample(code=f"total = 1\n{home}/.cache\n")) == ("names_machine" if tells else "")


def test_a_name_is_found_however_its_letters_are_composed():
    look = gate(Machine((), ("zo\u00eb",), ()))
    assert look(sample(code="total = 1\n# zoe\u0308 was here\n")) == "names_machine"


def test_this_machine_is_known_by_its_home_directories_and_names(tmp_path):
    home, link = tmp_path / "people" / "carol", tmp_path / "carol"
    home.mkdir(parents=True)
    link.symlink_to(home)
    script = "from capture.upload.outgoing import machine_now; print(*machine_now().home_directories, sep='\\n')"
    environment = {**os.environ, "HOME": f"{link}/", "PYTHONPATH": str(ROOT)}
    said = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert {str(home), str(link)} <= set(said.stdout.splitlines())
    assert socket.gethostname() in machine_now().host_names
    assert all("." not in name or name == socket.gethostname() for name in machine_now().host_names)


# --- what the settings exclude by now ---


@pytest.mark.parametrize("path", ["config/.env.local", "keys/server.pem", "build/sums.py", "old/x.ipynb#cell3"])
def test_a_path_that_is_excluded_by_now_does_not_leave(path):
    look = gate(exclude=("build/", "*.ipynb"))
    event = EditEvent(path, path, "@@ -1,1 +1,1 @@\n-count = 1\n+count = 2\n")
    plain = sample()
    related = RelatedFile(path, 5, (), in_open_source_repo=False)
    repository = Repository(url="", revision="0" * 40, diffs=(FileDiff(path, "+x\n"),))
    for snapshot in (
        sample(path=path),
        sample(later_events=(event,)),
        sample(later_events=(replace(event, path="src/new.py"),)),
        sample(repository=repository),
        replace(plain, inputs=replace(plain.inputs, events=(event,))),
        replace(plain, inputs=replace(plain.inputs, related_files=(related,))),
    ):
        assert look(snapshot) == "excluded"
    assert look(plain) == ""


def test_a_changed_setting_counts_with_the_next_snapshot():
    exclude = []
    look = OutgoingGate(MACHINE, lambda: exclude, Silent)
    assert look(sample()) == ""
    exclude.append("/src")
    assert look(sample()) == "excluded"
    exclude.clear()
    assert look(sample()) == ""


def test_a_setting_that_cannot_be_understood_stops_everything():
    with pytest.raises(CheckBroken, match="`exclude`"):
        gate(exclude=("!",))(sample())


# --- secrets ---


def test_a_secret_that_the_present_rules_find_does_not_leave_and_a_masked_one_does(scanner):
    look = gate(new_scanner=lambda: scanner)
    held = sample(code=f"total = 1\ntoken = '{KEY}'\n")
    assert look(held) == "secret"
    masked, verdict = scanner.redacted(held.texts())
    assert verdict.is_clean
    assert look(held.with_texts(masked, redactions=1)) == ""
    assert look(sample()) == ""


def test_what_cannot_be_looked_through_in_its_time_does_not_leave(scanner):
    class Slow:
        def verdict(self, _parts):
            return Verdict(exceeded=True)

    assert gate(new_scanner=Slow)(sample()) == "scan_too_long"


@pytest.mark.parametrize(
    "error", [ScannerBroken("reinstall foretype"), ImportError("no detect_secrets"), OSError(24, "Too many open files")]
)
def test_a_search_that_is_broken_stops_everything_and_is_no_verdict_on_a_snapshot(error):
    class Broken:
        def verdict(self, _parts):
            raise error

    def cannot_be_made():
        raise error

    for new_scanner in (Broken, cannot_be_made):
        with pytest.raises(CheckBroken, match="secrets cannot be looked for"):
            gate(new_scanner=new_scanner)(sample())
