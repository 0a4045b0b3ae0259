"""Sizes in the documentation and the manifests, against those of the structs and of the options."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pktexp.bpf.options import CACHED_FLOW_BYTES, INTERFACE_BYTES
from pktexp.commands.main import serve

ROOT = Path(__file__).parents[2]
DEFAULTS: dict[str | None, Any] = {option.name: option.default for option in serve.params}
PROCESS = 128_000_000  # bytes, as docs/kubernetes.md rounds what was measured
MB, MIB = 10**6, 1 << 20
INTERFACE, FLOW = f"{INTERFACE_BYTES:,}", f"{CACHED_FLOW_BYTES:,}"


def maps(cpus: int, interfaces: int, flows: int) -> int:
    """Bytes of counters and flow cache, without the counters' extra row."""
    return cpus * (INTERFACE_BYTES * interfaces + CACHED_FLOW_BYTES * flows)


def phrases() -> Iterator[tuple[str, str]]:
    """Yield (file, phrase): each phrase has a size in it, and the file has to have it."""
    interfaces, flows = DEFAULTS["max_interfaces"], DEFAULTS["flow_cache"]
    counters, cache = INTERFACE_BYTES * interfaces, CACHED_FLOW_BYTES * flows
    fixed = PROCESS + DEFAULTS["ring_size"] * DEFAULTS["workers"]

    page = "docs/kubernetes.md"
    yield page, f"CPUs x ({INTERFACE} x --max-interfaces + {FLOW} x --flow-cache)"
    for cpus in (16, 64, 128, 256):
        yield page, f"| {cpus} | {(fixed + maps(cpus, interfaces, flows)) / MB:,.0f} MB |"

    page = "docs/operations.md"
    row = f"| interface counters | {INTERFACE} x `--max-interfaces` x (CPUs + 1)"
    yield page, f"{row} | {3 * counters / MB:.0f} MB |"
    yield page, f"| flow cache | {FLOW} x `--flow-cache` x CPUs | {2 * cache / MIB:.0f} MiB |"
    yield page, f"| rings | `--ring-size` x `--workers` | {DEFAULTS['ring_size'] / MIB:.0f} MiB |"

    page = "docs/design/counting.md"
    yield page, f"{INTERFACE} bytes for every CPU"
    yield page, f"That is {INTERFACE_BYTES // 2:,} bytes."
    page = "docs/design/attribution.md"
    yield page, f"{FLOW} bytes of kernel memory for both halves: {cache / MIB:.0f} MiB a CPU"

    page = "docs/configuration.md"
    yield page, f"{INTERFACE} bytes each for every CPU"
    yield page, f"{FLOW} bytes of kernel memory each"

    page = "deploy/kubernetes/base/daemonset.yaml"
    yield page, f"{counters / MB:.1f} MB of counters and {cache / MB:.1f} MB of flow cache"
    page = "deploy/kubernetes/sidecar/deployment.yaml"
    yield page, f"{maps(1, 16, 2048) / MB:.1f} MB of BPF maps"


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
