"""What a running service tells a service manager, in the order of sd_notify(3)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.kernel.attached import attached
from support.netns.namespace import Namespace
from support.patience import PATIENCE, wait_for
from support.service.process import serving

Message = dict[str, str]


class Manager:
    """A socket in a namespace; names of the abstract kind belong to one."""

    def __init__(self, namespace: Namespace, address: str) -> None:
        with namespace.entered():
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0"))
        self.socket.settimeout(PATIENCE)

    def next(self, wanted: Callable[[Message], object]) -> Message:
        """The next datagram, skipping those that only say that all is well."""

        def received() -> Message | None:
            lines = self.socket.recv(4096).decode().split("\n")
            message = dict(line.split("=", 1) for line in lines)
            return message if wanted(message) or "WATCHDOG" not in message else None

        found = wait_for(received)
        assert found
        return found


def test_ready_is_sent_once_attached_and_listening(
    namespaces: Callable[[], Namespace], tmp_path: Path
) -> None:
    namespace, address = namespaces(), str(tmp_path / "notify")
    serve = (sys.executable, "-m", "pktexp", "serve", "--port", "9000", "--log-level", "error")
    command = namespace.command("env", f"NOTIFY_SOCKET={address}", *serve)
    with (manager := Manager(namespace, address)).socket, subprocess.Popen(command) as process:
        try:
            assert manager.next(lambda _: True)["READY"] == "1"
            assert attached(namespace, "lo") == {"tcx-ingress": 1, "tcx-egress": 1}
            with namespace.entered():
                socket.create_connection(("127.0.0.1", 9000)).close()
        finally:
            process.terminate()
    assert process.returncode == 0


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_manager_is_notified_of_start_life_reload_and_stop(
    namespaces: Callable[[], Namespace], tmp_path: Path, kind: str
) -> None:
    namespace = namespaces()
    address = f"@pktexp-test-{os.getpid()}" if kind == "abstract" else str(tmp_path / "notify")
    manager = Manager(namespace, address)
    told = ("env", f"NOTIFY_SOCKET={address}", "WATCHDOG_USEC=200000")
    with manager.socket, serving(namespace, prefix=told) as service:
        ready = manager.next(lambda _: True)
        status = f"counting 1 interface, {service.url}metrics"
        assert ready == {"READY": "1", "STATUS": status}
        alive = manager.next(lambda message: "WATCHDOG" in message)
        assert alive == {"WATCHDOG": "1", "STATUS": status}

        namespace.ip("link", "add", "va", "type", "veth", "peer", "vb")
        manager.next(lambda message: message["STATUS"].startswith("counting 3 interfaces, "))

        asked = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        os.kill(service.pid, signal.SIGHUP)
        reloading = manager.next(lambda _: False)
        assert reloading.pop("RELOADING") == "1"
        since = int(reloading.pop("MONOTONIC_USEC"))
        assert asked <= since <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert not reloading
        assert manager.next(lambda _: False)["READY"] == "1"

        os.kill(service.pid, signal.SIGTERM)
        assert manager.next(lambda _: False) == {"STOPPING": "1"}
