"""The table of figures about the exporter itself, by the kind of object that holds them.

Adding a metric of the exporter is a row here, and an attribute of that name in the object.
"""

from __future__ import annotations

from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily


class Figure(NamedTuple):
    """A family. `attribute` is a dotted path in the object whose figure it is.

    The attribute is a number or, with `label`, a mapping from the label's values to numbers.
    """

    kind: type[CounterMetricFamily] | type[GaugeMetricFamily]
    name: str
    text: str
    attribute: str
    label: str = ""


COUNTER, GAUGE = CounterMetricFamily, GaugeMetricFamily

RING = (
    Figure(COUNTER, "pktexp_events", "Records read from a ring buffer.", "merger.records"),
    Figure(COUNTER, "pktexp_event_batches", "Batches of merged records.", "merger.batches"),
    Figure(COUNTER, "pktexp_event_merge_seconds", "Time spent merging batches.", "merger.seconds"),
    Figure(
        COUNTER,
        "pktexp_event_merge_failures",
        "Batches that could not be merged and count as other.",
        "merger.failures.count",
    ),
    Figure(COUNTER, "pktexp_ring_wakeups", "Times the kernel woke a reader.", "wakeups"),
    Figure(
        GAUGE,
        "pktexp_event_largest_batch",
        "Records in the largest batch so far.",
        "merger.largest_batch",
    ),
    Figure(GAUGE, "pktexp_ring_unread_bytes", "Bytes that wait in a ring buffer.", "unread"),
)
FLOW_CACHE = (
    Figure(COUNTER, "pktexp_flow_cache_drains", "Times the flow cache was drained.", "drains"),
    Figure(
        COUNTER,
        "pktexp_flow_cache_drain_seconds",
        "Time spent draining, waiting included.",
        "seconds",
    ),
    Figure(
        COUNTER,
        "pktexp_flow_cache_drain_failures",
        "Drains that failed; the next drain finds the records they left.",
        "failures.count",
    ),
    Figure(
        COUNTER,
        "pktexp_flow_cache_records",
        "Records taken from the flow cache.",
        "merger.records",
    ),
    Figure(
        COUNTER,
        "pktexp_flow_cache_merge_seconds",
        "Time spent merging records of the flow cache.",
        "merger.seconds",
    ),
    Figure(
        COUNTER,
        "pktexp_flow_cache_merge_failures",
        "Batches of the flow cache that could not be merged and count as other.",
        "merger.failures.count",
    ),
)
INTERFACES = (
    Figure(
        COUNTER,
        "pktexp_interface_reattachments",
        "Programs attached again after somebody else detached them.",
        "reattachments",
    ),
    Figure(
        COUNTER,
        "pktexp_interface_silent_hooks",
        "Hooks that saw no packets while the device reported some.",
        "silent.count",
    ),
    Figure(
        COUNTER,
        "pktexp_interface_hook_replacements",
        "Silent hooks that were replaced by the next one.",
        "replacements",
    ),
    Figure(
        COUNTER,
        "pktexp_interface_attach_failures",
        "Failures to attach to an interface at any hook.",
        "attach_failures",
    ),
    Figure(
        COUNTER,
        "pktexp_interface_follow_failures",
        "Errors while following interfaces.",
        "failures.count",
    ),
    Figure(
        COUNTER,
        "pktexp_netlink_overruns",
        "Times the netlink socket's queue overflowed and all interfaces were listed again.",
        "overruns",
    ),
)
FACTS = (
    Figure(
        COUNTER,
        "pktexp_netlink_query_failures",
        "Netlink queries that failed during a scrape or a sample.",
        "failures.count",
    ),
)
DATAPATH = (
    Figure(GAUGE, "pktexp_interface_limit", "Interfaces that can be counted.", "options.slots"),
    Figure(
        GAUGE,
        "pktexp_interface_memory_bytes",
        "Kernel memory of the interface counters.",
        "counter_bytes",
    ),
    Figure(GAUGE, "pktexp_ring_memory_bytes", "Kernel memory of the ring buffers.", "ring_bytes"),
    Figure(
        GAUGE,
        "pktexp_flow_cache_memory_bytes",
        "Kernel memory of the flow cache.",
        "flow_cache_bytes",
    ),
    Figure(
        GAUGE,
        "pktexp_flow_cache_limit",
        "Flows that the cache of a CPU has room for.",
        "flow_cache_entries",
    ),
)
FLOWS = (
    Figure(GAUGE, "pktexp_flow_series_limit", "Flows that can be shown one by one.", "limit"),
    Figure(GAUGE, "pktexp_flows_watched", "Flows that are known, shown or not.", "watched"),
)
PROGRAMS = (
    Figure(COUNTER, "pktexp_bpf_run_seconds", "Time in a BPF program.", "seconds", "program"),
    Figure(COUNTER, "pktexp_bpf_runs", "Runs of a BPF program.", "runs", "program"),
)
ACCOUNTS = (
    Figure(
        GAUGE,
        "pktexp_unaccounted_packets",
        "Packets counted in totals and found in no flow, or in more than one.",
        "difference",
    ),
    Figure(
        COUNTER,
        "pktexp_accounting_checks",
        "Comparisons of totals with flows, other and losses.",
        "checks",
    ),
    Figure(
        COUNTER,
        "pktexp_accounting_failures",
        "Comparisons that could not be made.",
        "failures.count",
    ),
)
LIVE = (
    Figure(
        COUNTER, "pktexp_samples", "Samples taken for the history and the API.", "sampler.taken"
    ),
    Figure(COUNTER, "pktexp_sample_cpu_seconds", "CPU time of taking samples.", "sampler.seconds"),
    Figure(
        COUNTER,
        "pktexp_sample_failures",
        "Samples that could not be taken.",
        "sampler.failures.count",
    ),
    Figure(
        COUNTER,
        "pktexp_stream_dropped_readers",
        "Readers of the stream that were dropped because they did not read.",
        "readers.dropped",
    ),
    Figure(
        GAUGE,
        "pktexp_history_memory_bytes",
        "Memory of the history when full.",
        "sampler.history.nbytes",
    ),
    Figure(
        GAUGE,
        "pktexp_history_interfaces",
        "Interfaces that have a history.",
        "sampler.history.interfaces",
    ),
    Figure(
        GAUGE,
        "pktexp_history_interface_limit",
        "Interfaces that can have a history.",
        "sampler.history.limit",
    ),
    Figure(GAUGE, "pktexp_stream_readers", "Readers of the stream.", "readers.count"),
)
# Named as Prometheus's own, so that rules for those are quickly written for these.
FILES = (
    Figure(
        GAUGE,
        "pktexp_config_last_reload_successful",
        "Whether the last reading of a file succeeded.",
        "good",
    ),
    Figure(
        GAUGE,
        "pktexp_config_last_reload_success_timestamp_seconds",
        "When a file was last read successfully.",
        "read_at",
    ),
    Figure(
        COUNTER,
        "pktexp_config_reload_failures",
        "Reloads of a file that failed.",
        "failures.count",
    ),
)
CONNECTIONS = (
    Figure(
        GAUGE,
        "pktexp_http_connections",
        "Connections to pktexp, TLS handshakes under way included.",
        "count",
    ),
    Figure(
        COUNTER,
        "pktexp_http_connections_ended",
        "Connections that pktexp ended.",
        "ended",
        "reason",
    ),
)
ACCESS = (Figure(COUNTER, "pktexp_http_requests_refused", "Requests refused.", "refused", "code"),)
CGROUPS = (
    Figure(GAUGE, "pktexp_cgroup_limit", "Cgroups that can be shown one by one.", "limit"),
    Figure(GAUGE, "pktexp_cgroups", "Cgroups that are shown, or were within the hour.", "count"),
    Figure(
        GAUGE,
        "pktexp_cgroup_memory_bytes",
        "Kernel memory of the cgroups' counters and tables.",
        "nbytes",
    ),
    Figure(
        COUNTER,
        "pktexp_cgroup_unknown_ids",
        "Ids of cgroups that were gone before they had a name; they count as other.",
        "unknown",
    ),
    Figure(COUNTER, "pktexp_cgroup_scans", "Scans of the cgroup tree for new ids.", "scans"),
    Figure(
        COUNTER,
        "pktexp_cgroup_scan_seconds",
        "Time spent scanning the cgroup tree.",
        "scan_seconds",
    ),
    Figure(
        COUNTER,
        "pktexp_cgroup_failures",
        "Failures to read the cgroups; what was counted is read later.",
        "failures.count",
    ),
)
PODS = (
    Figure(GAUGE, "pktexp_kubernetes_pods", "Pods with addresses of their own.", "pods.count"),
    Figure(
        GAUGE,
        "pktexp_kubernetes_synced_age_seconds",
        "Time since the API server last confirmed the pods.",
        "age",
    ),
    Figure(COUNTER, "pktexp_kubernetes_lists", "Times all pods were listed.", "lists"),
    Figure(
        COUNTER,
        "pktexp_kubernetes_watch_failures",
        "Lists and watches that failed or broke off.",
        "failures",
    ),
    Figure(
        COUNTER,
        "pktexp_kubernetes_malformed_events",
        "Answers of the API server that could not be parsed.",
        "malformed.count",
    ),
    Figure(
        COUNTER,
        "pktexp_kubernetes_refused_pods",
        "Pods left without a name because the table was full.",
        "pods.refused",
    ),
)
