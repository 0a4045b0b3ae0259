"""What is told to a service manager, read from a socket of its kind."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from pktexp.commands.serve.systemd import Notifier, Supervision
from pktexp.flows.attribution import Attribution
from pktexp.interfaces.tracker import Interfaces


class Manager:
    """Listens at a path, as systemd does."""

    def __init__(self, path: Path) -> None:
        self.environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "3000000"}
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        """The lines of the next datagram."""
        return self.socket.recv(4096).decode().split("\n")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    yield made
    made.socket.close()


class Counted:
    """Of interfaces and readers, what supervision asks for."""

    def __init__(self, counted: int, wanted: int, alive: bool = True) -> None:
        self.counted = counted, wanted
        self.alive = alive


def supervision(manager: Manager, state: Counted) -> Supervision:
    interfaces, attribution = cast(Interfaces, state), cast(Attribution, state)
    notifier = Notifier(manager.environment)
    return Supervision(notifier, interfaces, attribution, "http://localhost:8080/metrics")


@pytest.mark.parametrize(
    ("counted", "wanted", "status"),
    [
        (12, 12, "counting 12 interfaces, http://localhost:8080/metrics"),
        (1, 1, "counting 1 interface, http://localhost:8080/metrics"),
        (11, 12, "counting 11 of 12 interfaces, http://localhost:8080/metrics"),
        (0, 0, "counting 0 interfaces, http://localhost:8080/metrics"),
    ],
)
def test_status_has_the_number_of_interfaces_and_the_address(
    manager: Manager, counted: int, wanted: int, status: str
) -> None:
    supervision(manager, Counted(counted, wanted)).report()
    assert manager.heard() == ["WATCHDOG=1", f"STATUS={status}"]


def test_dead_reader_is_logged_once_and_stops_watchdog_pings(
    manager: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    supervised = supervision(manager, Counted(1, 1, alive=False))
    for _ in range(2):
        supervised.report()
        assert manager.heard() == ["STATUS=a ring buffer is not being read"]
    assert len(caplog.messages) == 1


def test_watchdog_is_pinged_at_half_its_interval(manager: Manager) -> None:
    assert supervision(manager, Counted(1, 1)).interval == 1.5


@pytest.mark.parametrize(
    "changed",
    [{"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_PID": str(os.getppid())}],
)
def test_watchdog_is_ignored_when_off_or_of_another_process(
    manager: Manager, changed: dict[str, str]
) -> None:
    assert Notifier(manager.environment | {"WATCHDOG_PID": str(os.getpid())}).watchdog == 3
    assert Notifier(manager.environment | changed).watchdog is None


def test_missing_manager_socket_is_logged_once(
    manager: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier(manager.environment)
    manager.socket.close()
    notifier.ready("well")
    notifier.stopping()
    (line,) = caplog.messages
    assert (
        line == "sending the status to systemd failed: [Errno 111] Connection refused (logged once)"
    )


def test_nothing_is_sent_without_a_manager(caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier({"WATCHDOG_USEC": "3000000"})
    notifier.ready("well")
    assert not notifier.listening
    assert notifier.watchdog is None
    assert not caplog.messages
