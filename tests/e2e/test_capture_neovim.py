"""A person agrees, renames and edits on in Neovim, and what settled is stored with what the model was shown.

Everything is real: Neovim, the bridge, the hub, the symbol index, the student in the package, git and the store.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon.process.conftest import PATIENCE_SECONDS

pytestmark = pytest.mark.system

PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol.md"
DRAWN = "#vim.api.nvim_buf_get_extmarks(0, vim.api.nvim_create_namespace('foretype'), 0, -1, {}) > 0"
MESSAGE = "there may be no price"
# What a client does that wants to hear of snapshots, whatever else it does.
LISTENING = """\
stored = {}
vim.lsp.config('foretype', {
  capabilities = { experimental = { foretype = { snapshotStored = true } } },
  handlers = { ['foretype/snapshotStored'] = function(_, said) table.insert(stored, said.id) end },
})
"""
# Neovim's own client and nothing of ours.
PLAIN_CLIENT = """\
vim.lsp.config('foretype', { cmd = { 'foretype', 'lsp', '--stdio' }, root_markers = { '.git' } })
vim.lsp.enable('foretype')
"""
# As a plugin of somebody else's may.
ASK = (
    "vim.lsp.get_clients()[1]:request('textDocument/copilotInlineEdit',"
    " vim.lsp.util.make_position_params(0, 'utf-16'), function(_, result) answered = result end)"
)
COUNT_ANSWERS = (
    "(function() answers = 0; vim.api.nvim_create_autocmd('LspRequest', { callback = function(event)"
    " local request = event.data.request"
    " if request.type == 'complete' and request.method == 'textDocument/copilotInlineEdit' then"
    " answers = answers + 1 end end }) end)()"
)


@pytest.fixture
def report(shop):
    """``report(editor)``: a linter finds something wrong with the last word of a row; Neovim counts in bytes."""
    row = shop.row('total += price_of("😀", order)')
    start = len(shop.MAIN.split("\n")[row].rpartition("order")[0].encode())

    def tell(editor):
        editor.lua(
            f"vim.diagnostic.set(vim.api.nvim_create_namespace('linter'), 0, {{{{ lnum = {row}, col = {start},"
            f" end_lnum = {row}, end_col = {start + 5}, severity = 2, message = '{MESSAGE}', source = 'lint' }}}})"
        )
        return row

    return tell


@pytest.fixture
def next_stored(stored):
    """``next_stored(editor)``: the snapshot that is announced next, however long ago."""
    taken = 0

    def take(editor):
        nonlocal taken
        taken += 1
        return stored.show(editor.wait(f"stored[{taken}]"))

    return take


def check_diagnostic(snapshot, row):
    [found] = snapshot["inputs"]["active_buffer_diagnostics"]
    assert (found["message"], found["severity"]) == (MESSAGE, 2)
    assert found["snippet_buffer_row_range"] == {"start": row, "end": row + 1}
    where = found["diagnostic_range_in_snippet"]
    assert found["snippet"].encode()[where["start"] : where["end"]] == b"order"


def related(snapshot):
    """The text of each related excerpt, by its file."""
    files = snapshot["inputs"]["related_files"] or ()
    return {file["path"]: excerpt["text"] for file in files for excerpt in file["excerpts"]}


def test_from_consent_to_the_settled_snapshot(neovim, shop, settings, machine, report, next_stored, readme, changed):
    settings(deadline_ms=20_000, settle_seconds=2)
    editor = neovim(shop.main, LISTENING + readme)
    editor.lua(COUNT_ANSWERS)
    editor.type(f":silent !foretype consent grant --yes {shop.root}<CR>")
    machine().wait_for_index()
    row = shop.row("total = 0")
    editor.type(f"{row + 1}G^")
    answers = 0

    def looked_around():
        nonlocal answers
        for _ in range(2):  # the answer to the first question finds the context on its way
            editor.type("rt")
            answers += 1
            editor.wait(f"answers >= {answers}", seconds=60)
        return next_stored(editor)

    changed(looked_around, lambda snapshot: "prices.py" in related(snapshot))

    using = report(editor)
    editor.type("cwamount")
    editor.wait(DRAWN)
    then = editor.text
    editor.type("<Esc>")
    editor.wait("vim.fn.mode() == 'n'")
    editor.type("<Tab>")
    editor.wait(f"vim.fn.line('.') == {using + 1}")
    editor.type("<Tab>")
    editor.wait(f"vim.fn.getline({using + 1}):match('amount')")
    editor.type("oprint(amount)<Esc>3GoLIMIT = 100<Esc>")
    editor.wait("vim.fn.search('^LIMIT = 100', 'n') > 0 and vim.fn.mode() == 'n'")
    snapshot = next_stored(editor)

    inputs, region = snapshot["inputs"], snapshot["region"]
    assert (snapshot["state"], snapshot["outcome"]) == ("settled", "accepted")
    assert snapshot["client"]["name"] == "Neovim"
    excerpt, cursor = inputs["cursor_excerpt"].encode(), inputs["cursor_offset_in_excerpt"]
    assert excerpt.decode() in then
    assert excerpt[:cursor].endswith(b"def total_price(orders):\n    amount")
    assert excerpt[cursor:].startswith(b" = 0\n    for order in orders:\n")
    assert related(snapshot) == {"prices.py": shop.PRICE_OF}
    check_diagnostic(snapshot, using)
    [edit] = snapshot["prediction"]["edits"]
    assert (edit["text_before"], edit["text_after"]) == ("total", "amount")
    first = inputs["excerpt_start_row"] + excerpt[: region["start_bytes"]].count(b"\n")
    last = first + region["text_before"].count("\n")
    assert region["text_before"] == "\n".join(then.split("\n")[first : last + 1])
    # One row was typed above it, one in it.
    assert region["text_settled"] == "\n".join(editor.text.split("\n")[first + 1 : last + 1 + 2])
    assert '        amount += price_of("😀", order)\n        print(amount)\n' in region["text_settled"]
    assert 0 < snapshot["kept_rate"] < 1
    assert ["\n+LIMIT = 100\n" in event["diff"] for event in snapshot["later_events"]] == [False, True]
    assert snapshot["repository"]["revision"] == shop.revision


def test_the_documented_example_passes_on_what_other_servers_found_and_leaving_keeps_what_was_open(
    neovim, shop, settings, world, report, stored, changed
):
    settings(deadline_ms=20_000, settle_seconds=60)
    assert world.foretype("consent", "grant", "--yes").returncode == 0
    blocks = [rest.partition("```")[0] for rest in PROTOCOL.read_text().split("```lua\n")[1:]]
    [example] = [block for block in blocks if "DiagnosticChanged" in block]
    editor = neovim(shop.main, PLAIN_CLIENT + example)
    row = report(editor)
    editor.type(f"{row + 1}G")
    editor.wait(f"vim.fn.line('.') == {row + 1}")
    editor.lua(ASK)
    editor.wait("answered", seconds=60)
    editor.type(":qa!<CR>")
    assert editor.process.wait(PATIENCE_SECONDS) == 0
    [left] = changed(stored.ids, bool)
    snapshot = stored.show(left)
    assert snapshot["state"] == "unsettled"
    check_diagnostic(snapshot, row)
