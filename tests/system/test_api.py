"""The API of a running service against its metrics, and against what was sent."""

from __future__ import annotations

import gzip
import json
import urllib.error
from collections.abc import Iterator
from typing import Any

import pytest

from support.netns.namespace import Namespace, connect
from support.patience import wait_for
from support.service.api import ask, frames, grown, interface, received
from support.service.process import Page, Service, select, serving, total

SOURCES, TIMES, LENGTH = 50, 20, 100
SENT = SOURCES * TIMES


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """After a thousand packets from fifty addresses came by `vb`; nothing comes any more."""
    a, b = Namespace(), Namespace()
    try:
        connect(a, b, "va", "vb")
        b.ip("link", "add", "idle", "type", "veth", "peer", "idle2")
        with serving(b, "--interfaces", "vb", "--interfaces", "idle") as service:
            service.wait_until_attached("vb")
            b.ip("link", "set", "vb", "alias", "the one")
            wait_for(lambda: known(service))
            a.send("va", frames(SOURCES, LENGTH) * TIMES)
            received(service, "vb", SENT)
            yield service
    finally:
        a.remove()
        b.remove()


def known(service: Service) -> bool:
    """Whether the history has a value of `vb`, so that from now on it has all that comes."""
    found = ask(service, "history?interface=vb&seconds=1")["interfaces"]
    return "vb" in found and found["vb"]["ingress"]["protocols"]["udp"]["packets"] != [None]


def of_page(page: Page, name: str, labels: tuple[str, ...]) -> dict[tuple[str, ...], int]:
    return {
        tuple(dict(key)[label] for label in labels): int(value)
        for key, value in select(page, name).items()
    }


def test_interfaces_agree_with_the_metrics(service: Service) -> None:
    vb, page = interface(service, "vb"), service.page()
    assert vb["ingress"]["packets"] == SENT
    assert vb["ingress"]["bytes"] == SENT * LENGTH
    for way in ("ingress", "egress"):
        for unit in ("packets", "bytes"):
            site = {"interface": "vb", "direction": way}
            assert vb[way][unit] == total(page, f"pktexp_{unit}_total", **site)
        assert sum(vb[way]["sizes"]["counts"]) == vb[way]["packets"]
    (info,) = select(page, "pktexp_interface_info", interface="vb")
    labels = dict(info)
    for name in ("kind", "class", "address", "alias", "peer_netns"):
        assert vb[name] == labels[name]
    assert (str(vb["ifindex"]), str(vb["mtu"])) == (labels["ifindex"], labels["mtu"])
    assert vb["state"] == "counting"
    assert vb["hooks"] == {"ingress": "tcx-ingress", "egress": "tcx-egress"}


def test_interfaces_are_selected_by_glob(service: Service) -> None:
    names = [x["name"] for x in ask(service, "interfaces")["interfaces"]]
    assert names == ["idle", "vb"]
    assert [x["name"] for x in ask(service, "interfaces?name=i*")["interfaces"]] == ["idle"]


def test_flows_agree_with_the_metrics(service: Service) -> None:
    labels = ("interface", "direction", "protocol", "source", "dest")

    def same() -> bool:
        document, page = ask(service, "flows?view=flows&top=1000"), service.page()
        for unit in ("packets", "bytes"):
            told = {tuple(x[label] for label in labels): x[unit] for x in document["flows"]}
            shown = of_page(page, f"pktexp_flow_{unit}_total", labels)
            if told != {key: value for key, value in shown.items() if "other" not in key}:
                return False
        return bool(len(document["flows"]) == SOURCES == document["matched"])

    wait_for(same)
    document = ask(service, "flows?view=flows&interface=vb&top=3&sort=packets&search=198.18.0.7")
    assert [flow["packets"] for flow in document["flows"]] == [TIMES]
    assert document["total"]["packets"] == SENT


def test_drops_agree_with_the_metrics(service: Service) -> None:
    document, page = ask(service, "drops"), service.page()
    told = {(x["interface"], x["reason"]): x["packets"] for x in document["drops"]}
    counted = of_page(page, "pktexp_dropped_packets_total", ("interface", "reason"))
    assert told == {drop: packets for drop, packets in counted.items() if packets}
    assert told["vb", "otherhost"] == SENT
    assert interface(service, "vb")["dropped"] == {"otherhost": SENT}
    labels = ("interface", "direction", "kind")
    devices = {tuple(x[label] for label in labels): x["packets"] for x in document["devices"]}
    assert devices == of_page(page, "pktexp_interface_dropped_packets_total", labels)


