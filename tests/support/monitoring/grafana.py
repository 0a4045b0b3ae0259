"""The shipped dashboard, with its variables filled in as Grafana does before it asks Prometheus.

Grafana itself is in none of Debian's, PyPI's or npm's registries. What it does to a query is in its
documentation: "Global variables", "Advanced variable format options", and "Use $__rate_interval".
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.monitoring.prometheus import Prometheus

FILE = Path(__file__).parents[3] / "deploy" / "grafana" / "pktexp.json"
LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")
SCRAPE, STEP, RANGE = 1, 5, 15
"""seconds: the data source's scrape interval; between two points; that are shown"""
BUILT_IN = {
    "__rate_interval": f"{max(STEP + SCRAPE, 4 * SCRAPE)}s",
    "__interval": f"{STEP}s",
    "__range": f"{RANGE}s",
}

Series = dict[str, Any]
"""as Prometheus answers: `metric`, and `value` or `values`"""


@dataclass(frozen=True)
class Query:
    """A query of a panel."""

    panel: str
    unit: str
    expression: str
    legend: str
    instant: bool


def board() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return loaded


def panels() -> list[dict[str, Any]]:
    """Return all panels but the headings of rows."""
    return [panel for panel in board()["panels"] if panel["type"] != "row"]


def queries(title: str = "") -> Iterator[Query]:
    """Yield the queries of all panels, or of those with this title."""
    for panel in panels():
        for target in panel["targets"]:
            if title in ("", panel["title"]):
                instant = target.get("instant", False)
                unit = panel["fieldConfig"]["defaults"]["unit"]
                words = (panel["title"], unit, target["expr"], target["legendFormat"])
                yield Query(*words, instant)


def filled(expression: str, values: Mapping[str, Sequence[str]]) -> str:
    """Put values in place of variables. Raises KeyError for an undefined variable."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name in BUILT_IN:
            return BUILT_IN[name]
        escaped = [re.sub(r"[$^*{}\[\]'+?.()|]", r"\\\\\g<0>", text) for text in values[name]]
        return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"

    return re.sub(r"\$\{?(\w+)\}?", value, expression)


class View:
    """The dashboard just opened; `values` are those of its variables."""

    def __init__(self, server: Prometheus, **chosen: list[str]) -> None:
        """Open the dashboard; `chosen`: values of variables that a user has changed."""
        self._server = server
        self.values: dict[str, list[str]] = {}
        for variable in board()["templating"]["list"]:
            if variable["type"] == "query":
                self.values[variable["name"]] = self._chosen(variable)
        self.values |= chosen

    def _chosen(self, variable: dict[str, Any]) -> list[str]:
        """Return the initial value of a variable: all, the default, or the first."""
        match = LABEL_VALUES.fullmatch(variable["query"])
        assert match
        selector = urllib.parse.urlencode({"match[]": filled(match[1], self.values)})
        found: list[str] = self._server.ask(f"label/{match[2]}/values?{selector}")
        if variable["includeAll"]:
            assert variable["current"]["value"] == "$__all"
            return found
        current = variable.get("current", {}).get("value")
        return [current] if current in found else found[:1]

    def ask(self, query: Query, time: float) -> list[Series]:
        """Return the series of a query, at this moment or over the time range that ends then."""
        asked = {"query": filled(query.expression, self.values)}
        if query.instant:
            path, when = "query", {"time": time}
        else:
            path, when = "query_range", {"start": time - RANGE, "end": time, "step": STEP}
        found: list[Series] = self._server.ask(f"{path}?{urllib.parse.urlencode(asked | when)}")[
            "result"
        ]
        return found

    def latest(self, title: str, time: float) -> list[dict[frozenset[tuple[str, str]], float]]:
        """Return the latest values of each query of a panel, by labels."""
        answers = [self.ask(query, time) for query in queries(title)]
        return [
            {frozenset(one["metric"].items()): float(points(one)[-1][1]) for one in answer}
            for answer in answers
        ]


def points(series: Series) -> list[tuple[float, str]]:
    """Return time and value of each point."""
    return series["values"] if "values" in series else [series["value"]]
