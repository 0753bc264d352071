"""One collector over gRPC: three calls with a deadline each, answered by a reply that was checked or by a Failure.

The channel is made anew when a file of the target changes, after a call that did not get through, and for another event
loop. gRPC's own retries are off: they stop silently above 256 KiB, and the store retries better. Knows nothing of when
to call, or of what becomes of an answer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import grpc

from capture.upload.batches import MAX_MESSAGE_BYTES, Limits, request_of
from capture.upload.failure import failure_of
from capture.upload.outcomes import Deleted, Taken, Withdrawn
from capture.upload.retries import BAD_REPLY, CANNOT_SEND, Failure
from capture.upload.target import Certificates, TargetUnusable, certificates_of, channel_address
from capture.upload.token import TokenUnavailable, token_of
from capture.wire import snapshots_pb2 as wire
from capture.wire.snapshots_pb2_grpc import SnapshotsStub

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from capture.upload.identity import Deletion, Install
    from capture.upload.outbox import Outgoing
    from capture.upload.target import Target

DEADLINE_SECONDS = 10.0
KEEPALIVE_MILLISECONDS = 60_000
KEEPALIVE_TIMEOUT_MILLISECONDS = 20_000
MAX_REPLY_BYTES = 256 * 1024  # 64 rejections with their explanations are a tenth of that
UNNAMED_REASON = "rejected"  # a reason that this version does not know

# The connection may be the cause, so the next call gets a new one.
_SUSPECT_CHANNEL = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "INTERNAL", "UNKNOWN"}

Request = TypeVar("Request")
Reply = TypeVar("Reply")


class Client:
    """For one event loop at a time. One call at a time, too: that is the caller's part."""

    def __init__(self, target: Target, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self.target = target
        self.channels = 0  # that were opened so far
        self._deadline_seconds = deadline_seconds
        self._open: _Open | None = None

    async def policy(self) -> Limits | Failure:
        """What the collector takes."""
        call = await self._prepare()
        if isinstance(call, Failure):
            return call
        reply = await self._make(call, call.stub.Policy, wire.PolicyRequest())
        return reply if isinstance(reply, Failure) else Limits.of(reply)

    async def upload(
        self, install: Install, batch: Sequence[Outgoing], still_allowed: Callable[[], bool]
    ) -> Taken | Withdrawn | Failure:
        """Send a batch; ``still_allowed`` is asked when the connection stands and nothing but sending is left."""
        call = await self._prepare()
        if isinstance(call, Failure):
            return call
        await _connected(call.channel, self._deadline_seconds)
        if not still_allowed():
            return Withdrawn()
        reply = await self._make(call, call.stub.UploadBatch, request_of(install, batch), grpc.Compression.Gzip)
        if isinstance(reply, Failure):
            return reply
        named = [*reply.accepted_ids, *reply.duplicate_ids, *(one.id for one in reply.rejected)]
        if sorted(named) != sorted(one.id for one in batch):
            words = f"collector {self.target.address}: its reply does not name each snapshot that was sent exactly once"
            return Failure(BAD_REPLY, f"{words}, so none of them counts as taken; is it of another version")
        return _taken(reply)

    async def delete(self, deletion: Deletion) -> Deleted | Failure:
        """Ask for a deletion; only ``parts_to_rewrite`` 0 says that nothing is left."""
        call = await self._prepare()
        if isinstance(call, Failure):
            return call
        reply = await self._make(call, call.stub.Delete, _delete_request(deletion))
        return reply if isinstance(reply, Failure) else Deleted(reply.deleted, reply.parts_to_rewrite)

    async def close(self) -> None:
        """End the connection; the next call would open another."""
        opened, self._open = self._open, None
        if opened is not None and opened.loop is asyncio.get_running_loop():
            await opened.channel.close()

    async def _prepare(self) -> _Call | Failure:
        """All that a call needs, read anew."""
        try:
            certificates = await asyncio.to_thread(certificates_of, self.target)
            token = await token_of(self.target)
        except (TargetUnusable, TokenUnavailable) as unusable:
            return Failure(CANNOT_SEND, str(unusable))
        channel = await self._channel(certificates)
        ends_at = asyncio.get_running_loop().time() + self._deadline_seconds
        stub = SnapshotsStub(channel)  # type: ignore[no-untyped-call]  # generated without types
        return _Call(channel, stub, token, ends_at)

    async def _make(
        self,
        call: _Call,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Reply],
        request: Request,
        compression: grpc.Compression | None = None,
    ) -> Reply | Failure:
        try:
            return await method(
                request,
                timeout=max(0.0, call.ends_at - asyncio.get_running_loop().time()),
                metadata=(("authorization", f"Bearer {call.token}"),) if call.token else (),
                compression=compression,
            )
        except grpc.aio.AioRpcError as error:
            failure = failure_of(error, self.target, call.token)
        if failure.code in _SUSPECT_CHANNEL:
            await self.close()
        return failure

    async def _channel(self, certificates: Certificates) -> grpc.aio.Channel:
        loop = asyncio.get_running_loop()
        if self._open is not None and (self._open.loop is not loop or self._open.certificates != certificates):
            await self.close()
        if self._open is None:
            self._open = _Open(_new_channel(self.target, certificates), certificates, loop)
            self.channels += 1
        return self._open.channel


