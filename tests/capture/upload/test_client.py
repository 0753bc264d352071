"""The client against real servers: what it sends, what it refuses to believe, and to whom it sends nothing."""

from __future__ import annotations

import asyncio
import hashlib
import queue
import secrets
import socket
import ssl
import threading

import grpc
import pytest
import trustme

from capture.upload.batches import Limits
from capture.upload.client import Client
from capture.upload.failure import failure_of
from capture.upload.identity import Deletion, Install
from capture.upload.outbox import Outgoing
from capture.upload.outcomes import Deleted, Taken, Withdrawn
from capture.upload.retries import BAD_REPLY, CANNOT_SEND, MESSAGE_TOO_LARGE, Failure, verdict_on
from capture.upload.selection import Selection
from capture.upload.target import Target
from capture.wire import snapshots_pb2 as wire

INSTALL = Install("c" * 32, b"s" * 32)
TOKEN = "ft-token-of-the-tests-0123456789"


def outgoing(content=b"{}", **changes):
    values = {"id": secrets.token_hex(16), "workspace_id": "a" * 32, "schema_version": 1, "content": content, **changes}
    return Outgoing(sha256=hashlib.sha256(values["content"]).hexdigest(), **values)


def always():
    return True


@pytest.fixture
async def make_client():
    made = []

    def make(target, **options):
        made.append(Client(target, **options))
        return made[-1]

    yield make
    for client in made:
        await client.close()


@pytest.fixture
async def client(make_client, collector, target_of):
    return make_client(target_of(collector))


def nothing_was_sent(collector):
    return not collector.calls and not collector.metadata


# What is sent.


async def test_a_batch_arrives_byte_for_byte_with_the_token_and_the_hash_of_the_secret(client, collector):
    batch = [outgoing(b"{}"), outgoing('{"ä":1}'.encode(), schema_version=3)]
    answer = await client.upload(INSTALL, batch, always)
    assert answer == Taken(frozenset(one.id for one in batch), frozenset(), {})
    (request,) = collector.batches
    assert [(one.id, one.schema_version, one.content) for one in request.snapshots] == [
        (one.id, one.schema_version, one.content) for one in batch
    ]
    assert all(one.sha256 == hashlib.sha256(one.content).digest() for one in request.snapshots)
    assert request.install == wire.Install(id=INSTALL.id, secret_sha256=hashlib.sha256(INSTALL.secret).digest())
    assert collector.metadata[0]["authorization"] == f"Bearer {TOKEN}"
    assert INSTALL.secret not in request.SerializeToString()


@pytest.mark.parametrize("size_bytes", [250_000, 300_000, 1_000_000])
async def test_batches_above_256_kibibytes_arrive(client, collector, size_bytes):
    one = outgoing(secrets.token_bytes(size_bytes))
    assert (await client.upload(INSTALL, [one], always)).accepted == {one.id}
    assert collector.stored[one.id] == one.content


async def test_uploads_are_compressed(client, collector):
    await client.policy()
    before = collector.wire_cut.bytes_in
    await client.upload(INSTALL, [outgoing(b"abc " * 200_000)], always)
    assert collector.wire_cut.bytes_in - before < 80_000  # of 800,000


async def test_a_token_that_changes_is_sent_with_the_next_call(client, collector, token_file):
    await client.policy()
    token_file.write_text("another")
    await client.policy()
    assert [one["authorization"] for one in collector.metadata] == [f"Bearer {TOKEN}", "Bearer another"]
    assert client.channels == 1


