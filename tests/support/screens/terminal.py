"""A program in a pseudo-terminal, and its screen as pyte renders it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence

import pyte

from support.patience import PATIENCE

RIGHT_NOW = 0.05  # seconds


class Terminal:
    """A program and its screen of so many columns and lines."""

    def __init__(
        self, command: Sequence[str], columns: int, lines: int, environment: Mapping[str, str]
    ) -> None:
        self.master, slave = pty.openpty()
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.resize(columns, lines)
        self.before = termios.tcgetattr(slave)
        # The terminal's size is what the terminal says.
        inherited = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**inherited, "TERM": "xterm-256color", "LANG": "C.UTF-8", **environment},
        )
        self.slave = slave  # kept open, so that what was written last can be read
        self.written = b""

    def resize(self, columns: int, lines: int) -> None:
        """Resize the window, as a user does."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)
        if hasattr(self, "process"):
            os.killpg(self.process.pid, signal.SIGWINCH)

    def read(self) -> None:
        """Read everything that the program has written by now."""
        end = time.monotonic() + PATIENCE
        while select.select([self.master], [], [], RIGHT_NOW)[0]:
            assert time.monotonic() < end, "it writes without a pause"
            data = os.read(self.master, 1 << 16)
            self.written += data
            # Kitty's questions about keys are not known to pyte, which would show them.
            self._stream.feed(data.replace(b"\x1b[>1u", b"").replace(b"\x1b[<u", b""))

    @property
    def text(self) -> str:
        self.read()
        return "\n".join(line.rstrip() for line in self.screen.display)

    def line(self, part: str) -> str:
        """Return the first line that contains a text; "" if there is none."""
        return next((line for line in self.text.splitlines() if part in line), "")

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def wait(self, *parts: str) -> str:
        """Return the text of the screen once it contains all parts."""
        end = time.monotonic() + PATIENCE
        while not all(part in (text := self.text) for part in parts):
            assert time.monotonic() < end, f"no {parts} in\n{text}"
            assert self.process.poll() is None, f"ended:\n{text}"
        return text

    def end(self) -> int:
        """Wait for the program to end; return its exit status."""
        end = time.monotonic() + PATIENCE
        while (status := self.process.poll()) is None:
            self.read()
            assert time.monotonic() < end, f"does not end:\n{self.text}"
        self.read()
        return status


@contextlib.contextmanager
def terminal(
    command: Sequence[str], columns: int = 80, lines: int = 24, **environment: str
) -> Iterator[Terminal]:
    found = Terminal(command, columns, lines, environment)
    try:
        yield found
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(found.process.pid, signal.SIGKILL)
        found.process.wait(PATIENCE)
        os.close(found.master)
        os.close(found.slave)
