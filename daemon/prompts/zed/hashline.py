"""Line references of the hashline format (V0226): a line number and two digits that vouch for its text.

Knows nothing of prompts. Reading answers in this format belongs to the format's own file.
"""

from __future__ import annotations


def hash_line(line: bytes) -> str:
    """Two hexadecimal digits: the sum of the line's bytes modulo 256."""
    return f"{sum(line) % 256:02x}"
