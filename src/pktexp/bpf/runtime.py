"""Run times of the datapath's programs, which the kernel measures if a sysctl is set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pktexp.bpf.datapath import PROGRAMS, Datapath

STATISTICS = Path("/proc/sys/kernel/bpf_stats_enabled")


@dataclass(frozen=True)
class RunTimes:
    """Run times of a datapath's programs; both mappings are empty unless the kernel measures."""

    datapath: Datapath

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds spent in each program, by name."""
        return {program: seconds for program, (seconds, _) in run_times(self.datapath).items()}

    @property
    def runs(self) -> Mapping[str, int]:
        """Runs of each program, by name."""
        return {program: runs for program, (_, runs) in run_times(self.datapath).items()}


def is_measured() -> bool:
    """Return whether the kernel measures run times: kernel.bpf_stats_enabled is 1."""
    return STATISTICS.exists() and STATISTICS.read_text().strip() == "1"


def run_times(datapath: Datapath) -> dict[str, tuple[float, int]]:
    """Return (seconds, runs) of each program by name; {} unless the kernel measures them."""
    if not is_measured():
        return {}
    infos = {program: datapath.object.program_info(program) for program in PROGRAMS}
    return {p: (int(info["run_time_ns"]) / 1e9, int(info["run_cnt"])) for p, info in infos.items()}
