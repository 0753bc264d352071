"""A language server that does one thing wrong: ``python stubborn_server.py FAULT``. Standard library only: it starts fast.

``deaf``: answers ``initialize`` and then takes nothing any more, not even its end, and neither does the child that it
starts and whose process id it says as the server's name. ``refuses``: answers ``initialize`` with an error. ``utf-8``: counts columns in
UTF-8. ``mute``: never answers. ``dies``: ends at once. ``babbles``: says much that makes no sense before it answers.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading

FAULT = sys.argv[1]


def read():
    header = b""
    while not header.endswith(b"\r\n\r\n"):
        header += sys.stdin.buffer.read(1)
    length = next(
        int(line.split(b":")[1]) for line in header.splitlines() if line.lower().startswith(b"content-length")
    )
    return json.loads(sys.stdin.buffer.read(length))


def write(body):
    sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    sys.stdout.buffer.flush()


def answer(message, **result):
    write(json.dumps({"jsonrpc": "2.0", "id": message["id"], **result}).encode())


NONSENSE = (
    b"no JSON",
    b"3",
    b"[]",
    b"{}",
    b'{"id": null, "result": 1}',
    b'{"id": {}, "result": 1}',
    b'{"id": true, "result": 1}',
    b'{"id": 1e400, "result": 1}',
    b'{"id": 1.5, "result": 1}',
    b'{"id": 77, "error": "why"}',
    b'{"method": 3, "id": 1.5}',
    b'{"method": "textDocument/publishDiagnostics"}',
    b'{"method": "textDocument/publishDiagnostics", "params": {"uri": 3, "diagnostics": []}}',
    b'{"method": "textDocument/publishDiagnostics", "params": {"uri": "file:///%zz", "diagnostics": {}}}',
    b'{"method": "workspace/configuration", "id": [1], "params": {"items": 3}}',
    b'{"method": "\\ud800/unknown", "id": "x", "params": []}',
)


if FAULT == "dies":
    sys.exit(7)
initialize = read()
if FAULT == "refuses":
    answer(initialize, error={"code": -32002, "message": "not today"})
elif FAULT == "babbles":
    sys.stdout.buffer.write(b"Content-Length: many\r\n\r\n")
    for nonsense in NONSENSE:
        write(nonsense)
    answer({"id": float(initialize["id"])}, result={"capabilities": {"textDocumentSync": 2}}, error=None)
elif FAULT == "utf-8":
    answer(initialize, result={"capabilities": {"positionEncoding": "utf-8", "definitionProvider": True}})
elif FAULT == "deaf":
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"])
    answer(initialize, result={"capabilities": {"textDocumentSync": 2, "definitionProvider": True}})
threading.Event().wait()
