"""What soak.py looks at: samples of a service, their summary, a picture, and what was wrong."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

import report
from pod import bpf_objects
from support.patience import wait_for
from support.service.process import Page, Service, total

ROOM = 8.0  # MB that memory may be more in the last quarter than in the second
WARM = 300.0  # seconds until everything has happened once, and has its memory
HEADER = ("", "second quarter", "last quarter", "most")


@dataclass(frozen=True)
class Sample:
    """At seconds of the monotonic clock; `memory` and `kernel` in MB, `scrape` in ms."""

    at: float
    memory: float
    kernel: float
    files: int
    objects: int
    scrape: float
    packets: int
    lost: int
    unaccounted: int
    failures: int


def _memory(sample: Sample) -> float:
    return sample.memory


ROWS: dict[str, Callable[[Sample], float]] = {
    "memory of the process, MB": _memory,
    "memory of BPF objects, MB": lambda x: x.kernel,
    "BPF maps and programs": lambda x: x.objects,
    "open descriptors": lambda x: x.files,
    "scrape, ms": lambda x: x.scrape,
    "unaccounted packets": lambda x: x.unaccounted,
    "failures of its own": lambda x: x.failures,
}
NEVER = ("unaccounted packets", "failures of its own")
FAILURES = (
    *("pktexp_event_merge_failures_total", "pktexp_sample_failures_total"),
    *("pktexp_interface_follow_failures_total", "pktexp_netlink_query_failures_total"),
)


def look(service: Service) -> Sample:
    """Now; a scrape while it is stopped waits until it goes on."""
    started = time.monotonic()
    page = service.page()
    took = time.monotonic() - started
    objects = bpf_objects(service.pid)
    return Sample(
        at=started,
        memory=_resident(service.pid),
        kernel=sum(objects.values()) / 1e6,
        files=service.open_files(),
        objects=len(objects),
        scrape=took * 1000,
        packets=total(page, "pktexp_packets_total"),
        lost=total(page, "pktexp_event_lost_packets_total"),
        unaccounted=int(page["pktexp_unaccounted_packets", frozenset()]),
        failures=sum(total(page, name) for name in FAILURES),
    )


def _resident(pid: int) -> float:
    fields = dict(x.split(":", 1) for x in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1000


def quarters(samples: Sequence[Sample]) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """The second, as the first has the start in it, and the last but for its last sample."""
    size = max(len(samples) // 4, 1)
    return samples[size : 2 * size], samples[-size - 1 : -1]


def summary(samples: Sequence[Sample]) -> str:
    """Medians of the quarters, and the most there was."""
    second, last = quarters(samples)
    rows = [
        (name, *(f"{x:,.1f}".removesuffix(".0") for x in figures))
        for name, of in ROWS.items()
        for figures in [(_median(of, second), _median(of, last), max(map(of, samples)))]
    ]
    packets, lost = samples[-1].packets, samples[-1].lost
    text = f"{packets:,} packets counted, {lost:,} of them in no flow but `other`."
    return f"{report.table(HEADER, rows)}\n\n{text}"


def _median(of: Callable[[Sample], float], samples: Sequence[Sample]) -> float:
    return statistics.median(map(of, samples))


def wrong(service: Service, samples: Sequence[Sample]) -> list[str]:
    """After the traffic has ended."""
    found = []
    witness, _ = service.namespace.statistics("v0")
    seen = _of_v0(service.page())
    if seen != witness:
        found.append(f"{seen} packets counted at v0, where the kernel counts {witness}")
    flows = total(service.page(), "pktexp_flow_packets_total", interface="v0", direction="ingress")
    if flows != seen:
        found.append(f"the flows at v0 have {flows} packets of {seen}")
    most = {name: max(map(ROWS[name], samples)) for name in NEVER}
    found += [f"{name}: {count:g}" for name, count in most.items() if count]
    second, last = quarters(samples)
    grown = _median(_memory, last) - _median(_memory, second)
    if grown > ROOM and samples[-1].at - samples[0].at > WARM:
        found.append(f"memory has grown by {grown:.1f} MB")
    wait_for(lambda: _has_at_most(look(service), samples[0]))
    return found


def _has_at_most(sample: Sample, first: Sample) -> bool:
    """What it opened meanwhile is closed again."""
    return sample.objects <= first.objects and sample.files <= first.files


def _of_v0(page: Page) -> int:
    return total(page, "pktexp_packets_total", interface="v0", direction="ingress")


def draw(samples: Sequence[Sample], file: Path) -> None:
    """One strip for each row, over minutes, as SVG."""
    mpl.rcParams["svg.hashsalt"] = "pktexp"  # the same picture of the same samples
    figure = Figure(figsize=(9, 1.2 * len(ROWS)), layout="constrained")
    minutes = [(x.at - samples[0].at) / 60 for x in samples]
    for strip, (name, of) in zip(
        figure.subplots(len(ROWS), sharex=True), ROWS.items(), strict=True
    ):
        strip.plot(minutes, list(map(of, samples)), linewidth=1)
        strip.set_ylim(bottom=0)
        strip.set_title(name, loc="left", fontsize="small")
        strip.spines[["top", "right"]].set_visible(False)
    strip.set_xlabel("minutes")
    file.parent.mkdir(exist_ok=True)
    figure.savefig(file, format="svg", metadata={"Date": None})
