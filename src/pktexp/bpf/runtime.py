"""Run times of the datapath's programs, which the kernel measures if a sysctl is set."""

from __future__ import annotations

from pathlib import Path

from pktexp.bpf.datapath import PROGRAMS, Datapath

STATISTICS = Path("/proc/sys/kernel/bpf_stats_enabled")


def is_measured() -> bool:
    """Return whether the kernel measures run times: kernel.bpf_stats_enabled is 1."""
    return STATISTICS.exists() and STATISTICS.read_text().strip() == "1"


def run_times(datapath: Datapath) -> dict[str, tuple[float, int]]:
    """Return (seconds, runs) of each program by name; {} unless the kernel measures them."""
    if not is_measured():
        return {}
    infos = {program: datapath.object.program_info(program) for program in PROGRAMS}
    return {p: (int(info["run_time_ns"]) / 1e9, int(info["run_cnt"])) for p, info in infos.items()}
