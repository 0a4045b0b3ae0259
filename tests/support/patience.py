"""Wait for conditions, threads and commands, for a bounded time; no test asks how fast."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

# Seconds; far more than anything here takes. Emulated machines (dev/kernels) need more.
PATIENCE = float(os.environ.get("TEST_PATIENCE", "30"))
BUILDS = 20 * PATIENCE  # commands build images, packages and schemas, too

T = TypeVar("T")


def wait_for(condition: Callable[[], T], pause: float = 0.02) -> T:
    """Call a condition until its result is true, with pauses of so many seconds; return that."""
    end = time.monotonic() + PATIENCE
    while not (result := condition()):
        assert time.monotonic() < end, f"not within {PATIENCE} s: {condition}"
        time.sleep(pause)
    return result


async def until(condition: Callable[[], object]) -> None:
    """Wait, while the event loop runs, until a condition is true."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  # no event exists for it
            await asyncio.sleep(0.01)


def joined(*threads: threading.Thread) -> None:
    """Wait until threads have ended."""
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), f"not within {PATIENCE} s: the end of {thread}"


def finished(
    command: Sequence[str | Path], *, check: bool = False, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; `options` of subprocess.run. Raises TimeoutExpired."""
    return subprocess.run(command, check=check, text=True, timeout=BUILDS, **options)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait until a process has ended: (status, standard error). Kills one that does not end."""
    try:
        _, errors = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, errors or ""


@contextlib.contextmanager
def running(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a command while the context is open, then kill it; `options` of Popen."""
    with subprocess.Popen(command, text=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_output(process: subprocess.Popen[str], text: str) -> None:
    """Read the output of a process, or its errors, up to the first line that contains a text."""
    lines = process.stdout or process.stderr or ()
    deadline = threading.Timer(PATIENCE, process.kill)  # which ends the output
    deadline.start()
    try:
        assert any(text in line for line in lines), f"{text!r} was not printed"
    finally:
        deadline.cancel()
