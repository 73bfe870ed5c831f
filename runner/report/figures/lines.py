"""Shares as curves: who has reached the target by when, who exceeds which score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from runner.report import names
from runner.report.figures.theme import (
    Figure,
    Series,
    color,
    csv_data,
    dash,
    finish,
    panel_facet,
    series_of,
)
from runner.report.names import Name

_HEIGHT, _WIDTHS = 240, {1: 560, 2: 340}
# More panels are neither read nor drawn in a reasonable time.
_MAX_PANELS = 8


@dataclass(frozen=True)
class Shares:
    """What one figure shows.

    Attributes:
      data: Columns `panel` and `series` (places in the lists below), `x, share, low, high`.
      panels, series: Names.
      x_title, y_title: Titles of the axes.
      steps: How a share holds: `"step-after"` until the next point, `"step-before"` since the last.
    """

    data: pd.DataFrame
    panels: list[str]
    series: list[str]
    x_title: str
    y_title: str
    steps: str


def target_figures(
    survival: pd.DataFrame,
    times: pd.DataFrame,
    by: Mapping[int, Name],
    series: Sequence[Series],
) -> list[Figure]:
    """Returns the share of replicates that have reached the target by each epoch.

    Args:
      survival, times: See `runner.report.analysis`.
      by: Names of the configurations.
      series: How each is drawn.
    """
    rows = survival[survival["unit"] == "epochs"]
    if rows.empty:
        return []
    cells = list(dict.fromkeys(by[index].cell for index in rows["configuration"]))
    shown = rows[[by[index].cell in cells[:_MAX_PANELS] for index in rows["configuration"]]]
    panel = [by[index].cell for index in shown["configuration"]]
    label = [by[index].series for index in shown["configuration"]]
    what = _target(times)
    shares = Shares(
        data=_extended(_placed(shown, panel, label, "time", "share_reached")),
        panels=list(dict.fromkeys(panel)),
        series=list(dict.fromkeys(label)),
        x_title="epoch",
        y_title="share at the target",
        steps="step-after",
    )
    title = f"Time to {what}"
    caption = (
        f"Share of replicates that have reached {what} by each epoch (Kaplan and Meier's estimate "
        f"with its interval): a replicate that was not watched for long enough counts as long as "
        f"it was watched; one that diverged never reaches it."
    )
    if len(shares.panels) < len(cells):
        caption += f" The first {len(shares.panels)} of {len(cells)} settings are drawn."
    return [_figure("target", title, caption, shares, series)]


def _target(times: pd.DataFrame) -> str:
    """Returns such as `"a validation accuracy of 0.9"`."""
    targets = times[["target_metric", "target_value"]].drop_duplicates()
    if len(targets) != 1:
        return "the target"
    metric, value = targets.iloc[0]
    return f"a {names.metric_name(str(metric))} of {names.significant(float(value))}"


def profile_figures(profiles: pd.DataFrame, series: Sequence[Series]) -> list[Figure]:
    """Returns the performance profiles: the share of replicates above each normalized score.

    Args:
      profiles: See `runner.report.analysis`.
      series: How each is drawn.
    """
    if profiles["init"].nunique() < 2:
        return []
    label = [names.one_line(str(init)) for init in profiles["init"]]
    shares = Shares(
        data=_placed(profiles, [""] * len(profiles), label, "threshold", "share"),
        panels=[""],
        series=list(dict.fromkeys(label)),
        x_title="score: 0 a constant guess, 1 perfect",
        y_title="share of replicates above it",
        steps="step-before",
    )
    title = "Performance profiles"
    caption = (
        "Share of the replicates of all problems whose score is at least as high: a curve further "
        "up and to the right is better, and where two cross, neither is better throughout. "
        "Diverged replicates lie below every score."
    )
    return [_figure("profiles", title, caption, shares, series)]


def _placed(
    rows: pd.DataFrame, panel: Sequence[str], label: Sequence[str], x: str, share: str
) -> pd.DataFrame:
    panels, labels = (list(dict.fromkeys(texts)) for texts in (panel, label))
    return pd.DataFrame(
        {
            "panel": [panels.index(text) for text in panel],
            "series": [labels.index(text) for text in label],
            "x": rows[x].to_numpy(float),
            "share": rows[share].to_numpy(float),
            "low": rows["ci_low"].to_numpy(float),
            "high": rows["ci_high"].to_numpy(float),
        }
    )


def _extended(data: pd.DataFrame) -> pd.DataFrame:
    """Returns the curves with their last share up to the end of the axis."""
    last = data.groupby(["panel", "series"], sort=False).tail(1).assign(x=data["x"].max())
    return pd.concat([data, last]).drop_duplicates(["panel", "series", "x"], ignore_index=True)


def _figure(
    name: str, title: str, caption: str, shares: Shares, series: Sequence[Series]
) -> Figure:
    drawn = [item for item in series if item.name in shares.series] or series_of(shares.series)
    chart = _chart(shares, drawn)
    return Figure(name, title, caption, finish(chart, title, ""), num_panels=len(shares.panels))


def _chart(shares: Shares, series: Sequence[Series]) -> alt.FacetChart:
    columns = min(len(shares.panels), 2)
    scale = alt.Scale(domain=[shares.data["x"].min(), shares.data["x"].max()], nice=False)
    x = alt.X("x:Q", title=shares.x_title, axis=alt.Axis(grid=False, tickCount=6), scale=scale)
    axis = alt.Axis(format="%", tickCount=5)

    def y(column: str) -> alt.Y:
        return alt.Y(f"{column}:Q", title=shares.y_title, axis=axis, scale=alt.Scale(domain=[0, 1]))

    base = alt.Chart().encode(x=x, color=color(series))
    line = base.mark_line(strokeWidth=2, clip=True, interpolate=shares.steps)
    layers = [line.encode(y=y("share"), strokeDash=dash(series))]
    if shares.data["low"].notna().any():
        band = base.mark_area(fillOpacity=0.12, clip=True, interpolate=shares.steps)
        layers.insert(0, band.encode(y=y("low"), y2="high:Q"))
    hover = base.transform_filter("interactive").mark_point(size=70, opacity=0, filled=True)
    layers.append(hover.encode(y=y("share"), tooltip=_tooltip(shares)))
    return (
        alt.layer(*layers)
        .properties(width=_WIDTHS[columns], height=_HEIGHT)
        .facet(
            facet=panel_facet("panel_name", shares.panels),
            columns=columns,
            data=csv_data(shares.data),
        )
        .resolve_axis(x="independent")
        .transform_calculate(
            panel_name="panel_names[datum.panel]", series_name="series_names[datum.series]"
        )
        .transform_filter("indexof(hidden, datum.series_name) < 0")
        .add_params(
            alt.param(name="panel_names", value=shares.panels),
            alt.param(name="series_names", value=shares.series),
            alt.param(name="hidden", value=[]),
            alt.param(name="interactive", value=False),
        )
    )


def _tooltip(shares: Shares) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("series_name:N", title="initializer"),
        *([alt.Tooltip("panel_name:N", title="setting")] if any(shares.panels) else []),
        alt.Tooltip("x:Q", title=shares.x_title.partition(":")[0], format=".4~g"),
        alt.Tooltip("share:Q", title="share", format=".0%"),
        alt.Tooltip("low:Q", title="interval from", format=".0%"),
        alt.Tooltip("high:Q", title="to", format=".0%"),
    ]
