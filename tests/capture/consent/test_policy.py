"""A policy forbids what it says; what cannot be understood of it forbids everything."""

import pytest

from capture.consent.policy import PolicyFile, read_policy, system_policy_path


@pytest.mark.parametrize(
    ("text", "capture", "upload"),
    [
        ("", False, False),
        ('capture = "allowed"\nupload = "allowed"\n', False, False),
        ('capture = "forbidden"\n', True, False),
        ('upload = "forbidden"  # only that\n', False, True),
        ('capture = "forbidden"\nupload = "forbidden"\n', True, True),
        # An unknown is a no
        ('capture = "forbiden"\n', True, True),
        ("capture = false\n", True, True),
        ('Capture = "forbidden"\n', True, True),
        ('telemetry = "forbidden"\n', True, True),
        ('capture = "allowed"\ncapture = "forbidden"\n', True, True),
        ("capture", True, True),
    ],
)
def test_what_is_forbidden(tmp_path, text, capture, upload):
    path = tmp_path / "policy.toml"
    path.write_text(text)
    policy = read_policy(path)
    assert (bool(policy.capture_refusal), bool(policy.upload_refusal)) == (capture, upload)
    for reason in (policy.capture_refusal, policy.upload_refusal):
        assert not reason or str(path) in reason


def test_without_a_file_nothing_is_forbidden(tmp_path):
    assert read_policy(tmp_path / "none" / "policy.toml") == read_policy(tmp_path / "policy.toml")
    assert not read_policy(tmp_path / "policy.toml").capture_refusal


def test_a_file_that_cannot_be_read_forbids_and_says_why(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_bytes(b"\xff\xfe")
    assert "not valid TOML" in read_policy(path).capture_refusal
    path.unlink()
    path.mkdir()
    assert "cannot be read" in read_policy(path).capture_refusal
    loop = tmp_path / "loop.toml"
    loop.symlink_to(loop)
    assert "cannot be read" in read_policy(loop).upload_refusal


def test_a_change_counts_from_the_next_question_on(tmp_path):
    file = PolicyFile(tmp_path / "policy.toml")
    for _ in range(20):
        file.path.write_text('capture = "forbidden"\n')
        assert file.current.capture_refusal
        file.path.write_text('capture = "allowed"\n# ')  # of the same length
        assert not file.current.capture_refusal
    file.path.unlink()
    assert not file.current.capture_refusal


def test_no_variable_moves_the_policy(monkeypatch):
    before = system_policy_path()
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "FORETYPE_CONFIG"):
        monkeypatch.setenv(name, "/tmp/elsewhere")
    assert system_policy_path() == before
    assert before.is_absolute()
