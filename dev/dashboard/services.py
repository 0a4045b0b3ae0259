"""Who on the host it is: systemd units, containers and pods, by their cgroups."""

from __future__ import annotations

from dashboard.parts import About, rows, series
from dashboard.promql import BITS, HOST, SINCE, rate

BYTES, PACKETS = "pktexp_cgroup_bytes_total", "pktexp_cgroup_packets_total"
MEANING = "As sockets see it: IP packets, those of the host itself included, forwarded ones not."


def _by_cgroup(counter: str, direction: str, window: str = SINCE) -> str:
    found = rate(counter, f'{HOST},direction="{direction}"', window)
    return f"sum by (instance, cgroup) ({found})"


def _largest(direction: str) -> str:
    return f"topk(10, {BITS} * {_by_cgroup(BYTES, direction)})"


WHOLE = f"topk(20, sum by (instance, cgroup) ({rate(BYTES, HOST, '$__range')}))"
PANELS = [
    series(
        About("Services that send most", f"The ten largest at each moment. {MEANING}", "bps"),
        [(_largest("egress"), "{{cgroup}}")],
        stacked=True,
    ),
    series(
        About("Services that receive most", f"The ten largest at each moment. {MEANING}", "bps"),
        [(_largest("ingress"), "{{cgroup}}")],
        stacked=True,
    ),
    rows(
        About("Services of the whole time", f"Means over the time shown. {MEANING}", "bps", 24),
        [
            (f"{BITS} * {_by_cgroup(BYTES, 'egress', '$__range')} and {WHOLE}", "sent"),
            (f"{BITS} * {_by_cgroup(BYTES, 'ingress', '$__range')} and {WHOLE}", "received"),
            (f"{_by_cgroup(PACKETS, 'egress', '$__range')} and {WHOLE}", "packets sent"),
        ],
        units={"packets sent": "pps"},
    ),
]
