"""The texts of open documents, as far as the index may use them, within a bound of memory. Pure."""

from __future__ import annotations

from collections import OrderedDict


class OpenTexts:
    """Texts by path, in UTF-8. A document may be open without a text: then nothing of it is indexed."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._texts: OrderedDict[str, bytes | None] = OrderedDict()  # changed longest ago first

    def __contains__(self, path: str) -> bool:
        return path in self._texts

    @property
    def paths(self) -> tuple[str, ...]:
        """The open documents, those changed longest ago first."""
        return tuple(self._texts)

    def text(self, path: str) -> bytes | None:
        """The text of a document, None where there is none."""
        return self._texts.get(path)

    def put(self, path: str, text: bytes | None) -> tuple[str, ...]:
        """The document at ``path`` is open; the documents that lose their text for it, changed longest ago first."""
        self._texts[path] = text
        self._texts.move_to_end(path)
        excess_bytes = sum(len(known) for known in self._texts.values() if known) - self._limit_bytes
        losers: list[str] = []
        for other, known in self._texts.items():
            if excess_bytes <= 0:
                break
            if known:
                losers.append(other)
                excess_bytes -= len(known)
        self._texts.update(dict.fromkeys(losers))
        return tuple(losers)

    def remove(self, path: str) -> None:
        """The document at ``path`` is closed, if it was open."""
        self._texts.pop(path, None)