async def test_a_deletion_shows_each_secret_and_asks_for_what_is_selected(client, collector):
    installs = (INSTALL, Install("d" * 32, b"t" * 32))
    selection = Selection(snapshot_ids=("1" * 32,), workspace_ids=("2" * 32,), finalised_before=0.0)
    outcome = await client.delete(Deletion("e" * 32, client.target.address, selection, installs, 0.0))
    assert outcome == Deleted(0, 0)
    (request,) = collector.deletions
    assert [(one.id, one.secret) for one in request.installs] == [(one.id, one.secret) for one in installs]
    assert (list(request.selection.snapshot_ids), list(request.selection.workspace_ids)) == (["1" * 32], ["2" * 32])
    assert request.selection.HasField("finalised_before")
    assert not request.selection.everything


async def test_a_deletion_without_a_time_leaves_the_time_out(client, collector):
    await client.delete(Deletion("e" * 32, client.target.address, Selection(everything=True), (INSTALL,), 0.0))
    assert collector.deletions[0].selection == wire.Selection(everything=True)


async def test_a_policy_is_kept_within_what_the_wire_allows(client, collector):
    collector.policy = wire.PolicyReply(
        schema_versions=[1, 2], max_batch_snapshots=1000, max_batch_bytes=1 << 30, max_snapshot_bytes=5000
    )
    assert await client.policy() == Limits(frozenset({1, 2}), 64, 1 << 20, 5000)
    collector.policy = wire.PolicyReply()
    assert await client.policy() == Limits()


async def test_nothing_is_sent_once_it_is_not_allowed_any_more(client, collector):
    asked_when_connected = []

    def never():
        asked_when_connected.append(collector.wire_cut.connections)
        return False

    assert await client.upload(INSTALL, [outgoing()], never) == Withdrawn()
    assert asked_when_connected == [1]
    assert not collector.batches


# What is believed.


def names(**lists):
    return wire.UploadBatchReply(
        accepted_ids=lists.get("accepted", ()),
        duplicate_ids=lists.get("duplicate", ()),
        rejected=[wire.Rejection(id=one, reason=wire.Rejection.MALFORMED) for one in lists.get("rejected", ())],
    )


@pytest.mark.parametrize(
    "lie",
    [
        lambda *_: names(),
        lambda first, _: names(accepted=[first]),
        lambda first, second: names(accepted=[first, second, "f" * 32]),
        lambda first, _: names(accepted=[first, "f" * 32]),
        lambda first, _: names(accepted=[first, first]),
        lambda first, second: names(accepted=[first, second, second]),
        lambda first, second: names(accepted=[first, second], duplicate=[second]),
        lambda first, second: names(duplicate=[first], rejected=[first, second]),
        lambda first, second: names(accepted=[first, second], rejected=[second]),
        lambda first, second: names(accepted=[first, second.upper()]),
    ],
)
async def test_a_reply_that_does_not_name_each_id_once_counts_for_nothing(client, collector, scripted, lie):
    collector.script.append(scripted.answer(lambda request: lie(*(one.id for one in request.snapshots))))
    batch = [outgoing(id="a1" * 16), outgoing(id="b2" * 16)]
    failure = await client.upload(INSTALL, batch, always)
    assert isinstance(failure, Failure)
    assert failure.code == BAD_REPLY
    assert "none of them counts as taken" in failure.words


async def test_every_reason_has_its_word_and_a_new_one_is_a_rejection_too(client, collector, scripted):
    reasons = [*wire.Rejection.Reason.values(), 77]
    batch = [outgoing() for _ in reasons]
    collector.script.append(
        scripted.answer(
            lambda _: wire.UploadBatchReply(
                rejected=[wire.Rejection(id=one.id, reason=reason) for one, reason in zip(batch, reasons, strict=True)]
            )
        )
    )
    rejected = (await client.upload(INSTALL, batch, always)).rejected
    assert [rejected[one.id] for one in batch] == [
        "rejected", "malformed", "wrong_sha256", "schema_version", "too_large", "id_taken", "deleted", "not_settled",
        "rejected",
    ]  # fmt: skip


