"""What the dashboard's queries have in common; rows are in the modules beside."""

from __future__ import annotations

from pktexp.interfaces.drops import HARMLESS

HOST = 'job=~"$job",instance=~"$instance"'
SITE = f'{HOST},interface=~"$interface"'
SINCE = "$__rate_interval"
BITS = 8
# Closing a socket causes these reasons: nothing was lost.
HARMFUL = f'{HOST},reason!~"{"|".join(HARMLESS)}"'


def rate(counter: str, matchers: str = SITE, window: str = SINCE) -> str:
    """A second's worth."""
    return f"rate({counter}{{{matchers}}}[{window}])"


def once(series: str) -> str:
    """Restrict series to interfaces of the chosen class, so that sums count each packet once.

    Bridges and bonds are left out: their packets are at their ports, too. Without `group by` an
    interface whose MTU has just changed would match twice (docs/metrics.md).
    """
    chosen = f'pktexp_interface_info{{{SITE},class="$class",has_ports=""}}'
    site = "job, instance, interface"
    return f"{series} * on ({site}) group_left () group by ({site}) ({chosen})"


def or_zero(found: str, present: str) -> str:
    """0 where nothing is found, if the series `present` say that it would have been counted.

    `or vector(0)` would be 0 of exporters that are down, or of kernels that cannot tell.
    """
    return f"{found} or on () 0 * sum({present})"
