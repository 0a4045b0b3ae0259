"""What single interfaces carry, and of what kinds their packets are."""

from __future__ import annotations

from dashboard.overview import COUNTED_ONCE
from dashboard.parts import About, rows, series, sizes
from dashboard.promql import BITS, SITE, once, or_zero, rate

INFO = (
    f"group by (job, instance, interface, class, kind, mtu, address, alias, peer_netns)"
    f" (pktexp_interface_info{{{SITE}}})"
)
# What an Ethernet frame takes beyond the bytes counted: preamble, FCS and gap.
FRAMING = 24
TAKEN = f"{rate('pktexp_bytes_total')} + {FRAMING} * {rate('pktexp_packets_total')}"
USED = f"sum by (job, instance, interface, direction) ({TAKEN})"
SPEED = f"pktexp_interface_speed_bytes{{{SITE}}}"
ATTACHED = f'pktexp_interface_attached{{{SITE},direction="ingress"}}'
EVERY_PACKET = f"pktexp_packets_total{{{SITE}}}"


def _of(direction: str) -> str:
    found = rate("pktexp_bytes_total", f'{SITE},direction="{direction}"')
    return f"{BITS} * sum by (job, instance, interface) ({found})"


def _each(counter: str) -> str:
    found = rate(counter)
    return f"topk(20, sum by (instance, interface, direction) ({found}))"


def _rare(counter: str, labels: str) -> str:
    return or_zero(f"sum by ({labels}) ({once(rate(counter))})", EVERY_PACKET)


PANELS = [
    rows(
        About(
            "Interfaces",
            "What they are, the hook at which each is counted (none: it is not), and what they"
            " carry. Speed is known of physical interfaces with a link.",
            "bps",
            24,
        ),
        [
            (INFO, ""),
            (
                f"group by (job, instance, interface, hook) ({ATTACHED})",
                "",
            ),
            (f"{BITS} * {SPEED}", "speed"),
            (_of("ingress"), "ingress"),
            (_of("egress"), "egress"),
        ],
    ),
    series(
        About(
            "Throughput by interface",
            "The busiest twenty of those chosen above. A packet that crosses several is in each.",
            "bps",
        ),
        [
            (
                f"{BITS} * {_each('pktexp_bytes_total')}",
                "{{instance}} {{interface}} {{direction}}",
            )
        ],
    ),
    series(
        About("Packets by interface", "The busiest twenty of those chosen above.", "pps"),
        [(_each("pktexp_packets_total"), "{{instance}} {{interface}} {{direction}}")],
    ),
    series(
        About(
            "Utilisation",
            "Share of an interface's speed that is used, with the 24 bytes that Ethernet takes"
            " for each packet. Only of physical interfaces whose driver tells the speed, which"
            " many virtual machines' does not.",
            "percentunit",
        ),
        [
            (
                f"{USED} / on (job, instance, interface) group_left () {SPEED}",
                "{{instance}} {{interface}} {{direction}}",
            )
        ],
    ),
    sizes(
        About("Packet sizes", f"Packets by size on the wire. {COUNTED_ONCE}", "decbytes"),
        f"sum by (le) ({once(rate('pktexp_packet_size_bytes_bucket'))})",
    ),
    series(
        About(
            "TCP flags",
            "Packets that carry a flag; one with several is in each. Many SYNs with few FINs and"
            f" RSTs are a flood, or a scan. {COUNTED_ONCE}",
            "pps",
        ),
        [(_rare("pktexp_tcp_flags_total", "flag, direction"), "{{flag}} {{direction}}")],
    ),
    series(
        About("ICMP", f"Messages by type. {COUNTED_ONCE}", "pps"),
        [
            (
                _rare("pktexp_icmp_packets_total", "protocol, type, direction"),
                "{{protocol}} {{type}} {{direction}}",
            )
        ],
    ),
    series(
        About(
            "Broadcast and multicast", f"By the destination's MAC address. {COUNTED_ONCE}", "pps"
        ),
        [(_rare("pktexp_group_packets_total", "cast, direction"), "{{cast}} {{direction}}")],
    ),
    series(
        About(
            "Fragments and congestion",
            "Fragments of IP packets; packets that a router has marked: congestion experienced."
            f" {COUNTED_ONCE}",
            "pps",
        ),
        [
            (_rare("pktexp_fragments_total", "direction"), "fragments {{direction}}"),
            (_rare("pktexp_ecn_marked_packets_total", "direction"), "marked {{direction}}"),
        ],
    ),
]
