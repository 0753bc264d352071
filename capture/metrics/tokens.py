r"""Code split into tokens as Zed's metrics split it: the unit of the kept rate and of token changes.

White space runs, line end runs (``\r`` and ``\n`` together), operators of several characters, single other
characters, and identifiers. An identifier is a run of Unicode Alphabetic or Numeric characters and ``_``
(so a Hindi word keeps its vowel signs); as tokens it falls apart at underscores and at camel case humps.
Upper and lower case are the Unicode properties. Knows nothing of patches.
"""

from __future__ import annotations

import re
from typing import Final

import regex

from capture.metrics.characters import WHITE_SPACE

# In the order they are tried, longest first.
_OPERATORS: Final = (
    *(">>>=", "<<=", ">>=", "...", "..=", "??=", "**=", ">>>"),
    *("::", "->", "=>", "==", "!=", "<=", ">=", "&&", "||", "<<", ">>", "..", "+=", "-=", "*=", "/=", "%=", "&="),
    *("|=", "^=", "++", "--", "**", "??", "?.", ":=", "<-", "//", "/*", "*/"),
)
_NOT_IDENTIFIER: Final = "|".join(
    ["[\r\n]+", f"[{WHITE_SPACE.replace(chr(10), '').replace(chr(13), '')}]+", *map(re.escape, _OPERATORS), "."]
)


def _identifier_parts(letter: str, upper: str, lower: str, number: str) -> str:
    """Pattern of an identifier's tokens, from the insides of the sets of its characters.

    A hump begins at an upper case character after a lower case one or a number, and at the last of several
    upper case characters when a lower case one follows.
    """
    other = f"[{letter}{number}--{upper}]" if "\\p" in upper else f"[{lower}{number}]"
    joined_upper = f"(?<![{lower}{number}])(?!(?<=[{upper}])[{upper}][{lower}])[{upper}]"
    return f"_+|[{letter}{number}](?:{other}+|{joined_upper})*"


# What is ASCII, nearly all code, is left to the faster of the two engines.
_ASCII_PARTS: Final = _identifier_parts("A-Za-z", "A-Z", "a-z", "0-9")
_UNICODE_PARTS: Final = _identifier_parts(r"\p{Alphabetic}", r"\p{Uppercase}", r"\p{Lowercase}", r"\p{N}")

_ASCII_TOKENS: Final = re.compile(f"{_ASCII_PARTS}|{_NOT_IDENTIFIER}", re.DOTALL)
_UNICODE_TOKENS: Final = regex.compile(f"{_UNICODE_PARTS}|{_NOT_IDENTIFIER}", regex.DOTALL | regex.V1)
_ASCII_UNITS: Final = re.compile(f"[A-Za-z0-9_]+|{_NOT_IDENTIFIER}", re.DOTALL)
_UNICODE_UNITS: Final = regex.compile(rf"[\p{{Alphabetic}}\p{{N}}_]+|{_NOT_IDENTIFIER}", regex.DOTALL | regex.V1)


def tokens(text: str) -> list[str]:
    """All of ``text`` in pieces: ``"".join`` is the inverse."""
    found: list[str] = (_ASCII_TOKENS if text.isascii() else _UNICODE_TOKENS).findall(text)
    return found


def units(text: str) -> list[str]:
    """As `tokens`, but identifiers stay whole: what the kept rate compares."""
    found: list[str] = (_ASCII_UNITS if text.isascii() else _UNICODE_UNITS).findall(text)
    return found
