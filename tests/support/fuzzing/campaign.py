"""Runs mutated frames through the programs by fuzz.c, and checks samples of the results.

The driver is a process of its own on one CPU. It gets the programs and maps as file descriptors,
and clears the counters before each run.
"""

from __future__ import annotations

import itertools
import os
import struct
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np

from pktexp.bpf import datapath, libbpf
from pktexp.bpf.counters import InterfaceTable
from pktexp.bpf.datapath import PROGRAMS, Datapath
from pktexp.bpf.options import DatapathOptions
from pktexp.packet.enums import Direction, LinkType, Tunnel
from pktexp.packet.records import INTERFACE_COUNTERS, Records
from support.fuzzing.samples import OUTCOMES, REFUSED, Sample, samples, unlike
from support.kernel.datapath import LOOPBACK, SLOT, Bench, chunk_fd
from support.patience import finished

SOURCE = Path(__file__).with_name("fuzz.c")


@dataclass(frozen=True)
class Setting:
    """A way to parse frames, and where flows go."""

    link_type: LinkType = LinkType.ETHERNET
    decap: tuple[Tunnel, ...] = ()
    cached: bool = False
    """flows go through a cache and a ring far too small: only sums can be looked at"""

    def __str__(self) -> str:
        inside = ", looked into tunnels" * bool(self.decap)
        return f"{self.link_type.name}{inside}{', cached' * self.cached}"


SETTINGS = (
    Setting(),
    Setting(decap=tuple(Tunnel)),
    Setting(LinkType.IP),
    Setting(LinkType.IP, decap=tuple(Tunnel)),
    Setting(decap=tuple(Tunnel), cached=True),
)


@dataclass
class Outcome:
    """The results of a run: `frames` counts frames by OUTCOMES."""

    frames: Counter[str]
    samples: list[Sample]
    wrong_sums: str = ""


def build(folder: Path) -> Path:
    """Compile the driver into a folder; return its path."""
    driver = folder / "fuzz"
    finished(["clang", "-O2", "-Wall", "-Wextra", "-o", driver, SOURCE], check=True)
    return driver


class Fuzzer:
    """One datapath or two, and a driver for them; close it at the end.

    Unless flows are cached, a second datapath counts each frame too. Its CPUs share a row of
    counters, so all its packets take the full parser, none the fast path.
    """

    def __init__(self, driver: Path, setting: Setting) -> None:
        options = DatapathOptions(
            slots=16,
            ring_size=1 << 16 if setting.cached else 8 << 20,
            decap=setting.decap,
            services=setting.cached,
            flow_cache=64 * setting.cached,
        )
        self._driver, self._setting = driver, setting
        self._benches = [_bench(options, setting)]
        self._bench = self._benches[0]
        if not setting.cached:
            with mock.patch.object(datapath, "highest_online_cpu", return_value=-1):
                self._benches.append(_bench(options, setting))
        self._chunks = [chunk_fd(bench.datapath, SLOT) for bench in self._benches]

    def run(self, seeds: Path, number: int, frames: int, every: int, *, cut: bool) -> Outcome:
        """Run so many frames, drawn by `number`; one of `every` is a sample.

        `cut`: begin with each seed cut at every byte.
        """
        out = seeds.with_suffix(".out")
        self._bench.counters.restart(SLOT)
        arguments = [seeds, out, frames, number, int(cut), every]
        arguments += itertools.chain(*map(self._side, self._descriptors()))
        done = finished(
            [self._driver, *map(str, arguments)],
            pass_fds=list(itertools.chain(*self._descriptors())),
            preexec_fn=lambda: os.sched_setaffinity(0, {0}),
            stdout=subprocess.PIPE,
            check=True,
        )
        counts = Counter(dict(zip(OUTCOMES, map(int, done.stdout.split()), strict=True)))
        sums = self._compare_sums(counts) if self._setting.cached else ""
        return Outcome(counts, list(samples(out.read_bytes())), sums)

    def close(self) -> None:
        for chunk, bench in zip(self._chunks, self._benches, strict=True):
            os.close(chunk)
            bench.datapath.close()

    def _descriptors(self) -> list[list[int]]:
        """Return the programs, the counters and the ring of each side."""
        return [
            [*map(b.datapath.object.program_fd, PROGRAMS), chunk, *(r.fd for r in b.datapath.rings)]
            for b, chunk in zip(self._benches, self._chunks, strict=True)
        ]

    def _side(self, descriptors: list[int]) -> list[int]:
        """Return a SIDE of the driver's arguments."""
        *programs, maps, ring = descriptors
        offset = SLOT * len(Direction) * INTERFACE_COUNTERS.itemsize  # CPU 0's row is the first
        ring = -1 if self._setting.cached else ring
        return [*programs, maps, offset, ring, self._bench.datapath.options.ring_size]

    def _compare_sums(self, counts: Counter[str]) -> str:
        """Return an error unless records and losses sum to the totals."""
        told = np.concatenate([*self._events(), self._bench.cached()])
        for direction in Direction:
            totals, mine = self._bench.totals(direction)[0], told[told["direction"] == direction]
            for unit in ("packets", "bytes"):
                parts = int(mine[unit].sum(dtype=np.uint64)) + int(totals["lost"][unit])
                if parts != (whole := int(totals["classes"][unit].sum())):
                    return f"{direction.name}: {parts} {unit} told, of {whole}"
        sent = int(self._bench.totals(Direction.EGRESS)[0]["classes"]["packets"].sum())
        expected = counts[OUTCOMES[0]]
        return "" if sent == expected else f"EGRESS: {sent} packets, of {expected}"

    def _events(self) -> Iterator[Records]:
        """Yield all records, in batches of the size of a ring."""
        while len(events := self._bench.events()):
            yield events


def _bench(options: DatapathOptions, setting: Setting) -> Bench:
    loaded = Datapath(libbpf.find(), options)
    table = InterfaceTable(loaded.interfaces)
    table.set(LOOPBACK, SLOT, setting.link_type)
    loaded.counters.require(SLOT)
    return Bench(loaded, table, loaded.counters)


def write_seeds(path: Path, frames: Iterable[bytes], link_type: LinkType) -> Path:
    """Write frames in the format of fuzz.c; for interfaces of IP without their link layer."""
    start = 14 if link_type is LinkType.IP else 0
    whole = [frame[start:][:9000] for frame in frames if len(frame) >= start + 14]
    path.write_bytes(b"".join(struct.pack("<H", len(frame)) + frame for frame in whole))
    return path


def checked(outcome: Outcome, setting: Setting) -> Sequence[str]:
    """Return a line for each error in the samples of an outcome."""
    if setting.cached:
        return [outcome.wrong_sums] if outcome.wrong_sums else []
    good = (s for s in outcome.samples if s.outcome in (OUTCOMES[0], OUTCOMES[REFUSED]))
    return [
        line
        for sample in good
        if (line := unlike(sample, setting.link_type, decap=bool(setting.decap)))
    ]
