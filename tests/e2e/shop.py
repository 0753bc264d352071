"""A small workspace under git, and what is stored of it."""

from __future__ import annotations

import json
import subprocess


class Shop:
    """A workspace under git. ``main.py``, with changes that are not committed, uses what ``prices.py`` defines."""

    MAIN = """\
\"\"\"Orders of the shop: how many, how much, größer als 😀.\"\"\"

from prices import price_of


def count(orders):
    number = 0
    for order in orders:
        number += len(order.items)
    return number


def names(orders):
    found = []
    for order in orders:
        found.append(order.customer.name)
    return found


def open_orders(orders):
    return [order for order in orders if not order.is_paid]


def paid_orders(orders):
    return [order for order in orders if order.is_paid]


def total_price(orders):
    total = 0
    for order in orders:
        total += price_of("😀", order)
    print("orders:", len(orders))
    print("first:", orders[0])
    return total


def largest(orders):
    best = None
    for order in orders:
        if best is None or best.weight < order.weight:
            best = order
    return best


def smallest(orders):
    best = None
    for order in orders:
        if best is None or best.weight > order.weight:
            best = order
    return best


def customers(orders):
    return {order.customer for order in orders}


def weights(orders):
    return [order.weight for order in orders]
"""
    PRICE_OF = """\
def price_of(currency, order):
    return sum(item.amount * item.price_in(currency) for item in order.items)
"""

    def __init__(self, root):
        self.root = root
        self.main, self.prices = root / "main.py", root / "prices.py"
        self.main.write_text(self.MAIN.replace("    return number\n", "    return -1\n"))
        self.prices.write_text(f'"""What things cost."""\n\n\n{self.PRICE_OF}')
        self._git("init", "-q")
        self._git("remote", "add", "origin", "https://ada:hush-hush@example.org/ada/shop.git")
        self._git("add", ".")
        self._git("commit", "-qm", "first")
        self.revision = self._git("rev-parse", "HEAD").strip()
        self.main.write_text(self.MAIN)

    def row(self, line):
        """The row of the one line of ``main.py`` that reads so."""
        [row] = [row for row, each in enumerate(self.MAIN.split("\n")) if each.strip() == line]
        return row

    def _git(self, *words):
        command = ["git", "-C", self.root, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Stored:
    """What is stored in a world, as the command line tells."""

    def __init__(self, world):
        self._world = world
        self.folder = world.data / "foretype" / "snapshots"

    def show(self, snapshot_id):
        """One snapshot's JSON."""
        return json.loads(self._run("show", snapshot_id, "--json"))

    def exported(self, snapshot_id):
        """The bytes of one snapshot as they are exported."""
        path = self._world.root / "exported.jsonl"
        self._run("export", "--out", str(path), "--force")
        [line] = [line for line in path.read_bytes().splitlines() if json.loads(line)["id"] == snapshot_id]
        return line

    def ids(self):
        """Of all snapshots, the newest first."""
        return [row["id"] for row in json.loads(self._run("list", "--limit", "0", "--json"))]

    def _run(self, *words):
        done = self._world.foretype("snapshots", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout
