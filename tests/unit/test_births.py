"""Series that appear with a value say in OpenMetrics since when they were 0."""

from __future__ import annotations

from typing import Any

import numpy as np
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from pktexp.interfaces.leases import Lease
from pktexp.interfaces.totals import Snapshot
from pktexp.metrics.births import YOUNG, Births
from pktexp.metrics.exposition import counter, gauge, histogram, write
from pktexp.metrics.traffic import families
from pktexp.packet.enums import Direction, IpClass, PacketClass
from pktexp.packet.records import INTERFACE_COUNTERS, SIZE_BOUNDS


def created(births: Births, now: float, **values: int) -> dict[str, float]:
    """Write a page of a counter with these values by kind; return the times, by the library."""
    series = [(f'kind="{kind}"', value) for kind, value in values.items()]
    found = births.dated([counter("things", "Things.", series)], now)
    page = write(found, openmetrics=True) + "# EOF\n"
    (family,) = text_string_to_metric_families(page)
    return {s.labels["kind"]: s.value for s in family.samples if s.name == "things_created"}


def test_new_series_was_zero_when_the_page_before_was_written() -> None:
    births = Births(since=1000)
    assert created(births, 1010, a=5) == {"a": 1000}
    assert created(births, 1020, a=6, b=100) == {"a": 1000, "b": 1010}


def test_series_born_at_zero_needs_no_time() -> None:
    births = Births(since=1000)
    assert created(births, 1010, a=0) == {}
    assert created(births, 1020, a=100) == {}


def test_time_is_written_for_a_while_only() -> None:
    births = Births(since=1000)
    assert created(births, 1000 + YOUNG - 1, a=5) == {"a": 1000}
    assert created(births, 1000 + YOUNG, a=5) == {}


def test_series_that_ends_and_returns_is_born_again() -> None:
    births = Births(since=1000)
    created(births, 1010, a=5)
    created(births, 1020)
    assert created(births, 1030, a=2) == {"a": 1020}


def test_counters_of_an_earlier_process_have_no_known_birth() -> None:
    births = Births(since=None)
    assert created(births, 1010, a=5) == {}
    assert created(births, 1020, a=5, b=7) == {"b": 1010}


def test_text_format_has_no_times() -> None:
    found = Births(since=1000).dated([counter("things", "Things.", [('kind="a"', 5)])], 1010)
    assert "created" not in write(found, openmetrics=False)


def test_gauges_have_no_times() -> None:
    found = Births(since=1000).dated([gauge("level", "Level.", [('kind="a"', 5)])], 1010)
    assert "created" not in write(found, openmetrics=True)


def test_histogram_that_appears_with_values_says_when_it_was_empty() -> None:
    births = Births(since=1000)
    for now, values in ((1010, ()), (1020, [('kind="a"', [2, 1], 300)])):
        found = births.dated([histogram("sizes", "Sizes.", ("64.0", "+Inf"), values)], now)
        page = write(found, openmetrics=True) + "# EOF\n"
    (family,) = text_string_to_metric_families(page)
    assert [s.value for s in family.samples if s.name == "sizes_created"] == [1010]
    assert [s.value for s in family.samples if s.name == "sizes_bucket"] == [2, 3]


def samples(*seen: tuple[Direction, int]) -> list[Sample]:
    """The page's samples of an interface that saw one packet of each."""
    counters: Any = np.zeros((1, len(Direction)), INTERFACE_COUNTERS)
    for direction, packet_class in seen:
        counters["classes"][0, direction, packet_class]["packets"] = 1
        counters["sizes"][0, direction, 0] += 1
    snapshot = Snapshot([Lease("eth0", 5, 5)], counters, tuple(Direction), {})
    page = write(families(snapshot), openmetrics=True) + "# EOF\n"
    return [s for family in text_string_to_metric_families(page) for s in family.samples]


def packets(*seen: tuple[Direction, int]) -> dict[tuple[str, str, str], int]:
    """The packet series of an interface that saw one packet of each: by direction and protocol."""
    return {
        (s.labels["direction"], s.labels["protocol"], s.labels["ip_version"]): int(s.value)
        for s in samples(*seen)
        if s.name == "pktexp_packets_total"
    }


def test_interface_without_traffic_has_no_histograms_or_losses() -> None:
    idle = {s.name for s in samples()}
    assert idle == {"pktexp_packets_total", "pktexp_bytes_total", "total_packets"}


def test_histograms_and_losses_appear_in_both_directions_with_the_first_packet() -> None:
    found = samples((Direction.EGRESS, PacketClass.IPV4 + IpClass.TCP))
    sizes = [s for s in found if s.name == "pktexp_packet_size_bytes_count"]
    assert {s.labels["direction"]: s.value for s in sizes} == {"ingress": 0, "egress": 1}
    buckets = [s for s in found if s.name == "pktexp_packet_size_bytes_bucket"]
    assert len(buckets) == 2 * (len(SIZE_BOUNDS) + 1)
    lost = [s for s in found if s.name.startswith("pktexp_event_lost_")]
    assert [s.value for s in lost] == [0] * 4


def test_common_series_appear_with_the_first_packet_of_their_ip_version() -> None:
    found = packets((Direction.INGRESS, PacketClass.IPV4 + IpClass.GRE))
    common = {(d, p, "4"): 0 for d in ("ingress", "egress") for p in ("tcp", "udp", "icmp")}
    others = {("ingress", "other", ""): 0, ("egress", "other", ""): 0}
    assert found == common | others | {("ingress", "gre", "4"): 1}


def test_common_series_of_ipv6_have_icmpv6() -> None:
    found = packets((Direction.EGRESS, PacketClass.IPV6 + IpClass.TCP))
    versions = {(protocol, version) for _, protocol, version in found}
    assert versions == {("other", ""), ("tcp", "6"), ("udp", "6"), ("icmpv6", "6")}
    assert found["egress", "tcp", "6"] == 1


def test_idle_interface_stays_short() -> None:
    assert packets() == {("ingress", "other", ""): 0, ("egress", "other", ""): 0}
