"""What becomes of real commits: those of texts are cut, everything else is left out with a reason."""

from __future__ import annotations

import os
from random import Random

import pytest

from training_export.errors import RepositoryUnreadable
from training_export.example import Example
from training_export.importing.changes import MAX_FILE_BYTES, Refused
from training_export.importing.commits import commits_of
from training_export.importing.splitting import SplitSettings, examples_of


@pytest.fixture
def commits(repository):
    return lambda *revisions: list(commits_of(repository.folder, revisions or ["HEAD"]))


@pytest.fixture
def left_out(repository, commits):
    """What of the second commit is left out, by path."""

    def call(before, after):
        repository.commit({"a.py": "a = 1\n", **before})
        repository.commit({"a.py": "a = 2\n", **after})
        found = commits("HEAD~1..HEAD")[0]
        assert [change.path for change in found.changes] == ["a.py"]
        return {each.path: each.reason for each in found.left_out}

    return call


def test_a_commit_has_the_texts_before_and_after_and_its_name(repository, commits):
    repository.commit({"a.py": "a = 1\n", "ünï/b.py": "b = 1\n", "gone.py": "c\n"})
    sha = repository.commit({"a.py": "a = 2\n", "ünï/b.py": "b = 2\n", "gone.py": None, "new.py": "d\n"})
    newest, first = commits()
    assert {(each.path, each.before, each.after) for each in newest.changes} == {
        ("a.py", "a = 1\n", "a = 2\n"), ("ünï/b.py", "b = 1\n", "b = 2\n"), ("gone.py", "c\n", None),
        ("new.py", None, "d\n"),
    }  # fmt: skip
    assert (newest.revision, newest.name) == (f"{sha}~1", f"shop-{sha[:8]}")
    assert isinstance(first, Refused)
    assert "first commit" in first.reason


def test_random_commits_come_back_from_their_examples(repository, commits, replay):
    random = Random(7)
    texts = {f"src/f{number}.py": "".join(f"line_{row} = {row % 7}\n" for row in range(30)) for number in range(3)}
    repository.commit(texts)
    history = [dict(texts)]
    for number in range(12):
        for path in random.sample(sorted(texts), 2):
            lines = texts[path].split("\n")[:-1]
            start = random.randrange(len(lines))
            lines[start : start + random.randrange(3)] = [f"new_{number} = {random.random()}"] * random.randrange(1, 4)
            texts[path] = "".join(f"{line}\n" for line in lines)
        if number % 4 == 3:
            texts[f"src/extra{number}.py"] = texts.pop(min(texts))
        repository.git("rm", "-rq", "--cached", ".")
        for path in repository.folder.glob("src/*"):
            path.unlink()
        repository.commit(texts)
        history.append(dict(texts))
    count = 0
    for change_set, parent, child in zip(commits(), reversed(history[:-1]), reversed(history[1:]), strict=False):
        for example in examples_of(change_set, SplitSettings(samples=4, min_lines=1)):
            if isinstance(example, Refused):
                assert "is the same as" in example.reason
                continue
            count += 1
            assert replay(example, parent)[1] == child
    assert count > 30


def test_a_renamed_file_is_one_change_with_the_old_name_until_the_end(repository, commits, replay):
    text = "".join(f"line_{number} = {number}\n" for number in range(20))
    repository.commit({"old.py": text, "still.py": text.upper()})
    changed = text.replace("= 3\n", "= 30\n")
    repository.commit({"old.py": None, "new.py": changed, "still.py": None, "moved.py": text.upper()})
    (change_set, _) = commits()
    assert {(each.path, each.new_path) for each in change_set.changes} == {
        ("old.py", "new.py"),
        ("still.py", "moved.py"),
    }
    for example in examples_of(change_set, SplitSettings(samples=3)):
        if isinstance(example, Example):
            assert example.cursor_path == "old.py"
            assert replay(example, {"old.py": text, "still.py": text.upper()})[1] == {
                "new.py": changed, "moved.py": text.upper()
            }  # fmt: skip


def test_a_commit_that_moves_a_submodule_is_refused_as_a_whole(repository, new_repository, commits):
    other = new_repository("parts")
    other.commit({"x.py": "x\n"})
    repository.commit({"a.py": "a = 1\n"})
    repository.git("submodule", "add", "-q", str(other.folder), "parts")
    repository.commit({"a.py": "a = 2\n"})
    (refused, _) = commits()
    assert isinstance(refused, Refused)
    assert refused.reason == "changes the submodule parts"
    assert refused.source.startswith("shop@")


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (b"\x89PNG\0", b"\x89PNG\0\0", "is binary"),
        ("gr\xfc\xdfe\n".encode("latin-1"), b"ok\n", "is not UTF-8: byte 2 is 0xfc"),
        (b"a\n", b"b\n" * MAX_FILE_BYTES, "is larger than"),
        (b"a\n", b"x" * 5000 + b"\n", "has a line of more than"),
        (b"a\n", b"a\rb\n", "has a carriage return within a line"),
        (b"a\n", b"<|user_cursor|>\n", "would be taken for the cursor"),
        (b"a\r\nb\r\n", b"a\nb\n", "only its line ends or its mode differ"),
    ],
)
def test_what_is_no_text_is_left_out_with_the_reason(left_out, before, after, reason):
    (said,) = left_out({"x.dat": before}, {"x.dat": after}).values()
    assert reason in said


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("config/.env", "secret-file pattern"),
        ("server.PEM", "secret-file pattern"),
        ("two words.py", "white space"),
        ('quo"te.py', "a quote"),
        (os.fsdecode(b"b\xfcro.py"), "not UTF-8"),
    ],
)
def test_files_that_must_or_can_not_be_named_are_left_out(left_out, path, reason):
    (said,) = left_out({path: "a\n"}, {path: "b\n"}).values()
    assert reason in said


