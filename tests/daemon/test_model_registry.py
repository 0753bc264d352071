"""What a model's name means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemon import registry
from daemon.errors import ModelNotFound


@pytest.fixture
def models(tmp_path, monkeypatch):
    """The directory of pulled models of a person who has none yet."""
    monkeypatch.setattr("daemon.paths.models_directory", lambda: tmp_path / "models")
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def put(models, name):
    (models / f"{name}.gguf").write_bytes(b"GGUF")
    manifest = registry.Manifest(name, "owner/model", "file.gguf", "abc", "0" * 64, 4)
    (models / f"{name}.json").write_text(json.dumps(manifest.to_json()))


def test_embedded_is_the_file_in_the_package(models):
    assert registry.resolve("embedded").path == Path(registry.__file__).parent / "models" / "student.gguf"


def test_a_pulled_model_is_found_by_name(models):
    put(models, "tiny")
    model = registry.resolve("tiny")
    assert model.path == models / "tiny.gguf"
    assert model.manifest.repository == "owner/model"


@pytest.mark.parametrize("written", ["", "[]", '{"name": "tiny"}', "\x00"])
def test_a_manifest_nobody_can_read_is_no_model(models, written):
    put(models, "tiny")
    (models / "tiny.json").write_text(written)
    assert list(registry.pulled()) == []


def test_a_manifest_without_its_file_is_no_model(models):
    put(models, "tiny")
    (models / "tiny.gguf").unlink()
    with pytest.raises(ModelNotFound, match="embedded"):
        registry.resolve("tiny")


def test_an_absolute_path_is_that_file(models):
    assert registry.resolve("/some/where/x.gguf").path == Path("/some/where/x.gguf")
    assert registry.resolve("~/x.gguf").path == Path("~/x.gguf").expanduser()


def test_a_relative_path_needs_a_place_to_start_from(models, tmp_path):
    assert registry.resolve("x.gguf", relative_to=tmp_path).path == tmp_path / "x.gguf"
    with pytest.raises(ModelNotFound, match="absolute"):
        registry.resolve("x.gguf")


def test_a_known_model_that_is_not_here_says_how_to_get_it(models):
    with pytest.raises(ModelNotFound, match="foretype model pull zeta-2"):
        registry.resolve("zeta-2")


def test_an_unknown_name_lists_what_there_is(models):
    put(models, "tiny")
    with pytest.raises(ModelNotFound, match="embedded, tiny"):
        registry.resolve("tinny")
