"""The hub's own program, save that a script stands in for the model's worker: hundreds of predictions a second.

Everything else is the hub's. It stays in the foreground and says on standard error when it is ready. Words such as
`synchronous=1` change what it demands of SQLite.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from capture.store import sqlite
from daemon import assembly, hub
from daemon.engine.scripted import ScriptedEngine


class RowEngine(ScriptedEngine):
    """Knows the row the cursor is in, and predicts that it ends in a question mark."""

    def __init__(self, *_arguments, **_options):
        super().__init__(lambda _inputs: None)

    async def predict(self, inputs, *, deadline_seconds, least_confidence=0.0):
        answer = await super().predict(inputs, deadline_seconds=deadline_seconds, least_confidence=least_confidence)
        excerpt, cursor = inputs.excerpt_bytes, inputs.cursor_offset_in_excerpt
        start, end = excerpt.rfind(b"\n", 0, cursor) + 1, excerpt.find(b"\n", cursor)
        end = len(excerpt) if end < 0 else end
        row = excerpt[start:end].decode()
        self.asked.clear()  # it is asked very often
        return replace(
            answer, region_start_bytes=start, region_end_bytes=end, new_region_text=f"{row.rstrip('?')}?", reason=""
        )


def run_hub():
    """Until it ends; returns its exit status."""
    assembly.EngineClient = RowEngine
    return hub.main([])


if __name__ == "__main__":
    sqlite.WRITER_PRAGMAS.update(
        (name, int(value)) for name, _, value in (word.partition("=") for word in sys.argv[1:])
    )
    sys.exit(run_hub())
