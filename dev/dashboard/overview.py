"""Whether all is well, and what enters and leaves the hosts."""

from __future__ import annotations

from dashboard.parts import About, number, series
from dashboard.promql import BITS, HARMFUL, HOST, once, or_zero, rate

LOST = rate("pktexp_event_lost_packets_total", window="$__range")
SEEN = rate("pktexp_packets_total", window="$__range")
DROPPED = rate("pktexp_dropped_packets_total", HARMFUL)
BYTES, PACKETS = once(rate("pktexp_bytes_total")), once(rate("pktexp_packets_total"))
COUNTED_ONCE = "Each packet counts once: at the interfaces of the class chosen above."

PANELS = [
    number(
        About("Exporters", "How many answer, and how many do not.", "short", 6),
        [
            (f"sum(up{{{HOST}}})", "up"),
            (f"count(up{{{HOST}}} == 0) or 0 * count(up{{{HOST}}})", "down"),
        ],
    ),
    number(
        About(
            "Alerts",
            "Firing now, of those in deploy/prometheus/alerts.yml; Prometheus has to load them.",
            "short",
            4,
        ),
        [('count(ALERTS{alertname=~"Pktexp.+",alertstate="firing"}) or vector(0)', "firing")],
        alarming=1,
    ),
    number(
        About(
            "Not counted",
            "Interfaces, each way, that should be counted and are not. The log says why.",
            "short",
            4,
        ),
        [
            (
                or_zero(
                    f"count(pktexp_interface_attached{{{HOST}}} == 0)",
                    f"pktexp_build_info{{{HOST}}}",
                ),
                "not counted",
            )
        ],
        alarming=1,
    ),
    number(
        About(
            "Packets without a flow",
            "Share of packets that found no room in a ring buffer: they are in the totals, and in"
            " the flow other.",
            "percentunit",
            5,
        ),
        [(f"sum({LOST}) / sum({SEEN})", "without a flow")],
        alarming=0.01,
    ),
    number(
        About(
            "Dropped by the kernel",
            "All reasons but those that closing a socket causes, such as queue_purge.",
            "pps",
            5,
        ),
        [(or_zero(f"sum({DROPPED})", rate("pktexp_drop_misses_total", HOST)), "dropped")],
    ),
    series(
        About("Throughput", f"Bits on the wire. {COUNTED_ONCE}", "bps"),
        [(f"{BITS} * sum by (direction) ({BYTES})", "{{direction}}")],
    ),
    series(
        About("Packets", f"Packets on the wire. {COUNTED_ONCE}", "pps"),
        [(f"sum by (direction) ({PACKETS})", "{{direction}}")],
    ),
    series(
        About("Throughput by host", f"The busiest twenty. {COUNTED_ONCE}", "bps"),
        [
            (
                f"topk(20, {BITS} * sum by (instance, direction) ({BYTES}))",
                "{{instance}} {{direction}}",
            )
        ],
    ),
    series(
        About("Throughput by protocol", COUNTED_ONCE, "bps"),
        [
            (
                f"{BITS} * sum by (protocol, ip_version, direction) ({BYTES})",
                "{{protocol}} {{ip_version}} {{direction}}",
            )
        ],
        stacked=True,
    ),
]
