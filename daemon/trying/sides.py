"""Which documents a trial's candidate serves: a pure function, so that a restart changes nothing.

Each document has a place between 0 and 1, by a hash of the trial's salt and its name; those below the share are the
candidate's. So a document keeps its side as long as the trial lasts, a larger share only adds documents, and the next
trial, with another salt, takes others.
"""

from __future__ import annotations

import hashlib
from urllib.parse import unquote

_PLACE_BYTES = 8


def is_candidates(document: str, *, salt: str, share: float) -> bool:
    """Whether the document is the candidate's; ``document`` is its uri, ``share`` from 0 to 1."""
    # Editors escape differently: `file:///a%20b` and `file:///a b` are one document.
    named = f"{salt}\0{unquote(document)}".encode(errors="surrogatepass")
    place = int.from_bytes(hashlib.sha256(named).digest()[:_PLACE_BYTES], "big")
    return place < share * (1 << 8 * _PLACE_BYTES)
