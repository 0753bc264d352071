"""What a companion server is told of a text: whatever the editor says and whenever servers come and go, it is the
editor's text, in words that the strictest server takes.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.editing.document import Document, SyncState
from capture.editing.positions import ContentChange, Position, Range, content_of, split_rows, utf16_length
from daemon.lsp.companion_texts import FollowedTexts, SyncKind, sync_kind

URI = "file:///home/ada/project/main.py"
PATH = "/home/ada/project/main.py"


class StrictServer:
    """A plain model of a server: texts as strings, every position and version checked."""

    def __init__(self):
        self.texts = {}
        self.versions = {}

    def __call__(self, method, params):
        document = params["textDocument"]
        uri = document["uri"]
        if method == "textDocument/didOpen":
            assert uri not in self.texts
            self.texts[uri], self.versions[uri] = document["text"], document["version"]
            assert document["languageId"] == "python"
        elif method == "textDocument/didClose":
            del self.texts[uri]
        else:
            assert method == "textDocument/didChange"
            assert document["version"] > self.versions[uri]
            self.versions[uri] = document["version"]
            for change in params["contentChanges"]:
                self._apply(uri, change)

    def _apply(self, uri, change):
        if "range" not in change:
            self.texts[uri] = change["text"]
            return
        rows = split_rows(self.texts[uri])
        start, end = (self._offset(rows, change["range"][name]) for name in ("start", "end"))
        assert start <= end
        self.texts[uri] = self.texts[uri][:start] + change["text"] + self.texts[uri][end:]

    @staticmethod
    def _offset(rows, position):
        row = content_of(rows[position["line"]])  # raises where there is no such row
        head = row.encode("utf-16-le")[: 2 * position["character"]]
        assert position["character"] <= utf16_length(row)
        return sum(map(len, rows[: position["line"]])) + len(head.decode("utf-16-le"))


texts = st.text(st.sampled_from("ab\r\n\U0001f389é"), max_size=12)
positions = st.builds(Position, st.integers(0, 6), st.integers(0, 8))
changes = st.builds(ContentChange, st.none() | st.builds(Range, positions, positions), texts)
steps = st.one_of(
    st.tuples(st.just("open"), texts),
    st.tuples(st.just("change"), st.integers(-1, 3), st.lists(changes, max_size=3)),
    st.tuples(st.just("close")),
    st.tuples(st.just("server"), st.sampled_from([SyncKind.WHOLE, SyncKind.INCREMENTAL])),
    st.tuples(st.just("no server")),
    st.tuples(st.just("ask")),
)


class NoPauses(FollowedTexts):
    """Whole texts wait for ``send_whole_texts``: there is no event loop here."""

    def _start_timer(self):
        pass


@given(st.lists(steps, max_size=25))
def test_a_server_has_the_editors_text_whenever_it_is_asked(script):
    followed, editor, server = NoPauses("python"), None, None
    for name, *values in script:
        if name == "open":
            editor = Document(values[0], version=1)
            followed.open(URI, 1, values[0])
        elif name == "change" and editor is not None:
            version = editor.version + values[0]
            editor.change(version, values[1])
            followed.change(URI, version, values[1])
        elif name == "close":
            editor = None
            followed.close(URI)
        elif name == "server":
            server = StrictServer()
            followed.attach(server, values[0])
        elif name == "no server":
            server = None
            followed.detach()
        elif name == "ask":
            followed.send_whole_texts()
            known = followed.find(PATH)
            assert (known is None) == (editor is None)
            if server is not None and editor is not None:
                assert known.is_known_to_the_server == (editor.sync_state is SyncState.SYNCED)
                assert server.texts == {URI: editor.text}
                assert known.editors_version(server.versions[URI]) == editor.version
            elif server is not None:
                assert server.texts == {}


def test_only_the_rows_that_changed_are_sent():
    sent = []
    followed = NoPauses("python")
    followed.open(URI, 1, "one\r\ntwo \U0001f389\r\nthree")
    followed.attach(lambda method, params: sent.append((method, params)), SyncKind.INCREMENTAL)
    followed.change(URI, 2, [ContentChange(Range(Position(1, 4), Position(1, 6)), "x")])
    followed.change(URI, 3, [ContentChange(Range(Position(9, 9), Position(9, 9)), "!")])
    followed.change(URI, 4, [ContentChange(Range(Position(0, 0), Position(0, 1)), "o")])
    assert [params["contentChanges"] for method, params in sent[1:]] == [
        [{"range": {"start": place(1, 0), "end": place(2, 0)}, "text": "two x\r\n"}],
        [{"range": {"start": place(2, 0), "end": place(2, 5)}, "text": "three!"}],
    ]
    assert followed.find(PATH).editors_version(3) == 4  # the last change changed nothing and was not sent
    assert followed.find(PATH).editors_version(2) == 2


def test_a_server_that_takes_no_changes_is_behind_after_the_first():
    sent = []
    followed = NoPauses("python")
    followed.open(URI, 1, "one")
    followed.attach(lambda method, _params: sent.append(method), SyncKind.NONE)
    assert followed.find(PATH).is_known_to_the_server
    followed.change(URI, 2, [ContentChange(None, "two")])
    followed.send_whole_texts()
    assert sent == ["textDocument/didOpen"]
    assert not followed.find(PATH).is_known_to_the_server


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"textDocumentSync": 2}, SyncKind.INCREMENTAL),
        ({"textDocumentSync": {"openClose": True, "change": 1}}, SyncKind.WHOLE),
        ({"textDocumentSync": {"openClose": True}}, SyncKind.NONE),
        ({"textDocumentSync": "all"}, SyncKind.NONE),
        ({}, SyncKind.NONE),
        (None, SyncKind.NONE),
    ],
)
def test_both_forms_of_what_a_server_takes_are_read(said, kind):
    assert sync_kind(said) is kind


def place(line, character):
    return {"line": line, "character": character}
