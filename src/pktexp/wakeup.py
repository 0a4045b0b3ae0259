"""Wait on the event loop for the wake-ups of a file descriptor.

The loop's own readers are level-triggered: they would spin while a thread still merges data that
keeps the descriptor readable. An edge-triggered epoll instance around the descriptor becomes
readable once for each wake-up from the kernel, and the loop watches that instance.
"""

from __future__ import annotations

import asyncio
import contextlib
import select


class Wakeup:
    """Count and await the wake-ups of a file descriptor. Close it before the descriptor."""

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
        """Stop watching the descriptor, and close the epoll instance."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
