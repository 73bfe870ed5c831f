"""Time to the target: in epochs, steps and seconds, as censored data.

A replicate that never reaches the target has no time to it, and leaving it out would flatter. One
that finished, or diverged, without reaching the target is censored at the last epoch that was
planned: it would not have reached it by then. One that raised or was interrupted is censored at the
last epoch that it saw. Seconds are the replicate's wall time in proportion to its epochs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from runner.records import KEY_COLUMNS, lower_is_better
from runner.report import names
from runner.report.answer import Answer, blocks, overall
from runner.report.names import Name, listed_some
from runner.report.render.charts import first_of
from runner.report.render.shares import Shares, placed, share_figure
from runner.report.render.theme import Figure, Series, extremes
from runner.report.results import Results
from runner.report.scores import SEEDS, keys
from runner.report.statistics import survival
from runner.report.statistics.looks import sequential_holm
from runner.report.statistics.verdicts import schedule
from runner.report.sweep import Sweep
from runner.report.table import (
    Entry,
    Row,
    Table,
    estimate,
    number,
    p_value,
    part_of,
    tabulated,
    title,
)
from runner.report.verdict import Cell, Standing

UNITS = {"epochs": "epochs", "steps": "steps", "seconds": "time_s"}
TIMES = [*KEY_COLUMNS, "target_metric", "target_value", "reached", *UNITS.values()]
_SURVIVAL = [*survival.COLUMNS, "ci_low", "ci_high"]


_MAX_TOLD = 4
# More panels are neither read nor drawn in a reasonable time.
_MAX_PANELS = 8


def ask(sweep: Sweep) -> Answer:
    """Who reaches the target soonest?"""
    times = times_table(sweep.results)
    curves = survival_table(sweep.results, times)
    means = mean_times_table(sweep, times)
    return Answer(
        "target",
        "Time to the target",
        sentences=overall(sentences(means, times, sweep.names)),
        figures=sweep.drawn(target_figures, curves, times, sweep.names, sweep.series),
        blocks=blocks(times_block(sweep.ordered(means), sweep.names), csv="mean_times.csv"),
        tables={"times.csv": times, "survival.csv": curves, "mean_times.csv": means},
        has_legend=True,
    )


def times_table(results: Results) -> pd.DataFrame:
    """Returns `times.csv`: one row a replicate of a configuration that has a target.

    Columns: the replicate's keys, `target_metric`, `target_value`, `reached`, and the time to the
    target or to where the replicate is censored as `epochs`, `steps` and `time_s`.
    """
    of = {record.index: record for record in results.configurations if record.target}
    rows = results.replicates[results.replicates["configuration"].isin(list(of))]
    if rows.empty:
        return pd.DataFrame(columns=TIMES)
    records = [of[index] for index in rows["configuration"]]
    planned = np.array([planned_epochs(record.settings) for record in records], float)
    seen = rows["epochs"].to_numpy(float, na_value=np.nan)
    planned = np.where(np.isnan(planned), seen, planned)
    reached = rows["epochs_to_target"].notna().to_numpy()
    whole = rows["status"].isin(["finished", "diverged"]).to_numpy()
    to_target = rows["epochs_to_target"].to_numpy(float, na_value=np.nan)
    epochs = np.where(reached, to_target, np.where(whole, planned, seen))
    per_epoch = _steps_per_epoch(results)
    rate = np.array([per_epoch.get(index, np.nan) for index in rows["configuration"]])
    with np.errstate(divide="ignore", invalid="ignore"):
        seconds = np.where(seen > 0, rows["wall_time_s"].to_numpy(float) / seen, np.nan)
    targets = [record.target or ("", np.nan) for record in records]
    return (
        rows[list(KEY_COLUMNS)]
        .assign(
            target_metric=[metric for metric, _ in targets],
            target_value=[value for _, value in targets],
            reached=reached,
            epochs=epochs,
            steps=epochs * rate,
            time_s=epochs * seconds,
        )[TIMES]
        .reset_index(drop=True)
    )


def planned_epochs(settings: Mapping) -> float:
    """Returns how many epochs a configuration was to be trained; NaN if its record lacks that."""
    return float(settings.get("training", {}).get("epochs", np.nan))


def _steps_per_epoch(results: Results) -> dict[int, float]:
    """Returns the optimizer updates per epoch of each configuration that trained an epoch."""
    last = results.curves[results.curves["epoch"] > 0]
    first = last.drop_duplicates("configuration")
    rates = first["step"] / first["epoch"]
    return dict(zip(first["configuration"].tolist(), rates.tolist(), strict=True))


def survival_table(results: Results, times: pd.DataFrame) -> pd.DataFrame:
    """Returns `survival.csv`: which share has reached the target by when, by Kaplan and Meier.

    Columns `configuration, init, <factors>, unit` (epochs, steps, seconds), then those of
    `survival.kaplan_meier`: one row a time at which something happens.
    """
    blocks = []
    for (index, unit), when, reached in _samples(times):
        curve = survival.kaplan_meier(when, reached, results.sweep.confidence)
        blocks.append(curve.assign(configuration=index, unit=unit))
    of = keys(results, results.configurations)
    if not blocks:
        return pd.DataFrame(columns=[*of.columns, "unit", *_SURVIVAL])
    table = of.merge(pd.concat(blocks), on="configuration")
    return table[[*of.columns, "unit", *_SURVIVAL]]


def _samples(times: pd.DataFrame) -> list[tuple[tuple[int, str], np.ndarray, np.ndarray]]:
    """Returns the times of each configuration in each unit in which they are known."""
    found = []
    for index, rows in times.groupby("configuration"):
        for unit, column in UNITS.items():
            known = rows[column].notna()
            if known.any():
                when = rows.loc[known, column].to_numpy(float)
                found.append(((int(str(index)), unit), when, rows.loc[known, "reached"].to_numpy()))
    return found


_MEANS = [
    *("horizon", "num_replicates", "num_reached", "median", "restricted_mean", "ci_low", "ci_high"),
    *("look", "reference", "p_logrank", "level", "p_all", "soonest", "p_soonest", "level_soonest"),
]


def mean_times_table(sweep: Sweep, times: pd.DataFrame) -> pd.DataFrame:
    """Returns `mean_times.csv`: the time to the target of each configuration, in each unit.

    Columns `configuration, init, <factors>, unit, horizon` (the least of the last times in the
    cell, up to which means are restricted), `num_replicates`, `num_reached`, `median` (missing
    where fewer than half reached it), `restricted_mean`, `ci_low`, `ci_high`, then log-rank tests
    of the seeds up to the last look (`look`, none where that is 0): `p_logrank` against the
    `reference`, and the `level` that it has to be for a difference, by Holm's procedure for these
    of all cells in this unit and for all looks; `p_all` for all of the cell; and `p_soonest`
    against the configuration `soonest`, that of the least restricted mean in the cell, with its
    `level_soonest`, for all looks. Where all of these are small it is the soonest: were it not
    alone, the nearest one's would be so by chance only. Where targets differ within a cell, those
    with the same one count as its cell.
    """
    results = sweep.results
    samples = {key: (when, reached) for key, when, reached in _samples(times)}
    looked = [_looked_at(cell, sweep) for cell in sweep.cells]
    rows = [
        row | {"cell": place}
        for place, (cell, look) in enumerate(zip(sweep.cells, looked, strict=True))
        for target in dict.fromkeys(standing.record.target for standing in cell.standings)
        for unit in UNITS
        for row in _rows(cell, target, unit, samples, look, times, sweep.confidence)
    ]
    of = keys(results, results.configurations)
    columns = [*of.columns, "unit", *_MEANS]
    if not rows:
        return pd.DataFrame(columns=columns)
    table = pd.DataFrame(rows)
    size = table.groupby("unit")["p_logrank"].transform("count")
    for (place, _), own in table.groupby(["cell", "unit"]):
        p = own["p_logrank"].to_numpy(float)[np.newaxis]
        nominal, level = looked[int(str(place))].nominal, 1 - sweep.confidence
        table.loc[own.index, "level"] = sequential_holm(p, size[own.index[0]], level, nominal)[1]
    return table.merge(of, on="configuration")[columns].sort_values(
        ["configuration", "unit"], ignore_index=True
    )


@dataclass(frozen=True)
class _Look:
    """What the tests of a cell are of.

    Attributes:
      count: Number of seeds; 0 before the first look, when nothing is tested.
      replicates: Configuration and seeds of the replicates.
      nominal: From the level over all looks to that of this one.
    """

    count: int
    replicates: pd.MultiIndex
    nominal: Callable[[float], float]

    def samples(self, times: pd.DataFrame, unit: str) -> dict[int, tuple]:
        """Returns the times of each configuration at this look, in a unit."""
        own = pd.MultiIndex.from_frame(times[["configuration", *SEEDS]]).isin(self.replicates)
        return {
            index: (when, reached)
            for (index, of), when, reached in _samples(times[own])
            if of == unit
        }


def _whole(level: float) -> float:
    return level


def _looked_at(cell: Cell, sweep: Sweep) -> _Look:
    """Returns the last look of a cell; of one without a design, all that is there."""
    asked = sweep.scores.asked
    count: int = len(asked)
    nominal: Callable[[float], float] = _whole
    if cell.design.is_stamped and cell.design.grid is None:
        reached = schedule(cell.design.looks, cell.look)
        count, nominal = reached[-1] if reached else (0, nominal)
    seeds = [
        (standing.record.index, *pair)
        for standing in cell.standings
        for pair in asked.index[asked[standing.record.index]][:count]
    ]
    return _Look(count, pd.MultiIndex.from_tuples(seeds or [(-1, -1, -1)]), nominal)


def _rows(
    cell: Cell,
    target: tuple[str, float] | None,
    unit: str,
    samples: Mapping[tuple[int, str], tuple],
    look: _Look,
    times: pd.DataFrame,
    confidence: float,
) -> list[dict]:
    same = [standing for standing in cell.standings if standing.record.target == target]
    standings = [s for s in same if (s.record.index, unit) in samples]
    if not standings:
        return []
    of = {s.record.index: samples[s.record.index, unit] for s in standings}
    tested = {index: own for index, own in look.samples(times, unit).items() if index in of}
    horizon = _horizon(of.values())
    p_all = survival.logrank(list(tested.values())) if len(tested) > 1 else np.nan
    reference = cell.reference.record.index if cell.reference else None
    rows = [_row(s, unit, of, horizon, confidence) for s in standings]
    soonest = min(rows, key=lambda row: row["restricted_mean"])["configuration"]
    shared = {
        "look": look.count,
        "reference": reference,
        "p_all": p_all,
        "soonest": soonest,
        "level_soonest": look.nominal(1 - confidence),
    }
    return [
        row
        | shared
        | {
            "p_logrank": _logrank(tested, row["configuration"], reference),
            "p_soonest": _logrank(tested, row["configuration"], soonest),
        }
        for row in rows
    ]


def _horizon(samples: Iterable[tuple[np.ndarray, np.ndarray]]) -> float:
    """Returns the time up to which it is known of every configuration who has reached the target.

    Where all have reached it nothing is left to be known.
    """
    watched = list(samples)
    open_ends = [float(when.max()) for when, reached in watched if not reached.all()]
    return min(open_ends, default=max(float(when.max()) for when, _ in watched))


def _row(
    standing: Standing,
    unit: str,
    of: Mapping[int, tuple[np.ndarray, np.ndarray]],
    horizon: float,
    confidence: float,
) -> dict:
    index = standing.record.index
    when, reached = of[index]
    mean, low, high = survival.restricted_mean(when, reached, horizon, confidence)
    return {
        "configuration": index,
        "unit": unit,
        "horizon": horizon,
        "num_replicates": len(when),
        "num_reached": int(reached.sum()),
        "median": survival.median_time(when, reached),
        "restricted_mean": mean,
        "ci_low": np.maximum(low, 0.0),
        "ci_high": np.minimum(high, horizon),
    }


def _logrank(
    of: Mapping[int, tuple[np.ndarray, np.ndarray]], index: int, other: int | None
) -> float:
    """Returns the p of one configuration against another; NaN for itself or without times."""
    if other is None or other == index or not {index, other} <= of.keys():
        return np.nan
    return survival.logrank([of[index], of[other]])


def times_block(frame: pd.DataFrame, by: Mapping[int, Name]) -> Table | None:
    """Returns the epochs to the target, or None where no target was set."""
    return tabulated(
        frame[frame["unit"] == "epochs"],
        [
            ("configuration", title(by)),
            ("reached it", part_of("num_reached", "num_replicates")),
            ("median epochs", number("median", 1)),
            ("mean epochs", _mean_time),
            ("up to epoch", number("horizon", 0)),
            ("p (log-rank)", p_value("p_logrank")),
            ("needed", p_value("level", "muted")),
        ],
    )


def _mean_time(row: Row) -> Entry:
    if not row["num_reached"]:
        return Entry("–", np.inf)  # the restricted mean is no more than the horizon
    return estimate("restricted_mean", "ci_low", "ci_high", 1, signed=False)(row)


def target_figures(
    survival: pd.DataFrame,
    times: pd.DataFrame,
    by: Mapping[int, Name],
    series: Sequence[Series],
) -> list[Figure]:
    """Returns the share of replicates that have reached the target by each epoch."""
    rows = survival[survival["unit"] == "epochs"]
    if rows.empty:
        return []
    cells = list(dict.fromkeys(by[index].cell for index in rows["configuration"]))
    shown = rows[[by[index].cell in cells[:_MAX_PANELS] for index in rows["configuration"]]]
    panel = [by[index].cell for index in shown["configuration"]]
    label = [by[index].series for index in shown["configuration"]]
    data = placed(shown, panel, label, "time", "share_reached")
    # Each curve goes on with its last share up to the end of the axis.
    last = data.groupby(["panel", "series"], sort=False).tail(1).assign(x=data["x"].max())
    data = pd.concat([data, last]).drop_duplicates(["panel", "series", "x"], ignore_index=True)
    what = _target(times)
    caption = (
        f"Share of replicates that have reached {what} by each epoch (Kaplan and Meier's estimate "
        f"with its interval). A replicate that was interrupted counts up to its last epoch; one "
        f"that diverged never reaches it."
    )
    caption += first_of(min(len(cells), _MAX_PANELS), len(cells), " settings")
    shares = Shares(data, "epoch", "share at the target", "step-after")
    reached = last["share"].set_axis(
        [" · ".join(filter(None, pair)) for pair in zip(last["series"], last["panel"], strict=True)]
    )
    seen = f"Share that has reached it in the end: {extremes(reached)}."
    return [share_figure("target", f"Time to {what}", caption, seen, shares, series)]


def _target(times: pd.DataFrame) -> str:
    """Returns such as `"a validation accuracy of 0.9"`."""
    targets = times[["target_metric", "target_value"]].drop_duplicates()
    if len(targets) != 1:
        return "the target"
    metric, value = targets.iloc[0]
    return f"a {names.metric_name(str(metric))} of {names.significant(float(value))}"


def sentences(means: pd.DataFrame, times: pd.DataFrame, by: Mapping[int, Name]) -> list[str]:
    """Returns who reaches the target soonest in each cell, and of whom that is not known."""
    rows = means[means["unit"] == "epochs"]
    targets = times[["target_metric", "target_value"]].drop_duplicates()
    if rows.empty or len(targets) > 1:
        return []
    metric, value = targets.iloc[0]
    sign = "≤" if lower_is_better(str(metric)) else "≥"
    target = f"{names.metric_name(str(metric))} {sign} {names.scalar_text(float(value))}"
    if not rows["num_reached"].any():
        return [f"No replicate reaches {target}."]
    cells = [of_cell for _, of_cell in rows.groupby("soonest", sort=False)]
    reaching = [of_cell for of_cell in cells if of_cell["num_reached"].any()]
    told = [_soonest(of_cell, target, by) for of_cell in reaching[:_MAX_TOLD]]
    if len(reaching) > len(told):
        told.append(f"{len(reaching) - len(told)} more settings: see mean_times.csv.")
    if len(cells) > len(reaching):
        settings = names.counted(len(cells) - len(reaching), "other setting")
        told.append(f"In {settings} no replicate reaches {target}.")
    return told


def _soonest(rows: pd.DataFrame, target: str, by: Mapping[int, Name]) -> str:
    """Returns who reaches the target after the fewest epochs in one cell."""
    first = rows[rows["configuration"] == rows["soonest"]].iloc[0]
    cell = by[first["configuration"]].cell
    setting = f"At {cell}: " if cell else ""
    places = {index: by[row["configuration"]].series for index, row in rows.iterrows()}
    mean = first["restricted_mean"]
    ties = rows[(rows["restricted_mean"] - mean).abs() <= 1e-9 * abs(mean)]
    others = rows.drop(ties.index).sort_values("restricted_mean")
    later = [
        f"{places[index]} ({row['restricted_mean']:.1f}; log-rank p "
        f"{names.p_value(row['p_soonest'])})"
        for index, row in others.iterrows()
    ]
    is_level = ~(others["p_soonest"] <= others["level_soonest"])
    is_soonest = len(ties) == 1 and len(others) > 0 and not is_level.any()
    ends = "" if pd.isna(first["ci_low"]) else f" [{first['ci_low']:.1f}, {first['ci_high']:.1f}]"
    text = (
        f"{setting}{listed_some([places[index] for index in ties.index])} "
        f"{'reach' if len(ties) > 1 else 'reaches'} {target}{' soonest,' if is_soonest else ''} "
        f"after {mean:.1f}{ends if len(ties) == 1 else ''} epochs on average, counted up to epoch "
        f"{first['horizon']:g} ({ties['num_reached'].sum()} of {ties['num_replicates'].sum()} do)"
    )
    never = int((rows["num_reached"] == 0).sum())
    if never:
        text += f"; {never} of {names.counted(len(rows), 'configuration')} never"
    if is_level.any():
        level = [told for told, is_one in zip(later, is_level, strict=True) if is_one]
        text += f"; not known whether sooner than {listed_some(level)}"
    elif is_soonest:
        text += f"; next is {later[0]}"
    return f"{text}."
