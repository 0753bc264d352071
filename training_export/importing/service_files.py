"""Files that programs write or that say how a project is built: nobody is helped with an edit there."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final

_FOLDERS: Final = frozenset({
    "dist", "build", "out", "target", "coverage", "node_modules", "vendor", "third_party", "__snapshots__",
    ".github", ".circleci", ".gitlab", ".buildkite", ".husky", ".idea", ".vscode",
})  # fmt: skip
_NAMES: Final = frozenset({
    "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lockb", "cargo.lock",
    "poetry.lock", "pdm.lock", "uv.lock", "pipfile.lock", "gemfile.lock", "composer.lock", "go.sum", "flake.lock",
    "mix.lock", "podfile.lock", "packages.lock.json", ".gitlab-ci.yml", ".travis.yml", "azure-pipelines.yml",
    "appveyor.yml", "jenkinsfile", ".gitignore", ".gitattributes", ".gitmodules", ".editorconfig",
})  # fmt: skip
_ENDINGS: Final = re.compile(
    r"(?:\.min\.(?:js|css)|\.(?:lock|map|snap|svg|po|pot|sum)|[._]pb2?(?:_grpc)?\.(?:go|py|pyi|cc|h|ts|js)"
    r"|[._-]generated\.\w+|\.g\.(?:cs|dart)|\.designer\.cs)$"
)


def is_service_file(path: str) -> bool:
    """Whether the file at ``path`` (relative to the repository) is a lock file, minified, generated, CI or vendored."""
    parts = PurePosixPath(path.lower())
    return parts.name in _NAMES or bool(_FOLDERS & set(parts.parts[:-1])) or bool(_ENDINGS.search(parts.name))
