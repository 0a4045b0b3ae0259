"""Captures an interface with tshark while a test runs."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator

from support.netns.namespace import Namespace
from support.patience import PATIENCE, joined, running, wait_for

# Frames of an experimental type (IEEE 802), by which it is seen that tshark runs, and is done.
MARKER = bytes.fromhex("020000000002 020000000001 88b5") + bytes(50)
MARKER_TYPE = "0x88b5"
FIELDS = ("eth.type", "ip.src", "frame.len")


class Wire:
    """The frames that tshark has seen so far."""

    def __init__(self, tshark: subprocess.Popen[str], sender: Namespace, interface: str) -> None:
        self._sender, self._interface = sender, interface
        self._lines: list[list[str]] = []
        self._tshark = tshark
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._tshark.stdout or ():
            self._lines.append(line.rstrip("\n").split("\t"))

    def _markers(self) -> int:
        return sum(kind == MARKER_TYPE for kind, *_ in list(self._lines))

    def mark(self) -> None:
        """Return when tshark has seen everything that was sent before."""
        before = self._markers()

        def seen() -> bool:
            self._sender.send(self._interface, [MARKER])
            return self._markers() > before

        wait_for(seen)

    def frames(self) -> list[tuple[str, int]]:
        """Return (IPv4 source, bytes) of every frame but markers; assert that none was dropped."""
        self.mark()
        self._tshark.terminate()
        self._tshark.wait(PATIENCE)
        joined(self._reader)
        said = self._tshark.stderr.read() if self._tshark.stderr else ""
        assert "dropped" not in said, said
        return [(source, int(size)) for kind, source, size in self._lines if kind != MARKER_TYPE]


@contextlib.contextmanager
def watching(namespace: Namespace, interface: str, peer: Namespace, peers: str) -> Iterator[Wire]:
    """Capture both directions of an interface; `peers`: the name of the other end."""
    options = ("-n", "-l", "-s", "96", "-B", "256", "-T", "fields")
    fields = [word for field in FIELDS for word in ("-e", field)]
    command = namespace.command("tshark", "-i", interface, *options, *fields)
    pipe = subprocess.PIPE
    with running(command, stdout=pipe, stderr=pipe) as tshark:
        wire = Wire(tshark, peer, peers)
        wire.mark()
        yield wire
