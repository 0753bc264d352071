"""A small repository with a history, examples of moments in it, and the stage run over one example."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from training_export.example import Example
from training_export.stages.context import ContextStage

PRICES = '''"""What things cost."""


def price_of(name):
    return {"tea": 3, "cake": 5}[name]


def discount(total):
    return total // 10
'''
CART = '''"""A cart."""

from prices import discount, price_of


class Cart:
    def __init__(self):
        self.names = []

    def total(self):
        return sum(price_of(name) for name in self.names)

    def label(self):
        return f"{self.total()} coins"
'''
SHOP = "from cart import Cart\n\ncart = Cart()\n"


def git(folder, *arguments, day=0):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.org",
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.org",
        "GIT_AUTHOR_DATE": f"{1_760_000_000 + day * 86400} +0000",
        "GIT_COMMITTER_DATE": f"{1_760_000_000 + day * 86400} +0000",
    }
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


class Clone:
    """A repository on disk."""

    def __init__(self, path):
        self.path = path
        path.mkdir(parents=True)
        git(path, "init", "--quiet", "--initial-branch=main", "--template=")
        self._day = 0

    def commit(self, **texts):
        """Write files (``__`` for a slash, ``_py`` for the suffix) and commit; the commit's name."""
        return self.commit_files({name.replace("__", "/").replace("_py", ".py"): text for name, text in texts.items()})

    def commit_files(self, texts):
        self._day += 1
        for name, text in texts.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, newline="")
        git(self.path, "add", "--all")
        git(self.path, "commit", "--quiet", "--message", "Change", day=self._day)
        return git(self.path, "rev-parse", "HEAD")

    def state(self):
        """All files with their contents: what nobody but the owner may change."""
        return {
            str(found.relative_to(self.path)): found.read_bytes()
            for found in sorted(self.path.rglob("*"))
            if found.is_file()
        }


@pytest.fixture
def clone(tmp_path):
    """A shop whose cart and prices were changed together."""
    made = Clone(tmp_path / "repos" / "ada" / "shop")
    made.commit(cart_py=CART.replace("coins", "?"), prices_py=PRICES.replace("10", "9"))
    made.commit(cart_py=CART.replace("coins", "c"), prices_py=PRICES.replace("10", "8"))
    made.revision = made.commit(cart_py=CART, prices_py=PRICES, shop_py=SHOP)
    return made


@pytest.fixture
def texts():
    return {"cart.py": CART, "prices.py": PRICES, "shop.py": SHOP}


@pytest.fixture
def example(clone):
    """An example in the cart, the cursor where ``‸`` stands; its excerpt need not be the whole file."""

    def make(marked, **fields):
        values = {
            "name": "moment",
            "repository_url": "https://example.org/ada/shop.git",
            "revision": clone.revision,
            "cursor_path": "cart.py",
            "cursor_position": marked.replace("‸", "<|user_cursor|>"),
        }
        return Example.new(**{**values, **fields})

    return make


@pytest.fixture
def find(clone):
    """What the stage finds for examples, in one run."""

    def run(*examples, **options):
        options = {"repositories": str(clone.path.parents[1]), **options}
        with ContextStage(**options).opened() as work:
            found = [work(one) for one in examples]
        return found[0] if len(found) == 1 else found

    return run


@pytest.fixture
def run_git():
    return git


@pytest.fixture
def make_clone(tmp_path):
    return lambda name: Clone(Path(tmp_path / name))
