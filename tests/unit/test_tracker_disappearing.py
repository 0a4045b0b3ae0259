"""Interfaces: one that disappears is no failure, a detached program is one."""

from __future__ import annotations

import errno
import logging

import pytest

from pktexp.interfaces.tracker import Interfaces
from pktexp.packet.enums import Direction
from support.tracked import FakeDatapath, FakeMonitor, hooks, link, made

BOTH = [(1, direction) for direction in Direction]
NO_DEVICE = OSError(errno.ENODEV, "No such device")
INVALID = OSError(errno.EINVAL, "Invalid argument")  # of XDP where there is no such interface

Log = pytest.LogCaptureFixture


@pytest.fixture
def counted(caplog: Log) -> tuple[Interfaces, FakeDatapath, FakeMonitor]:
    """eth1 counted in both directions; the log begins afterwards."""
    interfaces, datapath, monitor = made()
    monitor.links = {1: link(1)}
    interfaces.look()
    caplog.set_level(logging.INFO)
    caplog.clear()
    return interfaces, datapath, monitor


def lines(caplog: Log) -> list[tuple[str, str]]:
    return [(record.levelname, record.message) for record in caplog.records]


def failed(interfaces: Interfaces) -> tuple[int, int, int]:
    return interfaces.reattachments, interfaces.attach_failures, interfaces.failures.count


def test_program_detached_before_the_removal_is_reported_is_no_failure(
    counted: tuple[Interfaces, FakeDatapath, FakeMonitor], caplog: Log
) -> None:
    interfaces, datapath, monitor = counted
    datapath.dead, monitor.vanished = set(BOTH), {1}
    interfaces.look()
    assert lines(caplog) == []
    monitor.links, monitor.gone = {}, {1}
    interfaces.look()
    assert lines(caplog) == [("INFO", "eth1: gone")]
    assert failed(interfaces) == (0, 0, 0)
    assert datapath.attached == set()


def test_program_detached_from_a_living_interface_is_attached_again(
    counted: tuple[Interfaces, FakeDatapath, FakeMonitor], caplog: Log
) -> None:
    interfaces, datapath, _ = counted
    datapath.dead = {BOTH[0]}
    interfaces.look()
    assert lines(caplog)[0] == ("WARNING", "eth1: somebody detached tcx-ingress")
    assert failed(interfaces) == (1, 0, 0)
    assert (datapath.attached, datapath.dead) == (set(BOTH), set())


def test_interface_replaced_before_the_check_is_no_failure(
    counted: tuple[Interfaces, FakeDatapath, FakeMonitor],
    caplog: Log,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interfaces, datapath, monitor = counted

    def present(_: int) -> bool:
        monitor.gone, monitor.changed = {1}, True  # RTM_DELLINK and RTM_NEWLINK were queued
        return False

    datapath.dead = set(BOTH)
    monkeypatch.setattr(monitor, "present", present)
    interfaces.look()
    counting = "eth1: counting at tcx-ingress, tcx-egress"
    assert lines(caplog) == [("INFO", "eth1: gone"), ("INFO", counting)]
    assert failed(interfaces) == (0, 0, 0)
    assert hooks(interfaces) == ["tcx-ingress", "tcx-egress"]


def test_programs_detached_during_an_overrun_are_attached_without_a_warning(
    counted: tuple[Interfaces, FakeDatapath, FakeMonitor], caplog: Log
) -> None:
    interfaces, datapath, monitor = counted
    datapath.dead, monitor.synchronised = set(BOTH), False
    interfaces.look()
    assert lines(caplog) == []
    monitor.synchronised = monitor.relisted = True
    interfaces.look()
    assert [line for line, _ in lines(caplog)] == ["INFO", "INFO"]
    assert failed(interfaces) == (0, 0, 0)
    assert (datapath.attached, datapath.dead) == (set(BOTH), set())


@pytest.mark.parametrize("error", [NO_DEVICE, INVALID], ids=["ENODEV", "EINVAL"])
@pytest.mark.parametrize("refused", [BOTH, BOTH[1:]], ids=["both directions", "egress"])
def test_interface_that_disappears_before_it_is_attached_is_no_failure(
    refused: list[tuple[int, Direction]], error: OSError, caplog: Log
) -> None:
    caplog.set_level(logging.INFO)
    interfaces, datapath, monitor = made()
    monitor.links, monitor.vanished = {1: link(1)}, {1}
    datapath.errors = {direction: error for _, direction in refused}
    interfaces.look()
    assert interfaces.counted == (0, 0)
    assert interfaces.lease_names() == {}
    assert datapath.attached == set()
    monitor.links, monitor.gone = {}, {1}
    interfaces.look()
    assert lines(caplog) == []
    assert failed(interfaces) == (0, 0, 0)


def test_interface_that_disappears_while_it_is_attached_again_is_gone(
    counted: tuple[Interfaces, FakeDatapath, FakeMonitor],
    caplog: Log,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interfaces, datapath, monitor = counted

    def vanish(*_: object) -> None:
        monitor.vanished = {1}
        raise NO_DEVICE

    datapath.dead = {BOTH[0]}
    with monkeypatch.context() as patch:
        patch.setattr(datapath, "attach", vanish)
        interfaces.look()
    assert lines(caplog)[1:] == [("INFO", "eth1: gone")]
    assert failed(interfaces) == (1, 0, 0)
    assert datapath.attached == set()
    monitor.vanished = set()
    interfaces.look()
    assert hooks(interfaces) == ["tcx-ingress", "tcx-egress"]
