"""The settings file: what it takes, what it refuses and on which line, who wins against an editor."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import asdict, fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.settling.settling import MAX_AGE_SECONDS, Settling
from daemon.errors import SettingsError
from daemon.language_settings import LanguageSettings
from daemon.settings import (
    EDITOR_KEYS,
    EDITOR_REPLACES,
    KINDS,
    MAX_SETTLE_SECONDS,
    Settings,
    editor_settings,
    parse_settings,
    with_editor_settings,
)
from daemon.settings_store import read_settings, write_setting
from daemon.upload_settings import UploadSettings

DOCUMENTATION = Path(__file__).resolve().parents[2] / "docs" / "settings.md"


def refused(text):
    with pytest.raises(SettingsError) as caught:
        parse_settings(text)
    return caught.value


def test_an_empty_file_means_the_defaults():
    assert parse_settings("") == Settings()


def test_every_key_can_be_set():
    settings = parse_settings(
        'enabled = false\nmodel = "sweep"\nmin_confidence = 1\ndisabled_languages = ["markdown", "markdown"]\n'
    )
    assert not settings.enabled
    assert settings.model == "sweep"
    assert settings.min_confidence == 1.0
    assert isinstance(settings.min_confidence, float)
    assert settings.disabled_languages == ("markdown",)
    assert set(KINDS) == {field.name for field in fields(Settings)}


def test_the_defaults_are_allowed_values():
    whole = asdict(Settings())
    tables = {name: whole.pop(name) for name in ("upload", "trial")}
    written = "".join(f"{key} = {json.dumps(value)}\n" for key, value in whole.items())
    for name, table in tables.items():
        written += f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
    assert parse_settings(written) == Settings()


def test_a_home_folder_may_be_written_with_a_tilde():
    assert parse_settings('disabled_folders = ["~/secret"]').disabled_folders == (str(Path("~/secret").expanduser()),)


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("modle = 'x'", 1, "modle"),
        ("# a comment\n\nthreads = true\n", 3, "threads"),
        ("enabled = true\nthreads = -1\n", 2, "threads"),
        ("enabled = 1", 1, "enabled"),
        ("min_confidence = 1.5", 1, "min_confidence"),
        ("min_confidence = nan", 1, "min_confidence"),
        ('disabled_folders = ["relative"]', 1, "disabled_folders"),
        ("exclude = [\n  'a',\n  3,\n]", 1, "exclude"),
        (
            'model = """\nthreads = 1\n"""\nthreads = "one"',
            4,
            "threads",
        ),  # what looks like a key is text there
        ("exclude = [\n  'x = 1',\n]\n\n[window]\nx = 1", 5, "window"),
        ("log_level = 'loud'", 1, "log_level"),
        ("settle_seconds = 0", 1, "settle_seconds"),
        ("settle_seconds = 300.0", 1, "settle_seconds"),
        ("settle_seconds = nan", 1, "settle_seconds"),
        ("settle_seconds = true", 1, "settle_seconds"),
        ("open_source_only = 'yes'", 1, "open_source_only"),
        ("symbol_index = 1", 1, "symbol_index"),
        ("secrets = 'keep'", 1, "secrets"),
        ("snapshots_max_mebibytes = 0", 1, "snapshots_max_mebibytes"),
        ("snapshots_max_mebibytes = 2.5", 1, "snapshots_max_mebibytes"),
        ("model = ''", 1, "model"),
        ("languages = 3", 1, "languages"),
        ("upload = 'a:1'", 1, "upload"),
        ("[languages.go]\nserver = ['gopls']\n\n[languages.python]\n# why\nserver = 3\n", 6, "languages"),
    ],
)
def test_what_is_wrong_is_named_with_key_and_line(text, line, key):
    error = refused(text)
    assert (error.line, error.key) == (line, key)
    assert key in str(error)
    assert f"line {line}" in str(error)


def test_a_slip_of_the_key_gets_the_right_one_suggested():
    assert "`min_confidence`" in str(refused("min_confidense = 0.5"))


@pytest.mark.parametrize("seconds", [0.2, 1, 299.9])
def test_any_time_to_settle_that_is_allowed_is_one_that_snapshots_can_have(seconds):
    chosen = parse_settings(f"settle_seconds = {seconds}").settle_seconds
    assert (chosen, type(chosen)) == (seconds, float)
    Settling(lambda *_: None, lambda _: None, may_hold=lambda *_: True, settle_seconds=chosen)
    assert MAX_SETTLE_SECONDS == MAX_AGE_SECONDS


# The table of uploads


def test_where_snapshots_may_go_is_one_table():
    settings = parse_settings(
        "[upload]\ncollector = 'snapshots.example.org:8443'\ntoken_file = '~/token'\non_battery = true"
    )
    assert settings.upload == UploadSettings(
        "snapshots.example.org:8443", token_file=str(Path("~/token").expanduser()), on_battery=True
    )
    assert parse_settings("").upload.collector == ""


@pytest.mark.parametrize("address", ["localhost:1", "127.0.0.1:8443", "[::1]:8443", "a-b.example.org:65535", ""])
def test_a_collector_is_a_host_and_a_port(address):
    assert parse_settings(f"[upload]\ncollector = '{address}'").upload.collector == address


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("collector = 'https://example.org'", "HOST:PORT"),
        ("collector = 'example.org'", "HOST:PORT"),
        ("collector = 'example.org:0'", "HOST:PORT"),
        ("collector = 'example.org:65536'", "HOST:PORT"),
        ("collector = '::1:8443'", "HOST:PORT"),
        ("collector = 8443", "a text"),
        ("token_file = 'token'", "absolute path"),
        ("plain_text = 'yes'", "true or false"),
        ("certificate_file = '/a.pem'", "go together"),
        ("key_file = '/a.pem'", "go together"),
        ("colector = 'a:1'", "`collector`"),
        ("threads = 2", "stand above all tables"),
    ],
)
def test_what_is_wrong_with_the_table_of_uploads_is_said(line, said):
    error = refused(f"threads = 1\n[upload]\non_battery = true\n{line}\n")
    assert (error.line, error.key) == (4, "upload")
    assert said in str(error)


# Tables of languages


def test_a_language_may_have_a_companion_server():
    settings = parse_settings(
        "[languages.python]\nserver = ['~/bin/pyright', '--stdio']\n[languages.go]\n[languages.rust]\nserver = ['ra']"
    )
    assert settings.languages == {
        "python": LanguageSettings((str(Path("~/bin/pyright").expanduser()), "--stdio")),
        "go": LanguageSettings(),
        "rust": LanguageSettings(("ra",)),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("languages = ['python']", "must be tables such as [languages.python]"),
        ("[languages]\npython = 'pyright'", "`languages.python` must be a table with `server`"),
        ('[languages.""]\nserver = ["x"]', "without a name"),
        ("[languages.python]\nsever = ['x']", "unknown key `sever` in [languages.python]; did you mean `server`?"),
        ("[languages.python]\nserver = ['x']\nmodel = 'y'", "keys of the whole file stand above all tables"),
        ("[languages.python]\nserver = 'pyright'", "`languages.python.server` must be a list of texts"),
        ("[languages.python]\nserver = []", "begins with a program"),
        ("[languages.python]\nserver = ['']", "begins with a program"),
        ("[languages.python]\nserver = ['x', 3]", "a list of texts"),
        ('[languages.python]\nserver = ["x\\u0000"]', "a list of texts"),
        ("[languages.python]\nserver = ['./node_modules/.bin/x']", "not the relative './node_modules/.bin/x'"),
        ("[languages.python]\nserver = ['bin/x']", "an absolute path"),
    ],
)
def test_what_is_wrong_with_a_language_is_named_with_the_cure(text, said):
    error = refused(text)
    assert error.key == "languages"
    assert said in str(error)


def test_an_editor_cannot_name_a_server():
    settings, problems = with_editor_settings(Settings(), {"languages": {"python": {"server": ["x"]}}})
    assert settings == Settings()
    assert "can only be set in the settings file" in problems[0]


@pytest.mark.parametrize(("text", "line"), [("enabled = true\nmodel = \n", 2), ('a = "', 1), ("x == 1", 1)])
def test_what_is_no_toml_is_refused_with_its_line(text, line):
    assert refused(text).line == line


@given(st.dictionaries(st.sampled_from(sorted(KINDS)), st.none() | st.booleans() | st.integers() | st.text()))
def test_any_values_give_settings_or_an_error_with_a_line(values):
    text = "".join(
        f"{key} = {json.dumps(value, ensure_ascii=False) if value is not None else '[]'}\n".replace("\x7f", "?")
        for key, value in values.items()
    )
    try:
        settings = parse_settings(text)
    except SettingsError as error:
        line = error.line
    else:
        line = 1
        assert all(getattr(settings, key) == value for key, value in values.items() if value is not None)
    assert line >= 1


# An editor's own settings


def test_the_editor_decides_what_concerns_only_its_session():
    settings, problems = with_editor_settings(
        parse_settings("min_confidence = 0.2"), {"min_confidence": 0.9, "deadline_ms": 500}
    )
    assert (settings.min_confidence, settings.deadline_ms) == (0.9, 500)
    assert problems == ()


@pytest.mark.parametrize(("file", "editor", "on"), [(True, True, True), (True, False, False), (False, True, False)])
def test_off_wins(file, editor, on):
    settings, _ = with_editor_settings(Settings(enabled=file), {"enabled": editor})
    assert settings.enabled is on


def test_what_is_remembered_is_for_the_file_alone_to_say():
    said = {"settle_seconds": 0.1, "open_source_only": False, "secrets": "mask", "snapshots_max_mebibytes": 4096}
    said["upload"] = {"collector": "elsewhere.example.org:1"}
    file = Settings(open_source_only=True)
    settings, problems = with_editor_settings(file, {**said, "symbol_index": False})
    assert settings == file
    assert len(problems) == 6
    assert all("can only be set in the settings file" in problem for problem in problems)


def test_an_editor_adds_to_what_is_excluded_and_never_takes_away():
    file = Settings(exclude=("secret/",), disabled_languages=("markdown",))
    settings, _ = with_editor_settings(file, {"exclude": ["*.gen.py"], "disabled_languages": []})
    assert settings.exclude == ("secret/", "*.gen.py")
    assert settings.disabled_languages == ("markdown",)


def test_what_an_editor_cannot_say_is_left_out_and_named_and_the_rest_counts():
    settings, problems = with_editor_settings(
        Settings(), {"model": "/tmp/other.gguf", "deadline_ms": "fast", "colour": 1, "min_confidence": 0.5}
    )
    assert settings == Settings(min_confidence=0.5)
    assert [key for key in ("model", "deadline_ms", "colour") if any(f"`{key}`" in text for text in problems)] == [
        "model",
        "deadline_ms",
        "colour",
    ]


@pytest.mark.parametrize(
    "parameters",
    [{"settings": {"foretype": {"enabled": False}}}, {"foretype": {"enabled": False}}],
)
def test_both_wrappings_of_editor_settings_are_understood(parameters):
    assert editor_settings(parameters) == {"enabled": False}


@pytest.mark.parametrize("parameters", [None, {}, [], {"settings": None}, {"settings": {"pylsp": {}}}, {"foretype": 3}])
def test_anything_else_an_editor_sends_holds_nothing_for_us(parameters):
    assert editor_settings(parameters) == {}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*EDITOR_KEYS, "model", "other"]), json_values))
def test_an_editor_can_only_close_whatever_it_says(said):
    file = Settings(exclude=("a",), disabled_folders=("/b",), disabled_languages=("c",))
    settings, _ = with_editor_settings(file, said)
    for key in ("exclude", "disabled_folders", "disabled_languages"):
        assert getattr(settings, key)[: len(getattr(file, key))] == getattr(file, key)
    for key in asdict(file):
        if key not in EDITOR_KEYS:
            assert getattr(settings, key) == getattr(file, key)
    assert not with_editor_settings(Settings(enabled=False), said)[0].enabled
    assert set(EDITOR_REPLACES) <= set(asdict(file))


# Writing one key


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'model = "new"\n'),
        ("enabled = true", 'enabled = true\nmodel = "new"\n'),
        ("# mine\nmodel = 'old' # why\nthreads = 2\n", '# mine\nmodel = "new" # why\nthreads = 2\n'),
        (
            'model = "a#b"   # a "#" in it\r\nthreads = 2\r\n',
            'model = "new"   # a "#" in it\r\nthreads = 2\r\n',
        ),
        ('exclude = ["model = 1"]\nmodel = """x\ny"""\n', 'exclude = ["model = 1"]\nmodel = "new"\n'),
        ('"model" = "old"\n', 'model = "new"\n'),
        (
            "threads = 2\n\n# the server\n[languages.python]\nserver = ['x']\n",
            "threads = 2\n\nmodel = \"new\"\n\n# the server\n[languages.python]\nserver = ['x']\n",
        ),
        ("[languages.go]\r\n[languages.c]", 'model = "new"\r\n\r\n[languages.go]\r\n[languages.c]'),
        (
            "exclude = [\n'[a]',\n]\n[languages.go]\n",
            "exclude = [\n'[a]',\n]\nmodel = \"new\"\n\n[languages.go]\n",
        ),
    ],
)
def test_choosing_a_model_changes_that_line_and_nothing_else(tmp_path, before, after):
    path = tmp_path / "settings.toml"
    path.write_bytes(before.encode())
    write_setting(path, "model", "new")
    assert path.read_bytes().decode() == after


@given(
    model=st.text(st.characters(codec="utf-8"), min_size=1),
    comment=st.text(st.characters(codec="utf-8", categories=["L", "P", "Zs"])),
)
def test_any_model_name_is_written_so_that_it_is_read_back(tmp_path_factory, model, comment):
    path = tmp_path_factory.mktemp("settings") / "settings.toml"
    path.write_text(f"threads = 3 #{comment}\nmodel = 'old' #{comment}\n", encoding="utf-8")
    write_setting(path, "model", model)
    text = path.read_text(encoding="utf-8")
    assert tomllib.loads(text) == {"threads": 3, "model": model}
    assert text.count(f"#{comment}\n") == 2


def test_a_settings_file_that_is_a_link_stays_one(tmp_path):
    kept = tmp_path / "dotfiles.toml"
    kept.write_text("threads = 1\n")
    kept.chmod(0o640)
    link = tmp_path / "settings.toml"
    link.symlink_to(kept)
    write_setting(link, "model", "x")
    assert link.is_symlink()
    assert read_settings(kept).model == "x"
    assert kept.stat().st_mode & 0o777 == 0o640


def test_a_bad_settings_file_is_not_written_into(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text("modle = 1\n")
    with pytest.raises(SettingsError):
        write_setting(path, "model", "x")
    assert path.read_text() == "modle = 1\n"


# The documentation


def test_the_documentation_lists_exactly_the_keys_with_their_defaults():
    whole, uploading = DOCUMENTATION.read_text().split("## Uploading")
    for text, settings in (
        (whole, {**asdict(Settings()), "upload": {}, "trial": {}}),
        (uploading, asdict(UploadSettings())),
    ):
        rows = re.findall(r"^\| `(\w+)` \| `([^`]*)` \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
        documented = {key: tomllib.loads(f"value = {default}")["value"] for key, default, _, _ in rows}
        actual = {key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()}
        assert documented == actual
        assert [key for key, *_ in rows] == list(actual)
        assert all(unit.strip() and meaning.strip() for _, _, unit, meaning in rows)


def test_the_documentations_examples_are_valid():
    server, upload, whole = re.findall(r"```toml\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)
    assert parse_settings(upload).upload.collector == "snapshots.example.org:8443"
    assert parse_settings(server).languages["python"].server == ("basedpyright-langserver", "--stdio")
    assert parse_settings(whole).min_confidence == 0.3
