"""The programs at the root of cgroup2: verdicts, exact sums, places, and the ledger above them."""

from __future__ import annotations

import contextlib
import random
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pktexp.bpf import cgroupmaps
from pktexp.bpf.cgroupmaps import PACKETS_SHIFT
from pktexp.bpf.cgroups import MAPS, OBJECT, CgroupPrograms
from pktexp.bpf.libbpf import Libbpf
from pktexp.packet.enums import Direction
from pktexp.units import hierarchy
from pktexp.units import ledger as ledgers
from pktexp.units.ledger import Ledger
from support.kernel.cgroups import MOUNTED, Cgroup, making, script
from support.kernel.datapath import ROOT, build
from support.netns.namespace import Namespace
from support.patience import wait_for

IN, OUT = Direction.INGRESS, Direction.EGRESS
Tally = tuple[int, int]
FRAME = bytes(12) + b"\x08\x00\x45" + bytes(99)
# Sends datagrams to itself: count, size.
DATAGRAMS = """
import socket, sys
count, size = map(int, sys.argv[1:])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
for _ in range(count):
    s.sendto(bytes(size), s.getsockname())
    s.recv(size)
"""
# Streams to itself from several threads on one CPU, whose softirqs answer meanwhile: bytes.
STREAMS = """
import os, socket, sys, threading
os.sched_setaffinity(0, {0})
size = int(sys.argv[1])
server = socket.create_server(("127.0.0.1", 0))
def send(s):
    for _ in range(0, size, 1000):
        s.sendall(bytes(1000))
    s.shutdown(socket.SHUT_WR)
def receive(s):
    while s.recv(700):
        s.send(b"x")
threads = []
for _ in range(8):
    client = socket.create_connection(server.getsockname())
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer, _ = server.accept()
    threads += [threading.Thread(target=send, args=[client]),
                threading.Thread(target=receive, args=[peer])]
    keep = globals().setdefault("kept", []); keep += [client, peer]
for t in threads: t.start()
for t in threads: t.join()
"""
# Enters one new cgroup after the other, and sends from each; removes most of them: folder, count.
NOMAD = """
import os, pathlib, socket, sys
own, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
for n in range(count):
    lasting = n % 100 == 0
    here = own / f"{'lasting' if lasting else 'brief'}-{n}"
    here.mkdir()
    (here / "cgroup.procs").write_text(str(os.getpid()))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        for _ in range(3):
            s.sendto(bytes(n), s.getsockname())
            s.recv(n or 1)
    (own / "cgroup.procs").write_text(str(os.getpid()))
    if not lasting:
        here.rmdir()
"""


@pytest.fixture
def programs(lib: Libbpf) -> Iterator[Callable[..., CgroupPrograms]]:
    with contextlib.ExitStack() as stack:

        def load(limit: int = 16, attach: bool = True, path: Path = OBJECT) -> CgroupPrograms:
            loaded = CgroupPrograms(lib, limit, path=path)
            stack.callback(loaded.close)
            if attach:
                loaded.attach(hierarchy.find())
            return loaded

        yield load


@pytest.fixture
def own() -> Iterator[Cgroup]:
    with making() as cgroup:
        yield cgroup


@pytest.fixture
def namespace(namespaces: Callable[[], Namespace]) -> Namespace:
    return namespaces()


def ledger_of(programs: CgroupPrograms) -> Ledger:
    return Ledger(programs, hierarchy.find())


def sums(ledger: Ledger, below: str = "") -> dict[str, tuple[Tally, Tally]]:
    """Return packets and bytes in and out, by path below a cgroup; others as ""."""
    found = ledger.snapshot()
    names = [*(lease.path for lease in found.leases), ""]
    told = {
        name: ((ins[0], ins[1]), (outs[0], outs[1]))
        for name, (ins, outs) in zip(names, found.counts.tolist(), strict=True)
    }
    return {name: tallies for name, tallies in told.items() if name.startswith(below)}


def slowed(addition: str, load: str, store: str, folder: Path) -> Path:
    """Build the programs with a pause between the load and the store of an addition."""
    source, text = folder / "slow.bpf.c", (ROOT / "bpf/cgroups.bpf.c").read_text()
    assert addition in text
    pause = "for (int i = 0; i < 200; i++) bpf_ktime_get_ns();"
    text = text.replace(addition, f"{load} {pause} {store}")
    source.write_text(
        text.replace("bool shared;", "bool shared; __attribute__((unused)) __u64 before;", 1)
    )
    return build(source, folder)


def octets(namespace: Namespace) -> tuple[int, int]:
    """Return the kernel's count of bytes of IPv4 packets in and out."""
    told = namespace.run("nstat", "-asz", "IpExtInOctets", "IpExtOutOctets")
    found = dict(re.findall(r"^(\w+) +(\d+)", told, re.MULTILINE))
    return int(found["IpExtInOctets"]), int(found["IpExtOutOctets"])


