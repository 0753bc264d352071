"""``context``: what the daemon would have shown at an example's moment, by several settings, in a checkout."""

from __future__ import annotations

import asyncio
import json
import pickle
import sys
from pathlib import Path

import psutil
import pytest

from capture.context.cochange import CoChange
from capture.context.definitions import Definition
from capture.context.gathering import Context
from capture.context.index.messages import IndexLimits
from capture.context.index.walk import WorkspaceFiles
from capture.context.index.workspace import WorkspaceIndex
from capture.editing.document import Document
from capture.editing.positions import Position
from capture.editing.unified_diff import with_file_headers, write_hunks
from capture.gate.exclude import PathGate
from daemon.errors import BadArgument
from training_export.checkout.settings import ContextSetting, read_setting
from training_export.example_format.doubts import warnings_of
from training_export.stage import stage_key, with_findings
from training_export.stages.context import ContextStage

AT_TOTAL = "    def total(self):\n        return sum(price_of(name) for name in self.names)‸\n"
PLAIN = ContextSetting("plain", kinds=(), diagnostics="none")
FULL = ContextSetting("full")


def files(context):
    return {file["path"]: "".join(excerpt["text"] for excerpt in file["excerpts"]) for file in context["related_files"]}


def after(stage, example, found):
    return with_findings(stage, example, stage_key(stage, example), found)


def test_definitions_of_names_near_the_cursor_are_found_at_the_examples_commit(example, find):
    found = find(example(AT_TOTAL))
    assert not found.failure
    assert "def price_of(name):" in files(found.ours["contexts"]["daemon"])["prices.py"]


def test_inputs_are_made_where_there_are_none_as_an_editor_would_have_asked(example, find, texts):
    earlier = texts["cart.py"].replace("price_of(name) for", "name for")
    history = "// User accepted prediction:\n" + edit(earlier, texts["cart.py"], "cart.py")
    moment = example(AT_TOTAL, uncommitted_diff=edit(texts["cart.py"], earlier, "cart.py"), edit_history=history)
    made = after(ContextStage(), moment, find(moment))
    inputs = made.prompt_inputs
    assert inputs.cursor_excerpt == texts["cart.py"]
    assert inputs.excerpt_bytes[: inputs.cursor_offset_in_excerpt].endswith(b"for name in self.names)")
    assert (inputs.cursor_path, inputs.excerpt_start_row) == ("cart.py", 0)
    [event] = inputs.events
    assert event.predicted
    data = texts["cart.py"].encode()
    assert (
        data[event.new_range.start : event.new_range.end]
        == b"        return sum(price_of(name) for name in self.names)\n"
    )
    assert inputs.syntax_ranges
    assert list(warnings_of(made)) == []


def edit(before, after_, path):
    return with_file_headers(write_hunks(before, after_), path)


def test_settings_stand_side_by_side_and_one_of_them_is_used(example, find):
    found = find(example(AT_TOTAL), chosen=(PLAIN, FULL), use="full")
    contexts = found.ours["contexts"]
    assert contexts["plain"] == {"related_files": [], "active_buffer_diagnostics": []}
    assert contexts["full"]["related_files"] == found.fields["prompt_inputs"]["related_files"] != []


def test_what_was_recorded_stays_if_that_is_wanted(example, find):
    before = after(ContextStage(), example(AT_TOTAL), find(example(AT_TOTAL), use="full", chosen=(FULL,)))
    found = find(before, chosen=(PLAIN,), use="recorded")
    assert "prompt_inputs" not in found.fields
    assert found.ours["contexts"].keys() == {"plain"}


def test_other_inputs_make_the_prompt_stale_and_the_same_ones_do_not(example, find):
    first = after(ContextStage(), example(AT_TOTAL), find(example(AT_TOTAL)))
    prompted = first.with_fields(prompt={"input": "p", "rejected_output": None, "provider": "zeta2"})
    assert find(prompted).fields == {}
    other = after(ContextStage(), prompted, find(prompted, chosen=(PLAIN,), use="plain"))
    assert other.prompt is None
    assert other.prompt_inputs.events == prompted.prompt_inputs.events
    assert other.prompt_inputs.cursor_excerpt == prompted.prompt_inputs.cursor_excerpt


