"""``foretype model``: fetching from a hub over real sockets, choosing, listing, and what is refused."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import tomllib
from pathlib import Path

import pytest

CONTENT = b"GGUF" + bytes(range(256)) * 2000


def load_stand_in():
    """Test files are not importable by name (no packages here), so the helper is loaded from its file."""
    spec = importlib.util.spec_from_file_location("hub_stand_in", Path(__file__).with_name("hub_stand_in.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def hub():
    made = load_stand_in().HubStandIn({"tiny.q8_0.gguf": CONTENT, "README.md": b"# a model"})
    yield made
    made.close()


def pull(world, hub, *arguments):
    return world.foretype("model", "pull", "owner/model", *arguments, HF_ENDPOINT=hub.url)


def models(world):
    return {row["name"]: row for row in json.loads(world.foretype("model", "list", "--json").stdout)}


def test_a_pulled_model_is_checked_listed_and_can_be_used(world, hub):
    pulled = pull(world, hub)
    assert pulled.returncode == 0, pulled.stderr
    row = models(world)["tiny.q8_0"]
    assert Path(row["path"]).read_bytes() == CONTENT
    assert row["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    world.write_settings("# my settings\nthreads = 2  # two\n")
    assert world.foretype("model", "use", "tiny.q8_0").returncode == 0
    text = world.settings_path.read_text()
    assert tomllib.loads(text) == {"threads": 2, "model": "tiny.q8_0"}
    assert text.startswith("# my settings\nthreads = 2  # two\n")
    assert models(world)["tiny.q8_0"]["in_use"]


def test_pulling_leaves_nothing_outside_the_data_directory(world, hub):
    assert pull(world, hub).returncode == 0
    assert all(path.is_relative_to(world.data / "foretype") for path in world.written_files())
    assert {path.name for path in world.written_files()} == {"tiny.q8_0.gguf", "tiny.q8_0.json"}


def test_a_file_that_is_not_what_the_hub_states_is_thrown_away(world, hub):
    hub.stated["tiny.q8_0.gguf"] = "0" * 64
    pulled = pull(world, hub)
    assert pulled.returncode == 1
    assert "SHA-256" in pulled.stderr
    assert "Traceback" not in pulled.stderr
    assert set(models(world)) == {"embedded"}
    assert not world.written_files()


def test_a_checksum_given_by_hand_counts_before_the_hubs(world, hub):
    assert pull(world, hub, "--sha256", "0" * 64).returncode == 1
    assert pull(world, hub, "--sha256", hashlib.sha256(CONTENT).hexdigest()).returncode == 0


def test_an_interrupted_download_is_no_model_and_can_be_repeated(world, hub):
    hub.cut_after_bytes = 0
    pulled = pull(world, hub)
    assert pulled.returncode == 1
    assert "pull again" in pulled.stderr
    assert "Traceback" not in pulled.stderr
    assert set(models(world)) == {"embedded"}
    hub.cut_after_bytes = None
    assert pull(world, hub).returncode == 0
    assert Path(models(world)["tiny.q8_0"]["path"]).read_bytes() == CONTENT


def test_a_failed_pull_leaves_the_model_of_that_name_as_it_was(world, hub):
    assert pull(world, hub).returncode == 0
    hub.files["tiny.q8_0.gguf"] = CONTENT + b"newer"
    hub.stated["tiny.q8_0.gguf"] = "1" * 64
    assert pull(world, hub).returncode == 1
    assert Path(models(world)["tiny.q8_0"]["path"]).read_bytes() == CONTENT


def test_which_of_several_files_must_be_said(world, hub):
    hub.files["tiny.q4_0.gguf"] = b"GGUF other"
    pulled = pull(world, hub)
    assert pulled.returncode == 1
    assert "--file: tiny.q4_0.gguf, tiny.q8_0.gguf" in pulled.stderr
    assert pull(world, hub, "--file", "tiny.q4_0.gguf", "--name", "small").returncode == 0
    assert Path(models(world)["small"]["path"]).read_bytes() == b"GGUF other"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("owner/nothing",), "no model repository owner/nothing"),
        (("nothing",), "neither a short name"),
        (("owner/model", "--file", "none.gguf"), "has no file none.gguf"),
        (("owner/model", "--name", "../escape"), "cannot be a model's name"),
        (("a/b/c",), "OWNER/NAME"),
    ],
)
def test_what_cannot_be_pulled_is_explained(world, hub, arguments, said):
    pulled = world.foretype("model", "pull", *arguments, HF_ENDPOINT=hub.url)
    assert pulled.returncode in (1, 2)
    assert said in pulled.stderr
    assert "Traceback" not in pulled.stderr
    assert not world.written_files()


def test_a_hub_that_is_not_there_is_named(world):
    pulled = world.foretype("model", "pull", "owner/model", HF_ENDPOINT="http://127.0.0.1:9")
    assert pulled.returncode == 1
    assert "http://127.0.0.1:9" in pulled.stderr
    assert "Traceback" not in pulled.stderr


def test_a_model_given_by_path_is_written_as_an_absolute_path(world):
    (world.project / "mine.gguf").write_bytes(CONTENT)
    assert world.foretype("model", "use", "mine.gguf").returncode == 0
    assert tomllib.loads(world.settings_path.read_text())["model"] == str(world.project / "mine.gguf")


@pytest.mark.parametrize("name", ["nothing", "missing.gguf", "sweep-0.5b"])
def test_a_model_that_is_not_there_is_not_chosen(world, name):
    used = world.foretype("model", "use", name)
    assert used.returncode == 1
    assert name in used.stderr
    assert not world.settings_path.exists()


def test_info_says_why_a_file_is_no_model(world):
    (world.project / "text.gguf").write_text("just text")
    info = world.foretype("model", "info", "text.gguf")
    assert info.returncode == 1
    assert "is not a GGUF file" in info.stderr
    assert "Traceback" not in info.stderr