@pytest.mark.parametrize("limit", [1, 5, 256])
def test_memory_told_is_that_of_the_kernel(lib: Libbpf, limit: int) -> None:
    programs = CgroupPrograms(lib, limit)
    try:
        files = [Path(f"/proc/self/fdinfo/{programs.object.map_fd(name)}") for name in MAPS]
        words = [re.search(r"memlock:\s+(\d+)", file.read_text()) for file in files]
        memory = sum(int(word[1]) for word in words if word)
    finally:
        programs.close()
    assert len(MAPS) == sum(word is not None for word in words)
    # The kernel rounds each map up to pages, after a header.
    assert 0 <= memory - programs.nbytes < len(MAPS) * 2 * 4096


@pytest.mark.parametrize("direction", Direction)
def test_verdict_is_always_one(
    programs: Callable[..., CgroupPrograms], direction: Direction
) -> None:
    loaded, chance = programs(attach=False), random.Random(18)
    for _ in range(2000):
        kind = chance.choice((b"\x08\x00", b"\x86\xdd", b"\x08\x06", b"\x81\x00"))
        frame = bytes(12) + kind + chance.randbytes(chance.randrange(40, 2000))
        assert loaded.test_run(direction, frame) == 1
    loaded.ids[:] = 77  # no place is free
    assert loaded.test_run(direction, FRAME) == 1
    assert cgroupmaps.read(loaded.counts, np.array([loaded.size]))[0, direction, 0] == 1


@pytest.mark.parametrize(
    ("packets", "bytes_"),
    [(0, 0), (2**23 - 2, 5), (2**24 - 2, 5), (9, 2**39 - 40), (2**24 - 2, 2**40 - 40)],
)
def test_halves_of_a_sum_that_are_crossed_are_counted(
    programs: Callable[..., CgroupPrograms], packets: int, bytes_: int
) -> None:
    loaded = programs(attach=False)
    loaded.test_run(OUT, FRAME)
    (place,) = np.flatnonzero(loaded.ids)
    egress = loaded.counts["egress"][:, place]
    (row,) = np.flatnonzero(egress["sum"])
    size = int(egress["sum"][row]) & (2**PACKETS_SHIFT - 1)
    total = packets << PACKETS_SHIFT | bytes_
    egress["sum"][row] = total % 2**64
    egress["packet_halves"][row] = total >> 63
    egress["byte_halves"][row] = bytes_ >> 39
    for run in range(1, 4):
        loaded.test_run(OUT, FRAME)
        found = cgroupmaps.read(loaded.counts, np.array([place]))[0, OUT].tolist()
        assert found == [packets + run, bytes_ + run * size]


def test_nine_million_packets_are_counted(programs: Callable[..., CgroupPrograms]) -> None:
    loaded, count = programs(attach=False), 9_000_000
    loaded.test_run(OUT, FRAME, repeat=count)
    (place,) = np.flatnonzero(loaded.ids)
    assert cgroupmaps.read(loaded.counts, np.array([place]))[0, OUT, 0] == count


def test_bytes_equal_those_of_the_namespace(
    programs: Callable[..., CgroupPrograms], own: Cgroup, namespace: Namespace
) -> None:
    ledger = ledger_of(programs())
    own.run(*namespace.command(*script(DATAGRAMS, 50, 20_000)))
    ledger.update()
    packets, size = 50, 50 * (20_000 + 28)
    assert sums(ledger, own.path) == {own.path: ((packets, size), (packets, size))}
    assert octets(namespace) == (size, size)


def test_sums_are_exact_where_softirqs_interrupt_senders(
    programs: Callable[..., CgroupPrograms], own: Cgroup, namespace: Namespace
) -> None:
    ledger = ledger_of(programs())
    own.run(*namespace.command(*script(STREAMS, 4_000_000)))
    ledger.update()
    ((_, received), (_, sent)) = sums(ledger, own.path)[own.path]
    assert (received, sent) == octets(namespace)


def test_plain_addition_would_lose_packets_that_are_sent(
    programs: Callable[..., CgroupPrograms], own: Cgroup, namespace: Namespace, tmp_path: Path
) -> None:
    """A longer addition is interrupted sooner; one that is not atomic then loses packets."""
    plain = "to->egress.sum;", "to->egress.sum = before + more;"
    path = slowed("__sync_fetch_and_add(&to->egress.sum, more);", *plain, tmp_path)
    ledger = ledger_of(programs(path=path))

    def loses() -> bool:
        own.run(*namespace.command(*script(STREAMS, 400_000)))
        ledger.update()
        return sums(ledger, own.path)[own.path][1][1] < octets(namespace)[1]

    wait_for(loses)


