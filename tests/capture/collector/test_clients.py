"""Tokens: shown once, kept as a hash, worthless the moment they are revoked; and who a call is from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from capture.collector.clients import Clients, NotIdentified, TokenBook, TokensRefused

NAMES = st.sampled_from(["alice", "bob", "team-laptop.3"])
DAY_SECONDS = 86_400.0


class TokensOverTime(RuleBasedStateMachine):
    """A book, another reader of the same file, and a plain list of what should be good."""

    def __init__(self):
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / "collector" / "tokens.json"
        self.now = 1_800_000_000.0
        self.keeper = TokenBook(path, lambda: self.now)
        self.reader = Clients(TokenBook(path), certificates=False, clock=lambda: self.now)
        self.given = []

    @rule(name=NAMES, days=st.none() | st.floats(0.5, 400))
    def add(self, name, days):
        token = self.keeper.add(name, days=days)
        expires = None if days is None else self.now + days * DAY_SECONDS
        self.given.append({"name": name, "token": token, "expires": expires, "revoked": False})

    @rule(name=NAMES, keep_newest=st.booleans())
    def revoke(self, name, keep_newest):
        alive = [one for one in self.given if one["name"] == name and not one["revoked"]]
        gone = alive[:-1] if keep_newest else alive
        for one in gone:
            one["revoked"] = True
        assert self.keeper.revoke(name, keep_newest=keep_newest) == len(gone)

    @rule(days=st.floats(0.1, 200))
    def wait(self, days):
        self.now += days * DAY_SECONDS

    @precondition(lambda self: self.given)
    @rule(
        data=st.data(), damage=st.sampled_from([str.upper, lambda text: text[:-1], lambda text: text + "a", str.title])
    )
    def guess(self, data, damage):
        guessed = damage(data.draw(st.sampled_from(self.given))["token"])
        assert self.why(guessed) == "unknown"

    @invariant()
    def who_holds_what_is_known_at_once(self):
        for one in self.given:
            expired = one["expires"] is not None and self.now >= one["expires"]
            wanted = "revoked" if one["revoked"] else "expired" if expired else one["name"]
            assert self.why(one["token"]) == wanted

    @invariant()
    def no_token_is_written_down(self):
        path = self.keeper.path
        if path.exists():
            assert path.stat().st_mode & 0o777 == 0o600
            text = path.read_text()
            assert all(one["token"] not in text for one in self.given)

    def why(self, token):
        try:
            return self.reader.identify([f"Bearer {token}"], [])
        except NotIdentified as error:
            refused = error
        assert token not in str(refused)
        return refused.why

    def teardown(self):
        self._folder.cleanup()


TestTokensOverTime = TokensOverTime.TestCase
TestTokensOverTime.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)


@pytest.fixture
def book(tmp_path):
    return TokenBook(tmp_path / "tokens.json")


@pytest.mark.parametrize("name", ["", " ", "-x", "a b", "a" * 65, "é", "../x", "a\n"])
def test_a_name_that_would_trouble_a_log_is_refused(book, name):
    with pytest.raises(TokensRefused, match="no name"):
        book.add(name)
    assert not book.path.exists()


@pytest.mark.parametrize("days", [0, -1, 1e9, float("nan")])
def test_a_token_is_good_for_some_days(book, days):
    with pytest.raises(TokensRefused, match="days"):
        book.add("alice", days=days)


def test_a_file_that_others_can_read_is_refused_with_the_cure(book):
    book.add("alice")
    book.path.chmod(0o640)
    with pytest.raises(TokensRefused, match="chmod 600"):
        book.all()
    book.path.chmod(0o600)
    assert [token.name for token in book.all()] == ["alice"]


def test_a_damaged_file_is_refused_and_not_overwritten(book):
    book.add("alice")
    damaged = book.path.read_text()[:-9]
    book.path.write_text(damaged)
    for change in (lambda: book.add("bob"), lambda: book.revoke("alice"), book.all):
        with pytest.raises(TokensRefused, match="damaged"):
            change()
    assert book.path.read_text() == damaged


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["format", "tokens", "name", "sha256", "made_at"]), inner, max_size=4)
        ),
    ),
    spliced=st.booleans(),
)
def test_any_json_is_read_or_refused_in_words(tmp_path_factory, value, spliced):
    path = tmp_path_factory.mktemp("tokens") / "tokens.json"
    path.touch(0o600)
    path.write_text(json.dumps({"format": 1, "tokens": [value]} if spliced else value))
    with pytest.raises(TokensRefused, match=r"tokens\.json is damaged"):
        TokenBook(path).all()


def test_commands_that_run_at_the_same_time_lose_no_token(book):
    script = "import sys; from pathlib import Path; from capture.collector.clients import TokenBook\n"
    script += "for number in range(5): TokenBook(Path(sys.argv[1])).add(f'{sys.argv[2]}{number}')"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(book.path), name], env=environment) for name in "abcd"
    ]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert {token.name for token in book.all()} == {f"{name}{number}" for name in "abcd" for number in range(5)}


def test_a_collector_that_asks_for_nothing_cannot_be_made():
    with pytest.raises(ValueError, match="anybody"):
        Clients(None, certificates=False)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ([], "no_certificate"),
        ([b""], "no_certificate"),
        ([b"\xff"], "no_certificate"),
        ([b"a", b"b"], "no_certificate"),
    ],
)
def test_a_certificate_names_exactly_one_client(names, why):
    clients = Clients(None, certificates=True)
    with pytest.raises(NotIdentified) as caught:
        clients.identify([], names)
    assert caught.value.why == why
    assert clients.identify([], [b"alice"]) == "alice"


@given(header=st.text() | st.builds("Bearer {}".format, st.text()))
def test_no_header_gets_in_by_its_form(tmp_path_factory, header):
    clients = Clients(TokenBook(tmp_path_factory.getbasetemp() / "nobody.json"), certificates=False)
    with pytest.raises(NotIdentified) as caught:
        clients.identify([header], [])
    assert caught.value.why in ("missing", "unknown")
