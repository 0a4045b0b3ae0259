"""Whose traffic it is: the heaviest of up to thousands of flows, never all of them."""

from __future__ import annotations

from dashboard.overview import COUNTED_ONCE
from dashboard.parts import About, bars, number, rows, series
from dashboard.promql import BITS, SITE, once, or_zero, rate

NAMED, OTHER = f'{SITE},source!="other"', f'{SITE},source="other"'
FLOWS = "pktexp_flow_bytes_total"
KEY = "protocol, source, dest"
ALL = once(rate(FLOWS))
HEAVIEST = f"topk(10, sum by ({KEY}) ({once(rate(FLOWS, NAMED))}))"
NAMED_SUM = or_zero(f"sum({HEAVIEST})", ALL)
ROW = f"instance, interface, direction, {KEY}"
PACKETS = f"sum by ({ROW}) ({once(rate('pktexp_flow_packets_total', NAMED, '$__range'))})"


def _in_range(flows: str) -> str:
    return once(rate(FLOWS, flows, "$__range"))


def _hosts(side: str) -> str:
    return f"topk(10, {BITS} * sum by ({side}) ({_in_range(NAMED)}))"


IN_RANGE = f"topk(20, sum by ({ROW}) ({_in_range(NAMED)}))"
PANELS = [
    number(
        About(
            "Traffic with a name",
            "Share of the bytes whose flow is shown one by one; the rest is other: more flows than"
            " --max-flows, or packets that found no room in a ring buffer."
            f" {COUNTED_ONCE}",
            "percentunit",
            4,
        ),
        [
            (
                f"1 - sum({_in_range(OTHER)}) / sum({_in_range(SITE)})",
                "named",
            )
        ],
    ).height(9),
    series(
        About(
            "Heaviest flows",
            f"The ten heaviest at each moment, and all others: together all bytes. {COUNTED_ONCE}",
            "bps",
            20,
        ),
        [
            (f"{BITS} * {HEAVIEST}", "{{protocol}} {{source}} > {{dest}}"),
            (f"{BITS} * (sum({ALL}) - ({NAMED_SUM}))", "all others"),
        ],
        stacked=True,
    ),
    rows(
        About(
            "Heaviest flows of the whole time",
            f"Means over the time shown. {COUNTED_ONCE}",
            "bps",
            24,
        ),
        [(f"{BITS} * {IN_RANGE}", "throughput"), (f"{PACKETS} and {IN_RANGE}", "packets")],
        units={"packets": "pps"},
    ),
    bars(
        About("Heaviest senders", f"Mean over the time shown. {COUNTED_ONCE}", "bps"),
        [(_hosts("source"), "{{source}}")],
    ),
    bars(
        About("Heaviest receivers", f"Mean over the time shown. {COUNTED_ONCE}", "bps"),
        [(_hosts("dest"), "{{dest}}")],
    ),
]
