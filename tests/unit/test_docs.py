"""What the documentation lists, against the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import configuration
from pktexp.commands.main import serve

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


def test_every_metric_that_is_asked_for_is_documented() -> None:
    documented = set(NAME.findall((ROOT / "docs" / "metrics.md").read_text()))
    shipped = [*(ROOT / "deploy" / "prometheus").glob("*.yml"), ROOT / "deploy/grafana/pktexp.json"]
    for file in shipped:
        for name in NAME.findall(file.read_text()):
            family = re.sub("_(bucket|sum|count)$", "", name)
            assert {name, family} & documented, f"{file.name}: {name} is not in docs/metrics.md"


def said() -> Iterator[str]:
    """The texts of all log lines that are not for debugging, with % for what varies."""
    for source in (ROOT / "src/pktexp").rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and re.match(r"log\.(info|warn|err)", ast.unparse(node)):
                text = node.args[0]
                assert isinstance(text, ast.Constant), f"{source}: {ast.unparse(node)}"
                yield str(text.value)


def test_every_line_of_the_log_is_explained() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    for text in said():
        line = re.sub("%[a-z]", "…", text)
        assert f"`{line}`" in page, f"{line} is not in docs/operations.md"
