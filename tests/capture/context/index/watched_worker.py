"""The index worker, ended at once where it uses the network or opens a file for writing (``python -m ...watched_worker``)."""

import os
import sys

ALLOWED = {os.devnull}
FORBIDDEN = (
    "socket.",
    "urllib.",
    "http.",
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "os.truncate",
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
EXIT_CODE = 97


def watch(event: str, arguments: tuple[object, ...]) -> None:
    writes = (
        event == "open" and arguments[0] not in ALLOWED and isinstance(arguments[2], int) and arguments[2] & WRITING
    )
    if (writes and not isinstance(arguments[0], int)) or event.startswith(FORBIDDEN):
        os.write(2, f"the worker did {event}\n".encode())
        os._exit(EXIT_CODE)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.addaudithook(watch)
    from capture.context.index.worker import main

    main()