def test_deleted_files_go_with_the_rest_and_empty_ones_are_left_out(repository, commits, replay):
    before = {"a.py": "a = 1\n", "gone.py": "b = 1\nc = 2", "empty.py": ""}
    repository.commit(before)
    repository.commit({"a.py": "a = 2\nb = 3\n", "gone.py": None, "empty.py": None})
    found = commits()[0]
    assert [(each.path, each.reason) for each in found.left_out] == [("empty.py", "is empty and deleted")]
    (example,) = examples_of(found, SplitSettings())
    parent = {path: text for path, text in before.items() if text}
    assert replay(example, parent)[1] == {"a.py": "a = 2\nb = 3\n"}


def test_links_modes_and_new_files_without_a_last_newline_are_left_out(repository, left_out):
    repository.commit({"run.sh": "echo\n"})
    (repository.folder / "link.py").symlink_to("a.py")
    repository.git("add", "-A")
    found = left_out({}, {"new.py": "no newline"})
    assert "without a newline" in found["new.py"]
    (repository.folder / "run.sh").chmod(0o755)
    (repository.folder / "link.py").unlink()
    (repository.folder / "link.py").symlink_to("run.sh")
    repository.commit({"a.py": "a = 3\n"})
    found = {each.path: each.reason for each in next(commits_of(repository.folder, ["HEAD"])).left_out}
    assert found == {
        "run.sh": "only its line ends or its mode differ", "link.py": "is a link, or becomes or was one"
    }  # fmt: skip


def test_crlf_is_read_as_models_see_it(repository, commits):
    repository.commit({"a.py": "a = 1\r\nb = 2\r\n"})
    repository.commit({"a.py": "a = 1\r\nb = 3\r\nc = 4\r\n"})
    (example,) = examples_of(commits()[0], SplitSettings())
    assert isinstance(example, Example)
    assert "\r" not in example.to_line()


def test_what_is_left_out_is_told_in_the_example_and_in_a_refusal(repository, commits):
    repository.commit({"a.py": "a = 1\n", "x.png": b"\0"})
    repository.commit({"a.py": "a = 2\nb = 3\n", "x.png": b"\0\0"})
    repository.commit({"x.png": b"\0\0\0"})
    only_binary, mixed, _ = commits()
    (refused,) = examples_of(only_binary, SplitSettings())
    assert refused.reason.startswith("no text file is changed (left out: x.png is binary")
    (example,) = examples_of(mixed, SplitSettings())
    (told,) = example.value["foretype"]["split"]["left_out"]
    assert told["path"] == "x.png"


def test_merges_are_passed_over_and_a_range_is_what_git_says(repository, commits):
    repository.commit({"a.py": "a = 1\n"})
    repository.git("checkout", "-qb", "side")
    side = repository.commit({"b.py": "b = 1\n"})
    repository.git("checkout", "-q", "main")
    main = repository.commit({"a.py": "a = 2\n"})
    repository.git("merge", "-q", "--no-edit", "side")
    assert {found.identity for found in commits("main~1..main")} == {side}
    assert {found.identity for found in commits("side..main")} == {main}
    assert len(list(commits_of(repository.folder, ["main"], max_count=1))) == 1


@pytest.mark.parametrize("revision", ["no-such-branch", "--all", "--output=x"])
def test_a_revision_that_git_does_not_know_is_an_error_with_gits_words(repository, commits, revision):
    repository.commit({"a.py": "a\n"})
    with pytest.raises(RepositoryUnreadable, match="cannot list these commits of shop"):
        commits(revision)
    assert not (repository.folder / "x").exists()


def test_a_folder_without_a_repository_is_an_error(tmp_path):
    with pytest.raises(RepositoryUnreadable, match="no git repository"):
        list(commits_of(tmp_path, ["HEAD"]))


def test_the_address_has_no_password_and_names_the_examples(repository, commits):
    repository.git("remote", "add", "origin", "https://ada:secret@example.org/ada/basket.git")
    repository.commit({"a.py": "a\n"})
    repository.commit({"a.py": "b\nc\n"})
    found = commits()[0]
    assert found.repository_url == "https://example.org/ada/basket.git"
    assert found.name.startswith("basket-")


def test_a_repository_cannot_make_us_run_its_programs(repository, commits, tmp_path, monkeypatch):
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    trap.chmod(0o755)
    repository.commit({"a.py": "a\n"})
    repository.commit({"a.py": "b\nc\n", ".gitattributes": "*.py diff=evil filter=evil\n"})
    for key in ("diff.evil.textconv", "diff.evil.command", "diff.external", "core.fsmonitor", "filter.evil.smudge"):
        repository.git("config", key, str(trap))
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(trap))
    assert {change.path for change in commits()[0].changes} == {"a.py", ".gitattributes"}
    assert not (tmp_path / "ran").exists()
