"""How the Neovim client draws, applies and asks, whatever edit it is given.

The Neovim and the client are real; the server is scripted, because the edits have to be exact ones.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

HERE = Path(__file__).parent
INIT = f"""
dofile('{HERE / "scripted_server.lua"}')
foretype = require('foretype')
foretype.setup({{ cmd = scripted.start }})
vim.keymap.set({{ 'n', 'i' }}, '<Tab>', foretype.jump_or_accept)
"""


@pytest.fixture
def scripted(neovim, world):
    def start(text):
        path = world.project / "file.py"
        path.write_text(text, encoding="utf-8", newline="")
        return neovim(path, INIT)

    return start


def answer_next(editor, text, start, end):
    editor.lua(
        f"(function() scripted.edit = {{ text = vim.json.decode({lua_text(text)}), range = {{"
        f" start = {{ line = {start[0]}, character = {start[1]} }},"
        f" ['end'] = {{ line = {end[0]}, character = {end[1]} }} }} }} end)()"
    )


def lua_text(text):
    return f"[==[{json.dumps(text)}]==]"


def said(editor, method):
    return editor.lua(f"scripted.said('{method}')")


def show(editor, text, start, end):
    """Have an edit drawn, by changing nothing that matters: the first letter is replaced by itself."""
    answer_next(editor, text, start, end)
    editor.type("ggr" + editor.text[0])
    editor.wait("#scripted.said('textDocument/didShowInlineEdit') > 0")


def test_an_edit_within_a_line_is_marked_and_the_new_text_stands_behind_it(scripted):
    editor = scripted("a = 1\nprint(total, 2)\n")
    show(editor, "amount", (1, 6), (1, 11))
    assert editor.screen()[:2] == ["a = 1", "print(totalamount, 2)"]
    [(_, row, column, details), (_, *_, added)] = editor.marks()
    assert (row, column, details["end_row"], details["end_col"]) == (1, 6, 1, 11)
    assert details["hl_group"] == "DiffDelete"
    assert added["virt_text"] == [["amount", "DiffAdd"]]
    assert said(editor, "textDocument/didShowInlineEdit")[0]["item"]["command"]["arguments"] == ["the-id"]


def test_lines_that_change_are_shown_whole_below_the_old_ones(scripted):
    editor = scripted("a = 1\nfor x in total:\n    print(total)\nend()\n")
    show(editor, "amount:\n    print(amount", (1, 9), (2, 15))
    assert editor.screen()[:6] == [
        "a = 1",
        "for x in total:",
        "    print(total)",
        "for x in amount:",
        "    print(amount)",
        "end()",
    ]


@pytest.mark.parametrize(("text", "place"), [("new()\n", (1, 0)), ("\nnew()", (0, 5))])
def test_an_inserted_line_is_drawn_between_the_lines_around_it(scripted, text, place):
    editor = scripted("a = 1\nend()\n")
    show(editor, text, place, place)
    assert editor.screen()[:3] == ["a = 1", "new()", "end()"]


def test_columns_count_utf16_units_when_drawing_and_when_applying(scripted):
    editor = scripted('a = 1\nprint("😀é", total)\n')
    # The emoji is two units in UTF-16, four bytes in the buffer.
    show(editor, "amount", (1, 13), (1, 18))
    assert editor.screen()[1].replace(" ", "") == 'print("😀é",totalamount)'
    editor.type("j")
    editor.lua("foretype.jump_or_accept()")
    assert editor.text == 'a = 1\nprint("😀é", amount)\n'


def test_the_cursor_is_sent_in_utf16_units(scripted):
    editor = scripted('print("😀") # z\n')
    editor.type("$rx")
    editor.wait("#scripted.said('textDocument/copilotInlineEdit') == 1")
    assert said(editor, "textDocument/copilotInlineEdit")[0]["position"] == {"line": 0, "character": 14}


def test_the_first_key_goes_to_the_edit_and_the_second_applies_it_and_asks_again(scripted):
    editor = scripted("a = 1\n\nprint(total)\n")
    show(editor, "amount", (2, 6), (2, 11))
    assert editor.lua("foretype.jump_or_accept()") is True
    assert editor.cursor == (3, 6)
    editor.type("``")  # the jump is in the jump list
    editor.wait("vim.fn.line('.') == 1")
    editor.type("``")
    editor.wait("vim.fn.line('.') == 3")
    assert editor.text == "a = 1\n\nprint(total)\n"
    assert len(editor.marks()) == 2
    assert editor.lua("foretype.jump_or_accept()") is True
    assert editor.text == "a = 1\n\nprint(amount)\n"
    assert editor.cursor == (3, 12)
    assert editor.marks() == []
    assert said(editor, "workspace/executeCommand") == [{"command": "foretype.didAccept", "arguments": ["the-id"]}]
    asked = said(editor, "textDocument/copilotInlineEdit")
    assert len(asked) == 2
    assert asked[1]["position"] == {"line": 2, "character": 12}
    assert asked[1]["textDocument"]["version"] > asked[0]["textDocument"]["version"]
    editor.type("u")
    editor.wait("vim.fn.getline(3) == 'print(total)'")


def test_while_typing_too_the_key_goes_there_and_applies_and_undo_takes_back_that_edit_alone(scripted):
    editor = scripted("a = 1\n\nb = 9\n")
    answer_next(editor, "10", (2, 4), (2, 5))
    editor.type("A23")
    editor.wait("#scripted.said('textDocument/didShowInlineEdit') == 1")
    editor.type("<Tab>")
    editor.wait("vim.fn.line('.') == 3")
    assert editor.text == "a = 123\n\nb = 9\n"
    editor.type("<Tab>")
    editor.wait("vim.fn.getline(3) == 'b = 10'")
    assert editor.lua("vim.fn.mode()") == "i"
    assert editor.cursor == (3, 6)
    editor.type("<Esc>u")
    editor.wait("vim.fn.getline(3) == 'b = 9'")
    assert editor.text == "a = 123\n\nb = 9\n"


def test_with_nothing_shown_the_key_is_free_for_something_else(scripted):
    editor = scripted("a = 1\n")
    assert editor.lua("foretype.jump_or_accept()") is False


def test_an_answer_for_text_that_has_changed_since_is_not_drawn(scripted):
    editor = scripted("a = 1\n")
    editor.lua("(function() scripted.hold = true end)()")
    answer_next(editor, "9", (0, 4), (0, 5))
    editor.type("rb")
    editor.wait("#scripted.held == 1")
    editor.type("rc")
    editor.wait("#scripted.held == 2")
    editor.lua("scripted.held[1]()")
    assert editor.marks() == []
    assert editor.lua("foretype.jump_or_accept()") is False


def test_typing_takes_the_edit_off_the_screen(scripted):
    editor = scripted("a = 1\nprint(total)\n")
    show(editor, "amount", (1, 6), (1, 11))
    editor.type("x")
    editor.wait("vim.fn.getline(1) == ' = 1'")
    editor.wait("#scripted.said('textDocument/copilotInlineEdit') == 2")
    assert editor.marks() == []


def test_leaving_the_buffer_or_dismissing_takes_the_edit_off_the_screen(scripted):
    editor = scripted("a = 1\nprint(total)\n")
    show(editor, "amount", (1, 6), (1, 11))
    editor.lua("foretype.dismiss()")
    assert editor.marks() == []
    show(editor, "amount", (1, 6), (1, 11))
    editor.lua("vim.cmd('enew!')")
    editor.lua("vim.cmd('buffer 1')")
    assert editor.marks() == []


def test_diagnostics_of_others_are_forwarded_and_attached_in_utf16_units(scripted):
    editor = scripted('print("😀", total)\n')
    editor.lua(
        "vim.diagnostic.set(vim.api.nvim_create_namespace('linter'), 0, {{ lnum = 0, col = 13, end_lnum = 0,"
        " end_col = 18, severity = 1, message = 'undefined name', source = 'lint', code = 'F821' }})"
    )
    editor.type("A ")
    editor.wait("#scripted.said('textDocument/copilotInlineEdit') == 1")
    expected = {
        "range": {"start": {"line": 0, "character": 11}, "end": {"line": 0, "character": 16}},
        "severity": 1,
        "message": "undefined name",
        "source": "lint",
        "code": "F821",
    }
    [forwarded] = said(editor, "foretype/didChangeDiagnostics")
    assert forwarded["diagnostics"] == [expected]
    assert forwarded["uri"].endswith("/file.py")
    [asked] = said(editor, "textDocument/copilotInlineEdit")
    assert asked["diagnostics"] == [expected]
    editor.lua("vim.diagnostic.reset()")
    assert said(editor, "foretype/didChangeDiagnostics")[1]["diagnostics"] == []


def test_a_diagnostic_is_attached_as_it_was_found_because_the_daemon_moves_it_with_the_text(scripted):
    editor = scripted("a = 1\nprint(total)\n")
    editor.lua(
        "vim.diagnostic.set(vim.api.nvim_create_namespace('linter'), 0, {{ lnum = 1, col = 6, end_lnum = 1,"
        " end_col = 11, severity = 1, message = 'undefined name' }})"
    )
    editor.type("ggOx")  # its row has another text now, too short for its columns
    editor.wait("#scripted.said('textDocument/copilotInlineEdit') > 0")
    [forwarded] = said(editor, "foretype/didChangeDiagnostics")
    assert forwarded["diagnostics"][0]["range"]["start"] == {"line": 1, "character": 6}
    assert said(editor, "textDocument/copilotInlineEdit")[-1]["diagnostics"] == forwarded["diagnostics"]


def test_an_edit_out_of_sight_is_announced_behind_the_cursors_line(scripted):
    editor = scripted("a = 1\n" + "b = 2\n" * 200 + "print(total)\n")
    show(editor, "amount", (201, 6), (201, 11))
    assert editor.screen()[0].endswith("↓ 202")
    assert editor.lua("foretype.jump_or_accept()") is True
    assert editor.cursor == (202, 6)
    assert editor.lua("foretype.jump_or_accept()") is True
    assert editor.text.endswith("print(amount)\n")
    assert editor.screen()[-1] != "↓ 202"


def test_an_edit_of_another_open_file_is_announced_and_gone_to_and_applied_there(scripted, world):
    other = world.project / "other.py"
    other.write_text("from file import total\n")
    editor = scripted("a = 1\n")
    editor.lua(f"vim.cmd('edit {other}')")
    editor.wait("#vim.lsp.get_clients({ name = 'foretype', bufnr = 0 }) == 1")
    editor.lua("vim.cmd('buffer #')")
    editor.lua(
        "(function() scripted.elsewhere = { uri = vim.uri_from_fname('"
        + str(other)
        + "'), version = vim.lsp.util.buf_versions[vim.fn.bufnr('other.py')] } end)()"
    )
    show(editor, "amount", (0, 17), (0, 22))
    assert editor.screen()[0].endswith("→ other.py:1")
    assert editor.lua("foretype.jump_or_accept()") is True
    assert editor.lua("vim.fn.expand('%:t')") == "other.py"
    assert editor.lua("foretype.jump_or_accept()") is True
    assert editor.lua("vim.fn.getline(1)") == "from file import amount"
    assert said(editor, "workspace/executeCommand") == [{"command": "foretype.didAccept", "arguments": ["the-id"]}]


def test_a_part_is_applied_and_the_rest_asked_for(scripted):
    editor = scripted("a = 1\nprint(total)\n")
    show(editor, "amount + tax", (1, 6), (1, 11))
    answer_next(editor, " + tax", (1, 12), (1, 12))
    editor.lua(
        "(function() scripted.part = { text = 'amount', range = {"
        " start = { line = 1, character = 6 }, ['end'] = { line = 1, character = 11 } } } end)()"
    )
    assert editor.lua("foretype.accept_part('word')") is True
    editor.wait("vim.fn.getline(2) == 'print(amount)'")
    assert said(editor, "foretype/part") == [{"id": "the-id", "unit": "word"}]
    editor.wait("#scripted.said('textDocument/didShowInlineEdit') == 2")
    editor.type("u")
    editor.wait("vim.fn.getline(2) == 'print(total)'")
