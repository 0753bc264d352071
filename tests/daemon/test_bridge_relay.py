"""The bridge's relay: bytes in, the same bytes out, in both directions at once."""

from __future__ import annotations

import os
import socket
import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon import bridge


class Ends:
    """A relay between an editor's two pipes and one end of a socket pair; the test holds the other ends."""

    def __init__(self):
        ours, self.hub = socket.socketpair()
        from_editor, self.to_bridge = os.pipe()
        self.from_bridge, to_editor = os.pipe()
        self._descriptors = [from_editor, to_editor, self.from_bridge]
        self._ours = ours
        self.thread = threading.Thread(target=bridge.relay, args=(ours, from_editor, to_editor))
        self.thread.start()

    def finish(self):
        self.thread.join(10)
        assert not self.thread.is_alive()
        self._ours.close()
        self.hub.close()
        for descriptor in self._descriptors:
            os.close(descriptor)


def read_exactly(descriptor, count):
    found = b""
    while len(found) < count:
        found += os.read(descriptor, count - len(found))
    return found


def send_all(descriptor, chunks):
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            view = view[os.write(descriptor, view) :]
    os.close(descriptor)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(max_size=300_000), max_size=4), st.lists(st.binary(max_size=300_000), max_size=4))
def test_bytes_pass_unchanged_both_ways_and_the_hub_may_finish_after_the_editor(said, answered):
    ends = Ends()
    writer = threading.Thread(target=send_all, args=(ends.to_bridge, said))
    writer.start()
    heard = b""
    while chunk := ends.hub.recv(65536):  # ends because the editor's end of input arrives as a half-close
        heard += chunk
    assert heard == b"".join(said)
    speaker = threading.Thread(target=lambda: [ends.hub.sendall(part) for part in answered] and None)
    speaker.start()
    wanted = b"".join(answered)
    assert read_exactly(ends.from_bridge, len(wanted)) == wanted
    speaker.join()
    writer.join()
    ends.hub.shutdown(socket.SHUT_WR)
    ends.finish()


def test_a_side_that_does_not_read_does_not_stop_the_other_direction():
    ends = Ends()
    flood = threading.Thread(target=ends.hub.sendall, args=(b"x" * 2_000_000,))  # nobody reads this yet
    flood.start()
    os.write(ends.to_bridge, b"still heard")
    assert ends.hub.recv(100) == b"still heard"
    assert read_exactly(ends.from_bridge, 2_000_000) == b"x" * 2_000_000
    flood.join()
    os.close(ends.to_bridge)
    ends.hub.shutdown(socket.SHUT_WR)
    ends.finish()


def test_pipes_set_to_non_blocking_work_too():
    ours, hub = socket.socketpair()
    from_editor, to_bridge = os.pipe()
    from_bridge, to_editor = os.pipe()
    os.set_blocking(from_editor, False)
    os.set_blocking(to_editor, False)
    relay = threading.Thread(target=bridge.relay, args=(ours, from_editor, to_editor))
    relay.start()
    flood = threading.Thread(target=hub.sendall, args=(b"y" * 500_000,))
    flood.start()
    os.write(to_bridge, b"hello")
    assert hub.recv(100) == b"hello"
    assert read_exactly(from_bridge, 500_000) == b"y" * 500_000
    flood.join()
    os.close(to_bridge)
    hub.shutdown(socket.SHUT_WR)
    relay.join(10)
    assert not relay.is_alive()
    for descriptor in (from_editor, from_bridge, to_editor):
        os.close(descriptor)
    ours.close()
    hub.close()
