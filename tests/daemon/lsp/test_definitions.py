"""Definitions that a client sends: taken leniently, preferred, and gone with their document."""

from types import SimpleNamespace

import pytest
from pygls.exceptions import JsonRpcInvalidParams

from capture.context.definitions import Definition, Identifier
from capture.editing.positions import Position
from daemon.lsp.definitions import MAX_DEFINITIONS, MAX_TEXT_BYTES, ClientDefinitions, did_change_definitions

URI, PATH = "file:///home/ada/project/main.py", "/home/ada/project/main.py"


def said(name="price", line=4, text="def price():\n    return 12\n", uri="file:///home/ada/project/lib.py", **more):
    where = {"start": {"line": line, "character": 0}, "end": {"line": line + 2, "character": 0}}
    return {"name": name, "uri": uri, "range": where, "text": text, **more}


@pytest.fixture
def client():
    return ClientDefinitions()


@pytest.fixture
def session():
    """What of a session the notification needs; ``told`` is what its surroundings heard."""
    document = SimpleNamespace(uri=URI, path=PATH)
    told = []
    return SimpleNamespace(
        documents=SimpleNamespace(find={URI: document}.get),
        surroundings=SimpleNamespace(client_defines=lambda document, said: told.append((document.path, said))),
        told=told,
    )


async def known(client, *names, path=PATH):
    return await client.definitions(path, [Identifier(name, Position(0, 0)) for name in names])


async def test_what_the_client_says_is_found_by_name_in_its_order(client, session):
    second = said(uri="file:///home/ada/project/gr%C3%B6%C3%9Fe.py", line=9, kind="function")
    did_change_definitions(session, {"uri": URI, "version": 3, "definitions": [said(), second]})
    [(path, sent)] = session.told
    client.replace(path, sent)
    text = "def price():\n    return 12\n"
    assert await known(client, "price", "unknown") == {
        "price": (
            Definition("price", "/home/ada/project/lib.py", 4, text),
            Definition("price", "/home/ada/project/größe.py", 9, text, "function"),
        )
    }


async def test_each_message_takes_the_place_of_the_one_before(client):
    client.replace(PATH, [said("price"), said("count")])
    client.replace(PATH, [said("count")])
    assert set(await known(client, "price", "count")) == {"count"}


async def test_they_belong_to_one_document_and_go_with_it(client):
    client.replace(PATH, [said()])
    assert await known(client, "price", path="/home/ada/project/other.py") == {}
    client.forget(PATH)
    assert await known(client, "price") == {}


async def test_a_path_may_stand_for_the_uri_and_counts_before_it(client):
    client.replace(PATH, [said("a", path="/w/a.py"), {**said("b", path="/w/b.py"), "uri": None}])
    found = await known(client, "a", "b")
    assert [found[name][0].path for name in "ab"] == ["/w/a.py", "/w/b.py"]


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
async def test_rows_end_as_models_see_them(client, ending):
    client.replace(PATH, [said(text=f"one{ending}two")])
    assert (await known(client, "price"))["price"][0].text == "one\ntwo\n"


@pytest.mark.parametrize(
    "malformed",
    [
        None,
        "price",
        {**said(), "name": 12},
        {**said(), "name": ""},
        {**said(), "name": "x" * 1000},
        {**said(), "text": None},
        {**said(), "range": None},
        {**said(), "range": {"start": {"line": -1, "character": 0}}},
        {**said(), "uri": None},
        {**said(), "path": 12},
        {**said(), "path": "relative.py"},
    ],
)
async def test_a_malformed_entry_is_left_out_and_the_others_count(client, malformed):
    client.replace(PATH, [malformed, said("count")])
    assert set(await known(client, "price", "count", "")) == {"count"}


async def test_half_a_surrogate_pair_does_no_harm(client):
    client.replace(PATH, [said(text="a = '\ud83d'")])
    assert (await known(client, "price"))["price"][0].text == "a = '\ufffd'\n"


async def test_what_is_sent_is_bounded(client):
    client.replace(PATH, [said(f"name_{index}", text="a row\n" * 10_000) for index in range(MAX_DEFINITIONS + 1)])
    found = await known(client, *(f"name_{index}" for index in range(MAX_DEFINITIONS + 1)))
    assert len(found) == MAX_DEFINITIONS
    assert all(0 < len(each[0].text) <= MAX_TEXT_BYTES for each in found.values())


@pytest.mark.parametrize("params", [None, {}, {"uri": 12, "definitions": []}, {"uri": URI, "definitions": {}}])
def test_a_message_that_is_none_is_refused_by_name(session, params):
    with pytest.raises(JsonRpcInvalidParams, match=r"uri|definitions"):
        did_change_definitions(session, params)


async def test_a_document_that_is_not_open_is_none_of_ours(client, session):
    did_change_definitions(session, {"uri": "file:///w/other.py", "definitions": [said()]})
    assert await known(client, "price", path="/w/other.py") == {}
    assert session.told == []
