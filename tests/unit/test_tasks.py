"""Work in the background: its end by a fault is told."""

from __future__ import annotations

import asyncio

import pytest

from pktexp.tasks import background


async def failing() -> None:
    raise RuntimeError("no more")


async def endless() -> None:
    await asyncio.sleep(1000)


async def test_work_that_fails_is_logged_at_once(caplog: pytest.LogCaptureFixture) -> None:
    async with background(failing()):
        await asyncio.sleep(0.01)
        (message,) = caplog.messages
    assert message.startswith("failing has stopped, restart pktexp")
    assert "no more" in message


async def test_work_cancelled_at_the_end_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with background(endless()):
        await asyncio.sleep(0)
    assert not caplog.messages
