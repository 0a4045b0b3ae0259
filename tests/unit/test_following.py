"""What becomes of failures while interfaces are followed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pktexp.interfaces import Interfaces, NameFilter
from pktexp.kernel.linkinfo import Link
from pktexp.kernel.records import INTERFACE_BUCKET, INTERFACE_COUNTERS


class FakeMonitor:
    """Netlink, as a test wants it."""

    def __init__(self) -> None:
        self.links: dict[int, Link] = {}
        self.overruns = 0
        self.error: Exception | None = None

    def receive(self) -> None:
        if self.error:
            raise self.error

    def take_gone(self) -> set[int]:
        return set()


class FakeDatapath:
    """Attaches wherever it is not told to fail."""

    def __init__(self, slots: int) -> None:
        self.interfaces = np.zeros(slots, INTERFACE_BUCKET)
        self.counters = np.zeros((2, slots), INTERFACE_COUNTERS)
        self.hooks = self
        self.options = SimpleNamespace(slots=slots)
        self.attached: set[int] = set()
        self.error: OSError | None = None

    def attach(self, ifindex: int) -> tuple[str, str]:
        if self.error:
            raise self.error
        self.attached.add(ifindex)
        return "xdp-native", ""

    def detach(self, ifindex: int) -> None:
        self.attached.discard(ifindex)


def link(ifindex: int, *, up: bool = True) -> Link:
    return Link(ifindex, f"eth{ifindex}", 1, up, 1500)


def made(slots: int = 4) -> tuple[Interfaces, Any, Any]:
    datapath, monitor = FakeDatapath(slots), FakeMonitor()
    return Interfaces(datapath, monitor, NameFilter()), datapath, monitor  # type: ignore[arg-type]


def test_an_error_while_following_is_counted_and_not_raised(
    caplog: pytest.LogCaptureFixture,
) -> None:
    interfaces, _, monitor = made()
    monitor.error = OSError("netlink broke")
    interfaces.look()
    assert interfaces.follow_failures == 1
    assert "netlink broke" in caplog.text
    monitor.error = None
    monitor.links = {1: link(1)}
    interfaces.look()
    assert interfaces.snapshot().hooks == {"eth1": "xdp-native"}


def test_an_interface_that_refuses_is_tried_again_only_when_it_has_changed() -> None:
    interfaces, datapath, monitor = made()
    monitor.links = {1: link(1, up=False)}
    datapath.error = OSError(95, "Operation not supported")
    interfaces.look()
    interfaces.look()
    assert interfaces.attach_failures == 1
    assert interfaces.snapshot().hooks == {"eth1": "none"}
    assert not interfaces.attached
    datapath.error = None
    interfaces.look()
    assert interfaces.snapshot().hooks == {"eth1": "none"}
    monitor.links = {1: link(1, up=True)}
    interfaces.look()
    assert interfaces.snapshot().hooks == {"eth1": "xdp-native"}
    assert interfaces.attached


def test_interfaces_beyond_the_limit_are_let_go_and_the_option_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    interfaces, datapath, monitor = made(slots=4)
    monitor.links = {n: link(n) for n in range(1, 6)}
    interfaces.look()
    assert sorted(interfaces.snapshot().hooks.values()) == ["none"] + ["xdp-native"] * 4
    assert len(datapath.attached) == 4
    assert "raise --max-interfaces" in caplog.text
    assert interfaces.attach_failures == 1


def test_without_any_interface_that_is_wanted_there_is_nothing_to_complain_of() -> None:
    interfaces, _, _ = made()
    assert interfaces.attached
