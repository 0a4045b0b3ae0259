"""Traffic by cgroup as a running service exports it."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pktexp.units import hierarchy
from support.environments.privileged import as_nobody, held
from support.kernel import bpffs
from support.kernel.cgroups import MOUNTED, Cgroup, making, script
from support.kernel.features import needs_receivers
from support.netns.namespace import Namespace
from support.patience import finished, wait_for
from support.service.process import Page, Service, select, serving, total

BYTES, PACKETS = "pktexp_cgroup_bytes_total", "pktexp_cgroup_packets_total"
DROPPED = "pktexp_cgroup_dropped_packets_total"
ID = "0123456789abcdef" * 4  # of a container
OFF = "traffic by cgroup is not counted: "
# Accepts a connection and reads it; the other end sends without pause: port. Of two ephemeral ports
# either could be the service's.
SERVER = """
import socket
s = socket.create_server(("0.0.0.0", 4443))
print(s.getsockname()[1], flush=True)
peer, _ = s.accept()
while peer.recv(65536): pass
"""
CLIENT = """
import socket, sys, time
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
while True:
    s.sendall(bytes(1000)); time.sleep(0.05)
"""
# Datagrams to itself that nobody reads: count.
FULL = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
s.bind(("127.0.0.1", 0))
for _ in range(int(sys.argv[1])):
    s.sendto(bytes(1000), s.getsockname())
"""
# Datagrams to itself: count, size.
DATAGRAMS = """
import socket, sys
count, size = map(int, sys.argv[1:])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
for _ in range(count):
    s.sendto(bytes(size), s.getsockname())
    s.recv(size)
"""


@pytest.fixture
def own() -> Iterator[Cgroup]:
    with making() as cgroup:
        yield cgroup


@pytest.fixture
def namespace(namespaces: Callable[[], Namespace]) -> Namespace:
    return namespaces()


def send(cgroup: Cgroup, namespace: Namespace, count: int, size: int = 100) -> None:
    cgroup.run(*namespace.command(*script(DATAGRAMS, count, size)))


def sent(page: Page, **labels: str) -> int:
    return total(page, PACKETS, direction="egress", **labels)


def service_of(service: Service, cgroup: Cgroup, packets: int) -> Page:
    """Return the page, once the cgroup has sent so many packets."""
    return service.page_when(lambda page: sent(page, cgroup=cgroup.path) >= packets)


def test_cgroups_have_series_with_their_names(own: Cgroup, namespace: Namespace) -> None:
    container = own.make(
        f"kubepods/pod8c3f1a52-0d7e-4b8f-9a51-2f6c7d8e9f00/{'0123456789ab' * 5}cdef"
    )
    unit = own.make("system.slice/a.service/below")
    with serving(namespace, "--interfaces", "lo", prefix=MOUNTED) as service:
        send(unit, namespace, 3)
        send(container, namespace, 4)
        page = service_of(service, unit, 3)
        page = service_of(service, container, 4)
    names = {"unit": "", "container": "", "pod_namespace": "", "pod": ""}
    for path, told, count in (
        (unit.path, {"unit": "a.service"}, 3),
        (container.path, {"container": "0123456789ab"}, 4),
    ):
        expected = {**names, **told, "cgroup": path}
        for direction in ("ingress", "egress"):
            key = frozenset({**expected, "direction": direction}.items())
            assert (page[PACKETS, key], page[BYTES, key]) == (count, count * 128)
    assert select(page, BYTES, cgroup="other")


def test_services_of_the_api_have_names_sums_and_rates(own: Cgroup, namespace: Namespace) -> None:
    unit = own.make("system.slice/a.service")
    with serving(namespace, "--interfaces", "lo", prefix=MOUNTED) as service:
        service.get("api/v1/services").read()
        send(unit, namespace, 3)

        def rated() -> Any:
            path = f"api/v1/services?cgroup={own.path}*"
            (row,) = json.loads(service.get(path).read())["services"] or [{}]
            return row if row.get("egress", {}).get("packets_per_second") else None

        row = wait_for(rated, 0.3)
        assert (row["cgroup"], row["unit"]) == (unit.path, "a.service")
        assert (row["egress"]["packets"], row["ingress"]["bytes"]) == (3, 3 * 128)
        assert 0 < row["egress"]["packets_per_second"] <= 6
        every = json.loads(service.get("api/v1/services").read())["services"]
        assert every[-1]["cgroup"] == "other"


@pytest.mark.parametrize(("mode", "both"), [("services", False), ("sockets", True)])
def test_local_ends_of_flows_have_their_service(
    own: Cgroup, namespace: Namespace, mode: str, both: bool
) -> None:
    server, client = own.make("server.service"), own.make("client.service")
    options = ("--interfaces", "lo", "--flows", mode)
    with (
        serving(namespace, *options, prefix=MOUNTED) as service,
        server.running(*namespace.command(*script(SERVER))) as serves,
    ):
        assert serves.stdout
        port = serves.stdout.readline().strip()
        with client.running(*namespace.command(*script(CLIENT, port))):

            def found() -> Any:
                query = "api/v1/flows?search=server.service"
                rows = json.loads(service.get(query).read())["flows"]
                return next((row for row in rows if row["dest"].endswith(f":{port}")), None)

            row = wait_for(found, 0.3)
            assert row["dest_service"] == "server.service"
            assert row["source_service"] == ("client.service" if both else "")


