"""Upload, delete and policy over gRPC: who may, what is taken, what is refused with which status, and what stays."""

from __future__ import annotations

import asyncio
import hashlib

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from capture.collector.settings import Quota
from capture.collector.storage import StorageUnavailable
from capture.wire import snapshots_pb2 as wire
from capture.wire import snapshots_pb2_grpc

Code = grpc.StatusCode
Reason = wire.Rejection.Reason
DAY_SECONDS = 86_400.0


def retry_seconds(error):
    """How long the error says to wait before trying again; None where it says nothing."""
    details = dict(error.trailing_metadata()).get("grpc-status-details-bin")
    if details is None:
        return None
    status = Status.FromString(details)
    assert (status.code, status.message) == (error.code().value[0], error.details())
    info = RetryInfo()
    assert status.details[0].Unpack(info)
    return info.retry_delay.ToTimedelta().total_seconds()


def reasons(reply):
    return {rejection.id: Reason.Name(rejection.reason) for rejection in reply.rejected}


async def test_what_is_accepted_is_there_and_sent_again_it_is_a_duplicate(collector, alice, sender, message):
    batch = sender.batch(message(), message(), message())
    first = await alice.upload(batch)
    assert set(first.accepted_ids) == {snapshot.id for snapshot in batch.snapshots}
    again = await alice.upload(batch)
    assert set(again.duplicate_ids) == set(first.accepted_ids)
    assert not again.accepted_ids
    assert await collector.stored() == 3


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ([], "no token"),
        ([("authorization", "")], "no token"),
        ([("authorization", "Bearer ")], "no token"),
        ([("authorization", "Basic YTpi")], "no token"),
        ([("authorization", "Bearer a"), ("authorization", "Bearer b")], "no token"),
        ([("authorization", "Bearer foretype_of_nobody")], "does not know"),
    ],
)
async def test_a_wrong_or_missing_token_is_unauthenticated(collector, alice, sender, metadata, words):
    for method, request in (
        ("UploadBatch", sender.batch()),
        ("Delete", sender.deletion(everything=True)),
        ("Policy", wire.PolicyRequest()),
    ):
        error = await alice.refusal(method, request, metadata=metadata)
        assert error.code() is Code.UNAUTHENTICATED
        assert words in error.details()
        assert "of_nobody" not in error.details()
    assert await collector.stored() == 0
    assert len((await alice.upload(sender.batch())).accepted_ids) == 1


async def test_a_revoked_token_is_worthless_with_the_next_call(collector, alice, sender):
    assert len((await alice.upload(sender.batch())).accepted_ids) == 1
    collector.tokens.revoke("alice")
    error = await alice.refusal("UploadBatch", sender.batch())
    assert error.code() is Code.UNAUTHENTICATED
    assert "alice was revoked" in error.details()
    assert alice.token not in error.details()
    assert await collector.stored() == 1


async def test_an_expired_token_is_worthless(start, authority, sender):
    times = {"now": 1_800_000_000.0}
    collector = await start(clock=lambda: times["now"])
    bob = await collector.caller(trusted=authority, token=collector.tokens.add("bob", days=1))
    assert len((await bob.upload(sender.batch())).accepted_ids) == 1
    times["now"] += DAY_SECONDS
    error = await bob.refusal("UploadBatch", sender.batch())
    assert error.code() is Code.UNAUTHENTICATED
    assert "bob has expired" in error.details()
    assert await collector.stored() == 1


async def test_nobody_is_let_in_while_the_tokens_file_is_damaged(collector, alice, sender):
    whole = collector.tokens.path.read_text()
    collector.tokens.path.write_text(whole[:-5])
    error = await alice.refusal("UploadBatch", sender.batch())
    assert error.code() is Code.UNAVAILABLE  # his token may be good: he is to try again
    assert retry_seconds(error) > 0
    collector.tokens.path.write_text(whole)
    assert len((await alice.upload(sender.batch())).accepted_ids) == 1


def malformed(sender, message):
    """Batches that no client of ours makes."""
    snapshot = message()
    install = sender.install
    return {
        "no install": wire.UploadBatchRequest(snapshots=[snapshot]),
        "an install without id": wire.UploadBatchRequest(install=wire.Install(), snapshots=[snapshot]),
        "a short secret": wire.UploadBatchRequest(
            install=wire.Install(id=install.id, secret_sha256=b"1234"), snapshots=[snapshot]
        ),
        "an id twice": sender.batch(snapshot, message(), snapshot),
        "too many": sender.batch(*(message() for _ in range(65))),
        "an id that is none": sender.batch(snapshot, message(id="../../etc/passwd")),
        "an id in capitals": sender.batch(snapshot, message(id="A" * 32)),
        "an id with a line feed": sender.batch(snapshot, message(id="a" * 32 + "\n")),
        "no sha256": sender.batch(snapshot, message(sha256=b"")),
    }