async def test_a_reply_that_is_too_large_blames_no_snapshot(client, collector, scripted):
    collector.script.append(scripted.answer(lambda _: wire.UploadBatchReply(accepted_ids=["f" * 32] * 100_000)))
    failure = await client.upload(INSTALL, [outgoing()], always)
    assert failure.code == BAD_REPLY


# What a failure is.

CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


def test_damage_on_the_way_back_is_the_fault_of_the_connection():
    nothing = grpc.aio.Metadata()
    details = "Stream removed (Unwrap failed (TSI_DATA_CORRUPTED))"  # gRPC 1.85.1, when a byte of a reply was changed
    damaged = grpc.aio.AioRpcError(grpc.StatusCode.UNKNOWN, nothing, nothing, details=details)
    assert verdict_on(failure_of(damaged, Target("localhost:7400"), TOKEN)) == "again"
    failed = grpc.aio.AioRpcError(grpc.StatusCode.UNKNOWN, nothing, nothing, details="Unexpected <class 'KeyError'>")
    assert verdict_on(failure_of(failed, Target("localhost:7400"), TOKEN)) == "suspect"


@pytest.mark.parametrize("retry_after", [None, 2.5])
@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
async def test_every_status_comes_with_its_name_words_and_delay(client, collector, scripted, code, retry_after):
    collector.script.append(scripted.refuse(code, retry_after=retry_after))
    failure = await client.upload(INSTALL, [outgoing()], always)
    assert (failure.code, failure.retry_after_seconds) == (code.name, retry_after)
    assert client.target.address in failure.words
    assert (await client.upload(INSTALL, [outgoing()], always)).accepted  # the next call is not harmed


async def test_details_that_nobody_can_read_ask_for_no_delay(client, collector, scripted):
    collector.script.append(scripted.refuse(grpc.StatusCode.UNAVAILABLE, raw_details=b"\xff\x01 nonsense"))
    assert (await client.upload(INSTALL, [outgoing()], always)).retry_after_seconds is None


@pytest.mark.parametrize(("asked", "understood"), [(-5.0, 0.0), (0.0, 0.0), (10_000_000.0, 10_000_000.0)])
async def test_a_delay_is_never_negative(client, collector, scripted, asked, understood):
    collector.script.append(scripted.refuse(grpc.StatusCode.UNAVAILABLE, retry_after=asked))
    assert (await client.upload(INSTALL, [outgoing()], always)).retry_after_seconds == understood


async def test_a_message_that_is_too_large_for_a_server_is_told_from_a_quota(client, collector, scripted):
    words = "Received message larger than max (1048600 vs. 4096)"
    collector.script.append(scripted.refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, details=words))
    collector.script.append(scripted.refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, details="quota"))
    codes = [(await client.upload(INSTALL, [outgoing()], always)).code for _ in range(2)]
    assert codes == [MESSAGE_TOO_LARGE, "RESOURCE_EXHAUSTED"]


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
async def test_no_words_hold_the_token_control_characters_or_what_was_sent(client, collector, scripted, code):
    content = b'{"secret": "content of the snapshot"}'
    # What the other end writes; a failure in handling a snapshot likes to quote it.
    shown = code.name in ("UNAUTHENTICATED", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "UNAVAILABLE")
    details = f"Bearer {TOKEN} is\x1b[31m bad\n" + ("" if shown else content.decode()) + "x" * 500
    collector.script.append(scripted.refuse(code, details=details))
    words = (await client.upload(INSTALL, [outgoing(content)], always)).words
    assert TOKEN not in words
    assert words.isprintable()
    assert "content of" not in words
    assert len(words) < 500
    assert ("bad" in words) is shown


async def test_a_collector_that_never_answers_is_given_up_at_the_deadline(make_client, collector, scripted, target_of):
    client = make_client(target_of(collector), deadline_seconds=0.3)
    collector.script.append(scripted.never)
    failure = await client.upload(INSTALL, [outgoing()], always)
    assert failure.code == "DEADLINE_EXCEEDED"
    assert "did not answer in time" in failure.words
    assert (await client.upload(INSTALL, [outgoing()], always)).accepted


