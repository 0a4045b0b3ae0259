"""What the API's documents say of samples made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from pktexp.live.drops import drops
from pktexp.live.flows import Flows, Query
from pktexp.live.flowservices import FlowServices
from pktexp.live.interfaces import classes, interfaces
from pktexp.live.sample import Sample
from support.service.samples import SIZE, TCP4, TCP6, UDP4, link, sample

EVERY = Query(
    top=20,
    sort="bytes_per_second",
    interface="*",
    direction="",
    protocol="",
    search="",
    view="flows",
)


def ask(samples: list[Sample], **changed: Any) -> dict[str, Any]:
    document = Flows(FlowServices())(samples, Query(**{**vars(EVERY), **changed}))
    assert document
    return document


def named(samples: list[Sample]) -> dict[str, dict[str, Any]]:
    return {x["name"]: x for x in interfaces(samples, samples[-1].links)}


def test_rates_are_the_growth_over_five_seconds() -> None:
    counts = [0, 10, 20, 40, 80, 160, 1000]
    samples = [sample(at, {("eth0", TCP4): count}) for at, count in enumerate(counts)]
    ingress = named(samples)["eth0"]["ingress"]
    assert ingress["packets_per_second"] == (1000 - 10) / 5
    assert ingress["bytes_per_second"] == (1000 - 10) / 5 * SIZE


def test_first_sample_has_no_rate() -> None:
    document = named([sample(1, {("eth0", TCP4): 9})])["eth0"]["ingress"]
    assert (document["packets"], document["packets_per_second"]) == (9, None)
    assert document["protocols"]["tcp"]["bytes_per_second"] is None


def test_recent_sample_gives_no_rate() -> None:
    samples = [sample(at, {("eth0", TCP4): int(at * 10)}) for at in (1, 5.8, 6)]
    assert named(samples)["eth0"]["ingress"]["packets_per_second"] == 10
    assert named(samples[1:])["eth0"]["ingress"]["packets_per_second"] is None


def test_name_with_another_lease_counts_from_zero() -> None:
    first = sample(1, {("eth0", TCP4): 5000, ("eth1", TCP4): 100})
    second = sample(3, {("eth1", TCP4): 120, ("eth0", TCP4): 8}, ids={"eth0": 9, "eth1": 2})
    found = named([first, second])
    assert found["eth0"]["ingress"]["packets_per_second"] == 4
    assert found["eth1"]["ingress"]["packets_per_second"] == 10


def test_protocols_are_summed_over_ip_versions() -> None:
    samples = [sample(1, {("eth0", TCP4): 3, ("eth0", TCP6): 4, ("eth0", UDP4): 5})]
    protocols = named(samples)["eth0"]["ingress"]["protocols"]
    assert {name: x["packets"] for name, x in protocols.items()} == {"tcp": 7, "udp": 5}


def test_removed_interface_is_shown_with_its_last_facts() -> None:
    last = sample(1, {("old", TCP4): 3}, links={"new": link("new", ifindex=7)})
    known = {"old": link("old", bus="pci", address="02:00:00:00:00:01")}
    found = {x["name"]: x for x in interfaces([last], known)}
    old, new = found["old"], found["new"]
    assert (old["state"], old["ifindex"], old["class"]) == ("gone", None, "physical")
    assert (new["state"], new["ifindex"], new["ingress"]["packets"]) == ("not counted", 7, 0)


def test_classes_sum_existing_interfaces() -> None:
    links = {"a": link("a", bus="pci"), "b": link("b", bus="usb"), "c": link("c")}
    counts = {("a", TCP4): 1, ("b", UDP4): 2, ("c", TCP4): 4, ("gone", TCP4): 8}
    found = classes([sample(1, counts, links=links), sample(2, counts, links=links)])
    assert {kind: x["ingress"]["packets"] for kind, x in found.items()} == {
        "physical": 3,
        "virtual": 4,
    }
    assert found["physical"]["ingress"]["packets_per_second"] == 0


COUNTS = {("eth0", TCP4): 100, ("eth0", UDP4): 50, ("eth1", TCP4): 30}
THEN = {("eth0", 0, TCP4, 1): 20, ("eth0", 0, UDP4, 2): 45, ("eth1", 0, TCP4, 3): 1}
NOW = {("eth0", 0, TCP4, 1): 60, ("eth0", 0, UDP4, 2): 50, ("eth1", 0, TCP4, 3): 21}


@pytest.fixture
def two() -> list[Sample]:
    earlier = {("eth0", TCP4): 55, ("eth0", UDP4): 45, ("eth1", TCP4): 1}
    return [sample(1, earlier, THEN), sample(3, COUNTS, NOW)]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("bytes_per_second", ["10.0.0.1", "10.0.0.3", "10.0.0.2"]),
        ("packets_per_second", ["10.0.0.1", "10.0.0.3", "10.0.0.2"]),
        ("bytes", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
        ("packets", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
    ],
)
def test_largest_flows_come_first(two: list[Sample], sort: str, order: list[str]) -> None:
    assert [flow["source"] for flow in ask(two, sort=sort)["flows"]] == order
    assert [flow["source"] for flow in ask(two, sort=sort, top=1)["flows"]] == order[:1]


@pytest.mark.parametrize(
    ("changed", "sources"),
    [
        ({"interface": "eth1"}, {"10.0.0.3"}),
        ({"interface": "e*"}, {"10.0.0.1", "10.0.0.2", "10.0.0.3"}),
        ({"direction": "egress"}, set()),
        ({"protocol": "udp"}, {"10.0.0.2"}),
        ({"search": "0.0.3"}, {"10.0.0.3"}),
        ({"search": "10.9.9"}, {"10.0.0.1", "10.0.0.2", "10.0.0.3"}),
        ({"search": "10.0.0.1", "protocol": "udp"}, set()),
    ],
)
def test_flows_are_filtered(two: list[Sample], changed: dict[str, str], sources: set[str]) -> None:
    document = ask(two, **changed)
    assert {flow["source"] for flow in document["flows"]} == sources
    assert document["matched"] == len(sources)


def test_flows_and_other_sum_to_the_total_in_counters_and_rates(two: list[Sample]) -> None:
    document = ask([sample(0, {("eth0", TCP4): 0}), *two])  # of which the first knows no flows
    for unit in document["total"]:
        parts = [*document["flows"], document["other"]]
        assert sum(part[unit] for part in parts) == pytest.approx(document["total"][unit])
    assert document["total"]["packets"] == sum(COUNTS.values())
    assert ask(two, interface="eth1")["total"]["packets"] == 30


def test_flow_that_lost_its_place_counts_from_zero() -> None:
    samples = [
        sample(1, {("eth0", TCP4): 1000}, {("eth0", 0, TCP4, 1): 900}),
        sample(3, {("eth0", TCP4): 1010}, {("eth0", 0, TCP4, 1): 6}),
    ]
    document = ask(samples)
    assert document["flows"][0]["packets_per_second"] == 3
    assert document["other"]["packets_per_second"] == 2


def test_flows_and_other_sum_to_the_interface_when_a_drain_is_early() -> None:
    samples = [
        sample(1, {("eth0", TCP4): 100}, {("eth0", 0, TCP4, 1): 100}),
        sample(3, {("eth0", TCP4): 210}, {("eth0", 0, TCP4, 1): 200}, flows_at=2.5),
    ]
    assert samples[-1].flows
    samples[-1].flows.snapshot.others.clear()  # the ten packets arrived after the drain
    document = ask(samples)
    assert document["total"]["packets_per_second"] == 55
    assert document["flows"][0]["packets_per_second"] == 55  # 100 in 1.5 s would exceed it
    assert document["other"]["packets_per_second"] == 0


def test_flows_have_no_rates_before_flows_were_asked_for_twice(two: list[Sample]) -> None:
    document = ask([sample(1, COUNTS), two[1]])
    assert document["flows"][0]["packets_per_second"] is None
    assert document["other"]["packets_per_second"] is None


def test_first_poll_in_a_while_has_rates_since_the_latest_drain_before() -> None:
    samples = [
        sample(1, {("eth0", TCP4): 100}, {("eth0", 0, TCP4, 1): 100}),
        sample(9, {("eth0", TCP4): 180}),
        sample(11, {("eth0", TCP4): 200}, {("eth0", 0, TCP4, 1): 200}),
    ]
    document = ask(samples)
    assert document["flows"][0]["packets_per_second"] == 10
    assert document["other"]["packets_per_second"] == 0


def test_flow_rate_is_over_the_time_between_its_drains() -> None:
    samples = [
        sample(1, {("eth0", TCP4): 0}, {("eth0", 0, TCP4, 1): 0}, flows_at=1),
        sample(6, {("eth0", TCP4): 1000}, {("eth0", 0, TCP4, 1): 800}, flows_at=5),
    ]
    document = ask(samples)  # a busy machine: the drain for the last sample is late
    assert document["flows"][0]["packets_per_second"] == 200  # not 160
    assert document["other"]["packets_per_second"] == 0


def test_flows_of_an_interface_never_exceed_it() -> None:
    flows = {("eth0", 0, TCP4, 1): 600, ("eth0", 0, UDP4, 2): 200, ("eth1", 0, TCP4, 3): 50}
    samples = [
        sample(1, {("eth0", TCP4): 0, ("eth1", TCP4): 0}, dict.fromkeys(flows, 0)),
        sample(
            6, {("eth0", TCP4): 600, ("eth0", UDP4): 200, ("eth1", TCP4): 100}, flows, flows_at=5
        ),
    ]
    document = ask(samples)
    rates = {row["source"]: row["packets_per_second"] for row in document["flows"]}
    assert rates == {"10.0.0.1": 120, "10.0.0.2": 40, "10.0.0.3": 12.5}
    assert document["other"]["packets_per_second"] == 20 - 12.5
    assert [row["share"] for row in document["flows"]] == [0.6667, 0.2222, 0.0694]


def test_disabled_flows_have_no_document() -> None:
    assert Flows(FlowServices())([sample(1, COUNTS)], EVERY) is None


def test_drops_have_rates() -> None:
    first = sample(1, {}, drops={("eth0", "no_socket"): 10})
    second = sample(2, {}, drops={("eth0", "no_socket"): 30, ("eth1", "other"): 4})
    told = {(x["reason"], x["packets_per_second"]) for x in drops([first, second])["drops"]}
    assert told == {("no_socket", 20), ("other", 4)}
    assert len(drops([first, second], "eth1")["drops"]) == 1
