"""Annotations of the shipped alerts: the instance, the severity, and a link to the runbook."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from support.markdown import anchors
from support.patience import finished

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "prometheus" / "alerts.yml"
PAGE = ROOT / "docs" / "operations.md"


def alerts(text: str) -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(text)["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def runbooks(text: str) -> dict[str, str]:
    return {name: rule["annotations"]["runbook_url"] for name, rule in alerts(text).items()}


def test_every_alert_names_its_instance_and_severity() -> None:
    for name, alert in alerts(FILE.read_text()).items():
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert re.fullmatch(r"\d+m", alert["for"])
        notes = alert["annotations"]
        assert set(notes) == {"summary", "description", "runbook_url"}
        if name != "PktexpAbsent":  # there is no instance to name
            for text in (notes["summary"], notes["description"]):
                assert "{{ $labels.instance }}" in text


def test_every_runbook_exists_below_one_base() -> None:
    known = anchors(PAGE.read_text())
    found = runbooks(FILE.read_text())
    assert {url.partition("/docs/")[0] for url in found.values()} == {"https://pktexp.example.com"}
    for name, url in found.items():
        _, _, anchor = url.partition("/docs/operations.md#")
        assert anchor == f"alert-{name.lower()}"
        assert anchor in known


def test_the_command_in_the_comment_changes_every_runbook() -> None:
    text = FILE.read_text()
    (expression,) = re.findall(r"^#   sed -i '(.+)' alerts\.yml$", text, re.MULTILINE)
    changed = finished(["sed", expression], input=text, capture_output=True, check=True).stdout
    _, old, new, _ = expression.split("|")
    assert runbooks(changed) == {
        name: url.replace(old, new) for name, url in runbooks(text).items()
    }
    assert all(url.startswith(f"{new}/docs/") for url in runbooks(changed).values())
