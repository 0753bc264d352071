"""A network between hubs and a collector that fails at random moments, and can be healed. It knows nothing of TLS.

Each direction of a connection gets on well until a number of bytes has passed, and then a mishap befalls it: what it is,
and when, comes from a random source that the test has seeded.
"""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from collections import Counter
from contextlib import suppress

CHUNK_BYTES = 16 * 1024
# A handshake is some 3 kB, a batch some tens, a reply about two.
UP_BYTES, DOWN_BYTES = (300, 400_000), (300, 30_000)
REFUSED_OF_A_HUNDRED = 10
THROTTLED_BYTES, THROTTLED_BYTES_PER_SECOND = 60_000, 80_000
DELAY_SECONDS = (0.02, 0.6)
BATCH_BYTES = 4096  # nothing that comes at once and has so many is anything but snapshots
NO_LINGERING = struct.pack("ii", 1, 0)

MISHAPS = (
    "reset",  # both ends are told that the connection broke off
    "close",  # both ends are told that the other has said all
    "half_close",  # one end is told so, and what goes the other way still arrives
    "swallow",  # nothing more arrives in this direction, and nobody is told
    "garble",  # a bit is another one
    "drop",  # some bytes are left out
    "delay",
    "throttle",
)
REFUSE = "refuse"


class FaultyProxy:
    """Listens on ``port`` of this machine and passes on to the port that ``upstream`` gives (None: to nobody).

    ``happened`` counts the mishaps, ``connections`` what came, ``refused`` those that found nobody there.
    """

    def __init__(self, numbers, upstream, *, is_healthy=False):
        self.port = 0
        self.happened = Counter()
        self.connections = 0
        self.refused = 0
        self._numbers = numbers
        self._upstream = upstream
        self._is_healthy = is_healthy
        self._bag = []
        self._is_armed = False
        self._holding = asyncio.Event()
        self._released = asyncio.Event()
        self._passing = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exception):
        self._server.close()
        await self.cut_off()

    async def heal(self):
        """From now on everything arrives. What had its mishap already is broken off."""
        self._is_healthy = True
        await self.cut_off()

    def sicken(self):
        """Connections suffer from now on."""
        self._is_healthy = False

    async def hold_a_batch(self):
        """Return once a batch is on its way, which goes no further until it is released; all else passes it."""
        self._holding.clear()
        self._released.clear()
        self._is_armed = True
        await self._holding.wait()

    def release(self):
        self._released.set()

    async def cut_off(self):
        """Break off every connection."""
        passing = list(self._passing)
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)

    async def _connected(self, reader, writer):
        self.connections += 1
        task = asyncio.current_task()
        self._passing.add(task)
        try:
            await self._pass_on(reader, writer)
        except asyncio.CancelledError:
            return  # the test's doing; whoever runs this task would log it
        finally:
            self._passing.discard(task)

    async def _pass_on(self, from_client, to_client):
        both = [to_client]
        try:
            port = self._upstream()
            if not self._is_healthy and self._numbers.randrange(100) < REFUSED_OF_A_HUNDRED:
                self.happened[REFUSE] += 1
                return
            if port is None:
                self.refused += 1
                return
            try:
                from_server, to_server = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                self.refused += 1
                return
            both.append(to_server)
            await asyncio.gather(
                self._pump(from_client, to_server, both, UP_BYTES),
                self._pump(from_server, to_client, both, DOWN_BYTES),
            )
            for writer in both:
                writer.close()  # what is on its way still arrives
                with suppress(OSError):
                    await writer.wait_closed()
        finally:
            for writer in both:
                _reset(writer)

    async def _pump(self, reader, writer, both, byte_range):
        """One direction, to its end."""
        with suppress(OSError):  # an end of it is gone
            kind, left = self._drawn(byte_range)
            while data := await reader.read(CHUNK_BYTES):
                if self._is_armed and byte_range == UP_BYTES and len(data) >= BATCH_BYTES:
                    self._is_armed = False
                    self._holding.set()
                    await self._released.wait()
                if self._is_healthy or len(data) < left:
                    left -= len(data)
                    writer.write(data)
                    await writer.drain()
                    continue
                self.happened[kind] += 1
                writer.write(data[:left])
                await writer.drain()
                if not await self._befall(kind, data[left:], reader, writer, both):
                    return
                kind, left = self._drawn(byte_range)
            writer.write_eof()

    async def _befall(self, kind, data, reader, writer, both):
        """What happens to the bytes from here on; whether it goes on well after that."""
        match kind:
            case "reset" | "close":
                for one in both:
                    (_reset if kind == "reset" else asyncio.StreamWriter.close)(one)
                return False
            case "half_close" | "swallow":
                if kind == "half_close":
                    writer.write_eof()
                await _swallow(reader)
                return False
            case "throttle":
                await self._throttled(data, reader, writer)
                return True
            case "delay":
                await asyncio.sleep(self._numbers.uniform(*DELAY_SECONDS))
            case "drop":
                data = data[self._numbers.randrange(1, 2000) :]
            case "garble" if data:
                data = bytes([data[0] ^ 1 << self._numbers.randrange(8)]) + data[1:]
        writer.write(data)
        await writer.drain()
        return True

    async def _throttled(self, data, reader, writer):
        left = THROTTLED_BYTES
        while data:
            for start in range(0, len(data), 1400):
                packet = data[start : start + 1400]
                writer.write(packet)
                await writer.drain()
                if not self._is_healthy:
                    await asyncio.sleep(len(packet) / THROTTLED_BYTES_PER_SECOND)
            left -= len(data)
            if left <= 0 or self._is_healthy:
                return
            data = await reader.read(CHUNK_BYTES)

    def _drawn(self, byte_range):
        """A mishap, each as often as the others, and after how many bytes: a few as likely as many."""
        if not self._bag:
            self._bag = self._numbers.sample(MISHAPS, len(MISHAPS))
        first, last = map(math.log, byte_range)
        return self._bag.pop(), int(math.exp(self._numbers.uniform(first, last)))


async def _swallow(reader):
    while await reader.read(CHUNK_BYTES):
        pass


def _reset(writer):
    """End it at once, with a reset where there is still somebody to be told."""
    transport_socket = writer.get_extra_info("socket")
    if transport_socket is not None and transport_socket.fileno() >= 0:
        with suppress(OSError):
            transport_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGERING)
    writer.transport.abort()
