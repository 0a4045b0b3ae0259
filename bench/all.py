"""Every bench in turn, with the same options; with --quick one table of all in docs/performance.md.

Without --quick each bench fills its own place in that page.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import report

HERE = Path(__file__).parent
# In the order of docs/performance.md.
NAMES = (
    "cgroups",
    "datapath",
    "throughput",
    "scrape",
    "newflows",
    "pod",
    "watching",
    "impact",
    "idle",
    "start",
    "memory",
    "drops",
    "grace",
)


def run(name: str, options: Sequence[str]) -> str:
    """Run a bench; return what it printed. Raises CalledProcessError if it fails."""
    command = [sys.executable, str(HERE / f"{name}.py"), *options]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def main(options: Sequence[str]) -> None:
    """Run every bench, printing each table as it comes."""
    started, tables = time.monotonic(), []
    for name in NAMES:
        tables.append(f"**{name}**: {run(name, options).strip()}")
        print(tables[-1], flush=True)
    if "--quick" in options:
        took = (time.monotonic() - started) / 60
        told = f"{len(NAMES)} benches in {took:.0f} minutes, {report.architecture()}."
        report.publish("all", "\n\n".join([told, *tables]))


if __name__ == "__main__":
    main(sys.argv[1:])
