"""Commits in an order that somebody else found, in the form that Zed's ``split-commit`` reads: a JSON object a line.

``{"repo", "repo_url", "commit_sha", "reordered_commit", "original_commit", "diff_stats_match"}``: a patch whose hunks
apply one after the other. The files are read from clones of the repositories, so it must lead to the commit's files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from capture.snapshot.parts import public_url
from training_export.errors import RepositoryUnreadable
from training_export.example_format.files import Raw, Rejected, read_raw
from training_export.importing.changes import ChangeSet, Refused
from training_export.importing.commits import change_set_of
from training_export.importing.git_objects import Repository, opened_repository


def reordered_commits(source: str, repositories: Path) -> Iterator[ChangeSet | Refused]:
    """The commits of a file. ``repositories`` holds clones as ``owner/name`` or ``name``, or is the one that is meant.

    Raises ExamplesUnreadable where the file cannot be read.
    """
    with ExitStack() as stack:
        opened: tuple[Path, Repository] | None = None
        for raw in read_raw(source):
            if isinstance(raw, Rejected):
                yield Refused(f"{raw.source}:{raw.line}", raw.reason)
                continue
            try:
                value = _checked(raw)
                folder = _folder(repositories, value["repo"])
                if opened is None or opened[0] != folder:
                    stack.close()
                    opened = None
                    opened = folder, stack.enter_context(opened_repository(folder))
                repository = opened[1]
                yield change_set_of(
                    repository,
                    repository.commit(value["commit_sha"]),
                    reordered=value["reordered_commit"],
                    url=public_url(value.get("repo_url") or ""),
                )
            except (ValueError, RepositoryUnreadable) as error:
                yield Refused(f"{raw.source}:{raw.line}", str(error))


def _checked(raw: Raw) -> dict[str, Any]:
    """Raises ValueError that says what is wrong with the line."""
    try:
        value = orjson.loads(raw.data)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError("is no JSON object")  # noqa: TRY004  one reason for one line, whatever is wrong with it
    for key in ("repo", "commit_sha", "reordered_commit"):
        if not isinstance(value.get(key), str) or not value[key]:
            raise ValueError(f"lacks the text {key!r}")
    if not isinstance(value.get("repo_url") or "", str):
        raise ValueError("'repo_url' is no text")  # noqa: TRY004  as above
    if value.get("diff_stats_match") is False:
        raise ValueError("says itself that the reordered commit is not the commit (diff_stats_match)")
    return value


def _folder(repositories: Path, name: str) -> Path:
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or PurePosixPath(name).is_absolute():
        raise ValueError(f"{name!r} is no name of a repository")
    for candidate in (repositories.joinpath(*parts), repositories / parts[-1], repositories):
        if (candidate / ".git").exists() or (candidate / "HEAD").is_file():
            return candidate
    raise ValueError(f"there is no clone of {name} in {repositories}: clone it there as {name}")
