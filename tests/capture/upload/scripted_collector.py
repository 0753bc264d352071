"""A collector that answers by script: a real gRPC server over real TLS, and a real connection to cut in front of it."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter, deque

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from capture.wire import snapshots_pb2 as wire
from capture.wire import snapshots_pb2_grpc as wire_grpc

EVERYTHING = (1 << 20) + (64 << 10)


def retry_info(seconds):
    """The detail that tells a client when to come again."""
    whole = int(seconds)
    delay = Duration(seconds=whole, nanos=int((seconds - whole) * 1e9))
    detail = AnyMessage()
    detail.Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return detail


def refuse(code, *, details="no", retry_after=None, raw_details=None):
    """A step: answer with a status, and with RetryInfo where ``retry_after`` seconds are given."""

    async def step(collector, request, context):
        trailing = ()
        if retry_after is not None:
            status = status_pb2.Status(code=code.value[0], message=details, details=[retry_info(retry_after)])
            trailing = (("grpc-status-details-bin", status.SerializeToString()),)
        if raw_details is not None:
            trailing = (("grpc-status-details-bin", raw_details),)
        await context.abort(code, details, trailing_metadata=trailing)

    return step


def answer(reply_of):
    """A step: answer with whatever message ``reply_of(request)`` is, and store nothing."""

    async def step(collector, request, context):
        return reply_of(request)

    return step


async def take(collector, request, context):
    """The step of a collector that works: store what is new, and say so."""
    return collector.take(request)


async def take_and_lose_the_reply(collector, request, context):
    """A step: what came is stored, and the connection is gone before the reply."""
    reply = collector.take(request)
    collector.wire_cut.cut()
    return reply


async def never(collector, request, context):
    """A step: take the call and say nothing."""
    collector.is_silent.set()
    await asyncio.Event().wait()


async def stop(collector, request, context):
    """A step: the server ends in the middle of the call (GOAWAY first), with what came stored."""
    collector.take(request)
    collector.stopping = asyncio.create_task(collector.server.stop(0))
    await asyncio.Event().wait()


class WireCut:
    """A TCP connection's other end that passes all on, until it is cut. ``bytes_in`` came from clients."""

    def __init__(self, to_port):
        self.to_port = to_port
        self.connections = 0
        self.bytes_in = 0
        self._open = set()
        self._server = None

    async def start(self, host="127.0.0.1"):
        self._server = await asyncio.start_server(self._pass_on, host, 0)
        return self._server.sockets[0].getsockname()[1]

    def cut(self):
        """All connections at once, at both ends."""
        for writer in list(self._open):
            writer.transport.abort()

    async def stop(self):
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    async def _pass_on(self, reader, writer):
        self.connections += 1
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, there_writer}
        self._open |= ends
        async with asyncio.TaskGroup() as group:
            group.create_task(self._copy(reader, there_writer, counts=True))
            group.create_task(self._copy(there_reader, writer, counts=False))
        self._open -= ends

    async def _copy(self, reader, writer, *, counts):
        try:
            while data := await reader.read(65536):
                if counts:
                    self.bytes_in += len(data)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


class ScriptedCollector(wire_grpc.SnapshotsServicer):
    """``script`` has the steps of the uploads to come; past its end all is taken. ``stored`` holds contents by id."""

    def __init__(self, credentials=None, *, host="127.0.0.1"):
        self.credentials = credentials
        self.host = host
        self.script = deque()
        self.policy_script = deque()
        self.delete_script = deque()
        self.policy = wire.PolicyReply(schema_versions=[1])
        self.stored = {}
        self.owners = {}  # install id: hash of its secret
        self.batches = []  # requests, as they came
        self.deletions = []
        self.calls = Counter()
        self.metadata = []
        self.order = []  # names of the calls, as they came
        self.is_silent = asyncio.Event()
        self.stopping = None
        self.server = None
        self.wire_cut = None
        self.own_port = 0
        self.port = 0  # that of the wire in front of it

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    async def start(self):
        """On the same port as before, if it was stopped."""
        self.server = grpc.aio.server(options=[("grpc.max_receive_message_length", EVERYTHING)])
        wire_grpc.add_SnapshotsServicer_to_server(self, self.server)
        address = f"127.0.0.1:{self.own_port}"
        if self.credentials is None:
            self.own_port = self.server.add_insecure_port(address)
        else:
            self.own_port = self.server.add_secure_port(address, self.credentials)
        await self.server.start()
        if self.wire_cut is None:
            self.wire_cut = WireCut(self.own_port)
            self.port = await self.wire_cut.start()
        return self

    async def stop(self):
        if self.stopping is not None:
            await self.stopping
        await self.server.stop(0)

    async def close(self):
        await self.wire_cut.stop()
        await self.stop()

    def take(self, request):
        self.owners[request.install.id] = request.install.secret_sha256
        reply = wire.UploadBatchReply()
        for snapshot in request.snapshots:
            if snapshot.id in self.stored:
                reply.duplicate_ids.append(snapshot.id)
            else:
                self.stored[snapshot.id] = snapshot.content
                reply.accepted_ids.append(snapshot.id)
        return reply

    async def UploadBatch(self, request, context):  # noqa: N802 (the stub's name)
        self._note("UploadBatch", context)
        self.batches.append(request)
        step = self.script.popleft() if self.script else take
        return await step(self, request, context)

    async def Policy(self, request, context):  # noqa: N802 (the stub's name)
        self._note("Policy", context)
        if self.policy_script:
            return await self.policy_script.popleft()(self, request, context)
        return self.policy

    async def Delete(self, request, context):  # noqa: N802 (the stub's name)
        self._note("Delete", context)
        self.deletions.append(request)
        if self.delete_script:
            return await self.delete_script.popleft()(self, request, context)
        return wire.DeleteReply()

    def _note(self, name, context):
        self.calls[name] += 1
        self.order.append(name)
        self.metadata.append(dict(context.invocation_metadata()))


def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