def test_keys_of_prompt_inputs_that_nobody_here_knows_stay(example, find):
    first = after(ContextStage(), example(AT_TOTAL), find(example(AT_TOTAL)))
    value = {**first.value["prompt_inputs"], "of_a_newer_zed": {"x": 1}}
    found = find(first.with_fields(prompt_inputs=value), chosen=(PLAIN,), use="plain")
    assert found.fields["prompt_inputs"]["of_a_newer_zed"] == {"x": 1}


def test_syntax_errors_away_from_the_cursor_become_diagnostics(example, find, clone):
    broken = "def open(:\n    pass\n\n\n\n\ndone = 1\n"
    revision = clone.commit(broken_py=broken)
    moment = example("done = 1‸", cursor_path="broken.py", revision=revision)
    contexts = find(moment, chosen=(FULL, ContextSetting("quiet", diagnostics="none"))).ours["contexts"]
    assert [item["severity"] for item in contexts["full"]["active_buffer_diagnostics"]] == [1]
    assert contexts["quiet"]["active_buffer_diagnostics"] == []


def test_files_of_the_history_are_shown_as_they_were_edited(example, find, texts):
    changed = texts["prices.py"].replace("total // 10", "total // 20")
    moment = example(
        "‸cart = Cart()", cursor_path="shop.py", edit_history=edit(texts["prices.py"], changed, "prices.py")
    )
    recent = find(moment, chosen=(ContextSetting("recent", kinds=("recent",)),), use="recent").ours["contexts"][
        "recent"
    ]
    assert "total // 20" in files(recent)["prices.py"]
    assert recent["related_files"][0]["excerpts"][0]["context_source"] == "edit_history"


def test_files_that_were_only_looked_at_are_shown_too(example, find):
    moment = example(
        "‸cart = Cart()", cursor_path="shop.py", recently_viewed_files=[{"path": "prices.py", "cursor_position": 60}]
    )
    recent = find(moment, chosen=(ContextSetting("recent", kinds=("recent",)),), use="recent").ours["contexts"][
        "recent"
    ]
    assert list(files(recent)) == ["prices.py"]


def test_files_that_change_together_come_from_the_history_up_to_the_commit(example, find, clone):
    only = ContextSetting("together", kinds=("co_change",))
    found = find(example(AT_TOTAL), chosen=(only,), use="together").ours["contexts"]["together"]
    assert list(files(found)) == ["prices.py"]
    early = find(
        example(AT_TOTAL.replace("coins", "?"), revision=f"{clone.revision}~2"), chosen=(only,), use="together"
    )
    assert early.ours["contexts"]["together"]["related_files"] == []


def test_one_examples_edits_are_not_seen_by_the_next(example, find, texts):
    plain = example(AT_TOTAL)
    changed = texts["prices.py"].replace("def price_of(name):", "def price_of(name, day):")
    edited = example(AT_TOTAL, edit_history=edit(texts["prices.py"], changed, "prices.py"))
    first, between, last = find(plain, edited, plain)
    assert first == last
    assert "def price_of(name, day)" in files(between.ours["contexts"]["daemon"])["prices.py"]


