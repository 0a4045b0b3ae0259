"""Faults under traffic: totals stay exact, to the packet, and what flows lost is told."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from support.kernel.attached import attached
from support.netns.namespace import Namespace
from support.patience import finished, joined, wait_for
from support.service.api import frames
from support.service.process import Page, Service, serving, total

Pair = tuple[Namespace, Namespace]
MANY = frames(30_000)  # more than cache and ring of these services hold
SMALL = ("--interfaces", "vb", "--flow-cache", "4KiB", "--ring-size", "4096", "--max-flows", "10")
MISSED = 20_000  # packets, far more than cache and ring hold


@contextmanager
def traffic(namespace: Namespace) -> Iterator[None]:
    """As fast as one thread can, from very many addresses."""
    stop = threading.Event()

    def send() -> None:
        with namespace.packet_socket("va") as raw:
            for frame in itertools.cycle(MANY):
                if stop.is_set():
                    return
                raw.send(frame)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        stop.set()
        joined(sender)


def balanced(service: Service, namespace: Namespace) -> Page:
    """The page when nothing comes any more; held against the kernel's own statistics."""
    packets, bytes_ = namespace.statistics("vb")
    site = {"interface": "vb", "direction": "ingress"}
    page = service.page_when(lambda page: total(page, "pktexp_packets_total", **site) == packets)
    assert total(page, "pktexp_bytes_total", **site) == bytes_
    page = service.page_when(
        lambda page: total(page, "pktexp_flow_packets_total", **site) == packets
    )
    assert total(page, "pktexp_flow_bytes_total", **site) == bytes_
    checks = total(page, "pktexp_accounting_checks_total")
    page = service.page_when(
        lambda page: total(page, "pktexp_accounting_checks_total") > checks + 1
    )
    assert total(page, "pktexp_unaccounted_packets") == 0
    assert service.messages("ERROR") == []
    return page


def test_process_stopped_under_load_loses_flows_but_no_packet(pair: Pair) -> None:
    a, b = pair
    with serving(b, *SMALL) as service:
        service.wait_until_attached("vb")
        with traffic(a):
            wait_for(lambda: total(service.page(), "total_packets", interface="vb") > 1000)
            os.kill(service.pid, signal.SIGSTOP)
            before, _ = b.statistics("vb")
            wait_for(lambda: b.statistics("vb")[0] > before + MISSED)
            os.kill(service.pid, signal.SIGCONT)
            assert total(service.page(), "total_packets", interface="vb") > 1000
        page = balanced(service, b)
        lost = total(page, "pktexp_event_lost_packets_total", interface="vb")
        assert lost > 1000  # the ring was full


def test_fast_changing_interfaces_leave_no_open_file(pair: Pair) -> None:
    a, b = pair
    names = [f"x{number}" for number in range(500)]
    add = "".join(f"link add {name} up type veth peer name {name}p\n" for name in names)
    delete = "".join(f"link delete {name}\n" for name in names)
    with serving(b, "--max-interfaces", "64") as service:
        service.wait_until_attached("vb")
        files = service.open_files()
        command = b.command("ip", "-batch", "-")
        with traffic(a):
            finished(command, input=add + delete, check=True)
        balanced(service, b)
        wait_for(lambda: service.open_files() <= files)
        b.ip("link", "add", "last", "type", "veth", "peer", "lastp")
        service.wait_until_attached("last")  # there is room again


def test_two_instances_count_the_same_packets(pair: Pair) -> None:
    a, b = pair
    with serving(b, "--interfaces", "vb") as first:
        first.wait_until_attached("vb")
        with serving(b, "--interfaces", "vb", status=-signal.SIGKILL) as second:
            second.wait_until_attached("vb")
            assert attached(b, "vb") == {"tcx-ingress": 2, "tcx-egress": 2}
            a.send("va", MANY[:100])
            for service in (first, second):
                service.page_when(lambda page: total(page, "total_packets", interface="vb") == 100)
            assert second.stop(signal.SIGKILL) == -signal.SIGKILL
        a.send("va", MANY[:100])
        page = first.page_when(lambda page: total(page, "total_packets", interface="vb") == 200)
        assert attached(b, "vb") == {"tcx-ingress": 1, "tcx-egress": 1}
        assert total(page, "pktexp_interface_reattachments_total") == 0