@pytest.mark.parametrize(
    "case",
    [
        "no install",
        "an install without id",
        "a short secret",
        "an id twice",
        "too many",
        "an id that is none",
        "an id in capitals",
        "an id with a line feed",
        "no sha256",
    ],
)
async def test_of_a_malformed_batch_nothing_is_stored(collector, alice, sender, message, case):
    error = await alice.refusal("UploadBatch", malformed(sender, message)[case])
    assert error.code() is Code.INVALID_ARGUMENT
    assert retry_seconds(error) is None
    assert await collector.stored() == 0
    assert len((await alice.upload(sender.batch())).accepted_ids) == 1


@pytest.mark.parametrize(
    "payload", [b"\xff", b"\x0a\xff\xff\xff\x7f", b"\x0a\x02\x0a\x05", b"\x12\x04\x0a\x02\xff\xfe"]
)
async def test_what_is_no_protobuf_is_an_invalid_argument(collector, alice, sender, payload):
    error = await alice.refusal("UploadBatch", payload)
    assert error.code() is Code.INVALID_ARGUMENT
    assert await collector.stored() == 0
    assert len((await alice.upload(sender.batch())).accepted_ids) == 1


async def test_64_snapshots_and_an_empty_batch_are_taken(collector, alice, sender, message):
    assert len((await alice.upload(sender.batch(*(message() for _ in range(64))))).accepted_ids) == 64
    empty = wire.UploadBatchRequest(install=sender.install)
    assert await alice.upload(empty) == wire.UploadBatchReply()
    assert await collector.stored() == 64


async def test_each_snapshot_that_fails_is_named_with_its_reason_and_the_others_are_taken(
    collector, alice, sender, snapshot, message
):
    good = [message(), message()]
    bad = {
        "WRONG_SHA256": message(sha256=hashlib.sha256(b"another").digest()),
        "SCHEMA_VERSION": message(schema_version=3),
        "NOT_SETTLED": message(snapshot(state="unsettled")),
        "MALFORMED": message(content=b"[" * 1000),
    }
    reply = await alice.upload(sender.batch(good[0], *bad.values(), good[1]))
    assert set(reply.accepted_ids) == {one.id for one in good}
    assert reasons(reply) == {one.id: reason for reason, one in bad.items()}
    assert all(0 < len(rejection.explanation) <= 200 for rejection in reply.rejected)
    assert await collector.stored() == 2


async def test_a_snapshot_that_is_too_large_is_said_to_be(collector, alice, sender, message):
    policy = await alice("Policy", wire.PolicyRequest())
    large = message(content=b" " * (policy.max_snapshot_bytes + 1))
    assert reasons(await alice.upload(sender.batch(large))) == {large.id: "TOO_LARGE"}
    assert await collector.stored() == 0


async def test_another_installs_id_is_taken_and_its_snapshot_stays(collector, alice, sender, make_sender, message):
    first = message()
    await alice.upload(sender.batch(first))
    thief = make_sender()
    fresh = message()
    reply = await alice.upload(thief.batch(first, fresh))
    assert list(reply.accepted_ids) == [fresh.id]
    assert reasons(reply) == {first.id: "ID_TAKEN"}
    await alice("Delete", thief.deletion(snapshot_ids=[first.id]))
    assert list((await alice.upload(sender.batch(first))).duplicate_ids) == [first.id]


async def test_another_secret_than_the_installs_is_denied(collector, alice, sender):
    await alice.upload(sender.batch())
    request = sender.batch()
    request.install.secret_sha256 = bytes(32)
    error = await alice.refusal("UploadBatch", request)
    assert error.code() is Code.PERMISSION_DENIED
    assert await collector.stored() == 1


async def test_a_deletion_needs_every_secret_and_deletes_nothing_without(collector, alice, sender, make_sender):
    other = make_sender()
    await alice.upload(sender.batch())
    await alice.upload(other.batch())
    request = sender.deletion(everything=True)
    request.installs.add(id=other.id, secret=bytes(32))
    error = await alice.refusal("Delete", request)
    assert error.code() is Code.PERMISSION_DENIED
    assert await collector.stored() == 2
    assert (await alice("Delete", sender.deletion(everything=True))).deleted == 1
    assert await collector.stored() == 1


