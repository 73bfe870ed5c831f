"""Time to the target: in epochs, steps and seconds, as censored data.

A replicate that never reaches the target has no time to it, and leaving it out would flatter. One
that finished, or diverged, without reaching the target is censored at the last epoch that was
planned: it would not have reached it by then. One that raised or was interrupted is censored at the
last epoch that it saw. Seconds are the replicate's wall time in proportion to its epochs.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from runner.records import KEY_COLUMNS, lower_is_better
from runner.report import names
from runner.report.answer import Answer, blocks, overall
from runner.report.names import Name, listed_some
from runner.report.render.charts import first_of
from runner.report.render.shares import share_figure
from runner.report.render.theme import Figure, Series, extremes
from runner.report.results import Results
from runner.report.scores import SEEDS
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
from runner.report.verdict import Cell

UNITS = {"epochs": "epochs", "steps": "steps", "seconds": "time_s"}
TIMES = [*KEY_COLUMNS, "target_metric", "target_value", "reached", *UNITS.values()]
Sample = tuple[np.ndarray, np.ndarray]  # times, and whether the target was reached

_MAX_TOLD = 4
# More panels are neither read nor drawn in a reasonable time.
_MAX_PANELS = 8


def ask(sweep: Sweep) -> Answer:
    """Who reaches the target soonest?"""
    times = times_table(sweep.results)
    curves = survival_table(sweep, times)
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


def survival_table(sweep: Sweep, times: pd.DataFrame) -> pd.DataFrame:
    """Returns `survival.csv`: which share has reached the target by when, by Kaplan and Meier.

    Columns `configuration, init, <factors>, unit` (epochs, steps, seconds), then those of
    `survival.kaplan_meier`: one row a time at which something happens.
    """
    blocks = [
        survival.kaplan_meier(*sample, sweep.confidence).assign(configuration=index, unit=unit)
        for (index, unit), sample in _samples(times).items()
    ]
    return sweep.keyed(blocks, ["unit", *survival.COLUMNS, "ci_low", "ci_high"])


def _samples(times: pd.DataFrame) -> dict[tuple[int, str], Sample]:
    """Returns the times of each configuration in each unit in which they are known."""
    found = {}
    for index, rows in times.groupby("configuration"):
        for unit, column in UNITS.items():
            known = rows[rows[column].notna()]
            if len(known):
                sample = known[column].to_numpy(float), known["reached"].to_numpy(bool)
                found[int(str(index)), unit] = sample
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
    samples = _samples(times)
    seeds = pd.MultiIndex.from_frame(times[["configuration", *SEEDS]])
    rows: list[dict] = []
    nominal: list[Callable[[float], float]] = []
    for place, cell in enumerate(sweep.cells):
        look, replicates, at_look = _last_look(cell, sweep)
        nominal.append(at_look)
        tested = _samples(times[seeds.isin(replicates)])
        shared = {"cell": place, "look": look, "level_soonest": at_look(1 - sweep.confidence)}
        reference = cell.reference.record.index if cell.reference else None
        for target in dict.fromkeys(standing.record.target for standing in cell.standings):
            members = [s.record.index for s in cell.standings if s.record.target == target]
            for unit in UNITS:
                own = {index: samples[index, unit] for index in members if (index, unit) in samples}
                looked = {i: tested[i, unit] for i in sorted(own) if (i, unit) in tested}
                found = _rows(own, looked, reference, sweep.confidence)
                rows += [shared | {"unit": unit, "reference": reference} | row for row in found]
    table = pd.DataFrame(rows)
    if rows:
        size = table.groupby("unit")["p_logrank"].transform("count")
        for (number, _), of_cell in table.groupby(["cell", "unit"]):
            p = of_cell["p_logrank"].to_numpy(float)[np.newaxis]
            num, level = size[of_cell.index[0]], 1 - sweep.confidence
            holm = sequential_holm(p, num, level, [nominal[int(str(number))]])
            table.loc[of_cell.index, "level"] = holm[1]
        table = table.sort_values("unit", kind="stable")
    return sweep.keyed([table], ["unit", *_MEANS])


def _last_look(cell: Cell, sweep: Sweep) -> tuple[int, pd.MultiIndex, Callable[[float], float]]:
    """Returns the last look of a cell: its seeds, its replicates, and its nominal level for one.

    Of a cell without a design it is all that is there; before the first look it is nothing.
    """
    asked = sweep.scores.asked
    count = len(asked)
    nominal: Callable[[float], float] = float  # the level itself
    if cell.design.is_stamped and cell.design.grid is None:
        reached = schedule(cell.design.looks, cell.look)
        count, nominal = reached[-1] if reached else (0, nominal)
    members = [standing.record.index for standing in cell.standings]
    seeds = [(i, *pair) for i in members for pair in asked.index[asked[i]][:count]]
    return count, pd.MultiIndex.from_tuples(seeds or [(-1, -1, -1)]), nominal


def _rows(
    samples: Mapping[int, Sample],
    looked: Mapping[int, Sample],
    reference: int | None,
    confidence: float,
) -> list[dict]:
    """Returns a row a configuration of those with the same target, in one unit.

    Args:
      samples: Configuration -> its times.
      looked: The same up to the last look, for the tests.
      reference: What they are compared with.
      confidence: Level of the intervals.
    """
    if not samples:
        return []
    # Up to when it is known of each who has reached the target; of those that all have, for ever.
    open_ends = [when.max() for when, reached in samples.values() if not reached.all()]
    horizon = float(min(open_ends, default=max(when.max() for when, _ in samples.values())))
    means = {
        index: survival.restricted_mean(*sample, horizon, confidence)
        for index, sample in samples.items()
    }
    soonest = min(means, key=lambda index: means[index][0])

    def logrank(*members: int | None) -> float:
        chosen = [looked[i] for i in dict.fromkeys(members) if i is not None and i in looked]
        return survival.logrank(chosen) if len(chosen) == len(members) > 1 else np.nan

    p_all = logrank(*looked)
    return [
        {
            "configuration": index,
            "horizon": horizon,
            "num_replicates": len(when),
            "num_reached": int(reached.sum()),
            "median": survival.median_time(when, reached),
            "restricted_mean": means[index][0],
            "ci_low": np.maximum(means[index][1], 0.0),
            "ci_high": np.minimum(means[index][2], horizon),
            "p_logrank": logrank(index, reference),
            "p_all": p_all,
            "soonest": soonest,
            "p_soonest": logrank(index, soonest),
        }
        for index, (when, reached) in samples.items()
    ]


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
    data = pd.DataFrame(
        {
            "panel": [by[index].cell for index in shown["configuration"]],
            "series": [by[index].series for index in shown["configuration"]],
            "x": shown["time"].to_numpy(float),
            "share": shown["share_reached"].to_numpy(float),
            "low": shown["ci_low"].to_numpy(float),
            "high": shown["ci_high"].to_numpy(float),
        }
    )
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
    reached = last["share"].set_axis(
        [" · ".join(filter(None, pair)) for pair in zip(last["series"], last["panel"], strict=True)]
    )
    seen = f"Share that has reached it in the end: {extremes(reached)}."
    return [share_figure(f"Time to {what}", caption, seen, data, series)]


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
