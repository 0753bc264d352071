"""``foretype collect`` as it is typed: what cannot be served is said with its cure, and tokens are made and revoked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--listen 127.0.0.1:7400"),
        (("--listen", "127.0.0.1:0", "--data", "x"), "--plain-text"),
        (("--listen", "127.0.0.1:0", "--data", "x", "--certificate", "c.pem"), "--key"),
        (("--listen", "0.0.0.0:0", "--data", "x", "--plain-text"), "certificate"),
        (("--listen", "nowhere", "--data", "x", "--plain-text"), "127.0.0.1:7400"),
        (("--listen", "127.0.0.1:0", "--data", "x", "--plain-text", "--client-ca", "c.pem"), "--certificate"),
        (("--listen", "127.0.0.1:0", "--data", "x", "--plain-text", "--snapshots-per-minute", "3"), "one batch"),
    ],
)
def test_what_cannot_be_served_is_said_with_its_cure(command, arguments, words):
    result = command(*arguments)
    assert result.returncode != 0
    assert words in result.stderr


@pytest.mark.parametrize("missing", ["grpc", "limits", "prometheus_client", "grpc_health"])
def test_without_the_extra_it_says_what_to_install(tmp_path, command, missing):
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{missing!r}] = None\n")
    paths = f"{tmp_path}:{Path(__file__).parents[3]}"
    arguments = ("--listen", "127.0.0.1:0", "--plain-text", "--data", tmp_path / "data", "--tokens", tmp_path / "t")
    result = command(*arguments, PYTHONPATH=paths)
    assert result.returncode == 1
    assert "pip install 'foretype[collector]'" in result.stderr


def test_a_token_is_printed_once_listed_and_revoked_from_the_command_line(tmp_path, command):
    file = ("--tokens", tmp_path / "tokens.json")
    token = command("token", "add", "alice", *file).stdout.strip()
    assert token not in (tmp_path / "tokens.json").read_text()
    listed = json.loads(command("token", "list", "--json", *file).stdout)
    assert [(row["name"], row["state"]) for row in listed] == [("alice", "valid")]
    assert command("token", "revoke", "alice", *file).returncode == 0
    assert "revoked" in command("token", "list", *file).stdout
    nobody = command("token", "revoke", "bob", *file)
    assert nobody.returncode == 1
    assert "bob has no token" in nobody.stderr
