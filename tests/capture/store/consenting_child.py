"""Gives consent and takes it back, another process than the one that stores; says on standard output what it has done.

`revoke BOOK STORE ROOT` takes consent back, says so, purges what was stored under it, and says how much that was.
`again BOOK STORE ROOT TIMES` gives it, lets some be stored, and does the same, so many times; then it gives it once more.
"""

import sys
import time
from pathlib import Path

from capture.consent.book import ConsentBook
from capture.consent.policy import PolicyFile
from capture.store import stored
from capture.store.choice import Choice

PATIENCE_SECONDS = 20.0


def say(*words):
    print(*words, flush=True)


def count(path, workspace_id):
    with stored.reading(path) as database:
        return 0 if database is None else len(stored.summaries(database, Choice(workspace_id=workspace_id)))


def revoke(book, path, root):
    """The ids of the workspaces that ended."""
    ended = book.revoke(root)
    say("revoked")
    for consent in ended:
        say("purged", stored.purge_file(path, Choice(workspace_id=consent.workspace_id)).snapshots)
    return [consent.workspace_id for consent in ended]


def again(book, path, root, times):
    ended = []
    for _ in range(times):
        granted = book.grant(root, "local")
        until = time.monotonic() + PATIENCE_SECONDS
        while not count(path, granted.workspace_id):
            assert time.monotonic() < until, "nothing is stored"
        ended += revoke(book, path, root)
        assert not any(count(path, workspace_id) for workspace_id in ended)
    say("granted", book.grant(root, "local").workspace_id, *ended)


def main(what, book_path, path, root, *numbers):
    book = ConsentBook(Path(book_path), PolicyFile(Path(book_path).with_name("no-policy.toml")))
    {"revoke": revoke, "again": again}[what](book, Path(path), root, *map(int, numbers))


if __name__ == "__main__":
    main(*sys.argv[1:])
