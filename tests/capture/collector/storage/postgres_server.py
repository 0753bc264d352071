"""A PostgreSQL server of the test's own: in a temporary folder, on a unix socket only, run by an ordinary user."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

import psycopg

READY = b"database system is ready to accept connections"
USER = "collector"
START_SECONDS = 60


class NotInstalled(Exception):
    """Names the package."""


def programs():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    on_path = shutil.which("postgres")
    if not found and on_path is None:
        raise NotInstalled("PostgreSQL's server is not installed: apt-get install postgresql")
    return Path(found[-1] if found else on_path).parent


class Server:
    """Stopped in the ways that databases stop, and started again."""

    def __init__(self):
        self._programs = programs()
        self._folder = Path(tempfile.mkdtemp(prefix="ft-pg-", dir="/tmp"))  # sockets need a short path
        self._as = {}
        if os.geteuid() == 0:  # PostgreSQL does not run as root
            nobody = pwd.getpwnam("nobody")
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._process = None
        self._run("initdb", "-D", self._folder / "data", "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C")
        self.start()

    def start(self):
        self._process = subprocess.Popen(
            [
                self._programs / "postgres", "-D", self._folder / "data", "-k", self._folder,
                "-c", "listen_addresses=", "-c", "max_connections=60",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=self._folder,
            **self._as,
        )  # fmt: skip
        is_ready = threading.Event()
        threading.Thread(target=self._drain, args=(self._process.stderr, is_ready), daemon=True).start()
        assert is_ready.wait(START_SECONDS), "PostgreSQL did not start"

    def stop(self, how=signal.SIGINT):
        """SIGINT: connections are closed; SIGQUIT: as in a crash, which the next start has to recover from."""
        self._process.send_signal(how)
        self._process.wait(START_SECONDS)

    def empty_database(self):
        """The URL of a database in which no collector has been."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SET client_min_messages TO warning")
            connection.execute("DROP SCHEMA IF EXISTS foretype_collector CASCADE")
        return self.url

    @property
    def url(self):
        return f"postgresql:///postgres?host={self._folder}&user={USER}"

    def remove(self):
        if self._process is not None and self._process.poll() is None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder)

    def _run(self, program, *arguments):
        subprocess.run(
            [self._programs / program, *arguments], check=True, cwd=self._folder, capture_output=True, **self._as
        )

    def _drain(self, stream, is_ready):
        with stream:
            for line in stream:
                if READY in line:
                    is_ready.set()
