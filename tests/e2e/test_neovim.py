"""A person in Neovim renames a variable where it is defined; the shipped model carries the rename on.

Everything is real: Neovim, our Lua client, the bridge, the hub, the engine worker and the student in the package.
"""

from __future__ import annotations

import pytest

from tests.daemon.process.conftest import wait_until_gone

pytestmark = pytest.mark.system

BEFORE = """\
def total_price(orders):
    total = 0
    for order in orders:
        total += order.price
    print("orders:", len(orders))
    print("first:", orders[0])
    return total
"""
DRAWN = "#vim.api.nvim_buf_get_extmarks(0, vim.api.nvim_create_namespace('foretype'), 0, -1, {}) > 0"
COUNT_REQUESTS = (
    "vim.api.nvim_create_autocmd('LspRequest', { callback = function(event)"
    " local request = event.data.request"
    " if request.type == 'pending' and request.method == 'textDocument/copilotInlineEdit' then"
    " vim.g.requests = (vim.g.requests or 0) + 1 end end })"
)


def with_row(text, row, line):
    """``text`` with another line in a row (from 1)."""
    lines = text.split("\n")
    lines[row - 1] = line
    return "\n".join(lines)


def test_a_rename_is_carried_on_line_by_line_and_undone(neovim, settings, world):
    settings(deadline_ms=20_000)  # the model is loaded within the first question
    path = world.project / "prices.py"
    path.write_text(BEFORE)
    editor = neovim(path)
    editor.lua(COUNT_REQUESTS)

    editor.type("2G^cwamount")
    editor.wait(DRAWN, seconds=60)
    typed = with_row(BEFORE, 2, "    amount = 0")
    assert editor.text == typed
    shown = "\n".join(editor.screen())
    assert shown.count("amount") == typed.count("amount") + 1, shown
    [(_, row, *_), *_] = editor.marks()
    assert row + 1 == 4
    editor.type("<Esc>")
    editor.wait("vim.fn.mode() == 'n'")

    requests = editor.lua("vim.g.requests")
    editor.type("<Tab>")
    editor.wait("vim.fn.line('.') == 4")
    assert editor.text == typed
    editor.type("<Tab>")
    editor.wait("vim.fn.getline(4) == '        amount += order.price'")
    first = with_row(typed, 4, "        amount += order.price")
    assert editor.text == first

    editor.wait(DRAWN)  # the next edit, which accepting this one asked for
    assert editor.lua("vim.g.requests") == requests + 1
    editor.type("<Tab>")
    editor.wait("vim.fn.line('.') == 7")
    editor.type("<Tab>")
    editor.wait("vim.fn.getline(7) == '    return amount'")
    second = with_row(first, 7, "    return amount")
    assert editor.text == second

    for earlier in (first, typed, BEFORE):
        editor.type("u")
        editor.wait(f"table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\\n') .. '\\n' == [==[\n{earlier}]==]")
    accepted = world.status()["predictions"]["counts"]["accepted"]
    assert accepted == 2


def test_another_servers_diagnostics_do_not_keep_the_prediction_away(neovim, settings, world):
    settings(deadline_ms=20_000)
    path = world.project / "prices.py"
    path.write_text(BEFORE)
    editor = neovim(path)
    editor.type("2G^cwamount")
    editor.wait(DRAWN, seconds=60)
    editor.lua(
        "vim.diagnostic.set(vim.api.nvim_create_namespace('linter'), 0, {{ lnum = 3, col = 8, end_lnum = 3,"
        " end_col = 13, severity = 1, message = 'undefined name total', source = 'lint' }})"
    )
    editor.lua("require('foretype').request()")
    editor.wait(DRAWN)
    [(_, row, *_), *_] = editor.marks()
    assert row + 1 == 4


def test_neovim_leaves_no_process_behind(neovim, settings, world):
    settings(exit_after_seconds=0)
    path = world.project / "prices.py"
    path.write_text(BEFORE)
    editor = neovim(path)
    hub = world.hub()
    editor.type(":qa!<CR>")
    assert editor.process.wait(20) == 0
    assert wait_until_gone(hub)
    assert world.processes() == []


BASKET = '''\
def total_price(prices, discount):
    """What a basket costs."""
    total = 0
    for price in prices:
        total += price
    total -= total * discount
    if total < 0:
        raise ValueError("negative")
    return total


def label(name, width):
    """A label for the shelf."""
    padded = name.ljust(width)
    return padded.upper()


class Basket:
    """What somebody buys."""

    def __init__(self):
        self.prices = []
        self.names = []

    def add(self, name, price):
        """Put something in."""
        self.names.append(name)
        self.prices.append(price)

    def cost(self, discount):
        """What it costs."""
        return total_price(self.prices, discount)

    def labels(self, width):
        """A label for each."""
        return [label(name, width) for name in self.names]

    def half(self):
        """At half the price."""
        return total_price(self.prices, 0.5)
'''
SHOP = '''\
from basket import total_price


def bill(prices):
    """A bill."""
    return f"{total_price(prices, 0):.2f}"
'''


def test_a_renamed_function_is_followed_into_another_open_file(neovim, settings, world):
    settings(deadline_ms=20_000)
    basket, shop = world.project / "basket.py", world.project / "shop.py"
    basket.write_text(BASKET)
    shop.write_text(SHOP)
    editor = neovim(shop)
    editor.lua(f"vim.cmd('edit {basket}')")
    editor.wait("#vim.lsp.get_clients({ name = 'foretype', bufnr = 0 }) == 1")
    editor.type("1Gwcwprice_of<Esc>")
    editor.wait(DRAWN, seconds=60)
    assert editor.screen()[0].endswith("→ shop.py:1 same name")
    for row, line in ((1, "from basket import price_of"), (6, '    return f"{price_of(prices, 0):.2f}"')):
        editor.wait(DRAWN)
        assert editor.lua("require('foretype').jump_or_accept()") is True
        assert (editor.lua("vim.fn.expand('%:t')"), editor.lua("vim.fn.line('.')")) == ("shop.py", row)
        assert editor.lua("require('foretype').jump_or_accept()") is True
        editor.wait(f"vim.fn.getline({row}) == [==[{line}]==]")
    assert world.status()["predictions"]["counts"]["accepted"] == 2
