"""The shipped dashboard's file: what Grafana asks of one, and what people do."""

from __future__ import annotations

import itertools
from typing import Any

from grafana_foundation_sdk.models import units

from dashboard.__main__ import FILE, text
from support.monitoring.grafana import board, panels

KINDS = {"timeseries", "stat", "table", "bargauge", "heatmap"}
UNITS = {value for name, value in vars(units).items() if name[0].isupper()}
COLUMNS = 24


def test_file_is_the_output_of_the_code() -> None:
    assert FILE.read_text("utf-8") == text(), "just docs"


def test_every_panel_has_a_supported_type_and_a_description() -> None:
    for panel in panels():
        assert panel["type"] in KINDS
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        for override in panel["fieldConfig"]["overrides"]:
            changed = {one["id"]: one["value"] for one in override["properties"]}
            assert changed.get("unit", "short") in UNITS


def test_panels_have_unique_titles_and_ids() -> None:
    every = board()["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    assert len({panel["title"] for panel in panels()}) == len(panels())


def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
    place = panel["gridPos"]
    columns = range(place["x"], place["x"] + place["w"])
    return set(itertools.product(columns, range(place["y"], place["y"] + place["h"])))


def test_panels_lie_on_the_grid_without_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board()["panels"]:
        own = cells(panel)
        assert own
        assert not own & taken, panel["title"]
        assert all(0 <= x < COLUMNS for x, _ in own), panel["title"]
        taken |= own


def test_every_query_uses_the_chosen_source_and_has_a_unique_id() -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels():
        assert panel["datasource"] == chosen
        letters = [target["refId"] for target in panel["targets"]]
        assert letters
        assert len(set(letters)) == len(letters)
        assert all(target["datasource"] == chosen for target in panel["targets"])
    variables = board()["templating"]["list"]
    assert [variable["name"] for variable in variables] == [
        *("datasource", "job", "instance", "class", "interface")
    ]
    assert all(v["datasource"] == chosen for v in variables if v["type"] == "query")
