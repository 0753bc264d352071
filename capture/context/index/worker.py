"""The index worker: a child process that reads a workspace (``python -m capture.context.index.worker``).

Messages (``messages``) come as JSON lines on standard input and go out on what was standard output. When standard input
ends the process ends at once: it never outlives its hub. It writes nothing to disk, opens no connection, and no text of
the user's goes anywhere but into answers.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import sys
import threading
import time
import traceback
from collections import deque
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, BinaryIO, Never

import orjson

from capture.context.index.messages import IndexLimits, Reply, Request
from capture.context.index.walk import WorkspaceFiles
from capture.context.index.watching import FolderWatcher
from capture.context.index.workspace import WorkspaceIndex
from capture.gate.exclude import PathGate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NICENESS = 19  # a prediction's threads come first, always: they wait for nothing, the index can wait
PROGRESS_SECONDS = 0.2  # between two reports while there is work
MAX_LOST, LOST_SECONDS = 5, 60.0  # so many watches lost in so short a time: no other is begun


class Worker:
    """Drives one workspace's index: messages first, and a step of work whenever there are none.

    ``send`` writes one message to the hub.
    """

    def __init__(self, send: Callable[[dict[str, Any]], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._clock = clock
        self._todo: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._index: WorkspaceIndex | None = None
        self._watcher = FolderWatcher(
            on_ready=lambda number: self._todo.put(partial(self._note_watching, number)),
            on_changes=lambda paths: self._todo.put(partial(self._note_changes, paths)),
            on_lost=lambda number, how: self._todo.put(partial(self._note_lost, number, how)),
            on_failure=lambda number, how: self._todo.put(partial(self._note_deaf, number, how)),
        )
        self._watch = 0  # the number of the newest
        self._is_watching = False
        self._lost_at: deque[float] = deque(maxlen=MAX_LOST)  # when the last watches were lost
        self._deaf_note = ""
        self._has_news = False  # something changed since the last report
        self._reported_at = 0.0

    def receive(self, line: bytes) -> None:
        """Take a message from the hub; from any thread."""
        self._todo.put(partial(self._serve, line))

    def run(self) -> Never:
        """Work and answer until the process ends."""
        while True:
            self.turn()

    def turn(self) -> None:
        """One message, or one step of work where none waits; sleeps where there is neither."""
        index = self._index
        if not self._todo.empty():
            self._guarded(self._todo.get())
        elif index is not None and index.has_work:
            self._guarded(index.work)
            self._has_news = True
            if self._clock() - self._reported_at >= PROGRESS_SECONDS:
                self._report(index)
        else:
            if index is not None and self._has_news:
                self._report(index)
                # The table is kept for long: to look through it for garbage would hold up an answer for 50 ms.
                gc.freeze()
            self._guarded(self._todo.get())

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except BrokenPipeError:
            raise  # the hub is gone
        except Exception as error:  # noqa: BLE001  the boundary: a fault costs one file or one answer, no more
            report_fault(error)

    def _serve(self, line: bytes) -> None:
        message = orjson.loads(line)
        request = Request(message["op"])
        if request is Request.START:
            self._start(message["root"], message["exclude_globs"], IndexLimits(**message["limits"]))
            return
        if self._index is None:
            raise ValueError("the first message is not `start`")
        if request is Request.FIND:
            answer = self._index.find(message["path"], message["names"])
            self._send({"kind": Reply.FOUND, "id": message["id"], "value": answer})
        elif request is Request.OPEN:
            self._index.open_text(message["path"], message["text"])
            self._has_news = True
        else:
            self._index.close_text(message["path"])
            self._has_news = True

    def _start(self, root: str, exclude_globs: Sequence[str], limits: IndexLimits) -> None:
        files = WorkspaceFiles(root, PathGate(exclude_globs), limits)
        self._index = WorkspaceIndex(files, limits, self._watch_folders)

    def _watch_folders(self, folders: Sequence[str]) -> None:
        self._is_watching, self._deaf_note = False, ""
        self._watch = self._watcher.watch(folders)
        if not folders:
            self._note_deaf(self._watch, "there is no folder that can be watched")

    def _note_watching(self, number: int) -> None:
        if number == self._watch and self._index is not None:
            self._is_watching = self._has_news = True
            self._index.rescan()  # for what happened before

    def _note_changes(self, paths: Sequence[str]) -> None:
        if self._index is not None:
            self._index.note_changes(paths)

    def _note_lost(self, number: int, how: str) -> None:
        """The watch ended; what changed since is found by a walk, and another watch begins."""
        if number != self._watch or self._index is None:
            return
        self._is_watching = False
        self._lost_at.append(self._clock())
        if self._lost_at[-1] - self._lost_at[0] > LOST_SECONDS or len(self._lost_at) < MAX_LOST:
            self._index.rescan(watch_anew=True)
        else:
            self._note_deaf(number, how)

    def _note_deaf(self, number: int, how: str) -> None:
        if number == self._watch:
            self._deaf_note = (
                f"changes on disk are not followed ({how}); open documents are. Where the number of watches is the"
                " limit, raise fs.inotify.max_user_watches"
            )
            self._has_news = True

    def _report(self, index: WorkspaceIndex) -> None:
        self._has_news = False
        self._reported_at = self._clock()
        progress = index.progress()
        progress = replace(
            progress,
            is_ready=progress.is_ready and (self._is_watching or bool(self._deaf_note)),
            is_watching=self._is_watching,
            notes=(*progress.notes, *((self._deaf_note,) if self._deaf_note else ())),
        )
        self._send({"kind": Reply.PROGRESS, "value": progress.to_json()})


def take_standard_output() -> BinaryIO:
    """The pipe to the hub; from now on descriptor 1, where a library may print, is standard error."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


def read_messages(messages: BinaryIO, receive: Callable[[bytes], None]) -> Never:
    """Hand on every line; at the end of the input end the process (it owns nothing that needs a farewell)."""
    for line in messages:
        receive(line)
    os._exit(0)


def report_fault(error: BaseException) -> None:
    """Where and of which type, without the message: messages may quote the user's text."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    sys.stderr.write(f"{type(error).__name__} in the index worker\n{frames}")


def main() -> Never:
    """Serve until standard input ends."""
    replies = take_standard_output()
    faulthandler.enable()
    os.nice(NICENESS)

    def send(message: dict[str, Any]) -> None:
        replies.write(orjson.dumps(message) + b"\n")
        replies.flush()

    worker = Worker(send)
    threading.Thread(target=read_messages, args=(sys.stdin.buffer, worker.receive), daemon=True).start()
    worker.run()


if __name__ == "__main__":
    main()
