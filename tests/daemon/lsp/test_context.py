"""Definitions, recent files and syntax errors reach the model of a real session, and never hold it up."""

from __future__ import annotations

import asyncio

import pytest

PATIENCE_SECONDS = 5.0
URI, OTHER = "file:///home/ada/project/main.py", "file:///home/ada/project/shop/other.py"
LIBRARY = "file:///home/ada/project/shop/prices.py"


def definition(name, uri=LIBRARY):
    where = {"start": {"line": 3, "character": 0}, "end": {"line": 5, "character": 0}}
    return {"name": name, "uri": uri, "range": where, "text": f"def {name}():\n    return 12\n"}


@pytest.fixture
def type_until(editor, engine):
    """Types a key at a time, with a rest behind each, until the model is given what is wanted."""
    version = 1

    async def until(wanted, line, uri=URI, rest_seconds=0):
        nonlocal version
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                version += 1
                end = {"line": line, "character": 0}
                editor.change(version, {"range": {"start": end, "end": end}, "text": "1"}, uri=uri)
                await editor.inline_edits(line, 1, version=version, uri=uri)
                if wanted(engine.asked[-1]):
                    return engine.asked[-1]
                await asyncio.sleep(rest_seconds)

    return until


def related(inputs):
    return {
        (file.path, excerpt.text, excerpt.context_source) for file in inputs.related_files for excerpt in file.excerpts
    }


async def test_a_definition_that_the_client_sends_reaches_the_model(editor, type_until):
    editor.open("price()\n\n")
    editor.notify("foretype/didChangeDefinitions", {"uri": URI, "definitions": [definition("price")]})
    inputs = await type_until(lambda inputs: inputs.related_files, line=1)
    assert related(inputs) == {("shop/prices.py", "def price():\n    return 12\n", "lsp")}


async def test_a_definition_in_an_excluded_file_does_not(editor, type_until):
    editor.open("price(), secret()\n\n")
    sent = [definition("secret", "file:///home/ada/project/.env"), definition("price")]
    editor.notify("foretype/didChangeDefinitions", {"uri": URI, "definitions": sent})
    inputs = await type_until(lambda inputs: inputs.related_files, line=1)
    assert [file.path for file in inputs.related_files] == ["shop/prices.py"]


async def test_the_place_of_the_last_edit_in_another_file_reaches_the_model(editor, type_until):
    editor.open("x = 1\n", uri=OTHER)
    editor.change(
        2, {"range": {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 5}}, "text": "2"}, uri=OTHER
    )
    editor.open("\n\n")
    inputs = await type_until(lambda inputs: inputs.related_files, line=1)
    assert related(inputs) == {("shop/other.py", "x = 2\n", "edit_history")}


async def test_syntax_errors_reach_the_model_where_nobody_reports_any(editor, type_until):
    editor.open("a = = 1\n\n\n")
    inputs = await type_until(lambda inputs: inputs.active_buffer_diagnostics, line=2, rest_seconds=1)
    [found] = inputs.active_buffer_diagnostics
    assert found.message == "syntax error: unexpected ="


async def test_they_do_not_where_somebody_reports(editor, type_until):
    editor.open("a = = 1\n\n\n")
    where = {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 5}}
    await type_until(lambda inputs: inputs.active_buffer_diagnostics, line=2, rest_seconds=1)
    editor.notify("foretype/didChangeDiagnostics", {"uri": URI, "diagnostics": [{"range": where, "message": "theirs"}]})
    inputs = await type_until(lambda _inputs: True, line=2)
    assert [found.message for found in inputs.active_buffer_diagnostics] == ["theirs"]


async def test_a_closed_document_leaves_no_context(editor, type_until, engine):
    editor.open("price()\n\n")
    editor.notify("foretype/didChangeDefinitions", {"uri": URI, "definitions": [definition("price")]})
    await type_until(lambda inputs: inputs.related_files, line=1)
    editor.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    editor.open("price()\n\n", version=900)
    await editor.inline_edits(1, 0, version=900)
    assert engine.asked[-1].related_files == ()
