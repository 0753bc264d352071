"""``foretype collect`` as it is, save that batches and parts are small and parts soon sealed: all is to happen often.

``sealing_collector.py PART_BYTES WORD...``: the words are those of the command line.
"""

from __future__ import annotations

import sys
from functools import partial

from capture.collector import opening, settings
from capture.collector.index import Sealing
from capture.collector.indexed import Upkeep
from daemon import main

MAX_BATCH_SNAPSHOTS = 16
SEALED_AFTER_SECONDS, LOOK_SECONDS = 3.0, 0.5

if __name__ == "__main__":
    settings.MAX_BATCH_SNAPSHOTS = MAX_BATCH_SNAPSHOTS  # what clients are told; they may send more
    part_bytes = int(sys.argv.pop(1))
    upkeep = Upkeep(Sealing(part_bytes, SEALED_AFTER_SECONDS), look_seconds=LOOK_SECONDS)
    opening.open_from = partial(opening.open_from, upkeep=upkeep)
    sys.exit(main.main())
