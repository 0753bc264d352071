"""Where an archive of the corpus is to be had: PyPI's and npm's addresses, or those of the mirrors a user has set up.

PyPI's is asked in JSON (PEP 691), as pip is configured: the environment's ``PIP_INDEX_URL``, else what ``pip config``
has, else pypi.org. npm's address is made of the name (``NPM_CONFIG_REGISTRY``, else registry.npmjs.org).
"""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit, urlunsplit

from training_export.errors import SourcesUnavailable
from training_export.student.sources.manifest import Pinned

if TYPE_CHECKING:
    import httpx2

PYPI: Final = "https://pypi.org/simple"
NPM: Final = "https://registry.npmjs.org"
JSON_INDEX: Final = "application/vnd.pypi.simple.v1+json"
PIP_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Registries:
    """Where to ask; ``certificates`` is a file of those to trust, empty for the system's."""

    pypi: str = PYPI
    npm: str = NPM
    certificates: str = ""

    @classmethod
    def configured(cls, environment: Mapping[str, str] | None = None) -> Registries:
        """As this user's pip and npm are set up."""
        environment = os.environ if environment is None else environment
        npm = environment.get("NPM_CONFIG_REGISTRY") or environment.get("npm_config_registry") or NPM
        pypi = environment.get("PIP_INDEX_URL") or _set_for_pip("global.index-url", environment) or PYPI
        certificates = environment.get("PIP_CERT") or _set_for_pip("global.cert", environment)
        return cls(pypi.rstrip("/"), npm.rstrip("/"), certificates)

    def trust(self) -> ssl.SSLContext:
        """What a connection is checked against. Raises SourcesUnavailable where the certificates cannot be read."""
        try:
            return ssl.create_default_context(cafile=self.certificates or None)
        except OSError as error:
            raise SourcesUnavailable(
                f"cannot read the certificates {self.certificates}: {error}; correct PIP_CERT or pip's `cert`"
            ) from error


def address_of(pinned: Pinned, registries: Registries, client: httpx2.Client) -> str:
    """The address of the file. Raises SourcesUnavailable where the index has none, and what the client raises."""
    if pinned.registry == "npm":
        # A scoped package's file is named without its scope.
        return f"{registries.npm}/{pinned.name}/-/{pinned.name.rpartition('/')[2]}-{pinned.version}.tgz"
    page = f"{registries.pypi}/{re.sub(r'[-_.]+', '-', pinned.name).lower()}/"
    response = client.get(page, headers={"Accept": JSON_INDEX})
    if response.status_code == 404:
        raise SourcesUnavailable(f"{shown(page)} has no package {pinned.name}; is it a full mirror of PyPI?")
    response.raise_for_status()
    try:
        files = {str(file["filename"]): file for file in response.json()["files"]}
    except (ValueError, KeyError, TypeError) as error:
        raise SourcesUnavailable(
            f"{shown(page)} does not answer in the form of PEP 691; name another index with PIP_INDEX_URL"
        ) from error
    if pinned.file not in files:
        raise SourcesUnavailable(
            f"{shown(page)} has no {pinned.file}: the release was withdrawn, or the mirror lacks it; "
            "name another index with PIP_INDEX_URL"
        )
    return urljoin(str(response.url), str(files[pinned.file]["url"]))


def shown(address: str) -> str:
    """The address without a name and password in it."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _set_for_pip(key: str, environment: Mapping[str, str]) -> str:
    """What pip's files say; empty where they say nothing, or there is no pip."""
    asked = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "get", key]
    try:
        answer = subprocess.run(
            asked, env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=PIP_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
