"""Types of ICMP by number, as docs/metrics.md names them."""

# IANA, "ICMP Type Numbers" and "ICMPv6 'type' Numbers".
ICMP_NAMES = {
    0: "echo_reply",
    3: "unreachable",
    4: "source_quench",
    5: "redirect",
    8: "echo_request",
    9: "router_advertisement",
    10: "router_solicitation",
    11: "time_exceeded",
    12: "parameter_problem",
    13: "timestamp_request",
    14: "timestamp_reply",
}
ICMPV6_NAMES = {
    1: "unreachable",
    2: "packet_too_big",
    3: "time_exceeded",
    4: "parameter_problem",
    128: "echo_request",
    129: "echo_reply",
    130: "listener_query",
    131: "listener_report",
    132: "listener_done",
    133: "router_solicitation",
    134: "router_advertisement",
    135: "neighbor_solicitation",
    136: "neighbor_advertisement",
    137: "redirect",
    143: "listener_report_v2",
}
