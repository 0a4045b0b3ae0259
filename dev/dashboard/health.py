"""How the exporters themselves are."""

from __future__ import annotations

from dashboard.parts import About, number, rows, series
from dashboard.promql import HOST, or_zero, rate

MEMORY = {
    "process_resident_memory_bytes": "process",
    "pktexp_interface_memory_bytes": "interface counters",
    "pktexp_ring_memory_bytes": "rings",
    "pktexp_flow_cache_memory_bytes": "flow cache",
}
FAILURES = {
    "pktexp_interface_attach_failures_total": "attaching",
    "pktexp_interface_follow_failures_total": "following interfaces",
    "pktexp_netlink_query_failures_total": "asking netlink",
    "pktexp_event_merge_failures_total": "merging events",
    "pktexp_flow_cache_merge_failures_total": "merging the flow cache",
    "pktexp_flow_cache_drain_failures_total": "draining the flow cache",
    "pktexp_drop_misses_total": "counting drops",
    "pktexp_netlink_overruns_total": "netlink overruns",
}
RECORDS = {
    "pktexp_events_total": "sent by the kernel",
    "pktexp_flow_cache_records_total": "taken from the flow cache",
}
# The series that every name has, also before its first packet.
NAMED = f'pktexp_packets_total{{{HOST},direction="ingress",protocol="other",ip_version=""}}'
SCRAPES = "pktexp_scrape_duration_seconds"
SLOWEST = rate(f"{SCRAPES}_bucket", HOST)


def _mean(seconds: str, times: str) -> str:
    by = "sum by (instance)"
    return f"{by} ({rate(seconds, HOST)}) / ({by} ({rate(times, HOST)}) > 0)"


def _here(metric: str) -> str:
    return f"{metric}{{{HOST}}}"


PANELS = [
    number(
        About(
            "Files not read again",
            "Files of the operator's that were wrong at the last SIGHUP: what was read before is in"
            " force. The log says what is wrong.",
            "short",
            6,
        ),
        [
            (
                or_zero(
                    f"count({_here('pktexp_config_last_reload_successful')} == 0)",
                    _here("pktexp_build_info"),
                ),
                "wrong",
            )
        ],
        alarming=1,
    ),
    number(
        About("Room for interfaces", "Names that are counted, and how many could be.", "short", 9),
        [
            (f"count({NAMED})", "counted"),
            (f"sum({_here('pktexp_interface_limit')})", "room"),
        ],
    ),
    number(
        About(
            "Room for flows",
            "Known, shown one by one or not, and how many can be shown.",
            "short",
            9,
        ),
        [
            (f"sum({_here('pktexp_flows_watched')})", "known"),
            (f"sum({_here('pktexp_flow_series_limit')})", "can be shown"),
        ],
    ),
    series(
        About(
            "CPU", "Of one CPU, of the process; what the programs cost is not in it.", "percentunit"
        ),
        [(rate("process_cpu_seconds_total", HOST), "{{instance}}")],
    ),
    series(
        About("Memory", "Of the process, and what it has the kernel keep.", "bytes"),
        [(_here(metric), f"{{{{instance}}}} {text}") for metric, text in MEMORY.items()],
    ),
    series(
        About(
            "Time of a scrape",
            "To answer, as the exporter says, mean and 99th percentile; and as Prometheus sees it.",
            "s",
        ),
        [
            (_mean(f"{SCRAPES}_sum", f"{SCRAPES}_count"), "{{instance}} mean"),
            (
                f"histogram_quantile(0.99, sum by (instance, le) ({SLOWEST}))",
                "{{instance}} 99th percentile",
            ),
            (_here("scrape_duration_seconds"), "{{instance}} seen by Prometheus"),
        ],
    ),
    series(
        About("Records", "Of flows, or of packets with --events packet.", "ops"),
        [
            (f"sum by (instance) ({rate(metric, HOST)})", f"{{{{instance}}}} {text}")
            for metric, text in RECORDS.items()
        ],
    ),
    series(
        About("Waiting in the rings", "The more, the nearer they are to losing flows.", "bytes"),
        [(_here("pktexp_ring_unread_bytes"), "{{instance}} {{ring}}")],
    ),
    series(
        About(
            "Time of a drain",
            "To empty the flow cache once, waiting for the kernel included, and to merge it.",
            "s",
        ),
        [
            (
                _mean("pktexp_flow_cache_drain_seconds_total", "pktexp_flow_cache_drains_total"),
                "{{instance}} draining",
            ),
            (
                _mean("pktexp_flow_cache_merge_seconds_total", "pktexp_flow_cache_drains_total"),
                "{{instance}} merging",
            ),
        ],
    ),
    series(
        About("Failures", "In the time between two points; the log says why.", "short"),
        [
            (
                f"sum by (instance) (increase({_here(metric)}[$__rate_interval]))",
                f"{{{{instance}}}} {text}",
            )
            for metric, text in FAILURES.items()
        ],
    ),
    rows(
        About("Versions", "Of pktexp and its libbpf, and when the process began.", "short"),
        [
            (f"group by (job, instance, version, libbpf) ({_here('pktexp_build_info')})", ""),
            (
                f"1000 * max by (job, instance) ({_here('process_start_time_seconds')})",
                "since",
            ),
        ],
        units={"since": "dateTimeAsIso"},
    ),
]
