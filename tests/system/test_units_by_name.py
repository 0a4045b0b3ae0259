"""Traffic of a real systemd's units and of podman's containers, under their names."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.environments.booted import Machine, booted
from support.environments.podman import Podman
from support.kernel.cgroups import MOUNTED, remove_everywhere
from support.netns.namespace import Namespace
from support.patience import wait_for
from support.service.process import Page, select, serving, total

BYTES = "pktexp_cgroup_bytes_total"
PYTHON = "/usr/bin/python3"
# TCP and UDP to itself, over IPv4 and IPv6, with large segments; then it stays: bytes, address.
TALK = """
import socket, sys, threading, time
size = int(sys.argv[1])
for address in sys.argv[2:]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.create_server((address, 0), family=family)
    client = socket.create_connection(server.getsockname()[:2])
    peer, _ = server.accept()
    sender = threading.Thread(target=client.sendall, args=[bytes(size)])
    sender.start()
    left = size
    while left:
        left -= len(peer.recv(min(left, 1 << 20)))
    sender.join()
    datagrams = socket.socket(family, socket.SOCK_DGRAM)
    datagrams.bind((address, 0))
    for length in (1, 1000, 9000):
        datagrams.sendto(bytes(length), datagrams.getsockname())
        datagrams.recv(length)
print("done", flush=True)
time.sleep(1000)
"""
UID = "8c3f1a52-0d7e-4b8f-9a51-2f6c7d8e9f00"


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    made = Namespace()
    made.run("sysctl", "-qw", "net.ipv6.conf.lo.disable_ipv6=0")
    made.ip("link", "set", "lo", "mtu", "1500")
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def machine(namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder, files = tmp_path_factory.mktemp("layer"), tmp_path_factory.mktemp("files")
    (files / "talk.py").write_text(TALK)
    with booted(namespace, folder, files) as up:
        yield up


@pytest.fixture
def podman() -> Iterator[Podman]:
    made = Podman(Path(tempfile.mkdtemp(prefix="pktexp-")))  # podman takes at most 50 characters
    with contextlib.closing(made):
        yield made


def moved(page: Page, **labels: str) -> tuple[int, int]:
    """Return the bytes in and out of all cgroups with these labels."""
    ways = ("ingress", "egress")
    received, sent = (total(page, BYTES, direction=way, **labels) for way in ways)
    return received, sent


def test_bytes_of_units_are_those_that_systemd_counts(
    namespace: Namespace, machine: Machine
) -> None:
    talkers = {
        "plain.service": (),
        "nested.service": ("--slice=a-b.slice",),
        "session-3.scope": ("--scope", "--slice=user-1000.slice"),
    }
    with serving(namespace, "--interfaces", "lo", prefix=MOUNTED) as service:
        for unit, options in talkers.items():
            run = ["systemd-run", "--collect", f"--unit={unit}", "--property=IPAccounting=yes"]
            run += [*options, *f"{PYTHON} /talk.py 3000000 127.0.0.1 ::1".split()]
            # A scope's command runs in the foreground.
            machine.run("sh", "-c", f"{' '.join(run)} >/dev/null 2>&1 &")

        def settled(unit: str) -> tuple[int, int] | None:
            names = ("IPIngressBytes", "IPEgressBytes")
            told = [machine.show(unit, name) for name in names]
            if not all(map(str.isdecimal, told)) or min(map(int, told)) < 6_000_000:
                return None
            first = (int(told[0]), int(told[1]))
            return first if moved(service.page(), unit=unit) == first else None

        for unit in talkers:
            assert wait_for(lambda unit=unit: settled(unit), 0.3)  # type: ignore[misc]
        paths = {
            dict(key)["cgroup"] for key in select(service.page(), BYTES, unit="nested.service")
        }
        assert {re.sub(r"^/pktexp-test-\d+", "", path) for path in paths} == {
            "/a.slice/a-b.slice/nested.service"
        }
        for unit in talkers:
            machine.run("systemctl", "kill", "--signal=KILL", unit)


def test_containers_count_under_their_ids_as_their_namespaces_do(
    podman: Podman, namespaces: Callable[[], Namespace]
) -> None:
    own = f"pktexp-test-{os.getpid()}-containers"  # the machine above has one of its own
    parents = (f"/{own}", *[f"/{own}/kubepods/burstable/pod{UID}"] * 2)
    with serving(namespaces(), "--interfaces", "lo", prefix=MOUNTED) as service:
        ids = []
        for number, parent in enumerate(parents):
            options = ["--detach", "--network=none", f"--name=talker{number}"]
            options += [f"--cgroup-parent={parent}"]
            talk = ("-c", TALK, str(1_000_000 * (number + 1)), "127.0.0.1")
            ids.append(podman("run", *options, "--rootfs", "/:O", PYTHON, *talk))
        for number, container in enumerate(ids):
            wait_for(lambda number=number: "done" in podman("logs", f"talker{number}"))  # type: ignore[misc]
            netstat = Path(f"/proc/{podman.inspect(container)['State']['Pid']}/net/netstat")

            def equal(container: str = container, netstat: Path = netstat) -> bool:
                names, values = [
                    line.split()
                    for line in netstat.read_text().splitlines()
                    if line.startswith("IpExt:")
                ]
                found = dict(zip(names, values, strict=True))
                octets = (int(found["InOctets"]), int(found["OutOctets"]))
                return moved(service.page(), container=container[:12]) == octets

            wait_for(equal, 0.3)
        podman("rm", "--all", "--force", "--time", "0")
    remove_everywhere(own)
