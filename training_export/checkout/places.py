"""The checkouts and workspaces of one run: made when an example asks for them, a few kept, none left behind.

Knows nothing of examples.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from training_export.checkout.failure import ContextNotFound
from training_export.checkout.repositories import Repositories
from training_export.checkout.surroundings import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

MAX_WORKSPACES: Final = 4  # whose symbol index is in memory


class Places:
    """Owns them while the block runs. ``checkout`` is one folder for all examples, ``repositories`` has clones."""

    def __init__(
        self, checkout: str, repositories: str, *, fetch: bool = False, servers: Mapping[str, Sequence[str]]
    ) -> None:
        self._checkout = checkout
        self._servers = servers
        self._repositories = Repositories(Path(repositories), fetch=fetch)
        self._workspaces: OrderedDict[Path, Workspace] = OrderedDict()
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        self._opened.enter_context(self._repositories)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._workspaces:
            self._workspaces.popitem()[1].close()
        self._opened.__exit__(kind, error, trace)

    def checkout(self, url: str, revision: str) -> Path:
        """The folder with the files of the example's commit; raises ContextNotFound."""
        return Path(self._checkout) if self._checkout else self._repositories.checkout(url, revision)

    def workspace(self, root: Path) -> Workspace:
        """The workspace at a folder of a checkout; raises ContextNotFound where there is none."""
        if not root.is_dir():
            raise ContextNotFound("the workspace's folder is not in the repository at that revision")
        if root not in self._workspaces:
            while len(self._workspaces) >= MAX_WORKSPACES:
                self._workspaces.popitem(last=False)[1].close()
            self._workspaces[root] = Workspace(root, self._servers)
        self._workspaces.move_to_end(root)
        return self._workspaces[root]


def fingerprint(folder: Path) -> str:
    """The same as long as no file below a folder was changed, by their names, sizes and times; git's own do not count.

    Raises OSError.
    """
    digest = hashlib.blake2b(digest_size=16)
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != ".git")
        for name in sorted(files):
            state = Path(parent, name).lstat()
            below = os.fsencode(os.path.relpath(Path(parent, name), folder))
            digest.update(b"%s\0%d\0%d\0" % (below, state.st_size, state.st_mtime_ns))
    return digest.hexdigest()
