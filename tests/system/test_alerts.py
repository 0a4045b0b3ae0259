"""The shipped alerts: promtool evaluates them above and below each threshold."""

from __future__ import annotations

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


def test_alerts_fire_as_the_cases_say() -> None:
    promtool("test", "rules", str(CASES))


def test_every_alert_has_cases_on_both_sides() -> None:
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
