"""The shipped alerts: each fires, and does not fire, by promtool; and says what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from support.monitoring.prometheus import promtool

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
CASES = Path(__file__).with_name("alerts_test.yml")


def alerts() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def test_promtool_accepts_the_alerts() -> None:
    promtool("check", "rules", str(ALERTS))


def test_alerts_fire_when_they_should_and_not_when_they_should_not() -> None:
    promtool("test", "rules", str(CASES))


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    cases = [
        (case["alertname"], bool(case["exp_alerts"]), test["name"])
        for test in yaml.safe_load(CASES.read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    assert {(alert, fires) for alert, fires, _ in cases} == {
        (alert, fires) for alert in alerts() for fires in (True, False)
    }
    for alert, fires, name in cases:
        assert name.startswith(f"{alert} fires" if fires else f"{alert} does not fire")


def test_every_alert_says_where_what_and_what_to_do() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    for name, alert in alerts().items():
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert re.fullmatch(r"\d+m", alert["for"])
        notes = alert["annotations"]
        assert set(notes) == {"summary", "description", "runbook"}
        if name != "PktexpAbsent":  # of which nothing is there that could be named
            for text in (notes["summary"], notes["description"]):
                assert "{{ $labels.instance }}" in text
        assert notes["runbook"] == f"docs/operations.md#alert-{name.lower()}"
        assert f"### Alert: {name}\n" in page  # whose anchor it is
