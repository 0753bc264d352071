"""Texts with a cursor in them (``|``), as documents."""

from types import SimpleNamespace

import pytest

from capture.context.syntax_tree import SyntaxTree
from capture.editing.document import Document
from capture.editing.positions import utf8_length

CURSOR = "|"


@pytest.fixture
def at_cursor():
    """``at_cursor("a = |b", "python")``: document, cursor and parsed rows."""

    def make(marked, language_id="python"):
        before, mark, after = marked.partition(CURSOR)
        assert mark, "the text has no cursor"
        document = Document(before + after)
        cursor = document.position_at(utf8_length(before))
        return SimpleNamespace(
            document=document, cursor=cursor, parsed=SyntaxTree(language_id).around(document, cursor.line)
        )

    return make
