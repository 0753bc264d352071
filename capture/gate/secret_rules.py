"""Where a text shows a secret that no provider's pattern knows: by what it is called, where it stands, how it looks.

Three rules: a value that is assigned to a name like `password`, a password in an address, and a long string that looks
drawn at random. detect-secrets has such rules too, but they raise so many false alarms on ordinary source that nothing
would be left to capture. Works on ASCII text; knows nothing of files, nor of what is done with a finding.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MIN_RANDOM_CHARACTERS = 24  # shorter strings are random only where a name says so
MAX_RANDOM_CHARACTERS = 512  # that are looked at
MIN_NAMED_RANDOM_CHARACTERS = 10
MIN_HEX_CHARACTERS = 32  # of a value whose name says `key`; elsewhere hexadecimal digits are mostly checksums
# Of letters alone, or of letters of one case and digits; names and paths look so more often than of all three.
MIN_ONE_SORT_CHARACTERS = 24

ASSIGNED, IN_ADDRESS, RANDOM, PRIVATE_KEY = "assigned secret", "password in an address", "random string", "private key"


class Finding(NamedTuple):
    """What was found, and from where to where in the text, in characters."""

    kind: str
    start: int
    end: int


def findings(text: str) -> Iterator[Finding]:
    """Every secret that the rules see in ``text``, which must be ASCII; one may be found by several rules."""
    yield from _private_keys(text)
    yield from _in_addresses(text)
    yield from _assigned(text)
    yield from _random(text)


def long_strings(text: str) -> Iterator[re.Match[str]]:
    """The runs of characters that are long enough for a key of any provider and have a digit, or capitals alone."""
    return (
        found
        for found in _LONG.finditer(text)
        if _DIGIT.search(found[0]) or (found[0].isupper() and found[0].isalpha())
    )


def looks_random(value: str, min_characters: int = MIN_RANDOM_CHARACTERS, *, min_digits: int = 2) -> bool:
    """Whether ``value`` looks drawn at random from letters and digits, as no word, name, path or number does.

    In a random string neighbours are mostly of different kinds (of upper case, lower case and digits six pairs in
    ten are, of one case and digits four in ten), and as many letters are of one case as of the other. In names one
    pair in four is, seldom more, and one letter in four is a capital.
    """
    is_plain = not _DIGIT.search(value) and (value.islower() or value.isupper())  # most names, known at little cost
    if len(value) < min_characters or is_plain or _CHECKSUM.search(value):
        return False
    kinds = value.translate(_KINDS)
    count = {kind: kinds.count(kind) for kind in "Aa0"}
    pairs = [(left, right) for left, right in itertools.pairwise(kinds) if left != "-" != right]
    if len(value) - sum(count.values()) > 0.15 * len(value) or len(pairs) < 0.6 * len(value):
        return False  # words with something between them
    changes = sum(left != right for left, right in pairs) / len(pairs)
    if len(set(value)) < min(10, 0.7 * len(value)):
        return False
    fewer, more = sorted((count["A"], count["a"]))
    if fewer > 0 and count["0"] >= min_digits:
        return changes >= 0.44 and fewer >= max(min_digits, 0.2 * (fewer + more))
    if fewer > 0:
        return changes >= 0.37 and fewer >= 0.3 * (fewer + more) and len(value) >= MIN_ONE_SORT_CHARACTERS
    is_path = "/" in value
    return changes >= 0.18 and count["0"] >= 4 and len(value) >= MIN_ONE_SORT_CHARACTERS and not is_path


# --- private keys ---

# The body may stand in a string of any language, with quotes and escapes; without the line that ends it, it goes on for
# as long as it looks like one.
_KEY_BODY = r"[A-Za-z0-9+/=\s\\\"',:.-]"
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----"
    rf"(?:{_KEY_BODY}{{16,16384}}?-----END [A-Z0-9 ]{{0,40}}PRIVATE KEY[A-Z ]{{0,10}}-----|{_KEY_BODY}{{0,4096}})"
)


def _private_keys(text: str) -> Iterator[Finding]:
    for found in _PRIVATE_KEY.finditer(text):
        yield Finding(PRIVATE_KEY, found.start(), found.end())


# --- passwords in addresses ---

_ADDRESS = re.compile(r"://(?P<user>[^\s/:@\"'`<>\[\]]{0,200}):(?P<password>[^\s/@\"'`<>\[\]]{3,200})@")
# What stands in manuals and on machines that nobody else reaches.
_COMMON_PASSWORD = re.compile(
    r"admin|changeit|guest|host|pass|passwd|password|port|pwd|root|secret|test|token|\d+", re.IGNORECASE
)


def _in_addresses(text: str) -> Iterator[Finding]:
    for found in _ADDRESS.finditer(text):
        password = found["password"]
        is_common = password == found["user"] or _COMMON_PASSWORD.fullmatch(password)
        if not is_common and not _is_placeholder(password):
            yield Finding(IN_ADDRESS, *found.span("password"))


# --- values with a name ---

# What is called so is a secret if it looks at all like one; what is called otherwise must look random.
_TELLING = re.compile(
    r"pass(?:w|ph|code)|pwd|secret|token|credential"
    r"|(?:api|access|private|auth|account|signing|encryption|master|service|client|shared|deploy)[_-]?key"
)
# Searched for in the text in lower case. Each alternative of the name begins with a letter and none is a group, so that
# the regular expression engine looks for those letters first: four times as fast.
_NAMED = re.compile(
    r"""
    (?P<name>(?:passwd|password|passphrase|passcode|pwd|secret|token|credential|api[_-]?key|access[_-]?key
      |private[_-]?key|auth[_-]?key|account[_-]?key|signing[_-]?key|encryption[_-]?key|master[_-]?key|service[_-]?key
      |client[_-]?key|shared[_-]?key|deploy[_-]?key
      |key|auth|basic|bearer|cookie|session|signature|webhook|dsn|jwt|connection[_-]?string)
    [a-z0-9_-]{0,40}+)
    (?:(?P<between>["'`\\\])]{0,4}[ \t]{0,20}(?::=|=>|->|[=!]==?|[:=,(>])[ \t]{0,20}|["'][ \t]{1,4}value=)
      |[ \t]{1,4}(?:basic[ \t]|bearer[ \t])?)
    (?:bearer[ \t]+|basic[ \t]+)?
    (?:[@bruf]{1,2}(?=["'`]))?
    (?=\\?(?P<quote>["'`])(?P<quoted>[^"'`\s\\]{8,256})\\?(?P=quote)
      |(?P<bare>[a-z0-9+/=_.!@\#$%^&*~?-]{8,256})(?=["'`;,&<)\s\\]|\Z))
    """,
    re.VERBOSE,
)


def _assigned(text: str) -> Iterator[Finding]:
    for found in _NAMED.finditer(text.lower()):
        group = "bare" if found["quoted"] is None else "quoted"
        start, end = found.span(group)
        value = text[start:end]
        if _is_placeholder(value):
            continue
        is_expression = group == "bare" and _EXPRESSION.fullmatch(value)
        is_attribute = is_expression and "." in value
        is_told = not is_expression and _is_telling(found) and _is_telling_value(value)
        if is_told or (_is_named_random(value) and not is_attribute):
            yield Finding(ASSIGNED, start, end)


def _is_telling(found: re.Match[str]) -> bool:
    """Whether a name says that its value is secret, and something that assigns stands between the two."""
    between = found["between"]
    # Behind a comma stands mostly the next of a list, and behind nothing but space the next word, or an option's value.
    is_assigned = between is not None and not between.rstrip().endswith("," if found["bare"] is None else (",", "("))
    return is_assigned and _TELLING.search(found["name"]) is not None


def _is_telling_value(value: str) -> bool:
    has_letter = any(character.isalpha() for character in value)
    has_digit = any(character.isdigit() for character in value)
    has_sign = _SIGN.search(value) is not None and value.lower() != value != value.upper()
    return len(value) >= 8 and has_letter and (has_digit or has_sign) and not _WORDS.fullmatch(value)


def _is_named_random(value: str) -> bool:
    is_hex_key = _HEX.fullmatch(value) is not None and len(set(value)) >= 8
    return is_hex_key or looks_random(value, MIN_NAMED_RANDOM_CHARACTERS, min_digits=1)


# --- random strings ---


def _random(text: str) -> Iterator[Finding]:
    for found in _LONG.finditer(text):
        if looks_random(found[0][:MAX_RANDOM_CHARACTERS]):
            yield Finding(RANDOM, found.start(), found.end())


_LONG = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{16,}+={0,2}")
_DIGIT = re.compile(r"[0-9]")
_SIGN = re.compile(r"[!@#$^&*?~+%]")
_HEX = re.compile(rf"(?=[0-9]*[A-Fa-f])(?=[A-Fa-f]*[0-9])[0-9A-Fa-f]{{{MIN_HEX_CHARACTERS},}}")
# Hexadecimal digits and UUIDs are names and checksums where nothing calls them otherwise.
_CHECKSUM = re.compile(
    r"\Asha(?:1|224|256|384|512)-|\A[0-9A-Fa-f]+\Z|\A[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z"
)
# Words and numbers with one sign between them: file names, versions, encodings, types of content.
_WORDS = re.compile(r"(?:[A-Za-z]+|\d+)(?:(?:[-_.:/+*?&]+|[24])(?:[A-Za-z]+\d{0,3}|\d+))*\d{0,4}[!?.*]?")
_EXPRESSION = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")  # without quotes this is a name in most languages
_TEMPLATE = re.compile(r"\$\{[^{}]*\}|\$\([^()]*\)|\A\$\w+\Z|\{[^{}]*\}|%\(\w*\)?[sdr]?|%[sdr](?![A-Za-z0-9])|<[^<>]+>")
_EXAMPLE = re.compile(r"example|placeholder|change_?me|your[_-]|dummy|redacted|xxxx|\*\*\*|\.\.\.", re.IGNORECASE)
MIN_CHARACTERS_BESIDE_TEMPLATE = 12  # a random value may hold what looks like a template
_KINDS = str.maketrans(
    "".join(map(chr, range(128))),
    "".join(
        "A" if chr(code).isupper() else "a" if chr(code).islower() else "0" if chr(code).isdigit() else "-"
        for code in range(128)
    ),
)


def _is_placeholder(value: str) -> bool:
    """Whether a value stands for one to be filled in, or is only there to be seen in a manual."""
    rest = _TEMPLATE.sub("", value)
    is_template = rest != value and len(rest) < MIN_CHARACTERS_BESIDE_TEMPLATE
    return is_template or len(set(value)) <= 3 or _EXAMPLE.search(value) is not None


def occurrences(text: str, part: str) -> Iterator[tuple[int, int]]:
    """From where to where ``part`` stands in ``text``; nowhere when it is empty."""
    place = text.find(part) if part else -1
    while place >= 0:
        yield place, place + len(part)
        place = text.find(part, place + 1)
