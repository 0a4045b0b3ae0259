"""Create maps for a process that has given up its capabilities.

Creating a map takes CAP_BPF, using one takes nothing. A small process of its own keeps the
capability. It creates maps of one kind only, as many as it was started for, and ends with the
process that it serves.
"""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
from pathlib import Path

from pktexp import privileges
from pktexp.bpf.libbpf import BpfError, Libbpf
from pktexp.bpf.maps import MapSpec

PROGRAM = Path(__file__).with_name("mapserver.py")
PATIENCE = 10.0  # seconds; the kernel clears a map's memory
ERROR = 4  # bytes of an errno
MAKER_BYTES = 4 << 20
"""memory that the process takes, beside what it shares with all Pythons, in bytes"""


class MapMaker:
    """The process that creates maps. Close it to end the process."""

    def __init__(self, lib: Libbpf, spec: MapSpec, limit: int) -> None:
        """Start the process; it creates at most `limit` maps. Raises OSError."""
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(PATIENCE)
        numbers = map(str, (*spec[:4], limit))
        program = [sys.executable, "-I", "-S", str(PROGRAM), lib.path]
        with theirs:
            self._process = subprocess.Popen(
                [*program, *numbers, bytes(spec.options).hex()],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                # No other thread runs yet: they are started when capabilities are given up.
                preexec_fn=lambda: privileges.keep(1 << privileges.CAP_BPF, executed=True),  # noqa: PLW1509
            )

    def make(self) -> int:
        """Return the descriptor of a new map. Raises BpfError."""
        try:
            self._socket.send(b"\0")
            answer, fds, _, _ = socket.recv_fds(self._socket, ERROR, 1)
        except OSError as error:
            raise BpfError(error.errno or errno.ETIMEDOUT, "ask for a map") from error
        if not fds:  # without an answer the process has ended
            raise BpfError(int.from_bytes(answer) or errno.EPIPE, "create a map")
        return fds[0]

    def close(self) -> None:
        """End the process."""
        self._socket.close()
        self._process.wait()