def test_related_code_is_cut_to_the_most_important_that_fits(example, find):
    whole = find(example(AT_TOTAL)).ours["contexts"]["daemon"]
    size = sum(len(text) for text in files(whole).values())
    for max_bytes in (1, size // 2, size - 1, size):
        setting = ContextSetting("small", max_bytes=max_bytes)
        small = find(example(AT_TOTAL), chosen=(setting,), use="small").ours["contexts"]["small"]
        assert sum(len(text) for text in files(small).values()) <= max_bytes
    assert small["related_files"] == whole["related_files"]


def test_a_folder_as_it_is_serves_as_a_checkout_and_is_not_written_to(example, find, clone):
    before = clone.state()
    found = find(example(AT_TOTAL, repository_url="", revision=""), repositories="", checkout=str(clone.path))
    assert "prices.py" in files(found.ours["contexts"]["daemon"])
    assert clone.state() == before


def test_a_workspace_inside_the_repository_sees_only_its_own_folder(example, find, make_clone, texts):
    inner = make_clone("mono")
    revision = inner.commit_files(
        {f"shop/{path}": text for path, text in texts.items()} | {"other/prices.py": "def price_of(): ...\n"}
    )
    moment = example(AT_TOTAL, cursor_path="shop/cart.py", revision=revision).with_fields(
        foretype={"snapshot": {"repository_prefix": "shop/", "language_id": "python"}}
    )
    found = find(moment, repositories=str(inner.path))
    assert found.fields["prompt_inputs"]["cursor_path"] == "cart.py"
    assert set(files(found.ours["contexts"]["daemon"])) == {"prices.py"}


@pytest.mark.parametrize(
    ("marked", "fields", "reason", "is_final"),
    [
        ("nowhere‸", {}, "is not in cart.py", True),
        (AT_TOTAL, {"revision": "0" * 40}, "does not have revision", False),
        (AT_TOTAL, {"repository_url": "https://example.org/ada/other"}, "no clone of", False),
        ("‸x", {"cursor_path": "../../outside.py"}, "is not in the repository", True),
        ("‸x", {"cursor_path": ".git/config"}, "is not in the repository", True),
    ],
)
def test_what_cannot_be_found_is_said_and_the_example_stays(example, find, marked, fields, reason, is_final):
    found = find(example(marked, **fields))
    assert reason in found.failure
    assert (found.fields, found.ours, found.is_final) == ({}, {}, is_final)


def test_files_that_no_model_may_see_are_neither_opened_nor_shown(example, find, clone):
    revision = clone.commit_files({".env.py": "def price_of(name): ...\nTOKEN = 1\n"})
    found = find(example(AT_TOTAL, revision=revision))
    assert ".env.py" not in files(found.ours["contexts"]["daemon"])
    refused = find(example("TOKEN = 1‸", cursor_path=".env.py", revision=revision))
    assert "secret-file pattern" in refused.failure


def test_links_do_not_lead_out_of_the_checkout(example, find, clone, tmp_path):
    (tmp_path / "outside.py").write_text("secret = 1\n")
    (clone.path / "link.py").symlink_to(tmp_path / "outside.py")
    revision = clone.commit_files({})
    assert "is not in the repository" in find(example("secret = 1‸", cursor_path="link.py", revision=revision)).failure


def test_a_stage_travels_to_other_processes_and_its_key_names_no_folder(clone, example):
    stage = ContextStage(repositories=str(clone.path), chosen=(FULL,), use="full")
    assert pickle.loads(pickle.dumps(stage)) == stage
    elsewhere = ContextStage(repositories="/somewhere/else", chosen=(FULL,), use="full")
    assert stage_key(stage, example(AT_TOTAL)) == stage_key(elsewhere, example(AT_TOTAL))
    other = ContextStage(repositories=str(clone.path), chosen=(PLAIN,), use="plain")
    assert stage_key(stage, example(AT_TOTAL)) != stage_key(other, example(AT_TOTAL))


class _Index:
    """The symbol index in this process, as the daemon asks it; ``answered`` once it was asked."""

    def __init__(self, root):
        limits = IndexLimits()
        self._index = WorkspaceIndex(WorkspaceFiles(str(root), PathGate(), limits), limits, lambda _folders: None)
        while self._index.has_work:
            self._index.work()
        self.answered = asyncio.Event()

    async def definitions(self, path, identifiers):
        found = self._index.find(path, [identifier.name for identifier in identifiers])
        self.answered.set()
        return {name: [Definition(name, *hit) for hit in hits] for name, hits in found.items()}


class _Git(CoChange):
    def __init__(self):
        super().__init__()
        self.answered = asyncio.Event()

    async def candidates(self, path, *, wanted):
        found = await super().candidates(path, wanted=wanted)
        self.answered.set()
        return found


async def test_it_is_what_the_daemon_shows_once_all_its_sources_have_answered(example, find, clone, texts):
    """The daemon's own gathering in the same folder, with the same documents open and the same edits made."""
    edited = texts["shop.py"] + "cart.label()\n"
    moment = example(AT_TOTAL, edit_history=edit(texts["shop.py"], edited, "shop.py"))
    found = await asyncio.to_thread(find, moment)
    index, git = _Index(clone.path), _Git()
    context = Context(
        [index],
        predicted_in=lambda _path: True,
        shown_elsewhere=lambda _path: True,
        displayed=lambda path: str(path).removeprefix(f"{clone.path}/"),
        co_change=git,
        pause_seconds=0,
        quiet_seconds=0,
    )
    row = texts["cart.py"].split("\n").index(AT_TOTAL.split("\n")[1].replace("‸", ""))
    context.opened("shop", str(clone.path / "shop.py"), "python", Document(edited))
    context.edited("shop", Position(3, 0))
    context.opened("cart", str(clone.path / "cart.py"), "python", Document(texts["cart.py"]))
    context.viewed("cart", Position(row, 99))
    await asyncio.gather(index.answered.wait(), git.answered.wait())
    for _ in range(3):  # until those who asked have taken the answers in
        await asyncio.sleep(0)
    shown = [file.to_json() for file in context.related("cart")]
    await context.close()
    assert found.fields["prompt_inputs"]["related_files"] == shown
    assert {file["path"] for file in shown} == {"prices.py", "shop.py"}


LANGUAGE_SERVER = Path(__file__).parents[2] / "daemon" / "lsp" / "companion_server.py"
SERVED = ContextSetting("served", kinds=(), diagnostics="server")


def test_a_language_server_says_what_is_wrong_in_the_text_as_it_was(example, find, clone, texts):
    """The server knows the word ``wrong``, which only the history put into the file."""
    moment = example(
        "‸x = wrong\n", cursor_path="shop.py", edit_history=edit(texts["shop.py"], "x = wrong\n", "shop.py")
    )
    other = example("‸from cart", cursor_path="shop.py")
    server = ("python", (sys.executable, str(LANGUAGE_SERVER), "{}"))
    found = find(moment, other, moment, chosen=(SERVED,), use="served", servers=(server,))
    messages = [
        [item["message"] for item in one.ours["contexts"]["served"]["active_buffer_diagnostics"]] for one in found
    ]
    assert ["this is wrong" in said for said in messages] == [True, False, True]
    [process_id] = {json.loads(said[-1])["pid"] for said in messages}
    assert not psutil.pid_exists(process_id)


def test_a_language_server_that_cannot_run_is_named(example, find):
    found = find(example(AT_TOTAL), chosen=(SERVED,), servers=(("python", ("no-such-server",)),))
    assert "not on foretype's PATH" in found.failure
    assert not found.is_final


def test_without_a_server_for_the_language_the_grammar_is_asked(example, find):
    found = find(example(AT_TOTAL), chosen=(SERVED, FULL), use="full", servers=(("go", ("no-such-server",)),))
    contexts = found.ours["contexts"]
    assert contexts["served"]["active_buffer_diagnostics"] == contexts["full"]["active_buffer_diagnostics"]


def test_a_setting_is_read_from_its_text():
    assert read_setting("plain:related=recent+definitions,diagnostics=none,max_bytes=9") == ContextSetting(
        "plain", ("definitions", "recent"), "none", 9
    )
    assert read_setting("all") == ContextSetting("all")
    assert read_setting("none:related=none").kinds == ()


@pytest.mark.parametrize("text", ["", ":related=all", "x:related=files", "x:depth=3", "x:max_bytes=-1", "recorded"])
def test_a_setting_that_is_none_is_named(text):
    with pytest.raises(BadArgument, match="--setting"):
        read_setting(text)
