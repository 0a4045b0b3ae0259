"""Which CPUs there are; datapath.py sizes the per-CPU parts of its maps by them."""

from __future__ import annotations

from pathlib import Path

ONLINE = Path("/sys/devices/system/cpu/online")


def highest_online_cpu(path: Path = ONLINE) -> int:
    """The highest number of a CPU that is online; the file's form is "0-3,8" (cpu-hotplug.rst)."""
    return int(path.read_text().strip().replace("-", ",").split(",")[-1])
