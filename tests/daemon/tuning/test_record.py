"""What was measured is kept, found again, and counts for what it was measured on alone."""

from __future__ import annotations

import json
import logging
import os
import stat
from dataclasses import asdict, fields, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.engine.messages import ModelSettings
from daemon.engine.ways import FlashAttention, KvType, Tuning
from daemon.tuning import record


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The cache directory of a person who has measured nothing yet."""
    monkeypatch.setattr("daemon.paths.cache_directory", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + bytes(2 * record.IDENTIFYING_BYTES))
    return path


def kept(model, **changes):
    """A record of ``model``, written."""
    tuning = Tuning(3, FlashAttention.OFF, KvType.F16, 32, "2026-01-02T03:04:05+00:00", "CPU; AVX = 1")
    made = record.Record(record.key_of(model, 0), replace(tuning, **changes))
    record.write(made)
    return made


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read(any_record, data):
    made = data.draw(any_record())
    assert record.write(made) == made.key.path
    assert record.read(made.key) == made
    assert ModelSettings.from_json(
        json.loads(json.dumps(ModelSettings("/m.gguf", tuning=made.tuning).to_json()))
    ) == ModelSettings("/m.gguf", tuning=made.tuning)


def test_a_record_is_found_for_the_model_it_was_made_for(model):
    made = kept(model)
    found = record.with_tuning(ModelSettings(str(model), "zeta2", 0, 4))
    assert found == ModelSettings(str(model), "zeta2", 0, 4, made.tuning)


def test_without_a_record_the_reason_says_what_to_run(model):
    found = record.with_tuning(ModelSettings(str(model)))
    assert found.tuning is None
    assert "foretype model tune" in found.why_untuned


def test_a_model_that_is_not_there_is_left_to_the_worker(tmp_path):
    wanted = ModelSettings(str(tmp_path / "none.gguf"))
    assert record.with_tuning(wanted) == wanted


@pytest.mark.parametrize(
    ("what", "value"),
    [("processor_name", "another one"), ("usable_cores", 3), ("_library_version", "9.9.9")],
)
def test_another_machine_or_library_uses_nothing_of_it(model, monkeypatch, what, value):
    kept(model)
    assert record.with_tuning(ModelSettings(str(model))).tuning is not None
    monkeypatch.setattr(record, what, lambda: value)
    assert record.with_tuning(ModelSettings(str(model))).tuning is None


def test_another_number_of_gpu_layers_uses_nothing_of_it(model):
    kept(model)
    assert record.with_tuning(ModelSettings(str(model), gpu_layers=5)).tuning is None


def test_a_model_that_changed_in_any_way_uses_nothing_of_it(model):
    status = model.stat()
    kept(model)
    text = model.read_bytes()

    def is_tuned():
        return record.with_tuning(ModelSettings(str(model))).tuning is not None

    os.utime(model, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert not is_tuned()
    model.write_bytes(b"GGUX" + text[4:])
    os.utime(model, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert not is_tuned()
    model.write_bytes(text + b"x")
    os.utime(model, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert not is_tuned()
    model.write_bytes(text)
    os.utime(model, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert is_tuned()


DAMAGES = {
    "empty": lambda _text: b"",
    "cut in the middle": lambda text: text[: len(text) // 2],
    "another form": lambda text: text.replace(b'"form": 2', b'"form": 1'),
    "no object": lambda _text: b"[]",
    "not UTF-8": lambda text: text + b"\xff",
    "nested without end": lambda _text: b"[" * 100_000,
    "no threads at all": lambda text: text.replace(b'"threads": 3', b'"threads": 0'),
    "half a thread": lambda text: text.replace(b'"threads": 3', b'"threads": 2.5'),
    "true threads": lambda text: text.replace(b'"threads": 3', b'"threads": true'),
    "threads set by a number": lambda text: text.replace(b'"threads_were_set": false', b'"threads_were_set": 0'),
    "an unknown kernel": lambda text: text.replace(b'"flash_attention": "off"', b'"flash_attention": "maybe"'),
    "kernels that are a list": lambda text: text.replace(b'"flash_attention": "off"', b'"flash_attention": ["off"]'),
    "an unknown cache": lambda text: text.replace(b'"kv_type": "f16"', b'"kv_type": "q2"'),
    "what llama.cpp refuses": lambda text: text.replace(b'"kv_type": "f16"', b'"kv_type": "q8_0"'),
    "a huge batch": lambda text: text.replace(b'"read_batch_tokens": 32', b'"read_batch_tokens": 99999'),
    "a text too few": lambda text: text.replace(b'"CPU; AVX = 1"', b"null"),
    "a key too many": lambda text: text.replace(b'"threads": 3', b'"threads": 3, "more": 1'),
    "no tuning": lambda text: text.replace(b'"tuning"', b'"turning"'),
    "no measurements": lambda text: text.replace(b'"measured"', b'"measure"'),
    "measurements of nothing": lambda text: text.replace(b'"measured": []', b'"measured": [3]'),
    "measurements without a way": lambda text: text.replace(b'"measured": []', b'"measured": [{"way": "fast"}]'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_is_named_in_the_log_and_not_used(model, caplog, damage):
    path = kept(model).key.path
    before = path.read_bytes()
    path.write_bytes(DAMAGES[damage](before))
    assert path.read_bytes() != before
    with caplog.at_level(logging.WARNING, "daemon.tuning.record"):
        found = record.with_tuning(ModelSettings(str(model)))
    assert found.tuning is None
    assert str(path) in found.why_untuned
    assert "foretype model tune" in found.why_untuned
    assert str(path) in caplog.text
    kept(model)
    assert record.with_tuning(ModelSettings(str(model))).tuning is not None, "measuring again cures it"


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_whatever_a_record_became_it_is_read_or_refused_with_a_reason(any_record, data):
    made = data.draw(any_record())
    text = bytearray(record.write(made).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        text[start : start + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    made.key.path.write_bytes(bytes(text))
    reason = ""
    try:
        found = record.read(made.key)
    except record.NoRecordError as refusal:
        reason = str(refusal)
    if reason:
        assert str(made.key.path) in reason
    else:
        assert Tuning.from_json(asdict(found.tuning)) == found.tuning


def test_a_record_under_the_name_of_another_is_not_used(model, tmp_path):
    made = kept(model)
    other = tmp_path / "other.gguf"
    other.write_bytes(b"GGUF another")
    record.key_of(other, 0).path.write_bytes(made.key.path.read_bytes())
    found = record.with_tuning(ModelSettings(str(other)))
    assert found.tuning is None
    assert "another model" in found.why_untuned


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_record_that_may_not_be_read_is_a_reason(model):
    path = kept(model).key.path
    path.chmod(0)
    assert str(path) in record.with_tuning(ModelSettings(str(model))).why_untuned


def test_a_directory_in_place_of_a_record_is_a_reason(model):
    path = kept(model).key.path
    path.unlink()
    path.mkdir()
    assert str(path) in record.with_tuning(ModelSettings(str(model))).why_untuned


def test_forgetting_removes_the_record_whatever_is_in_it(model):
    path = kept(model).key.path
    path.write_bytes(b"\x00")
    key = record.key_of(model, 0)
    assert record.forget(key)
    assert not path.exists()
    assert not record.forget(key)
    assert record.with_tuning(ModelSettings(str(model))).why_untuned == record.NOT_TUNED


def test_writing_replaces_the_record_and_leaves_nothing_beside_it(model, cache):
    kept(model)
    made = kept(model, threads=5)
    assert record.read(made.key).tuning.threads == 5
    assert [path.name for path in (cache / "tuning").iterdir()] == [made.key.path.name]


def test_writing_that_fails_leaves_the_record_as_it_was_and_nothing_beside_it(model, cache, monkeypatch):
    made = kept(model)
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError):
        record.write(replace(made, notes=("newer",)))
    assert record.read(made.key) == made
    assert [path.name for path in (cache / "tuning").iterdir()] == [made.key.path.name]


def test_a_record_holds_no_path_and_is_private(model):
    made = kept(model)
    assert str(model.parent) not in made.key.path.read_text()
    assert stat.S_IMODE(made.key.path.stat().st_mode) == 0o600


def test_every_part_of_the_key_changes_the_name(model):
    key = record.key_of(model, 0)
    assert key.processor
    assert key.cores == record.usable_cores()
    for field in fields(key):
        changed = replace(key, **{field.name: asdict(key)[field.name] + type(asdict(key)[field.name])(1)})
        assert changed.path != key.path, field.name
