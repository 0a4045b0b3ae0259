"""The cells of docs/machines.md: a column of each machine, by the names of the rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kernels.report import Column

MODES = ("defaults", "xdp-native")


def cards(found: dict[str, Any]) -> Column:
    """Return a column of what a machine found of its cards."""
    column: Column = {}
    for mode in MODES:
        if mode in found:
            head = mode if mode == "defaults" else f"`--ingress {mode}`"
            column |= {f"{head}: {row}": cell for row, cell in _mode(found[mode])}
    if plugged := found.get("unplug"):
        column["unplug: counts kept"] = _yes(plugged["kept"])
        column["plug: hook"] = plugged["hook"]
        column["plug: counts continue"] = _yes(plugged["goes on"])
    return column


def _mode(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "`check` forecasts", found["forecast"]["ingress"] or "-"
    yield "hook", found["hook"]
    for change in ("attach", "detach"):
        told = found[change]
        yield f"echoes lost, {change}", f"{told['lost']} of {told['sent']:,}"
        yield f"carrier changes, {change}", str(told["carrier changes"])
    for kind in ("plain", "VLAN", "TCP", "jumbo"):
        counts = found["counts"].get(kind)
        yield f"{kind} packets", agreement(counts) if counts else "MTU refused"


def agreement(found: dict[str, Any]) -> str:
    """Return whether packets and bytes counted are those sent, or by how much they differ."""
    (packets, size), (counted, bytes_) = found["sent"], found["counted"]
    if (packets, size) == (counted, bytes_):
        return f"{packets:,} exact"
    if packets == counted:
        return f"{packets:,}, {(bytes_ - size) / packets:+.1f} bytes each"
    received = f" ({found['received'][0]:,} received)" if "received" in found else ""
    return f"{counted:,} of {packets:,}{received}"


def cpus(found: dict[str, Any]) -> Column:
    """Return a column of what a machine with many CPUs found."""
    column: Column = {}
    if log := found.get("log"):
        column["kernel memory"] = log[0].removeprefix("kernel memory: ")
    if memory := found.get("memory"):
        column["machine's memory"] = f"{memory['machine'] / 2**20:.1f} MiB"
        column["resident memory of the process"] = f"{memory['process'] / 2**20:.1f} MiB"
    for row, name, form in (
        ("CPU time of the start", "start", "{:.1f} s"),
        ("idle, of one CPU", "idle", "{:.1%}"),
        ("a drain of the flow cache", "drain", "{:.3f} s"),
    ):
        if name in found:
            column[f"{row}, emulated"] = form.format(found[name])
    return column


def exactness(found: dict[str, Any]) -> Iterator[str]:
    """Return a table of counts, by what CPUs did meanwhile."""
    yield "| | sent so far | totals | flows and `other` | flows that differ | late pages |\n"
    yield "|---|---|---|---|---|---|\n"
    for name, counts in found.get("counts", {}).items():
        packets = counts["sent"][0]
        cells = (
            f"{packets:,}",
            agreement(counts),
            f"{counts['attributed']:,}",
            str(counts["wrong flows"]),
            str(counts["late pages"]),
        )
        yield f"| {name} | {' | '.join(cells)} |\n"


def _yes(state: object) -> str:
    return "yes" if state else "no"