@needs_receivers
def test_full_receive_buffer_counts_at_its_cgroup(own: Cgroup, namespace: Namespace) -> None:
    slow = own.make("slow.service")
    with serving(namespace, "--interfaces", "lo", prefix=MOUNTED) as service:
        slow.run(*namespace.command(*script(FULL, 50)))
        errors = int(namespace.run("nstat", "-asz", "UdpRcvbufErrors").split()[-2])
        assert errors > 10
        labels = {"unit": "slow.service", "reason": "socket_rcvbuff"}
        service.page_when(lambda page: total(page, DROPPED, **labels) == errors)
        slow.remove()
        send(own, namespace, 1)
        page = service_of(service, own, 1)
        assert total(page, DROPPED, **labels) == errors
        assert not select(page, DROPPED, cgroup=own.path)


def test_no_cgroups_and_a_tree_that_is_hidden_leave_the_families_out(namespace: Namespace) -> None:
    with serving(namespace, "--interfaces", "lo") as hidden:
        (line,) = [line for line in hidden.messages() if line.startswith(OFF)]
        assert line.startswith(f"{OFF}cgroup2 is not mounted")
        assert "cgroup" not in hidden.text()
    with serving(namespace, "--interfaces", "lo", "--no-cgroups", prefix=MOUNTED) as off:
        assert "cgroup" not in off.text()
        assert not [line for line in off.messages() if OFF in line]


def test_cgroup_namespace_without_the_host_s_tree_is_one_line(
    own: Cgroup, namespace: Namespace
) -> None:
    enter = f"echo $$ >/sys/fs/cgroup{own.path}/cgroup.procs"
    leave = f'{enter} && umount /sys/fs/cgroup && exec unshare --cgroup "$@"'
    inside = (*MOUNTED, "sh", "-c", leave, "sh", *MOUNTED)
    with serving(namespace, "--interfaces", "lo", prefix=inside) as service:
        (line,) = [line for line in service.messages() if line.startswith(OFF)]
        assert "shows only a part of the host's cgroups" in line
        assert "mount the host's /sys/fs/cgroup" in line
        assert total(service.page(), "pktexp_interface_attached", interface="lo") == 2


def test_host_s_tree_is_found_beside_the_container_s_own(
    own: Cgroup, namespace: Namespace, tmp_path: Path
) -> None:
    mount = f"mount -t cgroup2 cgroup2 {tmp_path} && echo $$ >{tmp_path}{own.path}/cgroup.procs"
    inside = ("sh", "-c", f'{mount} && exec unshare --cgroup "$@"', "sh", *MOUNTED)
    with serving(namespace, "--interfaces", "lo", prefix=inside) as service:
        told = own.make("a.service")
        send(told, namespace, 3)
        service_of(service, told, 3)


def test_three_capabilities_are_enough_and_none_is_kept(own: Cgroup, namespace: Namespace) -> None:
    # With a fourth that pktexp does not need, as the interpreter may be in a private home.
    nobody = as_nobody("bpf", "net_admin", "perfmon", "dac_read_search")
    with serving(namespace, "--interfaces", "lo", prefix=(*MOUNTED, *nobody)) as service:
        send(own, namespace, 3)
        service_of(service, own, 3)
        assert held(service.pid, "CapEff", "CapPrm") == {0}
        assert service.messages("warning", "error") == []


def test_counters_survive_a_restart_with_pins(
    own: Cgroup, namespace: Namespace, tmp_path: Path
) -> None:
    lasting, brief = own.make("lasting.service"), own.make("brief.service")
    with bpffs.mounted(tmp_path / "bpf") as mount:
        arguments = ("--interfaces", "lo", "--pin", str(mount / "pktexp"))
        try:
            with serving(namespace, *arguments, prefix=MOUNTED) as service:
                send(lasting, namespace, 3)
                send(brief, namespace, 5)
                service_of(service, lasting, 3)
                service_of(service, brief, 5)
            send(lasting, namespace, 4)
            brief.remove()
            late = own.make("late.service")
            send(late, namespace, 6)
            with serving(namespace, *arguments, prefix=MOUNTED) as service:
                service_of(service, late, 6)
                send(lasting, namespace, 2)
                page = service_of(service, lasting, 9)
            counted = {
                name: sent(page, unit=f"{name}.service") for name in ("lasting", "brief", "late")
            }
            assert counted == {"lasting": 9, "brief": 5, "late": 6}
            assert len(list((mount / "pktexp").glob("*/cgroups-*"))) == 6
            with serving(namespace, *arguments, "--max-cgroups", "9", prefix=MOUNTED) as service:
                assert not select(service.page(), PACKETS, unit="brief.service")
            assert len(list((mount / "pktexp").glob("*/cgroups-*"))) == 6
            with serving(namespace, *arguments, "--no-cgroups", prefix=MOUNTED):
                pass
            assert not list((mount / "pktexp").glob("*/cgroups-*"))
        finally:
            unpin = namespace.command(
                sys.executable, "-m", "pktexp", "unpin", str(mount / "pktexp")
            )
            finished(unpin, check=True, capture_output=True)


def programs_at_root() -> set[str]:
    """Return the ids of the programs at the root of cgroup2."""
    show = ["bpftool", "--json", "cgroup", "show", str(hierarchy.find())]
    listed = finished(show, capture_output=True).stdout.strip() or "[]"
    return {str(program["id"]) for program in json.loads(listed)}


def test_killed_service_leaves_nothing_at_the_root(namespace: Namespace) -> None:
    with serving(
        namespace, "--interfaces", "lo", prefix=MOUNTED, status=-signal.SIGKILL
    ) as service:
        held = service.held("prog")
        assert len(held & programs_at_root()) == 2
        service.stop(signal.SIGKILL)
    wait_for(lambda: not held & programs_at_root())
