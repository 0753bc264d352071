"""A collector as a process and as an endpoint: TLS, health, numbers, what it refuses before a method sees it, how it ends."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import socket
import ssl
import sys
import urllib.request
import warnings
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2

from capture.collector.clients import Clients, TokenBook
from capture.collector.server import serving
from capture.collector.settings import Address, CertificateFiles, Quota, Settings, SettingsRefused
from capture.collector.storage import StorageUnavailable, open_storage
from capture.wire import snapshots_pb2 as wire

UPLOAD = "/foretype.snapshots.v1.Snapshots/UploadBatch"
HEALTH = "/grpc.health.v1.Health/Check"
Code = grpc.StatusCode
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def health(caller, service=""):
    request = health_pb2.HealthCheckRequest(service=service).SerializeToString()
    return health_pb2.HealthCheckResponse.FromString(await caller.raw(HEALTH, request, metadata=[])).status


async def test_a_client_that_trusts_another_authority_does_not_speak_to_it(collector, stranger, sender):
    caller = await collector.caller(trusted=stranger)
    assert (await caller.refusal("UploadBatch", sender.batch())).code() is Code.UNAVAILABLE
    assert await collector.stored() == 0


async def test_plain_text_to_a_tls_port_is_refused(collector, sender):
    caller = await collector.caller(plain=True)
    assert (await caller.refusal("UploadBatch", sender.batch())).code() is Code.UNAVAILABLE
    assert await collector.stored() == 0


@pytest.mark.parametrize(("version", "is_taken"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
async def test_tls_older_than_1_2_is_refused(collector, authority, version, is_taken):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(["h2"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is what this is about
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    host, _, port = collector.address.rpartition(":")

    def shake_hands():
        with (
            socket.create_connection((host, int(port)), timeout=20) as connection,
            context.wrap_socket(connection, server_hostname="localhost") as protected,
        ):
            return protected.version()

    if is_taken:
        assert await asyncio.to_thread(shake_hands) == version.replace("_", ".")
    else:
        with pytest.raises(ssl.SSLError, match=r"EOF|PROTOCOL_VERSION"):
            await asyncio.to_thread(shake_hands)


async def test_with_a_client_authority_only_its_certificates_get_in(start, authority, stranger, pem, sender):
    collector = await start(client_ca=pem.authority, tokens=False)
    alice = await collector.caller(trusted=authority, certificate=authority.issue_cert(common_name="alice"))
    nobody = await collector.caller(trusted=authority)
    other = await collector.caller(trusted=authority, certificate=stranger.issue_cert(common_name="alice"))
    nameless = await collector.caller(trusted=authority, certificate=authority.issue_cert("host.example"))
    assert (await nobody.refusal("UploadBatch", sender.batch())).code() is Code.UNAVAILABLE
    assert (await other.refusal("UploadBatch", sender.batch())).code() is Code.UNAVAILABLE
    assert (await nameless.refusal("UploadBatch", sender.batch())).code() is Code.UNAUTHENTICATED
    assert await collector.stored() == 0
    assert len((await alice.upload(sender.batch())).accepted_ids) == 1


async def test_with_tokens_and_certificates_both_are_needed_and_must_name_the_same_client(
    start, authority, pem, sender
):
    collector = await start(client_ca=pem.authority)
    alice, mallory = (authority.issue_cert(common_name=name) for name in ("alice", "mallory"))
    both = await collector.caller(trusted=authority, certificate=alice)
    no_token = await collector.caller(trusted=authority, certificate=alice, token="")
    stolen_token = await collector.caller(trusted=authority, certificate=mallory)
    assert (await no_token.refusal("UploadBatch", sender.batch())).code() is Code.UNAUTHENTICATED
    refusal = await stolen_token.refusal("UploadBatch", sender.batch())
    assert refusal.code() is Code.UNAUTHENTICATED
    assert "another client" in refusal.details()
    assert await collector.stored() == 0
    assert len((await both.upload(sender.batch())).accepted_ids) == 1


async def test_a_renewed_certificate_is_served_without_a_restart(collector, authority, stranger, pem, sender):
    renewed = stranger.issue_cert("localhost", "127.0.0.1")
    pem.key.write_bytes(renewed.private_key_pem.bytes())  # the first write of two: the files do not fit together
    old = await collector.caller(trusted=authority)
    assert len((await old.upload(sender.batch())).accepted_ids) == 1
    pem.put(renewed)
    new = await collector.caller(trusted=stranger)
    assert len((await new.upload(sender.batch())).accepted_ids) == 1
    late = await collector.caller(trusted=authority, options=[("grpc.use_local_subchannel_pool", 1)])
    assert (await late.refusal("UploadBatch", sender.batch())).code() is Code.UNAVAILABLE


@pytest.mark.parametrize("damage", ["missing", "empty", "no key of it"])
async def test_certificates_that_cannot_be_served_with_are_refused_at_the_start(start, pem, stranger, damage):
    if damage == "missing":
        pem.certificate.unlink()
    elif damage == "empty":
        pem.certificate.write_bytes(b"")
    else:
        pem.key.write_bytes(stranger.issue_cert("localhost").private_key_pem.bytes())
    with pytest.raises(SettingsRefused, match=r"chain\.pem"):
        await start()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_plain_text_and_metrics_are_for_this_machine_alone(host):
    with pytest.raises(SettingsRefused, match="certificate"):
        Settings(Address(host, 0), None)
    files = CertificateFiles(Path("chain.pem"), Path("key.pem"))
    with pytest.raises(SettingsRefused, match="metrics"):
        Settings(Address(host, 0), files, Address(host, 0))
    for near in ("127.0.0.1", "127.8.8.8", "::1", "localhost"):
        assert Settings(Address(near, 0), None, Address(near, 0)).listen.host == near


@pytest.mark.parametrize(
    "text",
    ["", "7400", ":7400", "localhost", "localhost:", "localhost:-1", "localhost:65536", "::1:7400", "[::1]", "a:٣"],
)
def test_what_is_no_address_is_refused_in_words(text):
    with pytest.raises(SettingsRefused, match="no address"):
        Address.read(text)


@pytest.mark.parametrize("text", ["127.0.0.1:0", "[::1]:7400", "localhost:65535"])
def test_an_address_is_printed_as_it_is_written(text):
    assert str(Address.read(text)) == text


def test_a_quota_below_one_batch_is_refused():
    for quota in ({"snapshots_per_minute": 63}, {"bytes_per_minute": (1 << 20) - 1}):
        with pytest.raises(SettingsRefused, match="one batch"):
            Quota(**quota)


async def test_a_second_collector_on_the_same_port_is_told_so(start, pem):
    first = await start()
    settings = Settings(Address.read(first.address), CertificateFiles(pem.certificate, pem.key))
    second = serving(settings, first.storage, Clients(first.tokens, certificates=False))
    with pytest.raises(SettingsRefused, match="something else"):
        await second.__aenter__()


async def test_more_than_a_mebibyte_is_refused_and_smaller_ones_still_get_in(collector, alice, sender):
    for compression in (None, grpc.Compression.Gzip):
        refusal = await alice.refusal("UploadBatch", bytes((1 << 20) + 1), compression=compression)
        assert refusal.code() is Code.RESOURCE_EXHAUSTED
        assert "grpc-status-details-bin" not in dict(refusal.trailing_metadata())  # trying again is in vain
    assert await collector.stored() == 0
    assert len((await alice.upload(sender.batch(), compression=grpc.Compression.Gzip)).accepted_ids) == 1


def peak_bytes(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise AssertionError("the kernel keeps no peak")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's peak of a process is read from /proc")
async def test_a_gzip_bomb_of_a_gibibyte_costs_no_memory(start_process, sender, hostile):
    collector = await start_process()
    bomb = hostile.gzip_bomb(1 << 30)
    assert len(bomb) < 1 << 20  # so that nothing but what it becomes can be held against it
    async with collector.caller() as alice:
        assert len((await alice.upload(sender.batch())).accepted_ids) == 1
        before = peak_bytes(collector.pid)
        for token in (collector.token, "wrong"):
            call = hostile.RawCall(
                collector.address, UPLOAD, {"authorization": f"Bearer {token}", "grpc-encoding": "gzip"}
            )
            try:
                await asyncio.to_thread(call.send, bomb, compressed=True)
                said = await asyncio.to_thread(call.answer)
            finally:
                call.close()
            assert (b"larger than max" in said) if token == collector.token else b"grpc-status" in said
        assert peak_bytes(collector.pid) - before < 32 << 20
        assert len((await alice.upload(sender.batch())).accepted_ids) == 1


async def test_a_call_whose_message_never_comes_is_ended_and_holds_nobody_up(start, sender, hostile):
    collector = await start(plain=True, message_seconds=0.2)
    calls = [
        hostile.RawCall(collector.address, UPLOAD, {"authorization": f"Bearer {collector.token}"}) for _ in range(4)
    ]
    try:
        for call in calls:
            assert b"did not come in time" in await asyncio.to_thread(call.answer)
    finally:
        for call in calls:
            call.close()
    alice = await collector.caller(plain=True)
    assert len((await alice.upload(sender.batch())).accepted_ids) == 1


async def test_a_stranger_is_refused_before_he_sends_anything(start, hostile):
    collector = await start(plain=True)
    call = hostile.RawCall(collector.address, UPLOAD, {"authorization": "Bearer guess"})
    try:
        assert b"does not know the token" in await asyncio.to_thread(call.answer)
    finally:
        call.close()


async def test_one_client_cannot_take_all_places(held_storage, start, sender, make_sender):
    held = []
    collector = await start(plain=True, wrap=lambda storage: held.append(held_storage(storage)) or held[0])
    options = [("grpc.max_concurrent_streams", 100)]
    greedy = await collector.caller(plain=True, options=options)
    uploads = [asyncio.create_task(greedy.upload(make_sender().batch())) for _ in range(16)]
    async with asyncio.timeout(20):
        for _ in uploads:
            await held[0].asked.acquire()
    refusal = await greedy.refusal("UploadBatch", sender.batch())
    assert refusal.code() is Code.UNAVAILABLE
    assert "grpc-status-details-bin" in dict(refusal.trailing_metadata())
    other = await collector.caller(plain=True, token=collector.tokens.add("bob"))
    assert (await other("Policy", wire.PolicyRequest())).max_batch_snapshots == 64
    held[0].may.set()
    assert [len(reply.accepted_ids) for reply in await asyncio.gather(*uploads)] == [1] * 16
    assert len((await greedy.upload(sender.batch())).accepted_ids) == 1


async def test_the_health_service_needs_no_token_and_says_when_the_storage_is_away(
    storage_with, start, authority, sender
):
    away, looked = asyncio.Event(), asyncio.Condition()

    def failing(storage):
        def unless_away(method):
            async def ask(*arguments):
                async with looked:
                    looked.notify_all()
                if away.is_set():
                    raise StorageUnavailable("the disk is full")
                return await method(*arguments)

            return ask

        return storage_with(storage, store=unless_away(storage.store), state=unless_away(storage.state))

    collector = await start(wrap=failing, look_at_storage_seconds=0.01)
    stranger = await collector.caller(trusted=authority, token="")
    alice = await collector.caller(trusted=authority)
    assert await health(stranger) == await health(stranger, "foretype.snapshots.v1.Snapshots") == SERVING
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health(stranger, "another.Service")
    assert caught.value.code() is Code.NOT_FOUND

    away.set()
    refusal = await alice.refusal("UploadBatch", sender.batch())
    assert refusal.code() is Code.UNAVAILABLE
    assert "grpc-status-details-bin" in dict(refusal.trailing_metadata())
    assert await health(stranger) == NOT_SERVING
    assert await collector.stored() == 0

    away.clear()
    async with asyncio.timeout(20), looked:
        await looked.wait()
        await looked.wait()  # the first look has been worked on when the next begins
    assert await health(stranger) == SERVING
    assert len((await alice.upload(sender.batch())).accepted_ids) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_either_signal_ends_it_with_zero(start_process, sender, number):
    collector = await start_process("--metrics", "127.0.0.1:0")
    async with collector.caller() as alice:
        assert len((await alice.upload(sender.batch())).accepted_ids) == 1
        collector.process.send_signal(number)
        assert await asyncio.to_thread(collector.process.wait, 30) == 0
        assert (await alice.refusal("UploadBatch", sender.batch())).code() is Code.UNAVAILABLE


async def test_a_call_in_progress_is_answered_though_the_collector_stops(held_storage, tmp_path, sender):
    book = TokenBook(tmp_path / "tokens.json")
    token = book.add("alice")
    storage = await open_storage(str(tmp_path / "collected"))
    held = held_storage(storage)
    collector = serving(Settings(Address("127.0.0.1", 0), None), held, Clients(book, certificates=False))
    listening = await collector.__aenter__()
    async with grpc.aio.insecure_channel(str(listening.address)) as channel:
        call = channel.unary_unary(UPLOAD)(
            sender.batch().SerializeToString(), metadata=[("authorization", f"Bearer {token}")], timeout=20
        )
        async with asyncio.timeout(20):
            await held.asked.acquire()
            assert channel.get_state() is grpc.ChannelConnectivity.READY
            stopping = asyncio.create_task(collector.__aexit__(None, None, None))
            await channel.wait_for_state_change(grpc.ChannelConnectivity.READY)  # it says good-bye
        held.may.set()
        assert len(wire.UploadBatchReply.FromString(await call).accepted_ids) == 1
        await stopping
    assert (await storage.state()).waiting_snapshots == 1
    await storage.close()


async def test_a_storage_that_never_answers_does_not_keep_it_from_stopping(held_storage, tmp_path, sender):
    book = TokenBook(tmp_path / "tokens.json")
    metadata = [("authorization", f"Bearer {book.add('alice')}")]
    storage = await open_storage(str(tmp_path / "collected"))
    held = held_storage(storage)
    settings = Settings(Address("127.0.0.1", 0), None, stop_seconds=0.1)
    async with (
        serving(settings, held, Clients(book, certificates=False)) as listening,
        grpc.aio.insecure_channel(str(listening.address)) as channel,
    ):
        call = channel.unary_unary(UPLOAD)(sender.batch().SerializeToString(), metadata=metadata, timeout=20)
        async with asyncio.timeout(20):
            await held.asked.acquire()
        call.cancel()
    assert (await storage.state()).waiting_snapshots == 0
    await storage.close()


async def test_stopping_waits_for_what_the_storage_was_asked_though_the_client_gave_up(storage_with, tmp_path, sender):
    book = TokenBook(tmp_path / "tokens.json")
    metadata = [("authorization", f"Bearer {book.add('alice')}")]
    storage = await open_storage(str(tmp_path / "collected"))
    asked, may, happened = asyncio.Event(), asyncio.Event(), []

    async def store(*arguments):
        asked.set()
        await may.wait()
        verdicts = await storage.store(*arguments)
        happened.append("stored")
        return verdicts

    settings = Settings(Address("127.0.0.1", 0), None)
    collector = serving(settings, storage_with(storage, store=store), Clients(book, certificates=False))
    listening = await collector.__aenter__()
    async with grpc.aio.insecure_channel(str(listening.address)) as channel, asyncio.timeout(20):
        call = channel.unary_unary(UPLOAD)(sender.batch().SerializeToString(), metadata=metadata)
        await asked.wait()
        call.cancel()
        stopping = asyncio.create_task(collector.__aexit__(None, None, None))
        await channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
        may.set()
        await stopping
    happened.append("stopped")
    assert happened == ["stored", "stopped"]
    await storage.close()


async def test_what_a_client_gave_up_waiting_for_is_stored_whole_and_known_the_next_time(held_storage, start, sender):
    made = []
    collector = await start(plain=True, wrap=lambda storage: made.append(held_storage(storage)) or made[0])
    alice = await collector.caller(plain=True)
    batch = sender.batch()
    upload = asyncio.create_task(alice.upload(batch))
    async with asyncio.timeout(20):
        await made[0].asked.acquire()
    upload.cancel()
    await asyncio.wait((upload,))
    await alice("Policy", wire.PolicyRequest())  # comes behind the cancellation on the same connection
    made[0].may.set()
    reply = await alice.upload(batch)
    assert len(reply.duplicate_ids) == 1
    assert await collector.stored() == 1


async def test_the_numbers_tell_what_came_and_what_became_of_it(start_process, sender, message):
    collector = await start_process("--metrics", "127.0.0.1:0")
    good, unread = message(), message(schema_version=9)
    async with collector.caller() as alice:
        await alice.upload(sender.batch(good, unread))
        await alice.upload(sender.batch(good))
        await alice.refusal("UploadBatch", sender.batch(), metadata=[])
    page = await asyncio.to_thread(
        lambda: urllib.request.urlopen(f"http://{collector.metrics}/metrics").read().decode()
    )
    numbers = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
    name = "foretype_collector_"
    assert numbers[name + "snapshots_received_total"] == "3.0"
    assert numbers[name + "snapshots_accepted_total"] == "1.0"
    assert numbers[name + "snapshots_duplicate_total"] == "1.0"
    assert numbers[name + 'snapshots_rejected_total{reason="SCHEMA_VERSION"}'] == "1.0"
    assert numbers[name + 'calls_total{method="UploadBatch",status="UNAUTHENTICATED",why="missing"}'] == "1.0"
    assert numbers[name + "commit_seconds_count"] == "2.0"
    assert numbers[name + "storage_up"] == "1.0"


async def test_the_log_is_json_and_holds_neither_content_nor_tokens(start_process, sender, message, snapshot):
    collector = await start_process("--log-level", "debug")
    seen = snapshot()
    async with collector.caller() as alice:
        await alice.upload(sender.batch(message(seen)))
        await alice.upload(sender.batch(message(content=seen.canonical_bytes()[:-1])))
        await alice.refusal("UploadBatch", b"\xff" + seen.canonical_bytes())
        await alice.refusal("UploadBatch", sender.batch(), metadata=[("authorization", "Bearer of_bad_news")])
        await alice("Delete", sender.deletion(everything=True))
    collector.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(collector.process.wait, 30) == 0
    lines = [json.loads(line) for line in collector.log().splitlines()]
    uploaded = [line for line in lines if line["message"] == "uploaded"]
    assert [line["accepted"] for line in uploaded] == [1, 0]
    assert uploaded[1]["rejected"] == {"MALFORMED": 1}
    assert {line["client"] for line in uploaded} == {"alice"}
    assert {(line["why"], line["client"]) for line in lines if line["message"] == "refused"} == {
        ("no_protobuf", "alice"),
        ("unknown", ""),
    }
    assert [line["deleted"] for line in lines if line["message"] == "deleted"] == [1]
    for secret in ("a_name_that_stands_in_no_log", collector.token, "of_bad_news", seen.id, sender.id):
        assert secret not in collector.log()


async def test_damaged_messages_never_harm_it(start_process, make_sender, message, hostile, fuzzed_messages):
    collector = await start_process("--snapshots-per-minute", "0", "--mebibytes-per-minute", "0")
    senders = [make_sender() for _ in range(3)]
    seeds = {
        UPLOAD: [
            one.batch(*(message() for _ in range(count))).SerializeToString()
            for one, count in zip(senders, (1, 2, 3), strict=True)
        ],
        UPLOAD.replace("UploadBatch", "Delete"): [
            senders[0].deletion(everything=True).SerializeToString(),
            senders[1].deletion(snapshot_ids=["a" * 32], finalised_before=1.5).SerializeToString(),
        ],
        UPLOAD.replace("UploadBatch", "Policy"): [b"", b"\x08\x01"],
        HEALTH: [b"", b"\x0a\x03abc"],
    }
    source = random.Random(6)
    numbers = iter(range(fuzzed_messages))
    answers = set()

    async def attack(caller):
        for _ in numbers:
            path = source.choices(list(seeds), (20, 6, 1, 1))[0]
            try:
                await caller.raw(path, hostile.mutated(seeds[path], source), seconds=30)
                answers.add(Code.OK)
            except grpc.aio.AioRpcError as error:
                answers.add(error.code())

    async with collector.caller() as caller:
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(attack(caller))
        assert answers <= {Code.OK, Code.INVALID_ARGUMENT, Code.PERMISSION_DENIED, Code.NOT_FOUND}
        assert {Code.OK, Code.INVALID_ARGUMENT} <= answers
        assert len((await caller.upload(make_sender().batch())).accepted_ids) == 1
    assert collector.process.poll() is None
