"""The corpus is fetched from a registry on this machine: broken off, altered, missing, interrupted."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from capture.file_lock import FileLock
from training_export.errors import RunInterrupted, SourcesUnavailable
from training_export.student.sources.fetch import ATTEMPTS, fetch, missing
from training_export.student.sources.index import Registries
from training_export.student.sources.manifest import load_manifest


@pytest.fixture
def published(tmp_path, make_archive, make_manifest, registry, code):
    """Two packages that a registry hands out, their manifest and an empty folder to fetch into."""
    origin = tmp_path / "origin"
    make_archive(origin / "pypi" / "shop-1.0.tar.gz", {"shop-1.0/a.py": code("shop")})
    # Random bytes do not get smaller: there is a middle to break off in.
    make_archive(origin / "npm" / "kit-2.0.0.tgz", {"package/a.js": code("kit"), "package/b": os.urandom(300_000)})
    manifest = load_manifest(
        make_manifest(
            origin,
            [{"name": "shop"}, {"name": "kit"}],
            [
                {
                    "registry": "pypi", "name": "shop", "version": "1.0", "file": "shop-1.0.tar.gz",
                    "takes": [{"project": "shop"}],
                },
                {
                    "registry": "npm", "name": "@some/kit", "version": "2.0.0", "file": "kit-2.0.0.tgz",
                    "takes": [{"project": "kit"}],
                },
            ],
        )
    )  # fmt: skip
    for pinned in manifest.files():
        registry.publish(pinned.registry, pinned.name, pinned.file, pinned.path_in(origin).read_bytes())
    return manifest, tmp_path / "cache", registry


KIT = "/npm/@some/kit/-/kit-2.0.0.tgz"


def quickly(manifest, folder: Path, registry) -> int:
    return fetch(manifest, folder, registries=registry.registries(), first_pause_seconds=0.001)


def test_everything_is_fetched_once_and_the_second_run_asks_for_nothing(published):
    manifest, folder, registry = published
    assert quickly(manifest, folder, registry) == 2
    assert missing(manifest, folder) == ()
    asked = len(registry.requests)
    assert quickly(manifest, folder, registry) == 0
    assert len(registry.requests) == asked


def test_a_file_put_there_by_hand_is_not_fetched(published, tmp_path):
    manifest, folder, registry = published
    for pinned in manifest.files():
        pinned.path_in(folder).parent.mkdir(parents=True, exist_ok=True)
        pinned.path_in(folder).write_bytes(pinned.path_in(tmp_path / "origin").read_bytes())
    assert quickly(manifest, folder, registry) == 0
    assert registry.requests == []


def test_a_download_that_breaks_off_goes_on_where_it_stopped(published):
    manifest, folder, registry = published
    registry.breaks_off_after = [10**9, 100_000, 50_000]
    quickly(manifest, folder, registry)
    assert missing(manifest, folder) == ()
    ranges = [asked for path, asked in registry.requests if path == KIT]
    assert ranges == ["", "bytes=100000-", "bytes=150000-"]


def test_a_later_run_goes_on_in_the_file_that_an_earlier_one_began(published):
    manifest, folder, registry = published
    registry.breaks_off_after = [10**9, 100_000] + [0] * (ATTEMPTS - 1)
    with pytest.raises(SourcesUnavailable, match="what was fetched is kept"):
        quickly(manifest, folder, registry)
    assert [pinned.name for pinned in missing(manifest, folder)] == ["@some/kit"]
    registry.requests.clear()
    assert quickly(manifest, folder, registry) == 1
    assert registry.requests == [(KIT, "bytes=100000-")]


def test_a_server_without_ranges_sends_the_file_from_the_start_and_it_is_right(published):
    manifest, folder, registry = published
    registry.knows_ranges = False
    registry.breaks_off_after = [10**9, 100_000]
    quickly(manifest, folder, registry)
    assert missing(manifest, folder) == ()


def test_a_file_begun_with_other_content_is_thrown_away_and_had_with_the_next_run(published):
    manifest, folder, registry = published
    begun = manifest.files()[1].path_in(folder).with_name("kit-2.0.0.tgz.part")
    begun.parent.mkdir(parents=True)
    begun.write_bytes(b"x" * 1000)
    with pytest.raises(SourcesUnavailable, match="another SHA-256"):
        quickly(manifest, folder, registry)
    assert not begun.exists()
    assert quickly(manifest, folder, registry) == 1


def test_a_file_begun_that_is_longer_than_the_servers_is_begun_again(published):
    manifest, folder, registry = published
    good = registry.files[KIT]
    registry.files[KIT] = good[:500]
    begun = manifest.files()[1].path_in(folder).with_name("kit-2.0.0.tgz.part")
    begun.parent.mkdir(parents=True)
    begun.write_bytes(good[:1000])
    with pytest.raises(SourcesUnavailable, match=r"ended after 500 of|fewer bytes"):
        quickly(manifest, folder, registry)
    registry.files[KIT] = good
    quickly(manifest, folder, registry)
    assert missing(manifest, folder) == ()


@pytest.mark.parametrize("alter", [lambda data: data[:-1] + b"?", lambda data: data + b"more", lambda _: b""])
def test_an_altered_file_is_never_taken_in_and_the_good_one_is_kept(published, alter):
    manifest, folder, registry = published
    registry.files[KIT] = alter(registry.files[KIT])
    with pytest.raises(SourcesUnavailable, match=r"kit-2\.0\.0\.tgz"):
        quickly(manifest, folder, registry)
    assert [pinned.name for pinned in missing(manifest, folder)] == ["@some/kit"]
    assert not manifest.files()[1].path_in(folder).exists()


def test_a_damaged_file_of_the_folder_is_fetched_again(published):
    manifest, folder, registry = published
    quickly(manifest, folder, registry)
    place = manifest.files()[0].path_in(folder)
    place.write_bytes(b"?" * place.stat().st_size)
    assert quickly(manifest, folder, registry) == 1
    assert missing(manifest, folder) == ()


def test_a_busy_server_is_asked_again_and_a_broken_one_is_given_up(published):
    manifest, folder, registry = published
    registry.fails_with = [503, 429]
    assert quickly(manifest, folder, registry) == 2
    manifest.files()[0].path_in(folder).unlink()
    registry.requests.clear()
    registry.fails_with = [503] * (ATTEMPTS + 1)
    with pytest.raises(SourcesUnavailable, match="answers 503; run it again later"):
        quickly(manifest, folder, registry)
    assert len(registry.requests) == ATTEMPTS


def test_a_withdrawn_file_is_said_to_be_withdrawn_and_asked_for_once(published):
    manifest, folder, registry = published
    del registry.files[KIT]
    with pytest.raises(SourcesUnavailable, match=r"answers 404: the file was withdrawn.*NPM_CONFIG_REGISTRY"):
        quickly(manifest, folder, registry)
    assert [path for path, _ in registry.requests].count(KIT) == 1


def test_an_index_without_the_release_names_the_setting_that_chooses_another(published):
    manifest, folder, registry = published
    registry.files["/simple/shop/"] = b'{"files": []}'
    with pytest.raises(SourcesUnavailable, match=r"has no shop-1\.0\.tar\.gz.*PIP_INDEX_URL"):
        quickly(manifest, folder, registry)
    del registry.files["/simple/shop/"]
    with pytest.raises(SourcesUnavailable, match="has no package shop"):
        quickly(manifest, folder, registry)


@pytest.mark.parametrize("page", [b"<html>", b"[]", b'{"files": [3]}', b'{"files": [{"url": "x"}]}'])
def test_an_index_that_speaks_no_json_is_named(published, page):
    manifest, folder, registry = published
    registry.files["/simple/shop/"] = page
    with pytest.raises(SourcesUnavailable, match="does not answer in the form of PEP 691"):
        quickly(manifest, folder, registry)


def test_without_a_network_the_error_names_what_to_look_at(published):
    manifest, folder, _ = published
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        address = f"http://user:secret@127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SourcesUnavailable, match=r"cannot fetch shop.*HTTPS_PROXY") as caught:
            fetch(manifest, folder, registries=Registries(address, address), first_pause_seconds=0.001)
    assert "secret" not in str(caught.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_a_full_disk_is_said_to_be_full(published):
    manifest, folder, registry = published
    part = manifest.files()[0].path_in(folder).with_name("shop-1.0.tar.gz.part")
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    with pytest.raises(SourcesUnavailable, match="No space left on device; make room"):
        quickly(manifest, folder, registry)


def test_a_folder_that_cannot_be_made_is_an_error_with_the_cure(published, tmp_path):
    manifest, _, registry = published
    (tmp_path / "file").write_text("")
    with pytest.raises(SourcesUnavailable, match="name another folder"):
        quickly(manifest, tmp_path / "file" / "cache", registry)


def test_two_runs_do_not_write_the_same_file(published):
    manifest, folder, registry = published
    folder.mkdir()
    other = FileLock(folder / ".lock")
    assert other.take()
    with pytest.raises(SourcesUnavailable, match="another foretype"):
        quickly(manifest, folder, registry)
    other.close()
    assert quickly(manifest, folder, registry) == 2


def test_ctrl_c_ends_the_run_and_the_next_one_finishes_it(published, interruptible):
    manifest, folder, registry = published
    may_end = threading.Event()

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        may_end.wait()

    registry.while_sending = interrupt
    with pytest.raises(RunInterrupted, match="goes on where this one stopped"):
        quickly(manifest, folder, registry)
    registry.while_sending = None
    may_end.set()
    assert quickly(manifest, folder, registry) == 2
    assert missing(manifest, folder) == ()


def test_registries_are_those_of_pip_and_npm(tmp_path, monkeypatch):
    for name in ("PIP_INDEX_URL", "PIP_CERT", "NPM_CONFIG_REGISTRY", "npm_config_registry"):
        monkeypatch.delenv(name, raising=False)
    settings = tmp_path / "pip.conf"
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    settings.write_text("[global]\nindex-url = https://mirror.example/simple/\n")
    assert Registries.configured().pypi == "https://mirror.example/simple"
    monkeypatch.setenv("PIP_INDEX_URL", "https://other.example/simple")
    monkeypatch.setenv("npm_config_registry", "https://npm.example/")
    assert Registries.configured().pypi == "https://other.example/simple"
    assert Registries.configured().npm == "https://npm.example"
    assert Registries.configured({"PIP_CONFIG_FILE": os.devnull}) == Registries(
        "https://pypi.org/simple", "https://registry.npmjs.org"
    )


def test_certificates_that_cannot_be_read_are_named():
    with pytest.raises(SourcesUnavailable, match=r"/nowhere/ca\.pem.*PIP_CERT"):
        Registries(certificates="/nowhere/ca.pem").trust()
