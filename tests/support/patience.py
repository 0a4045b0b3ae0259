"""Waits for what happens in its own time; no test asks how fast."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import TypeVar

# Seconds; far more than anything here takes. Emulated machines (dev/kernels) need more.
PATIENCE = float(os.environ.get("TEST_PATIENCE", "30"))

T = TypeVar("T")


def wait_for(condition: Callable[[], T]) -> T:
    """Call a condition until its result is true, and return that."""
    end = time.monotonic() + PATIENCE
    while not (result := condition()):
        assert time.monotonic() < end, f"not within {PATIENCE} s: {condition}"
        time.sleep(0.02)
    return result


async def until(condition: Callable[[], object]) -> None:
    """Wait, while the event loop runs, until a condition is true."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  # no event exists for it
            await asyncio.sleep(0.01)
