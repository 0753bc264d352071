"""Trial, promotion and rollback in the settings file: all else of it stays, and what makes no sense is refused."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import SettingsError, TrialRefused
from daemon.settings import parse_settings
from daemon.settings_store import read_settings
from daemon.settings_tables import with_table
from daemon.trial_settings import TrialSettings
from daemon.trying import changes

MINE = """\
# mine
model = "embedded"  # shipped
threads = 2

# a language
[languages.python]
server = ["pyright"]
"""


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "settings.toml"
    made.write_text(MINE)
    return made


def test_a_trial_is_written_below_what_is_there_and_its_end_leaves_the_file_as_it_was(path):
    changes.begin(path, "/new.gguf", 0.15)
    assert path.read_text().startswith(MINE)
    trial = read_settings(path).trial
    assert (trial.candidate, trial.share, trial.is_running) == ("/new.gguf", 0.15, True)
    assert trial.salt
    assert trial.since_seconds is not None
    changes.stop(path)
    assert path.read_text().rstrip() == MINE.rstrip()


def test_another_share_is_the_same_trial(path):
    first = changes.begin(path, "/new.gguf", 0.15)
    second = changes.begin(path, "/new.gguf", 0.3)
    assert (second.salt, second.since, second.share) == (first.salt, first.since, 0.3)


def test_a_second_candidate_waits_for_the_end_of_the_first(path):
    changes.begin(path, "/new.gguf", 0.15)
    with pytest.raises(TrialRefused, match="is being tried; end that first"):
        changes.begin(path, "/newer.gguf", 0.15)
    assert read_settings(path).trial.candidate == "/new.gguf"


def test_the_next_trial_draws_documents_anew(path):
    first = changes.begin(path, "/new.gguf", 0.15)
    changes.stop(path)
    assert changes.begin(path, "/new.gguf", 0.15).salt != first.salt


def test_promotion_and_rollback_lead_there_and_back(path):
    changes.begin(path, "/new.gguf", 0.15)
    changes.promote(path)
    settings = read_settings(path)
    assert (settings.model, settings.trial) == ("/new.gguf", TrialSettings(former="embedded"))
    assert 'model = "/new.gguf"  # shipped' in path.read_text()
    assert changes.rollback(path) == "embedded"
    assert path.read_text().rstrip() == MINE.rstrip()


def test_rollback_ends_a_trial_and_goes_behind_the_last_promotion(path):
    changes.begin(path, "/new.gguf", 0.15)
    assert changes.rollback(path) == "embedded"
    changes.begin(path, "/new.gguf", 0.15)
    changes.promote(path)
    changes.begin(path, "/newer.gguf", 0.2)
    assert read_settings(path).trial.former == "embedded"
    assert changes.rollback(path) == "embedded"
    assert read_settings(path).trial == TrialSettings()


def test_the_model_before_the_last_promotion_is_remembered_over_the_end_of_the_next_trial(path):
    changes.begin(path, "/new.gguf", 0.15)
    changes.promote(path)
    changes.begin(path, "/newer.gguf", 0.2)
    changes.stop(path)
    assert changes.rollback(path) == "embedded"


@pytest.mark.parametrize("change", [changes.stop, changes.promote, changes.rollback])
def test_without_a_trial_there_is_nothing_to_end_promote_or_take_back(path, change):
    with pytest.raises(TrialRefused, match="no trial is running"):
        change(path)
    assert path.read_text() == MINE


def test_a_file_that_is_not_valid_is_the_persons_to_mend(path):
    path.write_text("modle = 1\n")
    with pytest.raises(SettingsError):
        changes.begin(path, "/new.gguf", 0.15)
    assert path.read_text() == "modle = 1\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("trial = 1", "must be a table"),
        ("[trial]\nshare = 2", "from 0 to 1"),
        ("[trial]\nshare = true", "from 0 to 1"),
        ("[trial]\ncandidate = 1", "must be a text"),
        ('[trial]\nsince = "yesterday"', "a time with its zone"),
        ('[trial]\nsince = "2026-11-23T09:00:00"', "a time with its zone"),
        ("[trial]\nthreads = 1", "unknown key `threads` in [trial]"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_with_the_reason(text, problem):
    with pytest.raises(SettingsError) as caught:
        parse_settings(text)
    assert problem in str(caught.value)


# Tables in any text

keys = st.sampled_from(["candidate", "salt", "since", "former"])
values = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
lines = st.sampled_from(
    [
        "# a comment",
        "",
        "threads = 2",
        'trial = {candidate = "a", share = 0.5}',
        'trial.candidate = "b"',
        "trial.share = 0.25",
        "[trial]",
        'salt = "x"  # mine',
        'former = """\n[trial]\n"""',
        "[upload]",
        'collector = "a.example:1"',
        '[languages.python]\nserver = ["a",\n  "b"]',
    ]
)


def parsed(text):
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


@given(
    st.lists(lines, max_size=8).map("\n".join).filter(lambda text: parsed(text) is not None), st.booleans(), st.data()
)
def test_a_table_replaces_whatever_form_it_had_and_nothing_else_changes(text, has_windows_line_ends, data):
    table = data.draw(st.dictionaries(keys, values, max_size=3))
    if has_windows_line_ends and '"""' not in text:
        text = text.replace("\n", "\r\n")
    before, after = parsed(text), parsed(with_table(text, "trial", table))
    assert after is not None
    assert after.pop("trial", {}) == table
    before.pop("trial", None)
    assert after == before
    assert with_table(with_table(text, "trial", table), "trial", table).count("[trial]") <= text.count("[trial]") + 1
    assert text.count("#") <= with_table(text, "trial", table).count("#") + text.count("# mine") + str(table).count("#")
