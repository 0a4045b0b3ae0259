"""Where packets died. They do so once, so all interfaces count, whatever is chosen above."""

from __future__ import annotations

from dashboard.parts import About, rows, series
from dashboard.promql import HARMFUL, HOST, or_zero, rate

REASONS = "pktexp_dropped_packets_total"
TOLD = rate("pktexp_drop_misses_total", HOST)
PLACES = (
    f"topk(20, sum by (instance, interface, reason) (increase({REASONS}{{{HOST}}}[$__range])) > 0)"
)


def _worst(counter: str) -> str:
    return f"topk(20, sum by (instance, interface) ({rate(counter, HOST)}))"


PANELS = [
    series(
        About(
            "Dropped by the kernel, by reason",
            "Reasons are the kernel's own (docs/metrics.md), without those that closing a socket"
            " causes, such as queue_purge.",
            "pps",
        ),
        [(or_zero(f"topk(20, sum by (reason) ({rate(REASONS, HARMFUL)}))", TOLD), "{{reason}}")],
        stacked=True,
    ),
    rows(
        About(
            "Dropped by the kernel, where",
            "Packets in the time shown. Without an interface: they were at none, mostly for want"
            " of a route.",
            "short",
        ),
        [(PLACES, "packets")],
    ),
    series(
        About(
            "Dropped by devices",
            "What devices and drivers say they lost, the twenty worst. Kinds overlap as drivers"
            " please (docs/metrics.md).",
            "pps",
        ),
        [
            (
                f"topk(20, {rate('pktexp_interface_dropped_packets_total', HOST)})",
                "{{instance}} {{interface}} {{kind}} {{direction}}",
            )
        ],
    ),
    series(
        About(
            "Sent again by TCP",
            "Segments, by the interface that the connection's route leads to, the twenty worst.",
            "pps",
        ),
        [
            (
                or_zero(_worst("pktexp_tcp_retransmitted_segments_total"), TOLD),
                "{{instance}} {{interface}}",
            )
        ],
    ),
    series(
        About(
            "Not parsed",
            "Packets whose headers could not be read to the end, by reason. They pass unharmed.",
            "pps",
        ),
        [
            (
                or_zero(
                    "sum by (instance, reason, direction)"
                    f" ({rate('pktexp_unparsed_packets_total', HOST)})",
                    f"pktexp_packets_total{{{HOST}}}",
                ),
                "{{instance}} {{reason}} {{direction}}",
            )
        ],
    ),
    series(
        About(
            "Without a flow",
            "Packets that found no room in a ring buffer: in the totals, and in the flow other."
            " A larger --flow-cache helps.",
            "pps",
        ),
        [
            (
                _worst("pktexp_event_lost_packets_total"),
                "{{instance}} {{interface}}",
            )
        ],
    ),
]
