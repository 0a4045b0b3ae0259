"""Fixtures of all tests; kernel and system tests run wherever root may load BPF programs."""

from __future__ import annotations

import asyncio
import fcntl
import inspect
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import uvloop

from pktexp import privileges
from support.netns.namespace import Namespace, connect, making

HERE = Path(__file__).parent
# For `just fuzz-inputs`, a hundred times as many examples as usual.
hypothesis.settings.register_profile("fuzz", max_examples=10_000, deadline=None)
HOW = "run them as root: sudo ./dev/test"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    lacking = privileges.missing(privileges.effective())
    skip = pytest.mark.skip(reason=f"{', '.join(lacking)} missing; {HOW}")
    for item in items:
        kind, *_ = item.path.relative_to(HERE).parts
        if lacking and kind in ("kernel", "system"):
            item.add_marker(skip)
        if inspect.iscoroutinefunction(getattr(item, "function", None)):
            # uvloop drops what a handler of a signal raises; this ends the whole process instead.
            item.add_marker(pytest.mark.timeout(method="thread"))


@pytest.fixture(autouse=True)
def turn(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Lets a test that is marked `alone` run beside no other; others run beside one another.

    Who comes later waits behind who waits already, so that none waits for long.
    """
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    alone = request.node.get_closest_marker("alone")
    with (folder / "queue").open("w") as queue, (folder / "turn").open("w") as turn:
        fcntl.flock(queue, fcntl.LOCK_EX)
        fcntl.flock(turn, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(queue, fcntl.LOCK_UN)
        yield


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    """Restores the level of log lines, which a command that runs in the test's process sets."""
    root = logging.getLogger()
    before = root.level
    yield
    root.setLevel(before)


@pytest.fixture
def namespaces() -> Iterator[Callable[[], Namespace]]:
    """Makes namespaces; removes them at the end."""
    with making() as make:
        yield make


@pytest.fixture
def pair(namespaces: Callable[[], Namespace]) -> tuple[Namespace, Namespace]:
    """Two namespaces, `va` of the first joined to `vb` of the second; both take 9,000 bytes."""
    a, b = namespaces(), namespaces()
    connect(a, b, "va", "vb", mtu=9000)
    return a, b


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that pktexp runs on: transports differ from asyncio's own."""
    return {"uvloop": uvloop.new_event_loop}
