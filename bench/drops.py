"""What a dropped packet costs the machine; run it with `just bench-drops`.

Frames of an unknown ethertype go through a veth and are dropped at its other end. Compares the CPU
time of the sender, which the drops are part of, without and with the program that counts them, in
turn. With OBJECT... it compares objects of drops.bpf.c.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path

from scapy.layers.l2 import Ether

import report
from attaching import attached
from pktexp.bpf import libbpf, probes
from pktexp.bpf.counters import InterfaceTable
from pktexp.bpf.datapath import Datapath
from pktexp.bpf.options import DatapathOptions
from pktexp.bpf.tracepoints import DROPS
from pktexp.bpf.tracing import Tracing
from pktexp.packet.enums import LinkType
from support.kernel.datapath import SLOT
from support.netns.namespace import Namespace
from support.packets.cases import ETHER
from throughput import SENDER_CPU, Sender, prepared

FRAME = bytes(Ether(src=ETHER.src, dst=ETHER.dst, type=0x88B5) / bytes(46))  # IEEE 802, local
SECONDS = 0.2
OBJECT = Path(str(files("pktexp") / DROPS.object))


@contextmanager
def counting(b: Namespace, path: Path | None) -> Iterator[Tracing | None]:
    """Count the drops of a namespace by an object, if there is one."""
    if not path:
        yield None
        return
    lib = libbpf.find()
    with b.entered():
        datapath = Datapath(lib, DatapathOptions(slots=16))
        drops = dataclasses.replace(DROPS, object=str(path))
        with closing(datapath):
            datapath.leases["name"][SLOT] = b"vb"
            ifindex = b.link("vb")["ifindex"]
            InterfaceTable(datapath.interfaces).set(ifindex, SLOT, LinkType.ETHERNET)
            arguments = probes.tracepoint_arguments(lib, DROPS.name)
            with closing(Tracing(lib, datapath, drops, arguments)) as tracing:
                yield tracing


def measure(sender: Sender, b: Namespace, path: Path | None) -> tuple[float, float]:
    """Return the sender's CPU time a packet in ns, and the share of its packets counted."""
    with counting(b, path) as tracing:
        sender.run(1, float("inf"), SECONDS / 4)
        before = tracing.read()["packets"].sum() if tracing else 0
        sent, _, cpu = sender.run(1, float("inf"), SECONDS)
        found = tracing.read()["packets"].sum() - before if tracing else 0
    return cpu / sent * 1e9, float(found) / sent


def main() -> None:
    """Measure each object in every round, and publish the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("objects", type=Path, nargs="*")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--quick", action="store_true", help="few rounds; publishes nothing")
    chosen = parser.parse_args()
    objects = [None, *(path.resolve() for path in chosen.objects or [OBJECT])]
    rounds = 5 if chosen.quick else chosen.rounds
    with prepared() as (a, b, programs):
        sender = Sender(a, programs, FRAME)
        with attached(b, "vb", "xdp-native", programs.program_fd("pass")):
            os.sched_setaffinity(0, SENDER_CPU)
            found = [[measure(sender, b, path) for path in objects] for _ in range(rounds)]
    rows = [
        [
            path.name if path else "not counted",
            f"{statistics.median(one[at][0] for one in found):.0f}",
            f"+{statistics.median(one[at][0] - one[0][0] for one in found):.0f}",
            f"{statistics.median(one[at][1] for one in found):.3f}",
        ]
        for at, path in enumerate(objects)
    ]
    header = ["ns a dropped packet", "median", "over not counted", "counted"]
    text = (
        f"{report.machine()}; medians of {rounds} rounds in turn.\n\n{report.table(header, rows)}"
    )
    report.publish("drops", text, chosen.quick or bool(chosen.objects))


if __name__ == "__main__":
    main()
