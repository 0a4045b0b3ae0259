"""Counters are made as interfaces appear, by a process that has kept the capability for it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from pktexp.packet.records import CHUNK_SLOTS
from support.environments.privileged import SETS, held, mask
from support.kernel.bpffs import mounted
from support.netns.namespace import Namespace
from support.packets.cases import ETHER, V4
from support.patience import finished, wait_for
from support.service.process import Page, Service, serving, total

MANY = 3 * CHUNK_SLOTS
FRAME = bytes(ETHER / V4)
MEMORY = "pktexp_interface_memory_bytes"


def add(namespace: Namespace, names: list[str]) -> None:
    """Add veths; the other end of each is not counted."""
    pairs = [f"link add {name} type veth peer name p{name}" for name in names]
    ups = [f"link set {end}{name} up" for name in names for end in ("p", "")]
    lines = "\n".join([*pairs, *ups])
    finished([*namespace.command("ip"), "-batch", "-"], input=lines, check=True)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def counted(page: Page, names: list[str]) -> list[int]:
    """Return IPv4 packets; the kernel itself sends IPv6."""
    sent = {"direction": "egress", "ip_version": "4"}
    return [total(page, "pktexp_packets_total", interface=name, **sent) for name in names]


def appear(service: Service, prefix: str) -> None:
    """Add MANY interfaces, and send a packet more by each than by the one before."""
    names = [f"{prefix}{n}" for n in range(MANY)]
    add(service.namespace, names)
    service.wait_until_attached(names[-1])
    for n, name in enumerate(names):
        service.namespace.send(name, [FRAME] * n)
    page = service.page_when(lambda page: counted(page, names)[-1] >= MANY - 1)
    assert counted(page, names) == list(range(MANY))


@pytest.fixture
def here(pair: tuple[Namespace, Namespace]) -> Namespace:
    return pair[1]


def test_later_interfaces_get_counters_without_capabilities(here: Namespace) -> None:
    with serving(here, "--interfaces", "d*") as service:
        (child,) = children(service.pid)
        before = total(service.page(), MEMORY)
        appear(service, "d")
        assert held(service.pid, *SETS) == {0}
        assert held(child, "CapPrm", "CapEff", "CapBnd") == {mask("bpf")}
        chunks = (total(service.page(), MEMORY) - before) / CHUNK_SLOTS
        assert chunks == 3 * 3328 * ((os.cpu_count() or 1) + 2)
        assert service.messages("WARNING") == [
            "no interface matches 'd*' yet; counting starts when one appears"
        ]
    wait_for(lambda: not Path(f"/proc/{child}").exists())


def test_process_that_makes_counters_ends_with_a_killed_service(here: Namespace) -> None:
    service = Service(here, "--interfaces", "vb")
    service.wait_until_attached("vb")
    (child,) = children(service.pid)
    os.kill(child, signal.SIGTERM)  # as systemd does to all processes of a unit
    service.stop(signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{child}").exists())


def test_few_interfaces_have_all_counters_from_the_start(here: Namespace) -> None:
    with serving(here, "--interfaces", "d*", "--max-interfaces", "32") as service:
        assert children(service.pid) == []
        appear(service, "d")


def test_interface_without_counters_is_reported_and_tried_again(here: Namespace) -> None:
    with serving(here, "--interfaces", "d*") as service:
        (child,) = children(service.pid)
        os.kill(child, signal.SIGKILL)
        add(here, ["d0"])
        line = service.wait_for_line("d0: not counted: no memory for its counters (")
        assert "Broken pipe" in line
        assert total(service.page(), "pktexp_interface_attach_failures_total") == 1


def test_pinned_counters_of_many_interfaces_continue(here: Namespace, tmp_path: Path) -> None:
    with mounted(tmp_path / "bpf") as root:
        options = ("--interfaces", "d*", "--pin", str(root / "pktexp"))
        with serving(here, *options) as service:
            appear(service, "d")
        names = [f"d{n}" for n in range(MANY)]
        for n, name in enumerate(names):
            here.send(name, [FRAME] * n)  # while no process is there
        with serving(here, *options) as service:
            page = service.page_when(lambda page: counted(page, names)[-1] >= 2 * MANY - 2)
            assert counted(page, names) == [2 * n for n in range(MANY)]
            appear(service, "de")
