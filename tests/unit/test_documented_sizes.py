"""Sizes in the documentation and the manifests, against those of the structs and of the options."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pktexp.bpf.cgroupmaps import CGROUP_BYTES, CGROUP_LEASE, CGROUP_PLACE, WAYS, kernel_bytes
from pktexp.bpf.options import (
    CACHED_FLOW_BYTES,
    CPU_CACHE,
    INTERFACE_BYTES,
    MACHINE_CACHE,
    SLOT_BYTES,
    Memory,
)
from pktexp.bpf.tracepoints import DROPS, RETRANSMITS
from pktexp.bpf.tracing import CELL_BYTES
from pktexp.commands.main import serve
from pktexp.commands.options import settings_of
from pktexp.pipeline import datapath_options

ROOT = Path(__file__).parents[2]
DEFAULTS: dict[str | None, Any] = {option.name: option.default for option in serve.params}
PROCESS = 132_000_000  # bytes, as docs/kubernetes.md rounds what was measured
NODE = 100  # interfaces in the table of docs/kubernetes.md
MB, MIB = 10**6, 1 << 20
CGROUPS = DEFAULTS["max_cgroups"]
CELLS = DROPS.cells + RETRANSMITS.cells
INTERFACE, FLOW = f"{INTERFACE_BYTES:,}", f"{CACHED_FLOW_BYTES:,}"


def memory(cpus: int, interfaces: int) -> Memory:
    """Kernel memory of the largest maps with the default options."""
    return datapath_options(settings_of({}), cpus).memory(cpus, interfaces)


def kernel(cpus: int, interfaces: int) -> int:
    """Bytes of kernel memory, with cgroups and the cells of drops."""
    return sum(memory(cpus, interfaces)) + kernel_bytes(CGROUPS, cpus) + CELLS * CELL_BYTES


def formula(cpus: int, interfaces: int) -> int:
    """Bytes by the formula in docs/kubernetes.md, with the defaults."""
    rings = DEFAULTS["ring_size"] * DEFAULTS["workers"]
    counters = (cpus + 2) * INTERFACE_BYTES * interfaces
    cache = min(CPU_CACHE * cpus, MACHINE_CACHE)
    cgroups = (cpus + 1) * CGROUP_BYTES * CGROUPS
    return int(PROCESS + counters + cgroups + cache + rings)


@pytest.mark.parametrize(
    ("cpus", "interfaces", "budget"), [(2, 1, 24 * MB), (64, 20, 56 * MIB), (128, 100, 96 * MIB)]
)
def test_kernel_memory_is_within_its_budget(cpus: int, interfaces: int, budget: int) -> None:
    assert kernel(cpus, interfaces) <= budget


def test_counters_of_one_interface_are_within_their_budget() -> None:
    assert memory(2, 1).counters <= 0.6 * MB


@pytest.mark.parametrize("cpus", [1, 2, 16, 64, 256])
@pytest.mark.parametrize("interfaces", [1, 100, 1000])
def test_documented_formula_covers_the_options(cpus: int, interfaces: int) -> None:
    process = PROCESS - 4 * MB
    chunk = 8 * (cpus + 2) * INTERFACE_BYTES
    needed = process + kernel(cpus, interfaces)
    assert needed - chunk <= formula(cpus, interfaces) <= needed + 4 * MB


def phrases() -> Iterator[tuple[str, str]]:
    """Yield (file, phrase): each phrase has a size in it, and the file has to have it."""
    page = "docs/kubernetes.md"
    cgroups = f"(CPUs + 1) x {CGROUP_BYTES} x --max-cgroups"
    yield page, f"(CPUs + 2) x {INTERFACE} x interfaces + {cgroups} + --flow-cache"
    cache = f"{CPU_CACHE // MIB} MiB a CPU by default, and {MACHINE_CACHE // MIB} MiB at most"
    yield page, f"`--flow-cache` is {cache}"
    for cpus in (16, 64, 128, 256):
        yield page, f"| {cpus} | {formula(cpus, NODE) / MB:,.0f} MB |"

    page = "docs/operations.md"
    row = f"| interface counters | {INTERFACE} x interfaces x (CPUs + 2) + {SLOT_BYTES} x"
    yield page, f"{row} `--max-interfaces` | {memory(2, 1).counters / MB:.1f} MB |"
    cache = f"{CPU_CACHE // MIB} MiB x CPUs, {MACHINE_CACHE // MIB} MiB at most"
    yield page, f"| flow cache | `--flow-cache`: {cache} | {memory(2, 1).flow_cache // MIB} MiB |"
    yield page, f"| rings | `--ring-size` x `--workers` | {DEFAULTS['ring_size'] / MIB:.0f} MiB |"
    leases = CGROUP_LEASE.itemsize + WAYS * (CGROUP_PLACE.itemsize + 8)
    rows = f"{CGROUP_BYTES} x `--max-cgroups` x (CPUs + 1), rounded up to a power of two of cgroups"
    size = f"{kernel_bytes(CGROUPS, 2) / MB:.1f} MB"
    yield page, f"| cgroups | {rows}, and {leases} x `--max-cgroups` | {size} |"
    yield page, f"| drop counters | {CELL_BYTES} x {CELLS:,} | {CELLS * CELL_BYTES / MB:.1f} MB |"

    page = "docs/design/counting.md"
    yield page, f"{INTERFACE} bytes each for every CPU"
    yield page, f"That is {INTERFACE_BYTES // 2:,} bytes."
    yield page, f"(`--max-interfaces`): {SLOT_BYTES} bytes each."
    page = "docs/design/attribution.md"
    yield page, f"{FLOW} bytes of kernel memory for both halves. The default is"
    places = CPU_CACHE // CACHED_FLOW_BYTES
    cache = f"{CPU_CACHE // MIB} MiB a CPU, {places:,} places, and {MACHINE_CACHE // MIB} MiB"
    yield page, f"The default is {cache} at most"

    page = "docs/configuration.md"
    yield page, f"{INTERFACE} bytes each for every CPU"
    yield page, f"{FLOW} bytes a flow"

    page = "deploy/kubernetes/base/daemonset.yaml"
    counters = INTERFACE_BYTES * NODE
    yield page, f"{MACHINE_CACHE / MB:.1f} MB of flow cache from 16 CPUs on"
    cgroups = f"{CGROUP_BYTES * CGROUPS / MB:.2f} MB for cgroups"
    yield page, f"{counters / MB:.1f} MB of counters by CPU for {NODE} interfaces and {cgroups}"
    page = "deploy/kubernetes/sidecar/deployment.yaml"
    cache = f"{(4 << 20) / MB:.1f} MB of flow cache"
    sidecar = f"{16 * INTERFACE_BYTES / MB:.2f} MB of counters by CPU"
    yield page, f"{cache} and {sidecar}, and {cgroups}"


def text(path: Path) -> str:
    """A file's text in one line, without the marks of comments, and with an x for its crosses."""
    lines = (line.strip().removeprefix("# ") for line in path.read_text("utf-8").splitlines())
    return " ".join(lines).replace("\N{MULTIPLICATION SIGN}", "x")


def test_documented_sizes_are_those_of_the_structs() -> None:
    for file, phrase in phrases():
        assert phrase in text(ROOT / file), f"{file} lacks '{phrase}'"


def test_every_mention_of_an_interfaces_size_is_checked() -> None:
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.y*ml")]
    found = sum(text(file).count(INTERFACE) for file in files)
    assert found == sum(INTERFACE in phrase for _, phrase in phrases())
