"""Which collectors may be sent to at all, and what is said of the others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from capture.upload.target import Target, TargetUnusable, certificates_of, problem, setup_of


@pytest.mark.parametrize(
    "address", ["127.0.0.1:80", "127.8.9.1:4317", "[::1]:4317", "localhost:4317", "127.0.0.1:65535"]
)
def test_plain_text_goes_to_this_machine_when_it_is_asked_for(address):
    assert problem(Target(address, plain_text=True)) == ""


@pytest.mark.parametrize(
    "address",
    [
        "team.example:4317", "10.0.0.1:80", "0.0.0.0:80", "[::]:80", "[::ffff:127.0.0.1]:80", "localhost.example:80",
        "127.0.0.1.example:80", "128.0.0.1:80", "127.1:80", "[fe80::1]:80", "localhost.:80",
    ],
)  # fmt: skip
def test_plain_text_goes_nowhere_else(address):
    assert "plain text may go to this machine only" in problem(Target(address, plain_text=True))


@pytest.mark.parametrize(
    "address",
    [
        "", "team.example", "team.example:", ":80", "team.example:0", "team.example:65536", "https://team.example:443",
        "unix:/tmp/socket", "unix:80:80", "dns:///team.example:80", "a:80,b:80", "user@team.example:80", "te am:80",
        "[::1]", "::1:80", "[zz]:80", "team.example:80\n", "team.example:\uff18\uff10", "%6c:80",
    ],
)  # fmt: skip
def test_an_address_is_one_host_and_port_and_nothing_else(address):
    assert "is not host:port" in problem(Target(address))
    assert "is not host:port" in problem(Target(address, plain_text=True))


@given(st.text())
def test_whatever_the_address_is_it_is_judged_and_never_both_remote_and_in_plain_text(address):
    found = problem(Target(address, plain_text=True))
    assert found or address.rpartition(":")[0].startswith(("127.", "[", "localhost"))


def test_a_name_that_looks_like_a_scheme_is_a_host():
    assert problem(Target("unix:80")) == ""
    assert "plain text may go to this machine only" in problem(Target("unix:80", plain_text=True))


def test_tls_is_what_is_used_unless_said_otherwise(tmp_path, authority):
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(file)
    assert problem(Target("team.example:4317")) == ""
    assert certificates_of(Target("team.example:4317", ca_file=str(file))).authorities == authority.cert_pem.bytes()


def test_the_systems_authorities_count_where_no_file_is_named(tmp_path, monkeypatch, authority):
    file = tmp_path / "system.pem"
    authority.cert_pem.write_to_path(file)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert certificates_of(Target("team.example:4317")).authorities == authority.cert_pem.bytes()


def test_a_missing_authority_file_is_named_with_the_reason(tmp_path):
    found = problem(Target("team.example:1", ca_file=str(tmp_path / "none.pem")))
    assert "none.pem: No such file" in found


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_an_authority_file_without_certificates_is_named(tmp_path, content):
    file = tmp_path / "authority.pem"
    file.write_bytes(content)
    assert "holds no certificates" in problem(Target("team.example:1", ca_file=str(file)))


@pytest.fixture
def client_files(tmp_path, authority):
    """Files of a client certificate and its key, and of another key."""
    issued, other = authority.issue_cert("client.example"), trustme.CA().issue_cert("client.example")
    names = [tmp_path / name for name in ("certificate.pem", "key.pem", "other.pem")]
    issued.cert_chain_pems[0].write_to_path(names[0])
    issued.private_key_pem.write_to_path(names[1])
    other.private_key_pem.write_to_path(names[2])
    return [str(name) for name in names]


def test_a_client_certificate_comes_with_its_own_key(client_files):
    certificate, key, other = client_files
    assert problem(Target("team.example:1", certificate_file=certificate, key_file=key)) == ""
    assert "are no certificate and its key" in problem(
        Target("team.example:1", certificate_file=certificate, key_file=other)
    )
    assert "needs its key" in problem(Target("team.example:1", certificate_file=certificate))
    assert "needs its key" in problem(Target("team.example:1", key_file=key))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_key_that_may_not_be_read_is_named(client_files):
    certificate, key, _ = client_files
    Path(key).chmod(0)
    assert "key.pem: Permission denied" in problem(Target("team.example:1", certificate_file=certificate, key_file=key))


def test_certificates_and_plain_text_contradict_each_other(authority_file):
    assert "of no use with plain text" in problem(Target("[::1]:1", ca_file=str(authority_file), plain_text=True))


def test_a_token_has_one_source():
    assert "choose one" in problem(Target("team.example:1", token_file="/token", token_in_keyring=True))


@pytest.mark.parametrize("name", ["token_file", "ca_file", "certificate_file", "key_file"])
def test_files_are_named_by_absolute_paths(name):
    other = {"certificate_file": {"key_file": "/key"}, "key_file": {"certificate_file": "/certificate"}}.get(name, {})
    assert "no absolute path" in problem(Target("team.example:1", **{name: "here.pem"}, **other))


def test_nothing_is_read_for_a_target_that_is_refused(tmp_path):
    with pytest.raises(TargetUnusable, match="plain text"):
        certificates_of(Target("team.example:1", ca_file=str(tmp_path / "none.pem"), plain_text=True))


def test_the_setup_is_another_once_a_file_or_a_setting_is(tmp_path):
    token = tmp_path / "token"
    target = Target("team.example:1", token_file=str(token))
    seen = [setup_of(target)]
    token.write_text("one")
    seen.append(setup_of(target))
    token.chmod(0o640)
    seen.append(setup_of(target))
    replacement = tmp_path / "replacement"
    replacement.write_text("two")
    replacement.replace(token)
    seen.append(setup_of(target))
    seen.append(setup_of(Target("team.example:2", token_file=str(token))))
    assert len(set(seen)) == len(seen)
    assert setup_of(target) == setup_of(target)
