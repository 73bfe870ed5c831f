"""Where it trains: the endpoint over initializer and factor."""

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from runner.plan import Scalar
from runner.records import ConfigurationRecord, lower_is_better
from runner.report import names
from runner.report.answer import Answer
from runner.report.render.charts import spans_decades
from runner.report.render.heat_map import HeatMap, heat_map_figure
from runner.report.render.theme import Figure
from runner.report.scores import setting_text
from runner.report.sweep import Sweep

_MAX_PANELS = 6


def ask(sweep: Sweep) -> Answer:
    """At which values of a factor does each initializer train?"""
    table = trainability_table(sweep)
    return Answer(
        "trainability",
        "Where it trains",
        figures=sweep.drawn(trainability_figures, sweep.ordered(table)),
        tables={"trainability.csv": table},
    )


def trainability_table(sweep: Sweep) -> pd.DataFrame:
    """Returns `trainability.csv`: the endpoint over each factor that is a number.

    Columns `configuration, init, <factors>, factor` (its key), `value`, `problem` (the other
    factors, as text), `metric`, `counted_mean` (failures counted), `mean` (finished only),
    `success_rate`, `num_ended`. One row a configuration and factor.
    """
    trained, found = sweep.trained, sweep.scores
    shortened = names.short_keys(key for record in trained for key in record.factors)
    rows = [
        {
            "configuration": record.index,
            "factor": key,
            "value": float(record.factors[key]),
            "problem": setting_text(
                {k: v for k, v in record.factors.items() if k != key}, shortened
            ),
            "metric": record.endpoint,
            "counted_mean": float(found.counted[record.index].mean()),
            "mean": float(found.finished[record.index].mean()),
        }
        for record in trained
        for key in _numeric(trained)
        if key in record.factors
    ]
    told = ["factor", "value", "problem", "metric", "counted_mean", "mean"]
    rates = sweep.success.set_index("configuration")[["success_rate", "num_ended"]]
    blocks = [pd.DataFrame(rows).join(rates, on="configuration")] if rows else []
    return sweep.keyed(blocks, [*told, *rates])


def _numeric(records: Iterable[ConfigurationRecord]) -> list[str]:
    """Returns the factors of which every value is a number, at least two different ones."""
    values: dict[str, set[Scalar]] = {}
    for record in records:
        for key, value in record.factors.items():
            values.setdefault(key, set()).add(value)
    return [
        key
        for key, found in values.items()
        if len(found) > 1
        and all(isinstance(v, int | float) and not isinstance(v, bool) for v in found)
    ]


def trainability_figures(trainability: pd.DataFrame) -> list[Figure]:
    """Returns a map of the endpoint over initializer and each numeric factor."""
    groups = trainability.groupby(["factor", "metric"], sort=False)
    short = names.short_keys(str(factor) for factor in trainability["factor"])
    figures: list[Figure] = []
    for (factor, metric), rows in groups:
        heat_map = _trainability_map(rows, short[str(factor)], str(metric))
        if heat_map.cells["value"].notna().any():
            what = names.metric_name(str(metric))
            title = f"{what[:1].upper()}{what[1:]} over {short[str(factor)]}"
            caption = (
                f"Mean {what} over all replicates that ended; diverged ones score as the best "
                f"constant guess. Lighter is better. ✕: no replicate trained."
            )
            if rows["problem"].nunique() > _MAX_PANELS:
                caption += f" The first {_MAX_PANELS} settings of the other factors are drawn."
            name = f"trainability_{len(figures)}" if groups.ngroups > 1 else "trainability"
            figures.append(heat_map_figure(name, title, caption, heat_map))
    return figures


def _trainability_map(rows: pd.DataFrame, factor: str, metric: str) -> HeatMap:
    problems = list(dict.fromkeys(rows["problem"]))[:_MAX_PANELS]
    shown = rows[rows["problem"].isin(problems)]
    values = shown["counted_mean"].to_numpy(float)
    is_log = spans_decades(shown["counted_mean"], metric)
    digits = _digits(values)
    success = shown["success_rate"].to_numpy(float)
    cells = pd.DataFrame(
        {
            "row": [names.one_line(str(init)) for init in shown["init"]],
            "column": [names.scalar_text(value) for value in shown["value"]],
            "panel": shown["problem"].astype(str),
            "value": values,
            "text": [
                (names.power(value, 3) if is_log else names.number(value, digits))
                if rate > 0 or math.isnan(rate)
                else "✕"
                for value, rate in zip(values, success, strict=True)
            ],
            "hint": [
                f"{100 * rate:.0f} % of {int(count)} trained" if count else "no replicate ended"
                for rate, count in zip(success, shown["num_ended"], strict=True)
            ],
        }
    )
    return HeatMap(
        cells=cells,
        columns=[names.scalar_text(value) for value in sorted(set(shown["value"]))],
        panels=problems if len(problems) > 1 else [],
        x_title=factor,
        legend=f"mean {names.metric_name(metric)}",
        dark_is_high=lower_is_better(metric),
        is_log=is_log,
    )


def _digits(values: np.ndarray) -> int:
    """Returns so many decimals that a cell shows about three digits."""
    known = np.abs(values[np.isfinite(values) & (values != 0)])
    largest = known.max() if known.size else 1.0
    return int(min(max(2 - math.floor(math.log10(largest)), 0), 4))
