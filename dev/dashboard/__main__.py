"""Writes deploy/grafana/pktexp.json, which operators import; the rows are in the modules beside."""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DatasourceVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from dashboard import drops, health, interfaces, overview, services, talkers
from dashboard.parts import SOURCE
from dashboard.promql import HOST

FILE = Path(__file__).parents[2] / "deploy" / "grafana" / "pktexp.json"
ROWS = {
    "Overview": overview.PANELS,
    "Interfaces": interfaces.PANELS,
    "Talkers": talkers.PANELS,
    "Services": services.PANELS,
    "Drops": drops.PANELS,
    "Exporter health": health.PANELS,
}
EVERYTHING = VariableOption(selected=True, text="All", value="$__all")
PHYSICAL = VariableOption(selected=True, text="physical", value="physical")
ABOUT = (
    "What pktexp counts on the interfaces of hosts, whose traffic it is, and where packets died."
    " Each metric is described in docs/metrics.md, each alert in docs/operations.md."
)


def text() -> str:
    """The file's content."""
    board = Dashboard("pktexp").uid("pktexp").description(ABOUT).tags(["pktexp", "network"])
    board.editable().tooltip(DashboardCursorSync.CROSSHAIR)
    board.refresh("1m").time("now-1h", "now").timezone("browser")
    for variable in variables():
        board.with_variable(variable)
    for title, panels in ROWS.items():
        board.with_row(Row(title))
        for panel in panels:
            board.with_panel(panel)
    built = board.build()
    for number, placed in enumerate(built.panels or [], 1):
        placed.id_val = number
    return json.dumps(built, cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"


def variables() -> list[DatasourceVariable | QueryVariable]:
    """Each depends on those before it."""
    interface = f'label_values(pktexp_interface_info{{{HOST},class="$class"}}, interface)'
    classes = f"label_values(pktexp_interface_info{{{HOST}}}, class)"
    return [
        DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _chosen("job", "Job", "label_values(pktexp_build_info, job)"),
        _any_of("instance", "Host", 'label_values(pktexp_build_info{job=~"$job"}, instance)'),
        # Where no interface is physical, as in a container, Grafana takes the first: virtual.
        _chosen("class", "Class of interfaces", classes)
        .current(PHYSICAL)
        .sort(VariableSort.ALPHABETICAL_DESC),
        _any_of("interface", "Interface", interface),
    ]


def _chosen(name: str, label: str, query: str) -> QueryVariable:
    variable = QueryVariable(name).label(label).datasource(SOURCE).query(query).definition(query)
    variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    return variable.sort(VariableSort.ALPHABETICAL_ASC)


def _any_of(name: str, label: str, query: str) -> QueryVariable:
    return _chosen(name, label, query).multi(True).include_all(True).current(EVERYTHING)


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
