"""The program of mapmaker.py: create a map for each message, until the other side closes.

It uses the standard library only, so that it takes little memory. Arguments: libbpf, the map's
type, size of keys, size of values, number of entries, how many maps may be created, and options
in hexadecimal.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys


def main() -> None:
    """Answer each message with a map's descriptor, or with an errno."""
    library, *numbers, options = sys.argv[1:]
    # It ends with the process that it serves, which may have work to finish after a signal.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    create = ctypes.CDLL(library, use_errno=True).bpf_map_create
    kind, *sizes, left = map(int, numbers)
    with socket.socket(fileno=sys.stdin.fileno()) as asked:
        while asked.recv(1):
            fd = create(kind, b"pktexp", *sizes, bytes.fromhex(options)) if left > 0 else -1
            if fd < 0:
                asked.send((ctypes.get_errno() or 1).to_bytes(4))
                continue
            left -= 1
            socket.send_fds(asked, [b"\0"], [fd])
            os.close(fd)


if __name__ == "__main__":
    main()
