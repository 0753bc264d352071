"""A person in VS Code renames a variable where it is defined; the shipped model carries the rename on.

Everything is real: VS Code (as code-server, in Chromium), our extension, the bridge, the hub, the engine worker and the
student in the package. Next edits are shown in two ways, and behave alike: VS Code's own display, and decorations.
"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.vscode

PRICES = """\
def total_price(orders):
    total = 0
    for order in orders:
        total += order.price
    print("orders:", len(orders))
    print("first:", orders[0])
    return total
"""
BASKET = """\
def total_price(prices, discount):
    total = 0
    for price in prices:
        total += price
    return total - total * discount


class Basket:
    def __init__(self):
        self.prices = []

    def add(self, price):
        self.prices.append(price)
"""
SHOP = """\
from basket import total_price


def bill(prices):
    print("bill")
    return f"{total_price(prices, 0):.2f}"
"""
RENAMED = PRICES.replace("    total = 0", "    amount = 0")
FIRST = RENAMED.replace("total +=", "amount +=")
SECOND = FIRST.replace("return total", "return amount")
BOTH_WAYS = pytest.mark.parametrize("how", ["auto", "decorations"])


def rows(text):
    return text.split("\n")


@pytest.fixture
def prices(studio):
    """``prices(**settings)``: a window with the program open."""
    return lambda **settings: studio.open(studio.project({"prices.py": PRICES}) / "prices.py", **settings)


def rename(page):
    """Type over the name where it is defined."""
    page.focus()
    page.go_to(2, 5)
    page.press("Control+Shift+ArrowRight")
    page.type("amount")


@BOTH_WAYS
def test_a_rename_is_shown_jumped_to_accepted_chained_and_dismissed(studio, prices, how):
    page = prices(foretype__nextEdits=how)
    accepted = studio.counts()["accepted"]
    rename(page)
    page.wait_for_drawn("amount")
    page.wait_for_reason("next edit: line 4")
    assert page.rows() == rows(RENAMED)
    page.press("Tab")
    page.wait_for_cursor(4, 9)
    assert page.rows() == rows(RENAMED)
    assert page.drawn() == ["amount"]
    page.press("Tab")
    page.wait_for_rows(rows(FIRST))
    page.wait_for_cursor(4, 15)

    page.wait_for_reason("next edit: line 7 (same answer)")  # which accepting the first one asked for
    page.wait_for_drawn("amount")
    before = studio.counts()
    assert before["accepted"] - accepted == 1
    page.press("Escape")
    page.wait_for_drawn()
    page.wait_for_reason("dismissed")
    assert page.rows() == rows(FIRST)
    after = studio.counts()
    assert (after["accepted"] - before["accepted"], after["rejected"] - before["rejected"]) == (0, 1)
    page.go_to(7, 17)
    page.press("Tab")  # is a tab again
    page.wait_for_rows(rows(FIRST.replace("return total\n", "return total    \n")))


@BOTH_WAYS
def test_undo_takes_back_an_accepted_edit_and_the_cursor_in_one_step(prices, how):
    page = prices(foretype__nextEdits=how)
    rename(page)
    page.wait_for_drawn("amount")
    page.press("Tab")
    page.wait_for_cursor(4, 9)
    page.press("Tab")
    page.wait_for_rows(rows(FIRST))
    page.wait_for_reason("next edit: line 7 (same answer)")
    page.press("Control+z")
    page.wait_for_rows(rows(RENAMED))
    page.wait_for_cursor(4, 9)
    page.wait_for_drawn()  # and what was undone is not suggested again


def test_a_key_pressed_too_often_writes_no_tab(prices):
    page = prices(foretype__nextEdits="decorations")
    rename(page)
    page.wait_for_drawn("amount")
    page.press("Tab")
    page.wait_for_cursor(4, 9)
    page.press("Tab", "Tab")  # the second one may come before the next edit does
    page.wait_for_reason("next edit: line 7 (same answer)")
    assert page.rows() == rows(FIRST)


def test_what_is_begun_at_the_cursor_is_finished_in_grey(studio, prices):
    page = prices()
    rename(page)
    page.wait_for_drawn("amount")
    page.go_to(4, 9)
    page.press("Control+Shift+ArrowRight")
    page.type("a")
    page.wait_for_rows(rows(FIRST))  # grey text stands in its row
    assert page.ghost() == "mount"
    assert page.drawn() == []
    page.press("Tab")
    page.wait_for_cursor(4, 15)
    assert page.ghost() == ""
    assert page.rows() == rows(FIRST)


def test_tab_indents_where_it_would_and_belongs_to_the_completion_list_while_that_is_open(prices):
    page = prices(foretype__nextEdits="decorations")
    rename(page)
    page.wait_for_drawn("amount")
    page.go_to(8, 1)
    assert page.drawn() == ["amount"]
    page.press("Tab")
    page.wait_for_cursor(8, 5)
    page.type("ord")
    page.press("Control+Space")
    page.page.locator(".suggest-widget.visible .monaco-list-row.focused").wait_for()
    page.press("Tab")
    page.wait_for_rows([*rows(RENAMED)[:-1], "    order"])


def test_only_when_asked_in_manual_mode(studio, prices):
    page = prices(foretype__nextEdits="decorations", foretype__mode="manual")
    before = studio.counts()["requests"]
    rename(page)
    page.wait_for_rows(rows(RENAMED))
    page.command("foretype: Predict Now")
    page.wait_for_drawn("amount")
    assert studio.counts()["requests"] - before <= 2  # grey text and the next edit, once each


def test_a_word_of_an_edit_is_accepted_and_the_rest_stays(studio):
    text = PRICES.replace("total += order.price", "total = max(total, order.price)")
    path = studio.project({"prices.py": text})
    page = studio.open(path / "prices.py", foretype__nextEdits="decorations")
    rename(page)
    page.wait_for_drawn("amount = max(amount")
    page.press("Tab")
    page.wait_for_cursor(4, 9)
    page.command("foretype: Accept the Next Word")
    renamed = text.replace("    total = 0", "    amount = 0")
    page.wait_for_rows(rows(renamed.replace("        total =", "        amount =")))
    page.wait_for_drawn("amount")
    page.press("Tab")
    page.wait_for_rows(rows(renamed.replace("        total = max(total", "        amount = max(amount")))


def test_the_status_bar_says_why_there_is_nothing(studio, prices, changed):
    page = prices()
    page.command("foretype: Pause in This Window")
    page.wait_for_reason("paused in this window")
    before = studio.counts()["requests"]
    rename(page)
    page.wait_for_rows(rows(RENAMED))
    page.command("foretype: Predict Now")
    changed(lambda: studio.counts()["requests"] > before, bool)
    assert page.drawn() == []
    assert page.reason() == "paused in this window"
    page.command("foretype: Resume in This Window")
    page.command("foretype: Predict Now")
    page.wait_for_drawn("amount")


def test_who_agrees_finds_what_became_of_the_prediction(studio, prices, changed):
    page = prices()
    page.command("foretype: Agree to Remember How Predictions Turned Out")
    dialog = page.page.locator(".monaco-dialog-box")
    assert "settings" in dialog.inner_text() or "machine" in dialog.inner_text()
    dialog.get_by_role("button", name="Agree, and keep it on this machine").click()
    page.page.get_by_text("foretype remembers in").first.wait_for()
    rename(page)
    page.wait_for_drawn("amount")
    page.press("Tab")
    page.wait_for_cursor(4, 9)
    page.press("Tab")
    page.wait_for_rows(rows(FIRST))
    [snapshot_id] = changed(studio.stored.ids, bool)
    snapshot = studio.stored.show(snapshot_id)
    assert snapshot["outcome"] == "accepted"
    [edit] = snapshot["prediction"]["edits"]
    assert (edit["text_before"], edit["text_after"]) == ("total", "amount")
    page.command("foretype: Take Back Consent")
    page.page.locator(".monaco-dialog-box").get_by_role("button", name="Take back and delete").click()
    page.page.get_by_text("Nothing more is remembered in").first.wait_for()
    assert studio.stored.ids() == []


def test_what_other_extensions_know_reaches_the_model(studio, changed):
    """TypeScript's extension comes with VS Code: it knows where a name is defined and what is wrong."""
    definition = "export function priceOf(order, currency) {"
    project = studio.project(
        {
            "jsconfig.json": '{"compilerOptions": {"checkJs": true, "module": "es2022"}}',
            "prices.js": f"{definition}\n  return order.amount * currency;\n}}\n",
            "main.js": 'import { priceOf } from "./prices.js";\n\nlet total = 0;\ntotal = priceOf(1, rate);\n',
        }
    )
    assert studio.world.foretype("consent", "grant", "--yes", str(project)).returncode == 0
    page = studio.open(project / "main.js")
    page.page.locator("[id='status.problems'] a[aria-label='Errors: 1']").wait_for()
    page.focus()
    page.go_to(3, 14)

    def looked_around():
        """The snapshot of one more question: the first is asked before the context of its place is known."""
        before = set(studio.stored.ids())
        page.type(" ")
        [settled, *_] = changed(lambda: set(studio.stored.ids()) - before, bool)
        return studio.stored.show(settled)["inputs"]

    def is_known(inputs):
        files, problems = inputs.get("related_files"), inputs.get("active_buffer_diagnostics")
        return definition in str(files) and "Cannot find name 'rate'" in str(problems)

    changed(looked_around, is_known, tries=5)


@BOTH_WAYS
def test_a_renamed_function_is_followed_into_another_open_file(studio, how):
    project = studio.project({"basket.py": BASKET, "shop.py": SHOP})
    page = studio.open(project / "shop.py", foretype__nextEdits=how)
    page.open("basket.py")
    page.focus()
    page.go_to(1, 5)
    page.press("Control+Shift+ArrowRight")
    page.type("cost")
    page.wait_for_drawn("Tab → shop.py, line 1: cost")
    page.press("Tab")
    page.wait_for_file("shop.py")
    page.wait_for_cursor(1, 20)
    page.wait_for_drawn("cost")
    page.press("Tab")
    first = SHOP.replace("import total_price", "import cost")
    page.wait_for_rows(rows(first))
    page.wait_for_reason("next edit: line 6 (same answer)")
    page.wait_for_drawn("cost")
    page.press("Tab")
    if how == "decorations":  # VS Code's own display accepts at once what follows an accepted edit and is in sight
        page.wait_for_cursor(6, 15)
        page.press("Tab")
    page.wait_for_rows(rows(SHOP.replace("total_price", "cost")))
