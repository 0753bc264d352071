"""docs/editors.md, written from the table: ``python -m daemon.editors.page > docs/editors.md``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from daemon.editors.setups import setups

if TYPE_CHECKING:
    from daemon.editors.setups import Setup

HEAD = """# foretype in your editor

Written by `python -m daemon.editors.page` from `daemon/editors/setups.toml`; do not edit.

`foretype editor NAME` prints what is below with the places of your installation; with `--write` it puts it into your
file, and shows the difference first. `foretype editor check NAME` starts the daemon as that editor would and says what
works.

*Checked* says how far each was tried: with the real client in a test; with a client of our own that sends what the real
one was seen to send; or from its documentation alone.

| name | editor | what you get | checked |
| --- | --- | --- | --- |
"""


def page() -> str:
    """The whole page."""
    known = setups().values()
    rows = "".join(
        f"| [{each.name}](#{each.name}) | {each.title} | {each.gives} | {each.checked} |\n" for each in known
    )
    return HEAD + rows + "".join(_section(each) for each in known)


def _section(setup: Setup) -> str:
    text = setup.snippet.lstrip("\n")
    for mark, program in (("@FORETYPE@", "foretype"), ("@FORETYPE_LSP@", "foretype-lsp")):
        text = text.replace(mark, program if setup.language == "text" else f'"{program}"')
    return (
        f"\n## {setup.name}\n\n{setup.title}: {setup.gives}. Checked: {setup.checked}.\n\n"
        f"{setup.beside} Then, in `{setup.file}`:\n\n"
        f"```{setup.language}\n{text}```\n\nKeys: {setup.keys}\n"
    )


if __name__ == "__main__":
    sys.stdout.write(page())