def test_no_run_interrupts_the_count_of_received_packets(
    programs: Callable[..., CgroupPrograms], own: Cgroup, namespace: Namespace, tmp_path: Path
) -> None:
    plain = "before = to->ingress.bytes;", "to->ingress.bytes = before + skb->len;"
    path = slowed("to->ingress.bytes += skb->len;", *plain, tmp_path)
    ledger = ledger_of(programs(path=path))
    own.run(*namespace.command(*script(STREAMS, 4_000_000)))
    ledger.update()
    assert sums(ledger, own.path)[own.path][0][1] == octets(namespace)[0]


def test_nested_cgroups_count_at_the_leaf(
    programs: Callable[..., CgroupPrograms], own: Cgroup, namespace: Namespace
) -> None:
    ledger = ledger_of(programs())
    parent = own.make("app.slice")
    leaves = [parent.make("one.service"), parent.make("two.service")]
    for count, cgroup in enumerate((parent, *leaves), 1):
        cgroup.run(*namespace.command(*script(DATAGRAMS, count, 100)))
    ledger.update()
    told = {path: outs[0] for path, (_, outs) in sums(ledger, own.path).items()}
    assert told == {parent.path: 1, leaves[0].path: 2, leaves[1].path: 3}
    assert sum(outs[1] for _, outs in sums(ledger, own.path).values()) == octets(namespace)[1]


def test_cgroup_made_again_under_its_path_continues(
    programs: Callable[..., CgroupPrograms],
    own: Cgroup,
    namespace: Namespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledgers, "CHECK", 0)
    ledger = ledger_of(programs())
    for count in (3, 4, 5):
        service = own.make("a.service")
        service.run(*namespace.command(*script(DATAGRAMS, count, 10)))
        ledger.update()
        service.remove()
        ledger.update()
    assert sums(ledger, service.path)[service.path] == ((12, 12 * 38),) * 2
    ledger.update()
    assert sums(ledger, service.path)[service.path] == ((12, 12 * 38),) * 2


def test_cgroup_gone_before_it_has_a_name_counts_as_other(
    programs: Callable[..., CgroupPrograms], own: Cgroup, namespace: Namespace
) -> None:
    ledger = ledger_of(programs())
    before = sums(ledger)[""][1][1]
    brief = own.make("brief")
    brief.run(*namespace.command(*script(DATAGRAMS, 4, 60_000)))
    brief.remove()
    ledger.update()
    assert ledger.unknown >= 1
    assert sums(ledger)[""][1][1] - before >= 4 * 60_028
    assert not sums(ledger, own.path)


def test_cgroups_beyond_the_limit_count_as_other_until_one_is_gone(
    programs: Callable[..., CgroupPrograms],
    own: Cgroup,
    namespace: Namespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledgers, "CHECK", 0)
    ledger = ledger_of(programs(limit=2))
    made = [own.make(f"{n}.service") for n in range(6)]
    for cgroup in made:
        cgroup.run(*namespace.command(*script(DATAGRAMS, 10, 100)))
        ledger.update()
    first = sums(ledger)
    assert len(first) == 3
    assert first[""][1][1] >= 40 * 128
    for cgroup in [cgroup for cgroup in made if cgroup.path in first]:
        cgroup.remove()
    for _ in range(3):
        ledger.update()
    (waiting,) = [c for c in made if c.folder.exists() and c.path in sums(ledger)][:1]
    assert sums(ledger)[waiting.path] == ((0, 0), (0, 0))
    waiting.run(*namespace.command(*script(DATAGRAMS, 7, 100)))
    assert sums(ledger)[waiting.path] == ((7, 7 * 128),) * 2
    total = sum(outs[1] for _, outs in sums(ledger).values())
    assert total >= octets(namespace)[1]


def test_sums_are_complete_while_2000_cgroups_come_and_go(
    programs: Callable[..., CgroupPrograms], own: Cgroup, namespace: Namespace
) -> None:
    loaded = programs(limit=64)
    ledger = ledger_of(loaded)
    command = namespace.command(*MOUNTED, *script(NOMAD, f"/sys/fs/cgroup{own.path}", 2000))
    with subprocess.Popen(own.command(*command)) as nomad:
        while nomad.poll() is None:
            ledger.update()
            assert len(ledger.snapshot().leases) <= 64
    assert nomad.returncode == 0
    ledger.update()
    told = sums(ledger)
    living = {path: told[path] for path in told if path.startswith(f"{own.path}/lasting")}
    assert living
    for path, (_, (packets, size)) in living.items():
        assert (packets, size) == (3, 3 * (28 + int(path.rpartition("-")[2])))
    places = np.arange(loaded.size + 1)

    def complete() -> bool:
        before = cgroupmaps.read(loaded.counts, places).sum(axis=0).tolist()
        ledger.update()
        found = ledger.snapshot().counts.sum(axis=0).tolist()
        return bool(before == found == cgroupmaps.read(loaded.counts, places).sum(axis=0).tolist())

    wait_for(complete)
    assert sum(outs[1] for _, outs in sums(ledger).values()) >= octets(namespace)[1]
