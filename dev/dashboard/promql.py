"""What the dashboard's queries have in common; rows are in the modules beside."""

from __future__ import annotations

HOST = 'job=~"$job",instance=~"$instance"'
SITE = f'{HOST},interface=~"$interface"'
SINCE = "$__rate_interval"
BITS = 8


def rate(counter: str, matchers: str = SITE, window: str = SINCE) -> str:
    """A second's worth."""
    return f"rate({counter}{{{matchers}}}[{window}])"


def once(series: str) -> str:
    """Of these series those at interfaces of the chosen class, so that sums count packets once.

    Without `group by` an interface whose MTU has just changed would match twice (docs/metrics.md).
    """
    chosen = f'pktexp_interface_info{{{SITE},class="$class"}}'
    site = "job, instance, interface"
    return f"{series} * on ({site}) group_left () group by ({site}) ({chosen})"


def or_zero(found: str, present: str) -> str:
    """0 where nothing is found, if the series `present` say that it would have been counted.

    `or vector(0)` would be 0 of exporters that are down, or of kernels that cannot tell.
    """
    return f"{found} or on () 0 * sum({present})"
