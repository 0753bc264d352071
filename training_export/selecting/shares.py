"""How much of a data set goes where, and which groups go there.

A group is never divided. Groups that are large beside the smallest share are placed one by one, the largest first, each
where most is missing. All others stand in a line in the order of a hash of the seed and their name, and the line is cut
where the rest of the shares ends. So the same seed gives the same split, and one example more moves the cuts by one:
few others change sides. Knows nothing of files or examples.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from daemon.errors import BadArgument

REST = "rest"
LARGE_PART = 0.1  # of the smallest share
_SHARE = re.compile(r"(?P<path>.+)=(?:(?P<percent>\d+(?:\.\d+)?)%|(?P<count>\d+)|rest)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Share:
    """A file and what goes into it: a part of all examples, a number of them, or (both None) the rest."""

    path: str
    part: float | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Examples that stay together, by the name that they have in every run."""

    name: bytes
    size: int


def is_share(text: str) -> bool:
    """Whether an argument is a share and no input: ``train.jsonl=80%``."""
    return _SHARE.fullmatch(text) is not None


def read_shares(texts: Sequence[str]) -> list[Share]:
    """The shares that are written in arguments; raises BadArgument where they do not make sense together."""
    shares = [_read(text) for text in texts]
    if not shares:
        raise BadArgument("nothing says where the examples go; for instance: -o train.jsonl=80% -o test.jsonl=rest")
    paths = [share.path for share in shares]
    doubled = sorted({path for path in paths if paths.count(path) > 1})
    if doubled:
        raise BadArgument(f"{doubled[0]} is given twice")
    rests = [share for share in shares if share.part is None and share.count is None]
    if len(rests) > 1:
        raise BadArgument(f"{rests[0].path} and {rests[1].path} cannot both get the rest")
    percent = sum(share.part or 0.0 for share in shares) * 100
    if percent > 100 + 1e-9:
        raise BadArgument(f"the parts come to {percent:g} %; they may come to 100 % at most")
    if not rests and not (abs(percent - 100) <= 1e-9 and not any(share.count for share in shares)):
        raise BadArgument(f"the parts come to {percent:g} %; let one file have the rest: {paths[-1]}=rest")
    return shares


def wanted_sizes(shares: Sequence[Share], total: int) -> list[float]:
    """How many examples each share asks for, of ``total``; raises BadArgument where there are not so many."""
    wanted = [share.part * total if share.part is not None else float(share.count or 0) for share in shares]
    left = total - sum(wanted)
    if left < -1e-6:
        raise BadArgument(f"the files ask for {sum(wanted):g} examples and there are {total}")
    return [
        max(0.0, left) if share.part is None and share.count is None else size
        for share, size in zip(shares, wanted, strict=True)
    ]


def assign(groups: Sequence[Group], wanted: Sequence[float], seed: int) -> list[int]:
    """For each group the number of the share it goes to.

    No share gets more than it asks for by more than the size of the largest group.
    """
    limit = LARGE_PART * min((size for size in wanted if size > 0), default=0.0)
    missing = list(wanted)
    chosen = [0] * len(groups)
    ordered = sorted(range(len(groups)), key=lambda index: _place(groups[index].name, seed))
    large = sorted((index for index in ordered if groups[index].size > limit), key=lambda index: -groups[index].size)
    for index in large:
        share = max(range(len(missing)), key=lambda number: missing[number])
        chosen[index] = share
        missing[share] -= groups[index].size
    small = [index for index in ordered if groups[index].size <= limit]
    ends = _ends(missing, sum(groups[index].size for index in small))
    position = 0.0
    for index in small:
        middle = position + groups[index].size / 2
        chosen[index] = next(share for share, end in ends if middle < end)
        position += groups[index].size
    return chosen


def _ends(missing: Sequence[float], total: int) -> list[tuple[int, float]]:
    """Where on a line of ``total`` examples the stretch of each share that misses some ends; the last never does."""
    open_shares = [(share, size) for share, size in enumerate(missing) if size > 0] or [(0, 1.0)]
    scale = total / sum(size for _, size in open_shares)
    ends, position = [], 0.0
    for share, size in open_shares:
        position += size * scale
        ends.append((share, position))
    return [*ends[:-1], (ends[-1][0], float("inf"))]


def _place(name: bytes, seed: int) -> bytes:
    return hashlib.blake2b(name, key=str(seed).encode(), digest_size=16).digest()


def _read(text: str) -> Share:
    found = _SHARE.fullmatch(text)
    if found is None:
        raise BadArgument(f"{text} says no share; write FILE=80%, FILE=500 or FILE={REST}")
    percent, count = found["percent"], found["count"]
    return Share(found["path"], float(percent) / 100 if percent else None, int(count) if count else None)