async def test_what_was_deleted_does_not_come_back(collector, alice, sender, message):
    one, other = message(), message()
    await alice.upload(sender.batch(one, other))
    assert (await alice("Delete", sender.deletion(snapshot_ids=[one.id]))).deleted == 1
    reply = await alice.upload(sender.batch(one, other))
    assert reasons(reply) == {one.id: "DELETED"}
    assert list(reply.duplicate_ids) == [other.id]
    assert await collector.stored() == 1


async def test_a_deletion_can_select_by_workspace_and_by_time(collector, alice, sender, snapshot, message):
    early = message(snapshot(created_at=1.0, finalised_at=2.0))
    elsewhere = message(snapshot(workspace_id="b" * 32))
    await alice.upload(sender.batch(message(), early, elsewhere))
    assert (await alice("Delete", sender.deletion(workspace_ids=["a" * 32], finalised_before=3.0))).deleted == 1
    assert (await alice("Delete", sender.deletion(workspace_ids=["b" * 32]))).deleted == 1
    assert await collector.stored() == 1


def bad_deletions(sender):
    proof = wire.InstallProof(id=sender.id, secret=sender.secret)
    everything = wire.Selection(everything=True)
    return {
        "nobody": wire.DeleteRequest(selection=everything),
        "nothing": sender.deletion(),
        "no selection": wire.DeleteRequest(installs=[proof]),
        "everything and some": sender.deletion(everything=True, snapshot_ids=["a" * 32]),
        "an id that is none": sender.deletion(snapshot_ids=["a" * 31]),
        "a workspace that is none": sender.deletion(workspace_ids=["%" * 32]),
        "too many ids": sender.deletion(snapshot_ids=[f"{number:032x}" for number in range(10_001)]),
        "too many workspaces": sender.deletion(workspace_ids=[f"{number:032x}" for number in range(1_001)]),
        "no time": sender.deletion(finalised_before=float("nan")),
        "an install twice": wire.DeleteRequest(installs=[proof, proof], selection=everything),
        "a short secret": wire.DeleteRequest(
            installs=[wire.InstallProof(id=sender.id, secret=b"x")], selection=everything
        ),
        "too many installs": wire.DeleteRequest(
            installs=[wire.InstallProof(id=f"{number:032x}", secret=bytes(32)) for number in range(257)],
            selection=everything,
        ),
    }


async def test_a_malformed_deletion_deletes_nothing(collector, alice, sender):
    await alice.upload(sender.batch())
    for name, request in bad_deletions(sender).items():
        error = await alice.refusal("Delete", request)
        assert error.code() is Code.INVALID_ARGUMENT, name
    assert await collector.stored() == 1


async def test_the_largest_deletion_of_the_protocol_is_taken(alice, make_sender):
    proofs = [wire.InstallProof(id=one.id, secret=one.secret) for one in (make_sender() for _ in range(256))]
    selection = wire.Selection(
        snapshot_ids=[f"{number:032x}" for number in range(10_000)],
        workspace_ids=[f"{number:032x}" for number in range(1_000)],
    )
    assert (await alice("Delete", wire.DeleteRequest(installs=proofs, selection=selection))).deleted == 0


async def test_over_the_quota_nothing_is_stored_and_it_is_said_when_to_try_again(start, authority, sender, message):
    collector = await start(quota=Quota(snapshots_per_minute=64, bytes_per_minute=1 << 20))
    alice = await collector.caller(trusted=authority)
    await alice.upload(sender.batch(*(message() for _ in range(60))))
    error = await alice.refusal("UploadBatch", sender.batch(*(message() for _ in range(5))))
    assert error.code() is Code.RESOURCE_EXHAUSTED
    assert 0 < retry_seconds(error) <= 60
    assert await collector.stored() == 60
    bob = await collector.caller(trusted=authority, token=collector.tokens.add("bob"))
    assert len((await bob.upload(sender.batch())).accepted_ids) == 1
    assert len((await alice.upload(sender.batch(*(message() for _ in range(4))))).accepted_ids) == 4


async def test_while_the_storage_is_away_the_client_is_told_to_try_again(storage_with, start, authority, sender):
    away = asyncio.Event()
    away.set()

    def failing(storage):
        async def store(*arguments):
            if away.is_set():
                raise StorageUnavailable("/home/keeper is full")
            return await storage.store(*arguments)

        async def delete(*_):
            raise StorageUnavailable("/home/keeper is full")

        return storage_with(storage, store=store, delete=delete)

    collector = await start(wrap=failing)
    alice = await collector.caller(trusted=authority)
    for method, request in (("UploadBatch", sender.batch()), ("Delete", sender.deletion(everything=True))):
        error = await alice.refusal(method, request)
        assert error.code() is Code.UNAVAILABLE
        assert retry_seconds(error) > 0
        assert "/home" not in error.details()
    away.clear()
    assert len((await alice.upload(sender.batch())).accepted_ids) == 1


