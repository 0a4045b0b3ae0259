"""A real Prometheus: promtool reads the page, a server scrapes it and answers queries."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.monitoring.prometheus import lint, prometheus
from support.netns.namespace import Namespace
from support.packets.cases import all_cases
from support.patience import wait_for
from support.service.process import serving

CASES = all_cases()
Pair = tuple[Namespace, Namespace]


@pytest.mark.parametrize("flows", ["off", "hosts", "sockets"])
def test_promtool_has_nothing_to_say_about_the_page(pair: Pair, flows: str) -> None:
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
