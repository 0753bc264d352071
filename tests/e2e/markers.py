"""Words that occur nowhere else, and where they turn up again: in whatever bytes, in whatever spelling.

For tests of what is written to disk. Knows nothing of what writes.
"""

from __future__ import annotations

import base64
import os
import random
import string
import zlib
from functools import cached_property

import zstandard

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
DEFLATE_STARTS = (b"\x1f\x8b\x08", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")  # gzip, and zlib's levels
MAX_UNPACKED_BYTES = 8 << 20


class Markers:
    """Makes the words. All begin alike, so that a part of one is known as well. They look like no secret."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        self.beginning = "zq" + self._letters(7)
        self.words = {}  # name -> word

    def __getitem__(self, name):
        """The word of that name, made when it is first asked for."""
        if name not in self.words:
            self.words[name] = self.beginning + self._letters(9)
        return self.words[name]

    def found_in(self, data, names=None):
        """The names, of all words or of those named, whose words are in ``data`` in any spelling."""
        spelled = {name: spellings(self.words[name]) for name in self.words if names is None or name in names}
        found = set()
        for part in unfolded(data):
            lower = part.lower()
            found.update(name for name, forms in spelled.items() if any(form in lower for form in forms))
            if any(form in part for form in self._encoded_beginning):
                found.add("a word in base64")
            if names is None and any(form in lower for form in spellings(self.beginning)):
                found.add("the beginning of a word")
        return found

    @cached_property
    def _encoded_beginning(self):
        return base64_forms(self.beginning)

    def _letters(self, count):
        return "".join(self._random.choices(string.ascii_lowercase, k=count))


def spellings(word):
    """The bytes that may stand for a word, letter case apart."""
    plain = word.encode()
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in word).encode()
    percent = "".join(f"%{ord(letter):02x}" for letter in word).encode()
    wide = (word.encode(form) for form in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"))
    return {plain, plain[::-1], plain.hex().encode(), escaped, percent, *wide}


def base64_forms(word):
    """What base64 makes of a word wherever it stands in a text, the characters it shares with neighbours left out."""
    forms = set()
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + word.encode())
        forms.add(encoded[-(-before * 8 // 6) : len(encoded) // 4 * 4 - 4])
    return forms


def unfolded(data):
    """The bytes themselves and what can be unpacked from a compressed stream that begins in them."""
    yield data
    for place in _places(data, ZSTD_MAGIC):
        yield _partly(zstandard.ZstdDecompressor().decompressobj(), data[place:], zstandard.ZstdError)
    for start in DEFLATE_STARTS:
        for place in _places(data, start):
            yield _partly(zlib.decompressobj(wbits=47), data[place:], zlib.error)


def every_byte_under(*folders):
    """(what it is, its bytes) of each file, its name, its extended attributes, and where each link leads."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            yield f"the name {path}", os.fsencode(path.relative_to(folder))
            if path.is_symlink():
                yield f"the link {path}", os.fsencode(path.readlink())
            elif path.is_file():
                yield str(path), path.read_bytes()
                for name in os.listxattr(path) if hasattr(os, "listxattr") else ():
                    yield f"{name} of {path}", os.getxattr(path, name)


def _places(data, part):
    place = data.find(part)
    while place >= 0:
        yield place
        place = data.find(part, place + 1)


def _partly(unpacker, data, error):
    """As much as comes out before something is wrong: the rest of a stream may lie elsewhere."""
    out = bytearray()
    for at in range(0, len(data), 256):
        try:
            out += unpacker.decompress(data[at : at + 256])
        except error:
            break
        if len(out) > MAX_UNPACKED_BYTES or unpacker.unused_data:
            break
    return bytes(out)
