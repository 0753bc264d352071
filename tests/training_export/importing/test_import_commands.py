"""``foretype import`` and ``foretype split-commit`` as a person meets them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from daemon.errors import ForetypeError
from training_export.commands.example_check import check_examples
from training_export.commands.import_ import application as import_application
from training_export.commands.split_commit import application as split_commit_application
from training_export.example_format.files import Loaded, read_examples

TEXT = "".join(f"line_{number} = {number}\n" for number in range(30))
SPEC = {"repository_url": "", "revision": "", "cursor_path": "a.py", "cursor_position": "<|user_cursor|>a\n",
        "edit_history": "", "expected_patches": []}  # fmt: skip
PAGE = """\
+++
repository_url = ""
revision = ""
+++

## Cursor Position

```a.py
a<|user_cursor|>
```

## Edit History

```diff
```

## Thoughts

```
what is this
```
"""


@pytest.fixture
def foretype(tmp_path, monkeypatch):
    """Run a command in an empty folder; gives exit code, standard output and error."""
    monkeypatch.chdir(tmp_path)

    def call(command, *arguments):
        application = {"import": import_application, "split-commit": split_commit_application}[command]
        done = CliRunner().invoke(application, list(map(str, arguments)))
        if isinstance(done.exception, ForetypeError):
            return done.exception.exit_code, done.stdout, str(done.exception)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        return done.exit_code, done.stdout, done.stderr

    return call


@pytest.fixture
def shop(repository):
    repository.commit({"src/cart.py": TEXT, "src/use.py": TEXT.upper()})
    for number in range(6):
        changed = TEXT.replace(f"= {number}\n", f"= {number * 100}\nextra_{number} = 1\n")
        repository.commit({"src/cart.py": changed, "src/use.py": changed.upper(), "icon.png": b"\0" * (number + 1)})
    return repository


def loaded(path):
    found = list(read_examples(str(path)))
    assert all(isinstance(each, Loaded) for each in found)
    return [each.example for each in found]


def test_split_commit_writes_examples_that_the_check_finds_nothing_bad_in(foretype, shop, tmp_path):
    code, out, err = foretype("split-commit", shop.folder, "--samples", 3, "-o", "out.jsonl")
    assert (code, out) == (0, "")
    found = loaded(tmp_path / "out.jsonl")
    assert f"split-commit: {len(found)} examples to out.jsonl" in err
    assert len(found) > 12
    assert len({each.name for each in found}) == len(found)
    report = check_examples(str(tmp_path / "out.jsonl"), {})
    assert report.bad == []
    assert {warned.field for warned in report.warnings} <= {"expected_patches[0]", "prompt_inputs.syntax_ranges[0]"}
    rejected = [json.loads(line) for line in (tmp_path / "out.jsonl.rejected.jsonl").read_text().splitlines()]
    assert any("is the first commit" in each["reason"] for each in rejected)
    assert all(each["source"].startswith("shop@") for each in rejected)


def test_nothing_of_this_machine_is_in_an_example(foretype, shop, tmp_path):
    foretype("import", "--commits", shop.folder, "-o", "out.jsonl")
    text = (tmp_path / "out.jsonl").read_text()
    assert str(tmp_path) not in text
    assert "Ada" not in text


def test_the_same_options_give_the_same_file_and_one_commit_the_same_as_among_many(foretype, shop, tmp_path):
    for name in ("one.jsonl", "two.jsonl"):
        foretype("split-commit", shop.folder, "--samples", 2, "--seed", 5, "-o", name)
    foretype("split-commit", shop.folder, "--rev", "HEAD~2..HEAD~1", "--samples", 2, "--seed", 5, "-o", "part.jsonl")
    whole = (tmp_path / "one.jsonl").read_text()
    assert whole == (tmp_path / "two.jsonl").read_text()
    assert set((tmp_path / "part.jsonl").read_text().splitlines()) < set(whole.splitlines())


def test_the_summary_for_programs_counts_every_change(foretype, shop):
    code, out, _ = foretype("split-commit", shop.folder, "-o", "out.jsonl", "--json")
    summary = json.loads(out)
    assert code == 0
    assert summary["tallies"]["changes"] == 7
    assert summary["examples"] + summary["rejected"] == 7


def test_an_output_that_is_there_is_replaced_only_with_force(foretype, shop, tmp_path):
    (tmp_path / "out.jsonl").write_text("mine\n")
    code, _, err = foretype("split-commit", shop.folder, "-o", "out.jsonl")
    assert (code, (tmp_path / "out.jsonl").read_text()) == (2, "mine\n")
    assert "--force" in err
    assert foretype("split-commit", shop.folder, "-o", "out.jsonl", "--force")[0] == 0


def test_a_failure_leaves_nothing_behind(foretype, shop, tmp_path):
    code, _, err = foretype("split-commit", shop.folder, "-o", "out.jsonl", "--strict")
    assert code == 1
    assert "is the first commit" in err
    assert foretype("split-commit", shop.folder, "--rev", "nowhere", "-o", "out.jsonl")[0] == 2
    assert [each.name for each in tmp_path.iterdir()] == ["shop"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--split", "sideways"), "is no split"),
        (("--languages", "python,klingon"), "unknown language klingon"),
        (("--json", "-o", "-"), "both write to standard output"),
    ],
)
def test_options_that_mean_nothing_are_refused(foretype, shop, arguments, said):
    code, _, err = foretype("split-commit", shop.folder, "-o", "out.jsonl", *arguments)
    assert code == 2
    assert said in err


def test_commits_in_zeds_form_are_read_from_clones(foretype, new_repository, tmp_path):
    clone = new_repository("clones/ada/shop")
    clone.commit({"a.py": "one = 1\ntwo = 2\n"})
    sha = clone.commit({"a.py": "ONE = 1\nTWO = 2\n"})
    line = {
        "repo": "ada/shop",
        "repo_url": "https://example.org/ada/shop",
        "commit_sha": sha,
        "reordered_commit": "--- a/a.py\n+++ b/a.py\n@@ -2,1 +2,1 @@\n-two = 2\n+TWO = 2\n"
        "--- a/a.py\n+++ b/a.py\n@@ -1,1 +1,1 @@\n-one = 1\n+ONE = 1\n",
        "original_commit": "",
        "diff_stats_match": True,
    }
    bad = [
        b"{",
        b"[]",
        json.dumps({**line, "repo": "ada/other"}).encode(),
        json.dumps({**line, "repo": "../clones/ada/shop"}).encode(),
        json.dumps({**line, "diff_stats_match": False}).encode(),
        json.dumps({**line, "commit_sha": "f" * 40}).encode(),
        json.dumps({**line, "commit_sha": ""}).encode(),
    ]
    (tmp_path / "in.jsonl").write_bytes(b"\n".join([json.dumps(line).encode(), *bad]) + b"\n")
    code, _, _ = foretype("split-commit", "in.jsonl", "--repos", "clones", "--split", "2", "-o", "out.jsonl")
    assert code == 0
    (example,) = loaded(tmp_path / "out.jsonl")
    assert example.repository_url == "https://example.org/ada/shop"
    assert "+TWO = 2" in example.edit_history
    assert "+ONE = 1" not in example.edit_history
    rejected = [json.loads(line) for line in (tmp_path / "out.jsonl.rejected.jsonl").read_text().splitlines()]
    assert [each["source"] for each in rejected] == [f"in.jsonl:{number}" for number in range(2, 9)]
    assert [each["reason"].split(":")[0] for each in rejected] == [
        "is not JSON",
        "is no JSON object",
        "there is no clone of ada/other in clones",
        "'../clones/ada/shop' is no name of a repository",
        "says itself that the reordered commit is not the commit (diff_stats_match)",
        "git cannot list these commits of shop",
        "lacks the text 'commit_sha'",
    ]


def test_releases_are_imported_in_the_order_they_are_named(foretype, tmp_path):
    for number, text in enumerate((TEXT, TEXT.replace("= 3\n", "= 30\nmore = 1\n"))):
        (tmp_path / f"shop-1.{number}").mkdir()
        (tmp_path / f"shop-1.{number}" / "a.py").write_text(text)
    assert foretype("import", "--releases", "shop-1.0", "shop-1.1", "-o", "out.jsonl")[0] == 0
    (example,) = loaded(tmp_path / "out.jsonl")
    assert example.value["foretype"]["release"]["newer"] == "shop-1.1"
    assert foretype("import", "--releases", "shop-1.0", "-o", "other.jsonl")[0] == 2
    assert foretype("import", "--releases", "--commits", "x", "y", "-o", "other.jsonl")[0] == 2


def test_zeds_files_keep_every_field_and_say_what_is_not_carried_over(foretype, tmp_path):
    whole = json.dumps({"zed_version": "1", "strange": [1.0], **SPEC})
    (tmp_path / "moments.jsonl").write_text(f"{whole}\nno json\n{json.dumps({'name': 'mine', **SPEC})}\n")
    (tmp_path / "page.md").write_text(PAGE)
    code, _, err = foretype("import", "moments.jsonl", "page.md", "-o", "out.jsonl")
    assert code == 0
    found = loaded(tmp_path / "out.jsonl")
    assert [each.name for each in found] == ["moments-0", "mine", "page"]
    assert found[0].value["strange"] == [1.0]
    assert found[0].value["zed_version"] == "1"
    assert found[1].value == {"name": "mine", **SPEC}
    assert "page.md:1: not imported:" in err
    (rejected,) = (tmp_path / "out.jsonl.rejected.jsonl").read_text().splitlines()
    assert json.loads(rejected)["line"] == 2


def test_ctrl_c_leaves_nothing_and_says_so(shop, tmp_path):
    for number in range(40):
        shop.commit({"src/cart.py": TEXT.replace("= 1\n", f"= {number}\nnew_{number} = 2\n")})
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from daemon.command_line import run\n"
        "from daemon import command_line\n"
        "from training_export.commands.split_commit import application\n"
        "command_line.application = application\n"
        "sys.exit(run(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(shop.folder), "--samples", "1000", "-o", str(tmp_path / "out.jsonl")],
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 30
    while not (tmp_path / "out.jsonl.work" / "output.part").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert said == b"foretype: interrupted; nothing was written, start it again\n"
    assert [each.name for each in tmp_path.iterdir()] == ["shop"]
