"""Why an example gets no context. Knows nothing of how the others do."""

from __future__ import annotations


class ContextNotFound(Exception):
    """The reason, a sentence. ``is_final`` is false where a clone or a fetch would help."""

    def __init__(self, reason: str, *, is_final: bool = True) -> None:
        self.is_final = is_final
        super().__init__(reason)
