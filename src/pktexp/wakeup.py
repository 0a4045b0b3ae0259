"""Waiting on the event loop for a file descriptor's wake-ups; for reader.py and interfaces.py.

The loop's readers are level-triggered: while data waits in a ring that a thread is still merging,
they would spin. An edge-triggered epoll around the descriptor is readable once for each wake-up
that the kernel sends, and the loop watches that.
"""

from __future__ import annotations

import asyncio
import contextlib
import select


class Wakeup:
    """Counts and awaits the wake-ups of one file descriptor. Close it before the descriptor."""

    def __init__(self, fd: int) -> None:
        self.count = 0
        self._event = asyncio.Event()
        self._epoll = select.epoll()
        self._epoll.register(fd, select.EPOLLIN | select.EPOLLET)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._epoll.fileno(), self._woken)

    def _woken(self) -> None:
        if self._epoll.poll(0):
            self.count += 1
            self._event.set()

    async def wait(self, timeout: float | None = None) -> None:
        """Return at the next wake-up, or after `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._event.wait()
        self._event.clear()

    def close(self) -> None:
        """Stop watching."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
