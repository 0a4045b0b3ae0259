"""What the documentation lists, against the code."""

from __future__ import annotations

import re
from pathlib import Path

import configuration
from pktexp.cli import serve

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"\b(?:pktexp|total)_[a-z_]+\b")


def test_the_documented_options_are_those_of_the_commands() -> None:
    text = configuration.PAGE.read_text("utf-8")
    assert text == configuration.filled(text), "just docs"
    for option in serve.params:
        assert f"| `{option.opts[0]}" in text


def test_every_family_of_the_code_is_documented() -> None:
    documented = set(NAME.findall((ROOT / "docs" / "metrics.md").read_text()))
    for source in (ROOT / "src/pktexp").rglob("*.py"):
        quoted = re.findall(r'"(pktexp_[a-z_]+|total_[a-z_]+)"', source.read_text())
        for name in quoted:
            assert {name, f"{name}_total"} & documented, f"{name} is not in docs/metrics.md"