def test_the_history_sums_to_the_counters(service: Service) -> None:
    def packets() -> float:
        past = ask(service, "history?interface=vb")["interfaces"]["vb"]["ingress"]
        return grown(past["protocols"]["udp"]["packets"])

    wait_for(lambda: packets() == pytest.approx(SENT))
    past = ask(service, "history?interface=vb")["interfaces"]["vb"]["ingress"]["protocols"]
    assert grown(past["udp"]["bytes"]) == pytest.approx(SENT * LENGTH)
    assert not any(past["tcp"]["packets"][-1:])


def test_the_history_has_the_requested_steps(service: Service) -> None:
    document = ask(service, "history?seconds=100&step=30")
    assert (document["step"], document["length"]) == (30, 4)
    assert document["interfaces"].keys() == {"vb", "idle"}
    for past in document["interfaces"].values():
        assert past["class"] == "virtual"
        for way in ("ingress", "egress"):
            for series in past[way]["protocols"].values():
                assert [len(series[unit]) for unit in ("packets", "bytes")] == [4, 4]
    now = ask(service, "status")["now"]
    assert document["start"] == pytest.approx(now - 120, abs=60)


def test_the_status_describes_the_service(service: Service) -> None:
    status, page = ask(service, "status"), service.page()
    ((_, build),) = [key for key in page if key[0] == "pktexp_build_info"]
    assert (status["version"], status["libbpf"]) == tuple(
        dict(build)[name] for name in ("version", "libbpf")
    )
    assert (status["ready"], status["missing"]) == (True, "")
    assert status["options"]["flows"] == "hosts"
    assert status["classes"].keys() == {"virtual"}
    assert status["classes"]["virtual"]["ingress"]["packets"] == total(
        page, "pktexp_packets_total", direction="ingress"
    )
    assert status["history"]["interfaces"] == 2
    assert status["history"]["bytes"] == total(page, "pktexp_history_memory_bytes") < 10 << 20
    memory = ("pktexp_interface", "pktexp_ring", "pktexp_flow_cache")
    assert status["cost"]["kernel_bytes"] == sum(total(page, f"{x}_memory_bytes") for x in memory)


def test_responses_are_compressed_for_clients_that_accept_gzip(service: Service) -> None:
    answer = service.get("api/v1/history", **{"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(answer.read()))["length"] == 900


@pytest.mark.parametrize("codings", ["gzip;q=0", "GZIP;q=0, *", "identity, gzip;q=0.1", "br"])
def test_responses_are_plain_for_clients_that_refuse_gzip(service: Service, codings: str) -> None:
    answer = service.get("api/v1/history", **{"Accept-Encoding": codings})
    assert "Content-Encoding" not in answer.headers
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert json.loads(answer.read())["length"] == 900


@pytest.mark.parametrize(
    ("path", "status", "part"),
    [
        ("flows?top=many", 400, "top must be a whole number from 1 to 1000, not 'many'"),
        ("history?step=0", 400, "step must be a whole number from 1 to 60, not '0'"),
        ("nothing", 404, "/api/v1/openapi.json lists all paths"),
    ],
)
def test_errors_are_sentences_in_json(service: Service, path: str, status: int, part: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(service, path)
    with caught.value as answer:
        assert answer.status == status
        assert answer.headers["Content-Type"] == "application/json"
        assert part in json.loads(answer.read())["error"]


def test_disabled_flows_and_egress_are_reported(pair: tuple[Namespace, Namespace]) -> None:
    options = ("--interfaces", "vb", "--flows", "off", "--no-egress")
    with serving(pair[1], *options) as service:
        with pytest.raises(urllib.error.HTTPError) as caught:
            ask(service, "flows")
        with caught.value as answer:
            assert answer.status == 503
            assert "--flows off" in json.loads(answer.read())["error"]
        vb = interface(service, "vb")
        assert (vb["egress"], vb["hooks"]["egress"], vb["state"]) == (None, None, "counting")
        wait_for(lambda: known_at_ingress_alone(ask(service, "history")["interfaces"]))


def known_at_ingress_alone(interfaces: dict[str, Any]) -> bool:
    return "vb" in interfaces and interfaces["vb"]["egress"] is None
