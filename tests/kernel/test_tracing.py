"""The program that counts drops: cells that end or run out, and limits of older kernels."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from pktexp.bpf import probes
from pktexp.bpf import tracepoints as kernel_drops
from pktexp.bpf.counters import InterfaceTable
from pktexp.bpf.datapath import Datapath
from pktexp.bpf.libbpf import Libbpf
from pktexp.bpf.options import DatapathOptions
from pktexp.bpf.tracing import Tracing
from pktexp.interfaces.drops import Drops as CountedDrops
from pktexp.metrics.drops import DropPage
from pktexp.packet.enums import LinkType
from support.kernel.features import needs_drop_reasons
from support.netns.namespace import Namespace, run
from support.netns.traffic import Drops, Side, addressed, drops, fill, knock
from support.packets.segments import data_segment, shifted
from support.patience import wait_for
from support.service.process import parse

Pair = tuple[Namespace, Namespace]
FIRST, SECOND = 1024 + 5, 2048 + 5  # two leases of one slot


class Names:
    """A stand-in for the interfaces, with the ids that are leased."""

    def __init__(self) -> None:
        self.names = {FIRST: "vb"}

    def lease_names(self) -> dict[int, str]:
        return self.names


class Setting:
    """Drops at `vb`, whose lease a test can change, and the metrics of them."""

    def __init__(self, a: Side, b: Side, datapath: Datapath, tracing: Tracing, lib: Libbpf) -> None:
        self.a, self.b = a, b
        self.tracing = tracing
        self.interfaces = Names()
        self._ifindex = b.namespace.link("vb")["ifindex"]
        self._table = InterfaceTable(datapath.interfaces)
        self._leases = datapath.leases
        reasons = kernel_drops.reason_names(lib)
        counted = CountedDrops(cast(Any, self.interfaces), tracing, reasons)
        self._page = DropPage(counted, lambda: ())
        self.enter(FIRST)

    def enter(self, lease: int, name: bytes = b"vb") -> None:
        self._leases["name"][lease % len(self._leases)] = name
        assert self._table.set(self._ifindex, lease, LinkType.ETHERNET)

    def drops(self, count: int) -> Drops:
        """Return the drops that the metrics show, when they are at least `count`."""

        def look() -> Drops | None:
            found = drops(parse(self._page(False)))
            return found if sum(found.values()) >= count else None

        return wait_for(look) or {}


@pytest.fixture
def setting(lib: Libbpf, pair: Pair) -> Iterator[Callable[..., Setting]]:
    with contextlib.ExitStack() as stack:
        a, b = stack.enter_context(addressed(*pair))

        def make(arguments: int = 0, cells: int = 64) -> Setting:
            with b.namespace.entered():
                datapath = Datapath(lib, DatapathOptions())
                stack.callback(datapath.close)
                told = arguments or probes.tracepoint_arguments(lib, kernel_drops.DROPS.name)
                drops = dataclasses.replace(kernel_drops.DROPS, cells=cells)
                tracing = Tracing(lib, datapath, drops, told)
                stack.callback(tracing.close)
            return Setting(a, b, datapath, tracing, lib)

        yield make


@needs_drop_reasons
def test_a_drop_without_a_free_cell_counts_as_other(setting: Callable[..., Setting]) -> None:
    here = setting(cells=1)
    here.b.drop("input", "udp dport 5555")
    knock(here.a, 999, 3)
    assert here.drops(3) == {("vb", "no_socket"): 3}
    knock(here.a, 5555, 4)
    knock(here.a, 999, 2)
    assert here.drops(9) == {("vb", "no_socket"): 5, ("", "other"): 4}


@needs_drop_reasons
def test_cells_of_ended_leases_are_removed_and_others_stay(
    setting: Callable[..., Setting],
) -> None:
    here = setting()
    knock(here.a, 999, 3)
    assert here.drops(3) == {("vb", "no_socket"): 3}
    here.interfaces.names = {FIRST: "vb", SECOND: "new"}
    here.enter(SECOND)
    knock(here.a, 999, 5)
    assert here.drops(8) == {("vb", "no_socket"): 3, ("new", "no_socket"): 5}
    here.interfaces.names = {SECOND: "new"}
    assert here.drops(5) == {("new", "no_socket"): 5}
    assert len(here.tracing.read()) == 1
    knock(here.a, 999, 1)
    assert here.drops(6) == {("new", "no_socket"): 6}


@needs_drop_reasons
@pytest.mark.parametrize("name", [b"vc", b"v", b"vbb", b"vb-123456789012"])
def test_drops_at_an_interface_with_another_name_are_not_counted(
    setting: Callable[..., Setting], name: bytes
) -> None:
    here = setting()
    frame, _ = data_segment(here.a, here.b)
    here.enter(FIRST, name)
    knock(here.a, 999, 3)
    here.a.namespace.send("va", [shifted(frame, 0)] * 4)  # TCP takes them off the device
    here.enter(FIRST)
    knock(here.a, 999, 2)
    assert here.drops(2) == {("vb", "no_socket"): 2}
    here.a.namespace.send("va", [shifted(frame, 0)] * 4)
    assert here.drops(6) == {("vb", "no_socket"): 2, ("vb", "tcp_old_data"): 4}


@needs_drop_reasons
def test_the_route_gives_the_namespace_before_linux_6_11(
    lib: Libbpf, setting: Callable[..., Setting]
) -> None:
    here = setting(arguments=3)
    knock(here.a, 999, 3)
    errors = fill(here.a, here.b, 1000, 50)
    found = here.drops(3 + errors)
    known = "socket_rcvbuff" in kernel_drops.reason_names(lib).values()  # since Linux 5.18
    full = "socket_rcvbuff" if known else "not_specified"
    assert found == {("vb", "no_socket"): 3, ("vb", full): errors}


@needs_drop_reasons
def test_reasons_have_the_names_that_bpftool_shows(lib: Libbpf) -> None:
    types = json.loads(run("bpftool", "-j", "btf", "dump", "file", "/sys/kernel/btf/vmlinux"))
    (found,) = [t for t in types["types"] if t["name"] == "skb_drop_reason"]
    names = kernel_drops.reason_names(lib)
    shown = {value["val"]: value["name"] for value in found["values"] if value["val"] < 0x10000}
    reasons = {n: name for n, name in shown.items() if name.startswith("SKB_DROP_REASON_")}
    assert {n: f"SKB_DROP_REASON_{names[n].upper()}" for n in reasons} == reasons
    assert "SKB_DROP_REASON_NO_SOCKET" in reasons.values()


@pytest.mark.parametrize("name", ["kfree_skb", "tcp_retransmit_skb"])
def test_a_tracepoint_has_the_arguments_that_bpftool_shows(lib: Libbpf, name: str) -> None:
    types = run("bpftool", "btf", "dump", "file", "/sys/kernel/btf/vmlinux", "format", "c")
    found = re.search(rf"\(\*btf_trace_{name}\)\(void \*, (.*)\);", types)
    assert found
    assert probes.tracepoint_arguments(lib, name) == len(found[1].split(","))


@needs_drop_reasons
def test_a_reason_without_a_name_is_a_number(lib: Libbpf) -> None:
    assert kernel_drops.reason_name(kernel_drops.reason_names(lib), 0x20001) == "0x20001"
