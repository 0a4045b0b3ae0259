"""Sizes in the documentation and the manifests, against those of the structs and of the options."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pktexp.bpf.options import CACHED_FLOW_BYTES, INTERFACE_BYTES, SLOT_BYTES, DatapathOptions
from pktexp.bpf.tracepoints import DROPS, RETRANSMITS
from pktexp.bpf.tracing import CELL_BYTES
from pktexp.commands.main import serve
from pktexp.commands.options import settings_of
from pktexp.pipeline import datapath_options

ROOT = Path(__file__).parents[2]
DEFAULTS: dict[str | None, Any] = {option.name: option.default for option in serve.params}
OPTIONS = datapath_options(settings_of({}))
PROCESS = 132_000_000  # bytes, as docs/kubernetes.md rounds what was measured
NODE = 100  # interfaces in the table of docs/kubernetes.md
MB, MIB = 10**6, 1 << 20
CELLS = DROPS.cells + RETRANSMITS.cells
INTERFACE, FLOW = f"{INTERFACE_BYTES:,}", f"{CACHED_FLOW_BYTES:,}"


def kernel(cpus: int, interfaces: int, options: DatapathOptions = OPTIONS) -> int:
    """Bytes of kernel memory."""
    return sum(options.memory(cpus, interfaces)) + CELLS * CELL_BYTES


def formula(cpus: int, interfaces: int) -> int:
    """Bytes by the formula in docs/kubernetes.md, with the defaults."""
    rings = DEFAULTS["ring_size"] * DEFAULTS["workers"]
    counters = (cpus + 2) * INTERFACE_BYTES * interfaces
    cache = cpus * CACHED_FLOW_BYTES * DEFAULTS["flow_cache"]
    return int(PROCESS + counters + cache + rings)


@pytest.mark.parametrize(
    ("cpus", "interfaces", "budget"), [(2, 1, 24 * MB), (64, 20, 168 * MIB), (128, 100, 320 * MIB)]
)
def test_kernel_memory_is_within_its_budget(cpus: int, interfaces: int, budget: int) -> None:
    assert kernel(cpus, interfaces) <= budget


def test_counters_of_one_interface_are_within_their_budget() -> None:
    assert OPTIONS.memory(2, 1).counters <= 0.6 * MB


@pytest.mark.parametrize("cpus", [1, 2, 16, 64, 256])
@pytest.mark.parametrize("interfaces", [1, 100, 1000])
def test_documented_formula_covers_the_options(cpus: int, interfaces: int) -> None:
    process = PROCESS - 4 * MB
    chunk = 8 * (cpus + 2) * INTERFACE_BYTES
    needed = process + kernel(cpus, interfaces)
    assert needed - chunk <= formula(cpus, interfaces) <= needed + 4 * MB


def phrases() -> Iterator[tuple[str, str]]:
    """Yield (file, phrase): each phrase has a size in it, and the file has to have it."""
    cache = CACHED_FLOW_BYTES * DEFAULTS["flow_cache"]

    page = "docs/kubernetes.md"
    yield page, f"(CPUs + 2) x {INTERFACE} x interfaces + CPUs x {FLOW} x --flow-cache"
    for cpus in (16, 64, 128, 256):
        yield page, f"| {cpus} | {formula(cpus, NODE) / MB:,.0f} MB |"

    page = "docs/operations.md"
    row = f"| interface counters | {INTERFACE} x interfaces x (CPUs + 2) + {SLOT_BYTES} x"
    yield page, f"{row} `--max-interfaces` | {OPTIONS.memory(2, 1).counters / MB:.1f} MB |"
    yield page, f"| flow cache | {FLOW} x `--flow-cache` x CPUs | {2 * cache / MIB:.0f} MiB |"
    yield page, f"| rings | `--ring-size` x `--workers` | {DEFAULTS['ring_size'] / MIB:.0f} MiB |"
    yield page, f"| drop counters | {CELL_BYTES} x {CELLS:,} | {CELLS * CELL_BYTES / MB:.1f} MB |"

    page = "docs/design/counting.md"
    yield page, f"{INTERFACE} bytes each for every CPU"
    yield page, f"That is {INTERFACE_BYTES // 2:,} bytes."
    yield page, f"(`--max-interfaces`): {SLOT_BYTES} bytes each."
    page = "docs/design/attribution.md"
    yield page, f"{FLOW} bytes of kernel memory for both halves: {cache / MIB:.0f} MiB a CPU"

    page = "docs/configuration.md"
    yield page, f"{INTERFACE} bytes each for every CPU"
    yield page, f"{FLOW} bytes of kernel memory each"

    page = "deploy/kubernetes/base/daemonset.yaml"
    yield (
        page,
        f"by CPU {cache / MB:.1f} MB of flow cache, and {INTERFACE_BYTES * NODE / MB:.1f} MB",
    )
    page = "deploy/kubernetes/sidecar/deployment.yaml"
    cache = 2048 * CACHED_FLOW_BYTES
    yield page, f"{(16 * INTERFACE_BYTES + cache) / MB:.1f} MB of BPF maps"


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
