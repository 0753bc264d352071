"""Finding another distribution that owns one of our packages, by its installation record."""

from __future__ import annotations

from importlib import metadata

import pytest

from daemon.ownership import clashes


def installed(site, name, record=None, top_level=None):
    directory = site / f"{name.replace('-', '_')}-1.0.dist-info"
    directory.mkdir()
    (directory / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    if record is not None:
        (directory / "RECORD").write_text(record)
    if top_level is not None:
        (directory / "top_level.txt").write_text(top_level)


def found(site):
    return [(clash.package, clash.distribution) for clash in clashes(metadata.distributions(path=[str(site)]))]


@pytest.mark.parametrize("package", ["daemon", "capture", "training_export"])
def test_a_record_with_files_in_our_package_names_its_distribution(tmp_path, package):
    installed(tmp_path, "python-daemon", record=f"{package}/__init__.py,,\n")
    assert found(tmp_path) == [(package, "python-daemon")]


def test_an_old_installation_is_known_by_its_list_of_packages(tmp_path):
    installed(tmp_path, "old-egg", top_level="daemon\nlockfile\n")
    assert found(tmp_path) == [("daemon", "old-egg")]


def test_names_that_only_look_alike_are_no_clash(tmp_path):
    installed(tmp_path, "daemonize", record="daemonize/__init__.py,,\nlib/daemon/x.py,,\n", top_level="daemons\n")
    installed(tmp_path, "Foretype", record="daemon/__init__.py,,\n")
    installed(tmp_path, "without-a-record")
    assert found(tmp_path) == []


def test_here_and_now_nobody_else_owns_them():
    assert clashes() == []
