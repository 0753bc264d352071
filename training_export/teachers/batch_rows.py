"""The cache's rows of questions that wait for a batch, are in one, or came back: the statements, nothing else.

A batch has a label of ours from before it is sent, so that one whose sending was killed is looked for and not sent
twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from capture.store.sqlite import Connection
from training_export.teachers.cache import is_alive, store_replies

TRIES: Final = 3  # in batches; after that somebody has to ask again


@dataclass(frozen=True, slots=True)
class Sent:
    """A batch on its way; ``id`` is the service's, None where it is not known whether it arrived."""

    label: str
    id: str | None
    begun: str
    requests: int


def forget_wishes(teacher: str, connection: Connection) -> None:
    """Nothing is to be sent any more; what is on its way stays there."""
    connection.execute("UPDATE answers SET wanted = 0 WHERE teacher = ? AND request IS NOT NULL", (teacher,))


def want(teacher: str, requests: Mapping[str, Mapping[str, Any]], connection: Connection) -> None:
    """Have questions wait for a batch, unless they are answered or in one already."""
    connection.executemany(
        "INSERT INTO answers (key, teacher, request, wanted) VALUES (?, ?, ?, 1)"
        " ON CONFLICT (key) DO UPDATE SET request = excluded.request, wanted = 1, tries = 0 WHERE reply IS NULL",
        [(key, teacher, orjson.dumps(request).decode()) for key, request in requests.items()],
    )


def waiting(teacher: str, most: int, after: str, connection: Connection) -> list[tuple[str, dict[str, Any]]]:
    """The next questions to send, with keys above ``after``; none that somebody is asking at this moment."""
    rows = connection.execute(
        "SELECT key, request, asked_by FROM answers WHERE teacher = ? AND request IS NOT NULL AND batch IS NULL"
        " AND wanted AND tries < ? AND key > ? ORDER BY key LIMIT ?",
        (teacher, TRIES, after, most),
    ).fetchall()
    return [
        (row["key"], orjson.loads(row["request"]))
        for row in rows
        if row["asked_by"] is None or not is_alive(row["asked_by"])
    ]


def begin(teacher: str, batch: Sent, keys: Iterable[str], connection: Connection) -> None:
    """These questions are about to be sent."""
    connection.execute(
        "INSERT INTO batches (label, teacher, begun, requests) VALUES (?, ?, ?, ?)",
        (batch.label, teacher, batch.begun, batch.requests),
    )
    connection.executemany("UPDATE answers SET batch = ? WHERE key = ?", [(batch.label, key) for key in keys])


def arrived(label: str, batch_id: str, connection: Connection) -> None:
    """The service has a batch."""
    connection.execute("UPDATE batches SET id = ? WHERE label = ?", (batch_id, label))


def on_their_way(teacher: str, connection: Connection) -> list[Sent]:
    """The batches whose results are not fetched yet, oldest first."""
    rows = connection.execute(
        "SELECT label, id, begun, requests FROM batches WHERE teacher = ? ORDER BY begun, label", (teacher,)
    ).fetchall()
    return [Sent(row["label"], row["id"], row["begun"], row["requests"]) for row in rows]


def keep(label: str, replies: Mapping[str, Mapping[str, Any]], connection: Connection) -> int:
    """Store replies of a batch; returns how many questions of it they answer."""
    known = [
        key
        for key in replies
        if connection.execute("SELECT 1 FROM answers WHERE key = ? AND batch = ?", (key, label)).fetchone()
    ]
    store_replies({key: replies[key] for key in known}, connection)
    return len(known)


def end(label: str, connection: Connection) -> int:
    """A batch is done: what is not answered waits again, or was tried often enough. Returns how many those are."""
    left = connection.execute("UPDATE answers SET tries = tries + 1, batch = NULL WHERE batch = ?", (label,)).rowcount
    connection.execute("DELETE FROM batches WHERE label = ?", (label,))
    return left


def withdraw(label: str, connection: Connection) -> None:
    """A batch never arrived, or was not taken: its questions wait as they did before."""
    connection.execute("UPDATE answers SET batch = NULL WHERE batch = ?", (label,))
    connection.execute("DELETE FROM batches WHERE label = ?", (label,))


def is_in_batch(key: str, connection: Connection) -> bool:
    """Whether an answer is on its way."""
    row = connection.execute("SELECT batch FROM answers WHERE key = ?", (key,)).fetchone()
    return row is not None and row["batch"] is not None


def wanted_on_their_way(teacher: str, connection: Connection) -> int:
    """How many questions that somebody waits for are in batches."""
    number: int = connection.execute(
        "SELECT count(*) FROM answers WHERE teacher = ? AND request IS NOT NULL AND batch IS NOT NULL AND wanted",
        (teacher,),
    ).fetchone()[0]
    return number
