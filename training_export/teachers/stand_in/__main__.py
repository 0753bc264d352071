"""Serves until Ctrl-C."""

from __future__ import annotations

import argparse
import threading
from contextlib import suppress

from training_export.teachers import stand_in
from training_export.teachers.stand_in.conduct import Conduct
from training_export.teachers.stand_in.server import StandIn


def main() -> None:
    """Print the address, then serve."""
    parser = argparse.ArgumentParser(prog="python -m training_export.teachers.stand_in", description=stand_in.__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--mistakes", type=int, default=0, help="one in so many answers undoes the user's last edit")
    options = parser.parse_args()
    with StandIn(options.port, Conduct(mistakes=options.mistakes)) as server:
        print(server.url, flush=True)  # noqa: T201  whoever started it waits for this
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
