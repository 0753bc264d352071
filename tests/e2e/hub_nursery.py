"""Starts hubs one after the other, each a process of its own, at the price of a fork: what they import is imported.

For each line on standard input, a JSON object of environment variables, a hub as ``scripted_hub.py`` makes it; how it
ended is said on standard output, one line each.
"""

from __future__ import annotations

import importlib
import json
import os
import sys

from scripted_hub import run_hub

from daemon import hub

# What a hub otherwise imports when it serves, and when the first snapshot is examined.
for name in ("daemon.hub_server", "daemon.lsp.session", "detect_secrets.settings", "detect_secrets.core.scan"):
    importlib.import_module(name)


def main():
    hub.refuse_clash()
    hub.refuse_clash = lambda: None  # what is installed stays the same, and to look takes a third of a hub's start
    for line in sys.stdin:
        process = os.fork()
        if not process:
            os.environ.update(json.loads(line))
            os._exit(run_hub())
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
