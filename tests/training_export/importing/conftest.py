"""Real git repositories, and an applier of patches that trusts nothing but line numbers."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

AUTHOR = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


class GitRepository:
    """A repository in a folder, and its files by commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        done = subprocess.run(
            ["git", "-c", "protocol.file.allow=always", *arguments],
            cwd=self.folder,
            env={**environment, **AUTHOR},
            check=True,
            capture_output=True,
        )
        return done.stdout.decode(errors="surrogateescape").strip()

    def commit(self, files: dict[str, str | bytes | None], message: str = "Change") -> str:
        """Write (None: delete) these files, commit everything; gives the commit's name."""
        for path, content in files.items():
            file = self.folder / path
            if content is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path):
    return GitRepository(tmp_path / "shop")


@pytest.fixture
def new_repository(tmp_path):
    return lambda name: GitRepository(tmp_path / name)


HUNK = re.compile(r"@@ -(\d+),(\d+) \+(\d+),(\d+) @@")
NO_NEWLINE = "\\ No newline at end of file"


def applied_by_number(files: dict[str, str], patch: str) -> dict[str, str]:
    """The files after a patch, every line at the number that the header says, and none that is not expected there."""
    files = dict(files)
    lines = patch.split("\n")[:-1]
    at = 0
    while at < len(lines):
        assert lines[at].startswith("--- ")
        assert lines[at + 1].startswith("+++ ")
        old_path, new_path = lines[at][4:].removeprefix("a/"), lines[at + 1][4:].removeprefix("b/")
        at += 2
        text = "" if old_path == "/dev/null" else files.pop(old_path)
        ends = text.endswith("\n") or not text
        content = text.split("\n")
        if not content[-1]:
            content.pop()
        while at < len(lines) and (header := HUNK.match(lines[at])):
            _, old_count, new_start, new_count = map(int, header.groups())
            at += 1
            row = new_start - 1
            while old_count or new_count or (at < len(lines) and lines[at] == NO_NEWLINE):
                if lines[at] == NO_NEWLINE:
                    ends = lines[at - 1].startswith("-")
                    at += 1
                    continue
                sign, line = lines[at][:1], lines[at][1:]
                at += 1
                if sign != "+":
                    assert content[row] == line
                    old_count -= 1
                if sign == "-":
                    del content[row]
                    continue
                if sign == "+":
                    content.insert(row, line)
                new_count -= 1
                row += 1
        if new_path == "/dev/null":
            assert not content
        else:
            files[new_path] = "\n".join(content) + ("\n" if content and ends else "")
    return files


@pytest.fixture
def replay():
    """The files at the example's moment, and those after the target and the rest, from the parent's files."""

    def call(example, parent: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        begun = applied_by_number(parent, example.uncommitted_diff)
        moment = applied_by_number(begun, example.edit_history)
        after = dict(moment)
        (patch,) = example.expected_patches
        if example.tags == ("split:cross-file",):
            after = applied_by_number(after, patch)
        elif patch:
            inputs = example.prompt_inputs
            rows = after[example.cursor_path].split("\n")
            first, last = inputs.excerpt_start_row, inputs.excerpt_start_row + inputs.cursor_excerpt.count("\n") + 1
            assert "\n".join(rows[first:last]) == inputs.cursor_excerpt
            is_end = last == len(rows)
            excerpt = inputs.cursor_excerpt
            changed = applied_by_number({example.cursor_path: excerpt}, patch)[example.cursor_path]
            after[example.cursor_path] = "\n".join([*rows[:first], changed, *([] if is_end else rows[last:])])
        return moment, applied_by_number(after, example.value["foretype"].get("rest_patch", ""))

    return call