class _Call(NamedTuple):
    channel: grpc.aio.Channel
    stub: SnapshotsStub
    token: str
    ends_at: float  # of the event loop's clock


@dataclass(frozen=True, slots=True)
class _Open:
    channel: grpc.aio.Channel
    certificates: Certificates
    loop: asyncio.AbstractEventLoop


def _new_channel(target: Target, certificates: Certificates) -> grpc.aio.Channel:
    options = [
        ("grpc.enable_retries", 0),
        ("grpc.service_config_disable_resolution", 1),  # a name server has no say in how calls are made
        ("grpc.use_local_subchannel_pool", 1),  # a new channel is a new connection, without the old one's back-off
        ("grpc.keepalive_time_ms", KEEPALIVE_MILLISECONDS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MILLISECONDS),
        ("grpc.keepalive_permit_without_calls", 0),
        ("grpc.max_send_message_length", 2 * MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", MAX_REPLY_BYTES),
    ]
    address = channel_address(target)
    if target.plain_text:
        # What goes to this machine goes through no proxy: that would be another machine, and in plain text.
        return grpc.aio.insecure_channel(address, options=[*options, ("grpc.enable_http_proxy", 0)])
    # gRPC asks for TLS 1.2 at least, and verifies chain and host name.
    credentials = grpc.ssl_channel_credentials(
        root_certificates=certificates.authorities,
        private_key=certificates.key,
        certificate_chain=certificates.certificate,
    )
    return grpc.aio.secure_channel(address, credentials, options=options)


async def _connected(channel: grpc.aio.Channel, within_seconds: float) -> None:
    """Returns once there is a connection, or it is clear that none comes about: the call then says why."""
    ended = (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE)
    try:
        async with asyncio.timeout(within_seconds):
            while (state := channel.get_state(try_to_connect=True)) not in ended:
                await channel.wait_for_state_change(state)
    except TimeoutError:
        return


def _delete_request(deletion: Deletion) -> wire.DeleteRequest:
    selection = deletion.selection
    return wire.DeleteRequest(
        installs=[wire.InstallProof(id=one.id, secret=one.secret) for one in deletion.installs],
        selection=wire.Selection(
            everything=selection.everything,
            snapshot_ids=selection.snapshot_ids,
            workspace_ids=selection.workspace_ids,
            finalised_before=selection.finalised_before,
        ),
    )


def _taken(reply: wire.UploadBatchReply) -> Taken:
    names = wire.Rejection.Reason
    return Taken(
        accepted=frozenset(reply.accepted_ids),
        duplicates=frozenset(reply.duplicate_ids),
        rejected={
            one.id: names.Name(one.reason).lower() if one.reason in names.values() and one.reason else UNNAMED_REASON
            for one in reply.rejected
        },
    )
