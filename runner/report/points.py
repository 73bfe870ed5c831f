"""From curves of replicates to the few points that a figure of their means needs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from runner import tasks
from runner.records import lower_is_better
from runner.report.names import Name
from runner.report.render.theme import ValueAxis
from runner.report.results import Results
from runner.summary import carried_forward, summarize_curves, within_bounds

_REPLICATE = ["configuration", "weight_seed", "batch_seed"]
_PARTS = {"": "training", "val_": "validation"}
_LOWEST = -1e300  # JSON has no infinity
_ZERO = 1e-9  # an error is as good as none below it
# More mean curves in one figure are neither read nor drawn in a reasonable time.
MAX_CURVES = 80
MAX_EPOCHS = 100
# With one series alone, its replicates are drawn as thin lines behind the mean.
MAX_THIN_LINES = 40


@dataclass(frozen=True)
class Points:
    """The points of one figure.

    Attributes:
      metric: Plain name, such as `"loss"`.
      frame: Columns `panel` and `series` (places in the lists below), `epoch, mean, low, high`,
        and, where there are single replicates too, `replicate` (a name; missing for means).
      panels: Names, as they are laid out.
      series: Names.
      num_shown, num_cells: How many cells of the sweep are drawn (as many as make `MAX_CURVES`
        curves, but one at least), and how many there are.
    """

    metric: str
    frame: pd.DataFrame
    panels: list[str]
    series: list[str]
    num_shown: int
    num_cells: int

    @property
    def words(self) -> str:
        """What people call the metric."""
        return tasks.metric(self.metric).words

    @property
    def has_replicates(self) -> bool:
        """Whether single replicates are drawn beside their mean."""
        return "replicate" in self.frame

    @property
    def has_intervals(self) -> bool:
        """Whether any mean has an interval: not with one seed each."""
        return bool(self.frame["low"].notna().any())

    @property
    def last_epoch(self) -> int:
        """The last epoch of the longest curve."""
        return int(self.frame["epoch"].max())

    @property
    def is_log(self) -> bool:
        """Whether it is a loss of which every mean is positive and that spans over a decade."""
        means = self.frame["mean"]
        if not lower_is_better(self.metric) or not (means > 0).all():
            return False
        return bool(means.max() > 10 * means.min())

    @property
    def axes(self) -> tuple[ValueAxis, ValueAxis] | None:
        """The linear axis and the logarithmic one, which shows what is missing to a share of 1.

        None where a logarithmic axis makes no sense: for means that are not positive.
        """
        means = self.frame["mean"]
        is_share = tasks.metric(self.metric).is_share
        drawn = 1 - means if is_share else means
        positive = drawn[drawn > _ZERO]
        if not self.last_epoch or positive.empty or not (is_share or (means > 0).all()):
            return None
        title = f"error (1 \N{MINUS SIGN} {self.words})" if is_share else self.words
        if len(positive) < len(drawn):
            title += ", 0 at the lower edge"
        floor = float(f"{positive.min() / 2:.6g}")
        return ValueAxis(self.words, _LOWEST), ValueAxis(title, floor, is_error=is_share)

    @property
    def floor(self) -> float:
        """The least that is drawn of a band."""
        return _LOWEST if self.axes is None else self.axes[self.is_log].floor


def curve_points(results: Results, names: Mapping[int, Name]) -> list[Points]:
    """Returns the points of each plain metric over the finished replicates.

    One that stopped early keeps its last value.
    """
    finished = results.replicates.loc[results.replicates["status"] == "finished", _REPLICATE]
    curves = results.curves.merge(finished, on=_REPLICATE) if len(finished) else results.curves[:0]
    if curves.empty:
        return []
    curves = carried_forward(curves)
    cells = list(dict.fromkeys(names[index].cell for index in sorted(set(curves.configuration))))
    series = {name.series for name in names.values()}
    num_shown = max(1, MAX_CURVES // (len(_PARTS) * len(series)))
    shown = [index for index, name in names.items() if name.cell in cells[:num_shown]]
    # Epochs at even distances, and the last of each configuration.
    last = curves.groupby("configuration")["epoch"].transform("max")
    kept = curves["epoch"].isin(thinned(int(last.max()))) | (curves["epoch"] == last)
    curves = curves[curves["configuration"].isin(shown) & kept]
    plain = curves["metric"].str.removeprefix("val_")
    return [
        _points(str(metric), part, names, cells, results.sweep.confidence)
        for metric, part in curves.groupby(plain, sort=False)
    ]


def thinned(last: int) -> list[int]:
    """Returns the epochs 0 to `last`, or so many at even distances, both ends included."""
    places = np.linspace(0, last, min(last, MAX_EPOCHS) + 1)
    return sorted(set(places.round().astype(int).tolist()))


def _points(
    metric: str,
    curves: pd.DataFrame,
    names: Mapping[int, Name],
    cells: list[str],
    confidence: float,
) -> Points:
    frame = summarize_curves(curves, confidence, by=["configuration", "metric", "epoch"])
    frame = within_bounds(frame).rename(columns={"ci_low": "low", "ci_high": "high"})
    if frame["configuration"].nunique() == 1:
        frame = pd.concat([frame, *_thin_lines(curves)], ignore_index=True)
    panel = [
        _panel(str(part), names[index].cell)
        for part, index in zip(frame["metric"], frame["configuration"], strict=True)
    ]
    laid_out = [_panel(part + metric, cell) for cell in cells for part in _PARTS]
    panels = [name for name in laid_out if name in set(panel)]
    label = [names[index].series for index in frame["configuration"]]
    series = list(dict.fromkeys(label))
    frame.insert(0, "panel", [panels.index(name) for name in panel])
    frame.insert(1, "series", [series.index(name) for name in label])
    return Points(
        metric=metric,
        frame=frame.drop(columns=["configuration", "metric"]),
        panels=panels,
        series=series,
        num_shown=len({names[index].cell for index in set(curves["configuration"])}),
        num_cells=len(cells),
    )


def _thin_lines(curves: pd.DataFrame) -> list[pd.DataFrame]:
    """Returns the curves of single replicates, if there is more than one of them."""
    seeds = zip(curves["weight_seed"], curves["batch_seed"], strict=True)
    name = [str(w) if w == b else f"{w}/{b}" for w, b in seeds]
    lines = curves[["configuration", "metric", "epoch"]].assign(
        mean=curves["value"], replicate=name
    )
    kept = list(dict.fromkeys(name))[:MAX_THIN_LINES]
    return [lines[lines["replicate"].isin(kept)]] if len(kept) > 1 else []


def _panel(metric: str, cell: str) -> str:
    part = _PARTS["val_" if metric.startswith("val_") else ""]
    return f"{part} · {cell}" if cell else part
