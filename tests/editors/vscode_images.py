"""Takes the pictures of next edits in VS Code that the documentation shows.

    python -m tests.editors.vscode_images docs/images

What they show is computed by the shipped model while they are taken. Needs what ``make test-vscode`` installs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.editors.conftest import new_studio
from tests.editors.test_vscode import PRICES, rename

MAX_BYTES = 200_000
PICTURES = {"vscode-next-edit.png": "auto", "vscode-decorations.png": "decorations"}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with new_studio() as studio:
        for name, how in PICTURES.items():
            project = studio.project({"prices.py": PRICES})
            page = studio.open(project / "prices.py", foretype__nextEdits=how)
            rename(page)
            page.wait_for_drawn("amount")
            page.screenshot(folder / name)
            studio.close_pages()
            assert (folder / name).stat().st_size < MAX_BYTES, name
            sys.stdout.write(f"{folder / name}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
