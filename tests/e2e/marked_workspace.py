"""A workspace in which each file holds words of its own, and ordinary code uses what the others define."""

from __future__ import annotations

import re
import subprocess

from tests.e2e.markers import Markers

EXCLUDE = ["/generated/"]  # the user's own patterns
# What must not be kept, wherever it is opened, edited or told of.
EXCLUDED = (".env", ".env.py", "conf/secrets.yml", "server.pem", "generated/values.py", "UPPER/.ENV.local")
IGNORED = ("private.py", "scratch/notes.py", "vendor/lib/hidden.py")
OUTSIDE = ("../elsewhere/outside.py", "leads_out.py")
FORBIDDEN = (*EXCLUDED, *IGNORED, *OUTSIDE)
ORDINARY = ("main.py", "shop/prices.py", "vendor/lib/seen.py")


class Workspace:
    """Written to the empty folder ``root``, with what lies outside of it in ``elsewhere``."""

    def __init__(self, root, elsewhere):
        self.root = root
        self.markers = Markers(root.name)
        self.texts = {name: self._text(name) for name in (*ORDINARY, *FORBIDDEN)}
        for folder in ("shop", "conf", "generated", "scratch", "vendor/lib", "UPPER"):
            (root / folder).mkdir(parents=True)
        elsewhere.mkdir()
        (root / "leads_out.py").symlink_to(elsewhere / "linked.py")
        for name, text in self.texts.items():
            (root / name).write_text(text)
        (root / ".gitignore").write_text("private.py\nscratch/\n")
        (root / "vendor/lib/.gitignore").write_text("hidden.py\n")
        self._commit(root / "vendor/lib", "seen.py")
        # Together, more than once, and though git ignores some of them: they count as files that change together.
        inside = (*EXCLUDED, "private.py", "main.py", "shop/prices.py")
        for change in range(3):
            for name in inside:
                (root / name).write_text(self.texts[name] + "#\n" * change)
            self._commit(root, *inside)
        for name in inside:
            (root / name).write_text(self.texts[name])

    def uri(self, name):
        return (self.root / name).absolute().as_uri() if ".." not in name else (self.root / name).resolve().as_uri()

    def words_of(self, names):
        """The names of the words that stand in these files or are typed there."""
        return {word for word in self.markers.words if word.rpartition(" ")[2] in names}

    def definitions(self):
        """What a client says of every name that the ordinary files use: the first two rows of each file."""
        return [
            {
                "name": self._function(name),
                "uri": self.uri(name),
                "range": {"start": {"line": 0, "character": 0}, "end": {"line": 1, "character": 0}},
                "text": "".join(text.splitlines(keepends=True)[:2]),
            }
            for name, text in self.texts.items()
        ]

    def _function(self, name):
        return "fetch_" + re.sub(r"\W", "_", name)

    def _text(self, name):
        others = [other for other in (*FORBIDDEN, *ORDINARY) if other != name]
        calls = " + ".join(f"{self._function(other)}()" for other in others) if name in ORDINARY else "1"
        return (
            f"def {self._function(name)}():\n    return '{self.markers[f'in {name}']}'\n\n\n"
            "def total_price(orders):\n    total = 0\n    for order in orders:\n        total += order.price\n"
            f"    return total\n\n\nvalue = {calls}\n"
        )

    def _commit(self, folder, *names):
        git = ["git", "-C", folder, "-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        subprocess.run([*git, "init", "-q"], check=True)
        subprocess.run([*git, "add", "-f", *names], check=True)
        subprocess.run([*git, "commit", "-qm", "a change"], check=True)