async def test_a_connection_nobody_answers_on_is_given_up_at_the_deadline(make_client, target_of):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = make_client(target_of(f"127.0.0.1:{listening.getsockname()[1]}"), deadline_seconds=0.3)
        failure = await client.upload(INSTALL, [outgoing()], always)
    assert failure.code == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize("step", ["take_and_lose_the_reply", "stop"])
async def test_a_call_whose_answer_is_lost_is_a_failure_and_the_next_one_goes_through(
    client, collector, scripted, step
):
    collector.script.append(getattr(scripted, step))
    one = outgoing()
    failure = await client.upload(INSTALL, [one], always)
    assert failure.code in ("UNAVAILABLE", "CANCELLED")
    assert one.id in collector.stored
    if step == "stop":
        await collector.stop()
        await collector.start()
    assert await client.upload(INSTALL, [one], always) == Taken(frozenset(), frozenset({one.id}), {})


async def test_a_server_that_was_down_is_reached_with_the_first_call_after_it_came_back(client, collector):
    await client.policy()
    await collector.stop()
    assert [(await client.policy()).code for _ in range(5)] == ["UNAVAILABLE"] * 5
    await collector.start()
    assert await client.policy() == Limits(frozenset({1}))


async def test_a_call_that_is_cancelled_ends_at_once_and_the_next_one_goes_through(client, collector, scripted):
    collector.script.append(scripted.never)
    call = asyncio.create_task(client.upload(INSTALL, [outgoing()], always))
    async with asyncio.timeout(20):
        await collector.is_silent.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await client.upload(INSTALL, [outgoing()], always)).accepted


# To whom nothing is sent.


async def assert_refused(client, words, code="UNAVAILABLE"):
    failure = await client.upload(INSTALL, [outgoing()], always)
    assert failure.code == code
    assert words in failure.words
    assert TOKEN not in failure.words


async def test_a_certificate_of_an_unknown_authority_is_refused(
    make_client, start_collector, credentials_of, target_of
):
    other = await start_collector(credentials_of(trustme.CA().issue_cert("127.0.0.1")))
    await assert_refused(make_client(target_of(other)), "no authority that is trusted here")
    assert nothing_was_sent(other)


async def test_the_systems_authorities_do_not_vouch_where_a_file_is_named_and_the_other_way_round(
    make_client, collector, target_of, monkeypatch, tmp_path
):
    await assert_refused(make_client(target_of(collector, ca_file="")), "no authority that is trusted here")
    assert nothing_was_sent(collector)


async def test_an_expired_certificate_is_refused(
    make_client, start_collector, authority, credentials_of, target_of, long_ago
):
    expired = await start_collector(credentials_of(authority.issue_cert("127.0.0.1", **long_ago)))
    await assert_refused(make_client(target_of(expired)), "has expired")
    assert nothing_was_sent(expired)


async def test_a_certificate_for_another_host_is_refused(
    make_client, start_collector, authority, credentials_of, target_of
):
    another = await start_collector(credentials_of(authority.issue_cert("collector.example")))
    await assert_refused(make_client(target_of(another)), "is for another host name")
    assert nothing_was_sent(another)


async def test_a_server_in_plain_text_is_refused(make_client, start_collector, target_of):
    plain = await start_collector(None)
    await assert_refused(make_client(target_of(plain)), "does not speak TLS")
    assert nothing_was_sent(plain)


async def test_tls_1_1_is_refused(make_client, authority, target_of):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(["h2"])
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    spoken = []

    def serve(listening):
        try:
            connection, _ = listening.accept()
            with context.wrap_socket(connection, server_side=True) as secured:
                spoken.append(secured.recv(1))
        except OSError as error:
            spoken.append(type(error))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)
        server = threading.Thread(target=serve, args=(listening,))
        server.start()
        client = make_client(target_of(f"127.0.0.1:{listening.getsockname()[1]}"))
        await assert_refused(client, "no TLS of version 1.2")
        await asyncio.to_thread(server.join)
    assert spoken == [ssl.SSLError]


