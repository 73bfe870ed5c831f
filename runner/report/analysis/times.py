"""Time to the target: in epochs, steps and seconds, as censored data.

A replicate that never reaches the target has no time to it, and leaving it out would flatter. One
that finished, or diverged, without reaching the target is censored at the last epoch that was
planned: it would not have reached it by then. One that raised or was interrupted is censored at the
last epoch that it saw. Seconds are the replicate's wall time in proportion to its epochs.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from runner.records import KEY_COLUMNS
from runner.report.results import Results
from runner.report.scores import keys
from runner.report.statistics import paired, survival
from runner.report.verdict import Cell, Standing

UNITS = {"epochs": "epochs", "steps": "steps", "seconds": "time_s"}
TIMES = [*KEY_COLUMNS, "target_metric", "target_value", "reached", *UNITS.values()]
_SURVIVAL = [*survival.COLUMNS, "ci_low", "ci_high"]


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
    *("reference", "p_logrank", "p_holm", "p_all", "soonest", "p_soonest"),
]


def mean_times_table(results: Results, times: pd.DataFrame, cells: Sequence[Cell]) -> pd.DataFrame:
    """Returns `mean_times.csv`: the time to the target of each configuration, in each unit.

    Columns `configuration, init, <factors>, unit, horizon` (the least of the last times in the
    cell, up to which means are restricted), `num_replicates`, `num_reached`, `median` (missing
    where fewer than half reached it), `restricted_mean`, `ci_low`, `ci_high`, `reference`, then the
    log-rank test: `p_logrank` against the reference, `p_holm` after Holm's correction for these of
    all cells in this unit, `p_all` for all of the cell, and `p_soonest`, uncorrected, against the
    configuration `soonest`, that of the least restricted mean in the cell. Where all of these are
    small it is the soonest: were it not alone, the nearest one's would be so by chance only. Where
    targets differ within a cell, those with the same one count as its cell.
    """
    samples = {key: (when, reached) for key, when, reached in _samples(times)}
    rows = [
        row
        for cell in cells
        for target in dict.fromkeys(standing.record.target for standing in cell.standings)
        for unit in UNITS
        for row in _rows(cell, target, unit, samples, results.sweep.confidence)
    ]
    of = keys(results, results.configurations)
    columns = [*of.columns, "unit", *_MEANS]
    if not rows:
        return pd.DataFrame(columns=columns)
    table = pd.DataFrame(rows).assign(p_holm=np.nan)
    for unit in UNITS:
        chosen = table["unit"] == unit
        table.loc[chosen, "p_holm"] = paired.holm(table.loc[chosen, "p_logrank"])
    return table.merge(of, on="configuration")[columns].sort_values(
        ["configuration", "unit"], ignore_index=True
    )


def _rows(
    cell: Cell,
    target: tuple[str, float] | None,
    unit: str,
    samples: Mapping[tuple[int, str], tuple],
    confidence: float,
) -> list[dict]:
    same = [standing for standing in cell.standings if standing.record.target == target]
    standings = [s for s in same if (s.record.index, unit) in samples]
    if not standings:
        return []
    of = {s.record.index: samples[s.record.index, unit] for s in standings}
    horizon = _horizon(of.values())
    p_all = survival.logrank(list(of.values())) if len(of) > 1 else np.nan
    reference = cell.reference.record.index if cell.reference else None
    rows = [_row(s, unit, of, horizon, confidence, reference) for s in standings]
    soonest = min(rows, key=lambda row: row["restricted_mean"])["configuration"]
    return [
        row
        | {"p_all": p_all, "soonest": soonest}
        | {"p_soonest": _logrank(of, row["configuration"], soonest)}
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
    reference: int | None,
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
        "reference": reference,
        "p_logrank": _logrank(of, index, reference),
    }


def _logrank(
    of: Mapping[int, tuple[np.ndarray, np.ndarray]], index: int, other: int | None
) -> float:
    """Returns the p of one configuration against another; NaN for itself or without times."""
    if other is None or other == index or other not in of:
        return np.nan
    return survival.logrank([of[index], of[other]])
