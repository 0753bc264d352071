"""From the first key to the stored snapshot: a client of pytest-lsp, a real bridge, hub, index, student and store."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from pathlib import Path

import pytest
from lsprotocol import types
from pytest_lsp import client_capabilities, make_test_lsp_client

from tests.e2e.pane import Pane, Place

PATIENCE_SECONDS = 20.0
UNHURRIED = {"deadline_ms": 20_000}  # the model is loaded within the first question
COMPANION = Path(__file__).parents[1] / "daemon" / "lsp" / "companion_server.py"
MESSAGE = "there may be no price"
IN_CYTHON = """\
cpdef price_of(str currency, order):
    return exact_price_of(currency, order)
"""
LABEL_OF = "def label_of(order):\n    return order.label\n"


@pytest.fixture
def settle_seconds():
    """What the hub begins with."""
    return 1


@pytest.fixture
async def client(world, shop, settings, settle_seconds):
    """A window of an editor that has the workspace open and wants to hear of snapshots: ``announced``, in order."""
    settings(**UNHURRIED, settle_seconds=settle_seconds)
    client = make_test_lsp_client()
    command = (sys.executable, "-m", "daemon.main", "lsp", "--stdio")
    await client.start_io(*command, env=world.env, cwd=shop.root)
    client.announced = asyncio.Queue()

    @client.feature("foretype/snapshotStored")
    def stored(said):
        client.announced.put_nowait(said)

    capabilities = client_capabilities("neovim@v0.11.0")
    capabilities.experimental = {"foretype": {"snapshotStored": True}}
    folder = types.WorkspaceFolder(uri=shop.root.as_uri(), name="shop")
    await client.initialize_session(
        types.InitializeParams(
            capabilities=capabilities,
            client_info=types.ClientInfo(name="pytest-lsp"),
            process_id=os.getpid(),
            workspace_folders=[folder],
        )
    )
    yield client
    if not client.stopped:
        await client.shutdown_session()
    await client.stop()


@pytest.fixture
def announced(client, stored):
    """``await announced()``: the announcement that comes next, and its snapshot."""

    async def take():
        async with asyncio.timeout(PATIENCE_SECONDS):
            told = await client.announced.get()
        return told, await asyncio.to_thread(stored.show, told.id)

    return take


@pytest.fixture
def until_seen(announced):
    """``await until_seen(pane, row, wanted)``: ask there until the model was given what is ``wanted`` of the inputs.

    What it was given is in the snapshot of each question, which settles with nothing done.
    """

    async def ask(pane, row, wanted):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                for column in (4, 5):  # the answer to the first finds the context on its way
                    assert await pane.ask_anew(row, column) == []
                _, snapshot = await announced()
                if wanted(snapshot["inputs"]):
                    return snapshot

    return ask


def related(inputs):
    """The related excerpts: path, text and source."""
    return {
        (file["path"], excerpt["text"], excerpt["context_source"])
        for file in inputs["related_files"] or ()
        for excerpt in file["excerpts"]
    }


def is_defined(inputs):
    return any(path == "prices.py" for path, _, _ in related(inputs))


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


async def agree(client):
    """The editor asks, and the person says yes."""
    client.feature("window/showMessageRequest")(lambda question: question.actions[0])
    answer = await client.protocol.send_request_async("foretype/consent", {"action": "grant"})
    assert answer.granted


async def rename(pane, shop):
    """Begin to rename ``total`` where it is defined; gives the row, and the edit that carries it on."""
    row = shop.row("total = 0")
    pane.replace((row, 4), (row, 9), "")
    pane.type(row, 4, "amount")
    [edit] = await pane.ask(row, 10)
    assert edit.text == "amount"
    return row, edit


async def test_from_consent_to_the_settled_snapshot(
    world, shop, settings, client, announced, until_seen, machine, stored
):
    granted = world.foretype("consent", "grant", "--yes")
    assert granted.returncode == 0, granted.stderr
    (shop.root / "notes.py").write_text("note = 0\n")
    notes, pane = Pane(client, shop.root / "notes.py"), Pane(client, shop.main)
    await asyncio.to_thread(machine().wait_for_index)
    await until_seen(pane, shop.row("total = 0"), is_defined)
    settings(**UNHURRIED, settle_seconds=2)  # git is asked meanwhile, on a busy machine too
    using = shop.row('total += price_of("😀", order)')
    pane.report(using, "order", MESSAGE)
    row, edit = await rename(pane, shop)
    then = pane.rows
    pane.type(4, 0, "LIMIT = 100\n")
    pane.type(row + 1, 14, "00")
    pane.type(len(pane.rows) - 2, 0, "# below\n")
    notes.type(0, 8, "1")
    told, snapshot = await announced()

    place, inputs, region = Place(snapshot), snapshot["inputs"], snapshot["region"]
    assert (snapshot["state"], snapshot["path"], snapshot["language_id"]) == ("settled", "main.py", "python")
    assert snapshot["client"]["name"] == "pytest-lsp"
    assert (snapshot["model"].partition("@")[0], snapshot["prompt_format"]) == ("foretype student", "line_edits")
    assert inputs["cursor_excerpt"] in "\n".join(then)
    assert inputs["cursor_offset_in_excerpt"] == place.offset_bytes(then, row, 10)
    assert ["\n+    amount = 0\n" in event["diff"] for event in inputs["events"]] == [True]
    assert ("prices.py", shop.PRICE_OF, "lsp") in related(inputs)
    [diagnostic] = inputs["active_buffer_diagnostics"]
    assert (diagnostic["message"], diagnostic["severity"]) == (MESSAGE, 2)
    assert diagnostic["snippet_buffer_row_range"] == {"start": using, "end": using + 1}
    where = diagnostic["diagnostic_range_in_snippet"]
    assert diagnostic["snippet"].encode()[where["start"] : where["end"]] == b"order"

    start, end = edit.range.start, edit.range.end
    offered = {
        "start_bytes": place.offset_bytes(then, start.line, start.character),
        "end_bytes": place.offset_bytes(then, end.line, end.character),
        "text_before": "total",
        "text_after": edit.text,
    }
    assert snapshot["prediction"]["edits"] == [offered]
    assert (snapshot["outcome"], snapshot["outcome_reason"]) == ("rejected", "something else was typed")
    assert region["text_before"] == place.region_in(then)
    assert region["text_settled"] == place.region_in(pane.rows, above=1)
    assert "    amount = 000\n" in region["text_settled"]
    assert snapshot["kept_rate"] == 0.0
    later = [
        ("main.py", "LIMIT = 100"),
        ("main.py", "    amount = 000"),
        ("main.py", "# below"),
        ("notes.py", "note = 01"),
    ]
    for event, (path, typed) in zip(snapshot["later_events"], later, strict=True):
        assert (event["path"], f"\n+{typed}\n" in event["diff"]) == (path, True)

    repository = snapshot["repository"]
    assert (repository["url"], repository["revision"]) == ("https://example.org/ada/shop.git", shop.revision)
    [changed] = repository["diffs"]
    assert (changed["path"], "\n-    return -1\n+    return number\n" in changed["diff"]) == ("main.py", True)
    exported = stored.exported(told.id)
    assert exported == canonical(snapshot)
    assert hashlib.sha256(exported).hexdigest() == told.sha256


@pytest.mark.parametrize("settle_seconds", [60])
async def test_what_was_accepted_settles_as_it_reads_in_the_end_and_a_window_leaves_what_was_open(
    shop, settings, client, announced, stored
):
    await agree(client)
    pane = Pane(client, shop.main)
    _, first = await rename(pane, shop)
    then = pane.rows
    await pane.apply(first)
    [second] = await pane.ask(first.range.start.line, first.range.start.character + len(first.text))
    await pane.apply(second)
    predicted, last = pane.rows, shop.row("return total")
    assert predicted[last] == "    return amount"
    pane.replace((last, 11), (last, 17), "")
    pane.type(last, 11, "-1\n    # not yet\n")
    settings(**UNHURRIED, settle_seconds=1)
    told, snapshot = await announced()

    place, region = Place(snapshot), snapshot["region"]
    assert (snapshot["state"], snapshot["outcome"]) == ("settled", "accepted")
    assert 0 <= snapshot["shown_after_ms"] <= snapshot["decided_after_ms"]
    assert region["text_before"] == place.region_in(then)
    assert snapshot["prediction"]["new_region_text"] == place.region_in(predicted)
    assert region["text_settled"] == place.region_in(pane.rows, more=2)
    assert 0 < snapshot["kept_rate"] < 1
    accepted, typed = snapshot["later_events"]
    assert (accepted["predicted"], typed["predicted"]) == (True, False)
    assert "\n+        amount += " in accepted["diff"]
    assert "\n+    return amount\n" in accepted["diff"]
    assert "\n-    return amount\n+    return -1\n+    # not yet\n" in typed["diff"]

    await pane.ask(len(pane.rows) - 2, 0)
    await client.shutdown_session()
    [left] = set(stored.ids()) - {told.id}
    snapshot = stored.show(left)
    assert (snapshot["state"], snapshot["region"]["text_settled"]) == ("unsettled", None)
    assert snapshot["region"]["text_unsettled"] == Place(snapshot).region_in(pane.rows)


async def test_without_consent_there_is_not_even_a_place_for_snapshots(world, shop, client, machine, stored):
    answer = await client.protocol.send_request_async("foretype/consent", {"action": "show"})
    assert not answer.granted
    pane = Pane(client, shop.main)
    _, edit = await rename(pane, shop)
    await pane.apply(edit)
    pane.type(4, 0, "LIMIT = 100\n")
    assert (
        "\ncapture    nothing so far; only where `foretype consent show` says so\n" in world.foretype("status").stdout
    )
    pane.close()  # what was open would end with it
    await client.shutdown_session()
    assert machine().status()["capture"]["counts"] == {}
    assert world.foretype("stop").returncode == 0  # a hub that ends has written what it had to write
    assert client.announced.empty()
    assert stored.ids() == []
    assert not world.data.exists()


async def test_what_the_editor_knows_of_a_name_is_preferred_to_the_index(shop, client, until_seen, machine):
    await agree(client)
    (shop.root / "labels.py").write_text(LABEL_OF)
    (shop.root / "exact.pyx").write_text(IN_CYTHON)
    report = shop.root / "report.py"
    report.write_text("def line(order):\n    return label_of(order), price_of('EUR', order)\n")
    pane = Pane(client, report)
    await asyncio.to_thread(machine().wait_for_index)
    pane.define("price_of", shop.root / "exact.pyx", IN_CYTHON)
    # The index has answered for this place once it told of the other name.
    snapshot = await until_seen(pane, 1, lambda inputs: "labels.py" in {path for path, _, _ in related(inputs)})
    assert related(snapshot["inputs"]) == {("labels.py", LABEL_OF, "lsp"), ("exact.pyx", IN_CYTHON, "lsp")}


async def test_a_companion_language_server_of_the_users_finds_a_definition_and_a_problem(
    shop, settings, client, machine, until_seen
):
    await agree(client)
    # Without the index, only the companion can know what another file defines.
    server = [sys.executable, str(COMPANION), json.dumps({"links": True})]
    settings(**UNHURRIED, settle_seconds=1, symbol_index=False, **{"languages.python.server": server})
    shop.main.write_text(shop.MAIN.replace("total = 0", "total = 0  # wrong"))
    pane = Pane(client, shop.main)
    row = pane.rows.index("    total = 0  # wrong")
    snapshot = await until_seen(pane, row, lambda inputs: is_defined(inputs) and "active_buffer_diagnostics" in inputs)
    assert related(snapshot["inputs"]) == {("prices.py", shop.PRICE_OF, "lsp")}
    [diagnostic] = snapshot["inputs"]["active_buffer_diagnostics"]
    assert (diagnostic["message"], diagnostic["severity"]) == ("this is wrong", 1)
    assert diagnostic["snippet_buffer_row_range"] == {"start": row, "end": row + 1}
    status = machine().status()
    [window] = status["predictions"]["sessions"].values()
    assert [(each["language"], each["state"]) for each in window["companions"]] == [("python", "ready")]
    assert [index["state"] for index in status["indexes"]] == ["off"]


@pytest.mark.system
async def test_a_language_server_that_people_use_finds_a_definition_and_a_problem(shop, settings, client, until_seen):
    await agree(client)
    server = [str(Path(sys.executable).with_name("basedpyright-langserver")), "--stdio"]
    settings(**UNHURRIED, settle_seconds=1, symbol_index=False, **{"languages.python.server": server})
    shop.main.write_text(shop.MAIN.replace("total = 0", "total = unheard_of"))
    pane = Pane(client, shop.main)
    row = pane.rows.index("    total = unheard_of")
    snapshot = await until_seen(pane, row, lambda inputs: is_defined(inputs) and "active_buffer_diagnostics" in inputs)
    assert ("prices.py", shop.PRICE_OF, "lsp") in related(snapshot["inputs"])
    said = [(found["message"], found["severity"]) for found in snapshot["inputs"]["active_buffer_diagnostics"]]
    assert any("unheard_of" in message and severity == 1 for message, severity in said)