async def test_a_client_certificate_is_shown_where_the_collector_asks_for_one(
    make_client, start_collector, authority, credentials_of, target_of, tmp_path
):
    issued = authority.issue_cert("client.example")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    mutual = await start_collector(credentials_of(authority.issue_cert("127.0.0.1"), authority))
    files = {"certificate_file": str(tmp_path / "certificate.pem"), "key_file": str(tmp_path / "key.pem")}
    await assert_refused(make_client(target_of(mutual)), "client certificate")
    assert nothing_was_sent(mutual)
    shown = make_client(target_of(mutual, token_file="", **files))
    assert (await shown.upload(INSTALL, [outgoing()], always)).accepted
    assert "authorization" not in mutual.metadata[-1]


async def test_plain_text_on_this_machine_is_spoken_when_asked_for_and_through_no_proxy(
    make_client, start_collector, target_of, monkeypatch, scripted
):
    plain = await start_collector(None)
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        for name in ("no_proxy", "no_grpc_proxy"):
            monkeypatch.delenv(name, raising=False)
        for name in ("http_proxy", "https_proxy", "grpc_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        for host in ("127.0.0.1", "localhost"):
            target = target_of(f"{host}:{plain.port}", ca_file="", plain_text=True)
            assert (await make_client(target).upload(INSTALL, [outgoing()], always)).accepted
        proxy.setblocking(False)
        with pytest.raises(BlockingIOError):
            proxy.accept()
    assert plain.metadata[0]["authorization"] == f"Bearer {TOKEN}"


async def test_a_target_that_is_refused_and_a_token_that_cannot_be_read_make_no_connection(
    make_client, collector, target_of, token_file
):
    far = make_client(target_of("team.example:4317", ca_file="", plain_text=True))
    await assert_refused(far, "this machine only", CANNOT_SEND)
    token_file.chmod(0o644)
    await assert_refused(make_client(target_of(collector)), "chmod 600", CANNOT_SEND)
    assert collector.wire_cut.connections == 0


async def test_an_unknown_address_is_refused_in_words(make_client, target_of):
    await assert_refused(make_client(target_of("nowhere.invalid:1")), "check the")


async def test_a_port_where_nothing_listens_is_told(make_client, target_of, scripted):
    await assert_refused(make_client(target_of(f"127.0.0.1:{scripted.unused_port()}")), "nothing listens there")


# Channels.


async def test_one_channel_serves_until_a_certificate_changes(make_client, collector, target_of, authority_file):
    client = make_client(target_of(collector))
    for _ in range(3):
        await client.policy()
    assert (client.channels, collector.wire_cut.connections) == (1, 1)
    other = trustme.CA()
    other.cert_pem.write_to_path(authority_file)
    assert "no authority that is trusted here" in (await client.policy()).words
    assert client.channels == 2


def test_a_channel_is_never_used_by_two_event_loops(scripted, target_of):
    async def collect():
        """One collector in a thread of its own."""
        collector = await scripted.ScriptedCollector(None).start()
        ready.put(collector)
        await ended.wait()
        await collector.close()

    ready = queue.Queue()
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(collect()))
    thread.start()
    collector = ready.get(timeout=20)
    try:
        client = Client(target_of(collector, ca_file="", plain_text=True))

        async def ask():
            return await client.policy()

        async def ask_and_close():
            answer = await client.policy()
            await client.close()
            return answer

        answers = [asyncio.run(ask()), asyncio.run(ask()), asyncio.run(ask_and_close())]
        assert answers == [Limits(frozenset({1}))] * 3
        assert client.channels == 3
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(20)
        loop.close()
