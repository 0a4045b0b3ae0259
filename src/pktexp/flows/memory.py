"""Compare the memory that the options ask for with what this process can have.

Only sizes that can never fit are errors: the sum has lower bounds, and what others use of the same
memory is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pktexp.bpf import cgroupmaps, memorylimit
from pktexp.bpf.options import DatapathOptions
from pktexp.bpf.probes import highest_online_cpu
from pktexp.bpf.tracepoints import DROPS, RETRANSMITS
from pktexp.bpf.tracing import CELL_BYTES
from pktexp.errors import PktexpError
from pktexp.flows.table import table_bytes

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


class Part(NamedTuple):
    """Memory in bytes, and the options that its size follows from."""

    bytes: int
    name: str
    options: str


def require(options: DatapathOptions, max_flows: int, max_cgroups: int) -> str:
    """Return the sum in words. Raises PktexpError if it is more than this process can have.

    `max_flows`: 0 without a flow table; `max_cgroups`: 0 without cgroups.
    """
    parts = sorted(_parts(options, max_flows, max_cgroups), reverse=True)
    total, limit = sum(part.bytes for part in parts), memorylimit.lowest()
    if limit is None:
        return f"{_size(total)}; the kernel shows no limit"
    if total <= limit.bytes:
        return f"{_size(total)} of {_size(limit.bytes)}, {limit.name}"
    summands = " + ".join(f"{part.name} {_size(part.bytes)}" for part in parts)
    message = f"{summands} = {_size(total)}, but {limit.name} is {_size(limit.bytes)}"
    raise PktexpError(message, f"lower {_too_large(parts, total - limit.bytes)}")


def _parts(options: DatapathOptions, max_flows: int, max_cgroups: int) -> Iterator[Part]:
    cpus = highest_online_cpu() + 1
    sizes = options.memory(cpus, interfaces=1)
    yield Part(sizes.counters, "interface counters", "--max-interfaces")
    yield Part(sizes.rings, "rings", "--ring-size or --workers")
    yield Part(sizes.flow_cache, "flow cache", "--flow-cache")
    yield Part((DROPS.cells + RETRANSMITS.cells) * CELL_BYTES, "drop counters", "")
    cgroups = cgroupmaps.kernel_bytes(max_cgroups, cpus) if max_cgroups else 0
    yield Part(cgroups, "cgroups", "--max-cgroups")
    yield Part(table_bytes(max_flows) if max_flows else 0, "flow table", "--max-flows")


def _too_large(parts: Sequence[Part], excess: int) -> str:
    """Return the options of the largest parts, as many as together exceed the limit so much."""
    names: list[str] = []
    for part in parts:
        if excess > 0 and part.options and part.options not in names:
            names.append(part.options)
        excess -= part.bytes
    return ", ".join(names)


def _size(bytes_: int) -> str:
    unit = min(max(bytes_.bit_length() - 1, 0) // 10, len(UNITS) - 1)
    return f"{bytes_ / (1 << 10 * unit):.4g} {UNITS[unit]}"
