"""Compare lists in the documentation with the code; test_docs_metrics.py does so for metrics."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import configuration
from pktexp.commands.main import serve
from pktexp.interfaces.drops import HARMLESS

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"\b(?:pktexp|total)_[a-z_]+\b")


def test_documented_options_are_those_of_the_commands() -> None:
    text = configuration.PAGE.read_text("utf-8")
    assert text == configuration.filled(text), "just docs"
    for option in serve.params:
        assert f"| `{option.opts[0]}" in text


def test_shipped_queries_ask_for_documented_metrics() -> None:
    documented = set(NAME.findall((ROOT / "docs" / "metrics.md").read_text()))
    shipped = [*(ROOT / "deploy" / "prometheus").glob("*.yml"), ROOT / "deploy/grafana/pktexp.json"]
    for file in shipped:
        for name in NAME.findall(file.read_text()):
            family = re.sub("_(bucket|sum|count)$", "", name)
            assert {name, family} & documented, f"{file.name}: {name} is not in docs/metrics.md"


def log_lines() -> Iterator[str]:
    """Yield the text of every log line above debug level, with % for each variable part."""
    for source in (ROOT / "src/pktexp").rglob("*.py"):
        if source.name == "failures.py":  # passes on the texts of its callers
            continue
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and (text := logged(node)):
                assert isinstance(text, ast.Constant), f"{source}: {ast.unparse(node)}"
                yield str(text.value)


def logged(call: ast.Call) -> ast.expr | None:
    """Return the text that a call logs: by a logger or by a FailureCounter; else None."""
    called = ast.unparse(call.func)
    if re.fullmatch(r"log\.(info|warning|error)", called) or called.endswith(".suppressed"):
        return call.args[0]
    return call.args[1] if called.endswith(".note") else None


def test_every_log_line_is_documented() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    found = [re.sub("%[a-z]", "…", text) for text in log_lines()]
    assert len(found) > 40  # else they were not found, whatever the page says
    for line in found:
        assert re.search(f"`{re.escape(line)}(`|: …)", page), f"{line} is not in operations.md"


@pytest.mark.parametrize(
    "file", ["deploy/prometheus/alerts.yml", "deploy/grafana/pktexp.json", "docs/metrics.md"]
)
def test_harmless_reasons_are_one_list_everywhere(file: str) -> None:
    text = (ROOT / file).read_text().replace('\\"', '"')
    left_out = re.findall(r'dropped_packets_total[^}]*reason!(?:~|=)"([^"]*)"', text)
    assert left_out
    assert set(left_out) == {"|".join(HARMLESS)}
