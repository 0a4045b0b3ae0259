"""Numbers of the dashboard that are 0 while all is well, by promtool: also when it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from support.monitoring.grafana import filled, queries
from support.monitoring.prometheus import promtool

CHOSEN = {"job": ["pktexp"], "instance": ["a:8080", "b:8080"], "interface": ["eth0"]}
HERE = 'job="pktexp",instance="a:8080"'
BUILD = f"pktexp_build_info{{{HERE}}}"
ALERT = 'ALERTS{alertname="PktexpDown",instance="%s:8080",alertstate="%s"}'
FILE = f'pktexp_config_last_reload_successful{{{HERE},config="%s"}}'
HOOK = f'pktexp_interface_attached{{{HERE},interface="%s",direction="ingress",hook="none"}}'
MISSES = f"pktexp_drop_misses_total{{{HERE}}}"
DROPS = f'pktexp_dropped_packets_total{{{HERE},interface="eth0",reason="%s"}}'
LOST = f'pktexp_event_lost_packets_total{{{HERE},interface="eth0",direction="ingress"}}'
SEEN = f'pktexp_packets_total{{{HERE},interface="eth0",direction="ingress"}}'


@pytest.mark.parametrize(
    ("title", "series", "expected"),
    [
        ("Alerts", {}, 0),
        ("Alerts", {ALERT % ("a", "firing"): "1x60", ALERT % ("b", "pending"): "1x60"}, 1),
        ("Files not read again", {}, None),
        ("Files not read again", {BUILD: "1x60"}, 0),
        ("Files not read again", {BUILD: "1x60", FILE % "networks": "1x60"}, 0),
        ("Files not read again", {BUILD: "1x60", FILE % "web": "0x60", FILE % "pods": "1x60"}, 1),
        ("Not counted", {}, None),
        ("Not counted", {BUILD: "1x60", HOOK % "eth0": "1x60"}, 0),
        ("Not counted", {BUILD: "1x60", HOOK % "eth0": "0x60", HOOK % "eth1": "0x60"}, 2),
        ("Dropped by the kernel", {}, None),  # as of a kernel that cannot tell
        ("Dropped by the kernel", {MISSES: "0x60"}, 0),
        ("Dropped by the kernel", {MISSES: "0x60", DROPS % "queue_purge": "0+1x60"}, 0),
        ("Dropped by the kernel", {MISSES: "0x60", DROPS % "no_socket": "0+1x60"}, 1),
        ("Packets without a flow", {LOST: "0+1x60", SEEN: "0+10x60"}, 0.1),
    ],
)
def test_panels_show_failures_and_zero_only_for_known_values(
    title: str, series: dict[str, str], expected: float | None, tmp_path: Path
) -> None:
    (query,) = queries(title)
    seen = [{"labels": "{}", "value": expected}] if expected is not None else []
    expression = {
        "expr": filled(query.expression, CHOSEN),
        "eval_time": "50s",
        "exp_samples": seen,
    }
    case = {
        "interval": "1s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [expression],
    }
    file = tmp_path / "case.yml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "1s", "tests": [case]}))
    promtool("test", "rules", str(file))
