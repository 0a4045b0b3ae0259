"""The API's status document: version, options, readiness, losses, and cost."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pktexp import __version__
from pktexp.bpf.datapath import Datapath
from pktexp.bpf.runtime import run_times
from pktexp.live.history import SECONDS
from pktexp.live.interfaces import classes
from pktexp.live.rates import grown, rate
from pktexp.live.readers import Readers
from pktexp.live.sample import Sample
from pktexp.live.sampler import Sampler
from pktexp.packet import labels
from pktexp.settings import Settings

MEMORY = Path("/proc/self/statm")

Document = dict[str, Any]


@dataclass(frozen=True)
class Status:
    """Builds the status document.

    `started` is in Unix time; `missing` returns "" while the pipeline is attached and reading.
    """

    libbpf: str
    missing: Callable[[], str]
    settings: Settings
    datapath: Datapath
    started: float = field(default_factory=time.time)

    def document(self, samples: Sequence[Sample], sampler: Sampler, readers: Readers) -> Document:
        """Build the document from the latest samples."""
        missing, history = self.missing(), sampler.history
        return {
            "version": __version__,
            "libbpf": self.libbpf,
            "now": samples[-1].now,
            "started": self.started,
            "ready": not missing,
            "missing": missing,
            "options": self._options(),
            "classes": classes(samples),
            "events": _events(samples),
            "cost": self._cost(samples),
            "history": {
                "seconds": SECONDS,
                "interval": 1,
                "interfaces": history.interfaces,
                "interface_limit": history.limit,
                "bytes": history.nbytes,
            },
            "stream": {"readers": readers.count, "dropped": readers.dropped},
        }

    def _options(self) -> Document:
        settings = self.settings
        return {
            "flows": settings.flows.value,
            "events": settings.events.value,
            "max_flows": settings.max_flows,
            "max_interfaces": settings.max_interfaces,
            "egress": settings.egress,
            "decap": [labels.TUNNELS[tunnel] for tunnel in sorted(settings.decap)],
            "kubernetes": settings.kubernetes,
        }

    def _cost(self, samples: Sequence[Sample]) -> Document:
        share = rate(samples, lambda sample: sample.cpu)
        measured = run_times(self.datapath).values()
        return {
            "cpu_seconds": round(samples[-1].cpu, 3),
            "cpu_percent": None if share is None else round(share * 100, 2),
            "rss_bytes": int(MEMORY.read_text().split()[1]) * mmap.PAGESIZE,
            "kernel_bytes": self.datapath.kernel_bytes,
            "bpf_run_seconds": sum(seconds for seconds, _ in measured) if measured else None,
            "bpf_runs": sum(runs for _, runs in measured) if measured else None,
        }


def _events(samples: Sequence[Sample]) -> Document:
    last, growth = samples[-1], grown(samples, lambda sample: sample.lost)
    packets, bytes_ = last.lost.sum(axis=(0, 1)).tolist()
    return {
        "records": last.events.records,
        "records_per_second": rate(samples, lambda sample: sample.events.records),
        "lost_packets": packets,
        "lost_bytes": bytes_,
        "lost_packets_per_second": None if growth is None else float(growth[..., 0].sum()),
        "merge_failures": last.events.merge_failures,
    }
