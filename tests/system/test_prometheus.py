"""A real Prometheus: promtool reads the page, a server scrapes it and answers queries."""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.netns import Namespace
from support.packets import all_cases
from support.service import PATIENCE, serving, wait_for

CASES = all_cases()
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: pktexp
    static_configs: [{{targets: ["localhost:{port}"]}}]
"""
Pair = tuple[Namespace, Namespace]


class Prometheus:
    """A server in a namespace, asked through its HTTP API."""

    def __init__(self, namespace: Namespace, folder: Path, port: int) -> None:
        self.namespace = namespace
        config = folder / "prometheus.yml"
        config.write_text(CONFIG.format(port=port))
        self.process = subprocess.Popen(
            namespace.command(
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--web.listen-address=localhost:9090",
            ),
            stderr=subprocess.DEVNULL,
        )

    def query(self, expression: str) -> list[dict[str, Any]]:
        query = urllib.parse.urlencode({"query": expression})
        with self.namespace.entered(), contextlib.suppress(OSError):
            url = f"http://localhost:9090/api/v1/query?{query}"
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
                return found
        return []

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)


@contextlib.contextmanager
def prometheus(namespace: Namespace, folder: Path, port: int) -> Iterator[Prometheus]:
    server = Prometheus(namespace, folder, port)
    try:
        yield server
    finally:
        server.stop()


def lint(text: str) -> str:
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


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
            (counter,) = metadata(server)["pktexp_packets"]  # its name in OpenMetrics
            assert counter["type"] == "counter"


def metadata(server: Prometheus) -> dict[str, Any]:
    with server.namespace.entered():
        url = "http://localhost:9090/api/v1/metadata"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            found: dict[str, Any] = json.load(answer)["data"]
            return found
