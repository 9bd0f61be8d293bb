"""The few kinds of panel that the dashboards are made of, so that they all look and read alike."""

from __future__ import annotations

from typing import Any, Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as models

WIDTH: Final = 24
DATASOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="prometheus")

Query = tuple[str, str]
"""An expression, and the legend of its series."""


def board(uid: str, title: str, description: str) -> dashboard.Dashboard:
    """Return a dashboard with the links and marks that all have: the other dashboards, and what alerts fired when."""
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["newsmill"])
        .readonly()
        .refresh("10s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("newsmill")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags(["newsmill"])
            .as_dropdown(True)
            .keep_time(True)
        )
        .annotation(
            dashboard.AnnotationQuery()
            .name("alerts")
            .datasource(DATASOURCE)
            .expr('ALERTS{alertname=~"Newsmill.*",alertstate="firing"}')
            .icon_color("red")
            .enable(True)
        )
    )


def variable(name: str, query: str, what: str, *, many: bool = True) -> dashboard.QueryVariable:
    """Return a choice in the dashboard's head, filled by a query of label values."""
    made = (
        dashboard.QueryVariable(name)
        .label(name)
        .description(what)
        .datasource(DATASOURCE)
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )
    return made.multi(True).include_all(True).all_value(".*") if many else made


def _targets(panel: Any, queries: tuple[Query, ...], *, instant: bool = False) -> Any:
    for number, (expression, legend) in enumerate(queries):
        query = prometheus.Dataquery().expr(expression).ref_id(chr(ord("A") + number)).legend_format(legend)
        if instant:
            query = query.instant().format("table" if isinstance(panel, table.Panel) else "time_series")
        panel = panel.with_target(query)
    return panel.datasource(DATASOURCE)


def graph(
    title: str, description: str, *queries: Query, unit: str, span: int = 8, stacked: bool = False, zero: bool = True
) -> timeseries.Panel:
    """Return a panel of lines over time."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .span(span)
        .height(8)
        .line_width(1)
        .fill_opacity(20 if stacked else 5)
        .show_points(shapes.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(shapes.LegendDisplayMode.LIST)
            .placement(shapes.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI).sort(shapes.SortOrder.DESCENDING))
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL))
    if zero:
        panel = panel.min(0)
    return _targets(panel, queries)


def number(
    title: str,
    description: str,
    expression: str,
    *,
    unit: str,
    warn: float | None = None,
    bad: float | None = None,
    low_is_bad: bool = False,
    span: int = 4,
) -> stat.Panel:
    """Return a panel with one figure, which turns yellow at `warn` and red at `bad` (or below, with `low_is_bad`)."""
    steps = [models.Threshold(color="red" if low_is_bad and bad is not None else "green")]
    if low_is_bad:
        if bad is not None:
            steps.append(models.Threshold(value=bad, color="yellow"))
        if warn is not None:
            steps.append(models.Threshold(value=warn, color="green"))
    else:
        if warn is not None:
            steps.append(models.Threshold(value=warn, color="yellow"))
        if bad is not None:
            steps.append(models.Threshold(value=bad, color="red"))
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .span(span)
        .height(4)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(shapes.BigValueColorMode.BACKGROUND)
        .graph_mode(shapes.BigValueGraphMode.AREA)
        .thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
        .no_value("nothing yet")
    )
    return _targets(panel, ((expression, ""),))


def listing(title: str, description: str, *queries: Query, unit: str = "short", span: int = 8) -> table.Panel:
    """Return a table: one row a series, with its labels; several queries stand side by side."""
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .span(span)
        .height(8)
        .with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            models.DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": {"Time": True, "__name__": True, "job": True},
                    "renameByName": {
                        f"Value #{chr(ord('A') + position)}": legend for position, (_, legend) in enumerate(queries)
                    }
                    | {"Value": queries[0][1]},
                },
            )
        )
    )
    return _targets(panel, queries, instant=True)
