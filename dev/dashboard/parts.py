"""Panels as this dashboard has them: each with title, description, unit and a look of its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.models.common import (
    AxisPlacement,
    BarGaugeDisplayMode,
    BigValueGraphMode,
    DataSourceRef,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
LATEST = common.ReduceDataOptions().calcs(["lastNotNull"])

Panel = timeseries.Panel | stat.Panel | table.Panel | bargauge.Panel | heatmap.Panel
Queries = Sequence[tuple[str, str]]
"""PromQL and legend, or the name of a column"""

P = TypeVar("P", timeseries.Panel, stat.Panel, table.Panel, bargauge.Panel, heatmap.Panel)


@dataclass(frozen=True)
class About:
    """What every panel says of itself; `width` in the grid's 24 columns."""

    title: str
    description: str
    unit: str
    width: int = 12


def series(about: About, queries: Queries, *, stacked: bool = False) -> timeseries.Panel:
    """Over time; what goes out is drawn downwards."""
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.TABLE)
    legend.placement(LegendPlacement.BOTTOM).calcs(["mean", "max"]).show_legend(True)
    tooltip = common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    panel = _panel(timeseries.Panel(), about, 9).legend(legend).tooltip(tooltip)
    mode = StackingMode.NORMAL if stacked else StackingMode.NONE
    panel.fill_opacity(50 if stacked else 10).stacking(common.StackingConfig().mode(mode))
    downwards = [DynamicConfigValue("custom.transform", "negative-Y")]
    panel.override_by_regexp("/egress/", downwards)
    for target in _targets(queries):
        panel.with_target(target.range())
    return panel


def number(about: About, queries: Queries, alarming: float | None = None) -> stat.Panel:
    """As they are now; red from `alarming` on."""
    panel = _panel(stat.Panel(), about, 4).graph_mode(BigValueGraphMode.NONE)
    panel.reduce_options(LATEST).thresholds(_thresholds(alarming))
    for target in _targets(queries):
        panel.with_target(target.instant())
    return panel


def bars(about: About, queries: Queries) -> bargauge.Panel:
    """As they are now, one below the other."""
    panel = _panel(bargauge.Panel(), about, 9).orientation(VizOrientation.HORIZONTAL)
    panel.display_mode(BarGaugeDisplayMode.BASIC).reduce_options(LATEST).min(0)
    panel.thresholds(_thresholds(None))
    for target in _targets(queries):
        panel.with_target(target.instant())
    return panel


def rows(about: About, queries: Queries, units: Mapping[str, str] | None = None) -> table.Panel:
    """One for each set of labels; `queries` are columns, and `units` theirs where they differ.

    A column without a name is not shown: its query is there for its labels.
    """
    panel = _panel(table.Panel(), about, 9)
    for target in _targets(queries):
        panel.with_target(target.instant().format(PromQueryFormat.TABLE))
    columns = {f"Value #{_letter(i)}": name for i, (_, name) in enumerate(queries)}
    hidden = ["Time", *(column for column, name in columns.items() if not name)]
    organised = {
        "excludeByName": dict.fromkeys(hidden, True),
        "renameByName": {column: name for column, name in columns.items() if name},
    }
    panel.with_transformation(DataTransformerConfig("merge", options={}))
    panel.with_transformation(DataTransformerConfig("organize", options=organised))
    for name, unit in (units or {}).items():
        panel.override_by_name(name, [DynamicConfigValue("unit", unit)])
    page = {"title": "What the exporter shows of itself", "url": "http://${__value.text}/"}
    panel.override_by_name("instance", [DynamicConfigValue("links", [page])])
    return panel


def sizes(about: About, buckets: str) -> heatmap.Panel:
    """Over time, by the upper bound of their bucket."""
    panel = _panel(heatmap.Panel(), about, 9).calculate(False)
    panel.color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges"))
    axis = heatmap.YAxisConfig().unit(about.unit).axis_placement(AxisPlacement.LEFT)
    (target,) = _targets([(buckets, "{{le}}")])
    return panel.y_axis(axis).with_target(target.range().format(PromQueryFormat.HEATMAP))


def _panel(panel: P, about: About, height: int) -> P:
    panel.title(about.title).description(about.description).unit(about.unit)
    return panel.span(about.width).height(height).datasource(SOURCE)


def _targets(queries: Queries) -> list[prometheus.Dataquery]:
    return [
        prometheus.Dataquery().datasource(SOURCE).ref_id(_letter(i)).expr(expr).legend_format(name)
        for i, (expr, name) in enumerate(queries)
    ]


def _letter(index: int) -> str:
    return chr(ord("A") + index)


def _thresholds(alarming: float | None) -> dashboard.ThresholdsConfig:
    steps = [Threshold(color="green")]
    if alarming is not None:
        steps.append(Threshold(color="red", value=alarming))
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
