"""What attackers send: HTTP/2 written by hand, a gzip bomb, requests with bytes that no client of ours makes."""

from __future__ import annotations

import random
import socket
import struct
import zlib

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
STREAM = 1
BLOCK_BYTES = 16 << 20


def gzip_bomb(size_bytes):
    """A gzip stream of that many zeros, a thousandth of it long; made without ever holding them."""
    zeros = bytes(BLOCK_BYTES)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    check = 0
    for _ in range(size_bytes // BLOCK_BYTES):
        check = zlib.crc32(zeros, check)
    end = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    header = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"
    return header + block * (size_bytes // BLOCK_BYTES) + end + struct.pack("<II", check, size_bytes & 0xFFFFFFFF)


class RawCall:
    """One gRPC call over plain HTTP/2, byte by byte."""

    def __init__(self, address, method, metadata, *, seconds=20):
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=seconds)
        self._window = {0: 65_535, STREAM: 65_535}
        self._said = b""
        self._ended = False
        pseudo = {":method": "POST", ":scheme": "http", ":path": method, ":authority": "localhost"}
        fixed = {"te": "trailers", "content-type": "application/grpc", **metadata}
        block = b"".join(_literal(name, value) for name, value in (pseudo | fixed).items())
        self._socket.sendall(PREFACE + _frame(SETTINGS, 0, 0, b"") + _frame(HEADERS, END_HEADERS, STREAM, block))

    def send(self, payload, *, compressed):
        """The whole message."""
        rest = struct.pack(">?I", compressed, len(payload)) + payload
        while rest and not self._ended:
            room = min(self._window[0], self._window[STREAM], 16_384)
            if room <= 0:
                self._read_frame()
                continue
            piece, rest = rest[:room], rest[room:]
            self._window[0] -= len(piece)
            self._window[STREAM] -= len(piece)
            self._socket.sendall(_frame(DATA, 0 if rest else END_STREAM, STREAM, piece))

    def answer(self):
        """The bytes of the headers and trailers, once the call has ended."""
        while not self._ended:
            self._read_frame()
        return self._said

    def close(self):
        self._socket.close()

    def _read_frame(self):
        head = self._exactly(9)
        length, kind, flags, stream = int.from_bytes(head[:3]), head[3], head[4], int.from_bytes(head[5:])
        payload = self._exactly(length)
        if kind == WINDOW_UPDATE:
            self._window[stream] += int.from_bytes(payload)
        elif kind == SETTINGS and not flags & ACK:
            for place in range(0, length, 6):
                name, value = struct.unpack(">HI", payload[place : place + 6])
                if name == 4:  # the window that a stream begins with
                    self._window[STREAM] += value - 65_535
            self._socket.sendall(_frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self._socket.sendall(_frame(PING, ACK, 0, payload))
        elif kind == HEADERS:
            self._said += payload
        self._ended |= stream == STREAM and (kind == 3 or (kind in (DATA, HEADERS) and bool(flags & END_STREAM)))

    def _exactly(self, length):
        found = b""
        while len(found) < length:
            more = self._socket.recv(length - len(found))
            if not more:
                raise ConnectionResetError("the collector closed the connection")
            found += more
        return found


def _frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def _literal(name, value):
    """A header that neither side remembers."""
    return b"\0" + _text(name) + _text(value)


def _text(text):
    encoded = text.encode()
    if len(encoded) < 127:
        return bytes((len(encoded),)) + encoded
    rest, length = len(encoded) - 127, b"\x7f"
    while rest >= 128:
        length += bytes((rest % 128 + 128,))
        rest //= 128
    return length + bytes((rest,)) + encoded


def mutated(seeds, source: random.Random):
    """One of the valid messages with up to four damages."""
    message = bytearray(source.choice(seeds))
    for _ in range(source.randint(1, 4)):
        place = source.randrange(len(message) + 1)
        length = source.choice((1, 2, 7, 40, 500))
        match source.randrange(7):
            case 0:
                message[place : place + 1] = source.randbytes(1)
            case 1:
                message[place : place + 1] = bytes(
                    byte ^ (1 << source.randrange(8)) for byte in message[place : place + 1]
                )
            case 2:
                del message[place:]
            case 3:
                del message[place : place + length]
            case 4:
                other = source.choice(seeds)
                start = source.randrange(len(other) + 1)
                message[place:place] = other[start : start + length]
            case 5:
                message[place:place] = message[place : place + length] * source.choice((1, 2, 70))
            case _:
                message[place:place] = source.choice(
                    (b"\xff" * 9 + b"\x01", b"\x0b", b"\x0c", b"\0", b"\x0a\xff\xff\xff\x7f", b"\x80" * 12)
                )
        if not message:
            break
    return bytes(message[: 1 << 19])
