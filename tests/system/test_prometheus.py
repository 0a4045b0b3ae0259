"""A real Prometheus: promtool reads the page, a server scrapes it and answers queries."""

from __future__ import annotations

import contextlib
import time
from functools import partial
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from scapy.layers.inet import IP

from support.monitoring.prometheus import lint, prometheus
from support.netns.namespace import Namespace
from support.netns.traffic import B, addressed, knock
from support.packets.cases import ETHER, all_cases
from support.patience import wait_for
from support.service.process import Service, serving

CASES = all_cases()
Pair = tuple[Namespace, Namespace]


@pytest.mark.parametrize("flows", ["off", "hosts", "sockets"])
def test_promtool_finds_no_fault_in_the_page(pair: Pair, flows: str) -> None:
    a, b = pair
    with serving(b, "--flows", flows) as service:
        service.wait_until_attached("vb")
        assert lint(service.text()) == ""  # empty counters
        a.send("va", [case.frame for case in CASES])
        assert lint(service.text()) == ""


def test_prometheus_scrapes_and_answers_rates(pair: Pair, tmp_path: Path) -> None:
    a, b = pair
    with serving(b, "--interfaces", "vb") as service:
        service.wait_until_attached("vb")
        port = int(service.url.rstrip("/").rsplit(":", 1)[1])
        with prometheus(b, tmp_path, port) as server:
            selector = '{interface="vb",direction="ingress",protocol="udp",ip_version="4"}'
            wait_for(lambda: server.query('up{job="pktexp"} == 1'))
            frames = [case.frame for case in CASES]
            rates = {
                f"rate(pktexp_packets_total{selector}[30s]) > 0",
                'rate(total_packets{interface="vb"}[30s]) > 0',
                'sum(rate(pktexp_flow_bytes_total{interface="vb"}[30s])) > 0',
                "histogram_quantile(0.9, rate(pktexp_packet_size_bytes_bucket[30s])) > 60",
                'rate(total_throughput_sum{interface="vb",protocol="tcp"}[30s]) > 0',
            }

            def all_answered() -> bool:
                a.send("va", frames)
                return all(server.query(expression) for expression in rates)

            wait_for(all_answered)
            (counter,) = server.ask("metadata")["pktexp_packets"]  # its name in OpenMetrics
            assert counter["type"] == "counter"


BURST = 100
KINDS = {
    "UDP": 'pktexp_packets_total{interface="vb",direction="ingress",protocol="udp",ip_version="4"}',
    "bytes": 'pktexp_bytes_total{interface="vb",direction="ingress",protocol="udp",ip_version="4"}',
    "no_socket": 'pktexp_dropped_packets_total{interface="vb",reason="no_socket"}',
}


def test_first_burst_on_a_used_interface_shows_as_an_increase(pair: Pair, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        a, b = stack.enter_context(addressed(*pair))
        service = stack.enter_context(serving(b.namespace, "--interfaces", "vb"))
        service.wait_until_attached("vb")
        a.namespace.run("ping", "-c", "1", "-W", "5", B)  # traffic, of another kind
        port = int(service.url.rstrip("/").rsplit(":", 1)[1])
        server = stack.enter_context(prometheus(b.namespace, tmp_path, port))
        for series in KINDS.values():
            wait_for(partial(server.query, f"count_over_time({series}[1m]) >= 2"))
            assert server.query(f"{series} == 0")
        knock(a, 4242, BURST)  # nobody listens there

        def increase(series: str) -> float:
            (found,) = server.query(f"max_over_time({series}[5m]) - min_over_time({series}[5m])")
            return float(found["value"][1])

        wait_for(lambda: increase(KINDS["UDP"]) >= BURST)
        assert increase(KINDS["UDP"]) == BURST
        assert increase(KINDS["bytes"]) == BURST * (14 + 20 + 8 + 8)
        wait_for(lambda: increase(KINDS["no_socket"]) >= BURST)
        for series in KINDS.values():  # the function that dashboards use, which extrapolates
            assert server.query(f"increase({series}[5m]) >= {BURST}")


def openmetrics(service: Service) -> str:
    accepted = "application/openmetrics-text; version=1.0.0"
    page: str = service.get("metrics", Accept=accepted).read().decode()
    return page


def test_rare_series_has_the_time_when_it_was_zero(pair: Pair) -> None:
    a, b = pair
    with serving(b, "--interfaces", "vb") as service:
        service.wait_until_attached("vb")
        before = time.time()
        openmetrics(service)
        a.send("va", [bytes(ETHER / IP(src="198.18.0.1", dst="192.0.2.2", proto=47) / b"gre?")] * 5)
        rare = {"interface": "vb", "direction": "ingress", "protocol": "gre", "ip_version": "4"}

        def look() -> list[tuple[str, float]]:
            page = text_string_to_metric_families(openmetrics(service))
            samples = [s for family in page for s in family.samples if s.labels == rare]
            return [(s.name, s.value) for s in samples if s.name.startswith("pktexp_packets")]

        found = dict(wait_for(look))
        assert found["pktexp_packets_total"] == 5
        assert before <= found["pktexp_packets_created"] <= time.time()