async def test_an_error_nobody_foresaw_tells_the_client_nothing_of_its_text(
    storage_with, start, authority, sender, caplog
):
    async def store(*_):
        raise LookupError("content of a snapshot")

    collector = await start(wrap=lambda storage: storage_with(storage, store=store))
    alice = await collector.caller(trusted=authority)
    error = await alice.refusal("UploadBatch", sender.batch())
    assert error.code() is Code.INTERNAL
    assert "content" not in error.details()
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [LookupError]


async def test_the_policy_is_what_is_held(start, authority):
    collector = await start(quota=Quota(snapshots_per_minute=100, bytes_per_minute=2 << 20))
    alice = await collector.caller(trusted=authority)
    assert await alice("Policy", wire.PolicyRequest()) == wire.PolicyReply(
        schema_versions=[1, 2],
        max_batch_snapshots=64,
        max_batch_bytes=1 << 20,
        max_snapshot_bytes=(1 << 20) - 1024,
        max_snapshots_per_minute=100,
        max_bytes_per_minute=2 << 20,
    )


def messages_of(change):
    """The messages of the protocol as another version of it has them: ``change`` works on their descriptors by name."""
    file = descriptor_pb2.FileDescriptorProto()
    wire.DESCRIPTOR.CopyToProto(file)
    for message in file.message_type:
        change(message)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        message.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.{message.name}"))
        for message in file.message_type
    }


def with_a_field_more(message):
    message.field.add(name="later", number=100, type=9, label=1)  # an optional string


def with_the_last_field_less(message):
    if message.name in ("UploadBatchReply", "Rejection", "PolicyReply", "DeleteReply", "Selection"):
        gone = message.field.pop()
        if gone.HasField("oneof_index"):
            message.oneof_decl.pop(gone.oneof_index)


async def test_a_newer_client_speaks_to_this_collector(collector, alice, sender, message):
    newer = messages_of(with_a_field_more)
    request = newer["UploadBatchRequest"].FromString(sender.batch(message(), message()).SerializeToString())
    request.later = "news"
    request.install.later = "news"
    for one in request.snapshots:
        one.later = "news"
    reply = newer["UploadBatchReply"].FromString((await alice.upload(request)).SerializeToString())
    assert set(reply.accepted_ids) == {one.id for one in request.snapshots}
    assert reply.later == ""
    assert await collector.stored() == 2


async def test_an_older_client_speaks_to_this_collector(collector, alice, sender, message):
    older = messages_of(with_the_last_field_less)
    bad = message(schema_version=9)
    request = older["UploadBatchRequest"].FromString(sender.batch(message(), bad).SerializeToString())
    reply = older["UploadBatchReply"].FromString((await alice.upload(request)).SerializeToString())
    assert list(reply.accepted_ids) == [request.snapshots[0].id]
    assert "rejected" not in older["UploadBatchReply"].DESCRIPTOR.fields_by_name  # it does not know, and is not harmed
    policy = older["PolicyReply"].FromString((await alice("Policy", wire.PolicyRequest())).SerializeToString())
    assert policy.max_batch_snapshots == 64
    deletion = older["DeleteRequest"].FromString(sender.deletion(everything=True).SerializeToString())
    assert older["DeleteReply"].FromString((await alice("Delete", deletion)).SerializeToString()).deleted == 1
    assert await collector.stored() == 0


async def test_this_client_speaks_to_a_newer_and_to_an_older_collector(sender):
    for change in (with_a_field_more, with_the_last_field_less):
        there = messages_of(change)
        batch = sender.batch()

        async def upload(request, _context, there=there):
            reply = there["UploadBatchReply"](accepted_ids=[one.id for one in request.snapshots])
            if hasattr(reply, "later"):
                reply.later = "news"
            return reply

        server = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler(
            upload,
            request_deserializer=there["UploadBatchRequest"].FromString,
            response_serializer=lambda reply: reply.SerializeToString(),
        )
        name = wire.DESCRIPTOR.services_by_name["Snapshots"].full_name
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"UploadBatch": handler}),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            reply = await snapshots_pb2_grpc.SnapshotsStub(channel).UploadBatch(batch, timeout=20)
        await server.stop(None)
        assert list(reply.accepted_ids) == [one.id for one in batch.snapshots]
