"""A document in a client of pytest-lsp, and where a snapshot of it lies. Counts for itself: nothing of ours is asked.

Columns are UTF-16 units, as in LSP.
"""

from __future__ import annotations

from lsprotocol import types


class Pane:
    """A document in the client, with the client's own account of its text."""

    def __init__(self, client, path):
        self._client = client
        self.path = path
        self.uri = path.as_uri()
        self.text = path.read_text(encoding="utf-8")
        self.version = 1
        document = types.TextDocumentItem(uri=self.uri, language_id="python", version=1, text=self.text)
        client.text_document_did_open(types.DidOpenTextDocumentParams(text_document=document))

    @property
    def rows(self):
        return self.text.split("\n")

    def replace(self, start, end, text):
        """Replace what is between two places (row, column)."""
        whole = self.text.encode("utf-16-le")
        self.text = (whole[: self._at(start)] + text.encode("utf-16-le") + whole[self._at(end) :]).decode("utf-16-le")
        where = types.Range(types.Position(*start), types.Position(*end))
        self._change([types.TextDocumentContentChangePartial(range=where, text=text)])

    def type(self, row, column, text):
        """Press one key after the other."""
        for key in text:
            self.replace((row, column), (row, column), key)
            row, column = (row + 1, 0) if key == "\n" else (row, column + utf16_length(key))

    def apply(self, edit):
        """Do what a prediction says, and tell."""
        start, end = edit.range.start, edit.range.end
        self.replace((start.line, start.character), (end.line, end.character), edit.text)
        command = types.ExecuteCommandParams(command=edit.command.command, arguments=list(edit.command.arguments))
        return self._client.workspace_execute_command_async(command)

    async def ask(self, row, column):
        """The next edit with the cursor there; the editor draws it, and says so."""
        answer = await self._client.protocol.send_request_async(
            "textDocument/copilotInlineEdit",
            {
                "textDocument": {"uri": self.uri, "version": self.version},
                "position": {"line": row, "character": column},
            },
        )
        for edit in answer.edits:
            said = {"item": {"command": {"arguments": list(edit.command.arguments)}}}
            self._client.protocol.notify("textDocument/didShowInlineEdit", said)
        return answer.edits

    async def ask_anew(self, row, column):
        """The same, of a version that nobody was asked about."""
        self._change([])
        return await self.ask(row, column)

    def report(self, row, word, message):
        """Another server found something wrong with the last ``word`` of a row."""
        start = utf16_length(self.rows[row].rpartition(word)[0])
        end = start + utf16_length(word)
        where = {"start": {"line": row, "character": start}, "end": {"line": row, "character": end}}
        found = {"range": where, "severity": 2, "message": message}
        said = {"uri": self.uri, "version": self.version, "diagnostics": [found]}
        self._client.protocol.notify("foretype/didChangeDiagnostics", said)

    def define(self, name, path, text):
        """Another server knows where ``name`` is defined: from the first row of that file on."""
        where = {"start": {"line": 0, "character": 0}, "end": {"line": text.count("\n"), "character": 0}}
        found = {"name": name, "uri": path.as_uri(), "range": where, "text": text}
        said = {"uri": self.uri, "version": self.version, "definitions": [found]}
        self._client.protocol.notify("foretype/didChangeDefinitions", said)

    def close(self):
        document = types.TextDocumentIdentifier(uri=self.uri)
        self._client.text_document_did_close(types.DidCloseTextDocumentParams(text_document=document))

    def _change(self, changes):
        self.version += 1
        document = types.VersionedTextDocumentIdentifier(uri=self.uri, version=self.version)
        changed = types.DidChangeTextDocumentParams(text_document=document, content_changes=changes)
        self._client.text_document_did_change(changed)

    def _at(self, place):
        above = self.rows[: place[0]]
        return 2 * (sum(utf16_length(f"{row}\n") for row in above) + place[1])


class Place:
    """What a snapshot's places are in the client's own text."""

    def __init__(self, snapshot):
        inputs, region = snapshot["inputs"], snapshot["region"]
        excerpt = inputs["cursor_excerpt"].encode()
        self.excerpt_row = inputs["excerpt_start_row"]
        self.region_row = self.excerpt_row + excerpt[: region["start_bytes"]].count(b"\n")
        self.region_rows = region["text_before"].count("\n") + 1
        assert excerpt[region["start_bytes"] : region["end_bytes"]].decode() == region["text_before"]

    def region_in(self, rows, *, above=0, more=0):
        """The region in ``rows``, with so many rows come above it and so many more in it."""
        first = self.region_row + above
        return "\n".join(rows[first : first + self.region_rows + more])

    def offset_bytes(self, rows, row, column):
        """Of a place (UTF-16 column) in the excerpt."""
        before = rows[row].encode("utf-16-le")[: 2 * column].decode("utf-16-le")
        return len("\n".join([*rows[self.excerpt_row : row], before]).encode())


def utf16_length(text):
    return len(text.encode("utf-16-le")) // 2
