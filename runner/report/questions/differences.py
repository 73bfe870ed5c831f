"""How each configuration differs from the reference, seed by seed, and how sure that is."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from runner.design import last_round
from runner.plan import AUTO
from runner.records import lower_is_better
from runner.report import names, pairs
from runner.report.answer import Answer, blocks, overall
from runner.report.names import Name
from runner.report.render.charts import aside_note, first_rows
from runner.report.render.forest import EQUIVALENT, UNKNOWN, forest, seen
from runner.report.render.theme import Figure, finish
from runner.report.sweep import Sweep
from runner.report.table import (
    Entry,
    Row,
    Table,
    count,
    estimate,
    interval_digits,
    number,
    p_value,
    share,
    tabulated,
    title,
)
from runner.report.verdict import Cell

_WORDS = {
    "better": "better",
    "equivalent": EQUIVALENT,
    "unknown": UNKNOWN,
    "worse": "worse",
    "unlearned": "worse",
}


def ask(sweep: Sweep) -> Answer:
    """By how much do the others differ from the baseline, or from the best mean?"""
    differences = differences_table(sweep)
    pairs = pairs_table(sweep.cells)
    ordered = sweep.ordered(differences)
    shown, shown_pairs = ordered, pairs
    if any(cell.design.looks is None for cell in sweep.cells):  # e-values decide, not p
        shown, shown_pairs = (frame.assign(level=math.nan) for frame in (ordered, pairs))
    return Answer(
        "differences",
        "Differences and their uncertainty",
        note=f"Seed by seed, to the {names.reference_word(c.is_baseline for c in sweep.cells)}, up "
        "to the last look. The verdict is corrected for all comparisons and looks; the intervals "
        "are not.",
        figures=sweep.drawn(difference_figures, ordered, sweep.names),
        blocks=[
            *blocks(differences_block(shown, sweep.names), csv="differences.csv"),
            *blocks(
                differences_block(shown_pairs, sweep.names, _SIDES, "a minus b")
                if len(pairs) > 1  # else the differences tell it
                else None,
                title="Every pair",
                csv="pairs.csv",
                folded=True,
            ),
        ],
        sentences=overall(_saved(sweep)),
        tables={"differences.csv": differences, "pairs.csv": pairs},
    )


def _saved(sweep: Sweep) -> list[str]:
    """Returns how many trainings `seeds=auto` saved, and when it knew what."""
    records = [record for record in sweep.trained if record.settings.get("seeds") == AUTO]
    if not records or all(len(cell.standings) == 1 for cell in sweep.cells):
        return []
    if not (sweep.scores.ended | ~sweep.scores.asked).all(axis=None):
        return []  # it was interrupted
    total = sum(record.num_replicates for record in records)
    most = sum(last_round(record.design, record.num_replicates) for record in records)
    known = Counter(
        s.difference.decided_at for s in sweep.standings if s.difference and s.difference.decided_at
    )
    at = [f"{number} at {seeds} seeds" for seeds, number in sorted(known.items())]
    told = f" Comparisons decided: {names.listed(at)}." if at else ""
    saved = f"instead of {most}" if most > total else "as many as"
    return [f"seeds=auto took {total} trainings, {saved} at the last look for all.{told}"]


_SIDES = [("a", "configuration_a"), ("b", "configuration_b")]
_REFERENCE = ["reference", "reference_init", "is_baseline", "metric"]
_COLUMNS = [
    *("verdict", "decided_at", "look", "next_look", "margin", "num_pairs", "num_left_out"),
    *("mean", "ci_low", "ci_high", "std", "p_t", "level", "d_z", "probability_better", "median"),
    *("success_difference", "p_fisher", "family"),
]


def differences_table(sweep: Sweep) -> pd.DataFrame:
    """Returns `differences.csv`: one row a configuration that is compared with a reference.

    Columns `configuration, init, <factors>, reference` (a configuration), `reference_init`,
    `is_baseline` (fixed beforehand), `metric`, `verdict` (`different`, `equivalent`,
    `different_within_margin`, `unknown`), `decided_at` (seeds), `look` (seeds at the last look that
    was reached, which the numbers are of; 0 for none), `next_look` (0 after the last), `margin`,
    then of this minus the reference, by seed: `num_pairs`, `num_left_out` (that both finished, of
    crossed seeds with a gap), `mean, ci_low, ci_high` (paired t, not corrected), `std, p_t, level`
    (what p had to be), `d_z, probability_better, median`, `success_difference` (share of replicates
    that trained), `p_fisher`, `family` (the sweep whose comparisons are corrected together),
    `outcome`.
    """
    return sweep.keyed(map(_of_cell, sweep.cells), [*_REFERENCE, *_COLUMNS, "outcome"])


def _of_cell(cell: Cell) -> pd.DataFrame:
    if cell.reference is None:
        return pd.DataFrame()
    reference = cell.reference.record
    rows = pairs.oriented(cell.pairs, reference.index)
    scored = [standing.record.index for standing in cell.standings if standing.score.count]
    rows = rows[rows["configuration"].isin(scored)]
    outcomes = {standing.record.index: standing.outcome for standing in cell.standings}
    return rows.assign(
        reference=reference.index,
        reference_init=reference.init,
        is_baseline=cell.is_baseline,
        outcome=[outcomes[index] for index in rows["configuration"]],
    )


def pairs_table(cells: Sequence[Cell]) -> pd.DataFrame:
    """Returns `pairs.csv`: every two configurations of a cell, a minus b, by seed.

    Columns `cell` (its name), `configuration_a, init_a, configuration_b, init_b, metric, is_tested`
    (whether the design compares them; the verdict on others is `unknown`), and those of
    `differences.csv` from `verdict` on.
    """
    columns = [
        *("cell", "configuration_a", "init_a", "configuration_b", "init_b", "metric"),
        *("is_tested", *_COLUMNS),
    ]
    filled = [cell.pairs.assign(cell=cell.name) for cell in cells if len(cell.pairs)]
    if not filled:
        return pd.DataFrame(columns=columns)
    table = pd.concat(filled, ignore_index=True)
    inits = {s.record.index: s.record.init for cell in cells for s in cell.standings}
    return table.assign(
        init_a=table["configuration_a"].map(inits), init_b=table["configuration_b"].map(inits)
    )[columns]


def differences_block(
    frame: pd.DataFrame,
    by: Mapping[int, Name],
    sides: Sequence[tuple[str, str]] = (("configuration", "configuration"),),
    difference: str = "difference",
) -> Table | None:
    """Returns one row a pair, or None where there is none; `sides` has titles and columns."""
    is_crossed, is_level = frame["num_left_out"].any(), frame["level"].notna().any()
    is_failing = (frame["p_fisher"] < 1).any()
    return tabulated(
        frame,
        [
            *((heading, title(by, column)) for heading, column in sides),
            ("pairs", count("num_pairs")),
            *([("left out", count("num_left_out"))] if is_crossed else []),
            (difference, estimate("mean", "ci_low", "ci_high", interval_digits(frame))),
            ("verdict", _verdict),
            ("known at", count("decided_at")),
            ("p", p_value("p_t")),
            *([("needed", p_value("level", "muted"))] if is_level else []),
            ("effect size d_z", number("d_z", 2)),
            ("better in", share("probability_better")),
            *([("p (Fisher)", p_value("p_fisher"))] if is_failing else []),
        ],
    )


# Verdict of a pair -> what it is called, and its emphasis.
_VERDICTS = {
    "different": ("different", ""),
    "equivalent": ("equivalent", ""),
    "different_within_margin": ("differs, by less than the margin", ""),
    "unknown": (UNKNOWN, "muted"),
}


def _verdict(row: Row) -> Entry:
    if not row.get("is_tested", True):
        return Entry("not compared", emphasis="muted")
    text, emphasis = _VERDICTS[str(row["verdict"])]
    return Entry(text, emphasis=emphasis)


def difference_figures(differences: pd.DataFrame, by: Mapping[int, Name]) -> list[Figure]:
    """Returns one forest plot per metric of the paired differences to the reference."""
    known = differences.dropna(subset="mean")
    of = known.groupby("metric", sort=False)
    return [_figure(rows, str(metric), by, of.ngroups > 1) for metric, rows in of]


def _figure(
    rows: pd.DataFrame, metric: str, by: Mapping[int, Name], is_one_of_many: bool
) -> Figure:
    shown, others = first_rows(rows)
    references = list(dict.fromkeys(by[int(index)].series for index in shown["reference"]))
    word = names.reference_word(shown["is_baseline"])
    to = references[0] if len(references) == 1 else f"the {word} of each setting"
    what = names.metric_name(metric)
    better = "left" if lower_is_better(metric) else "right"
    data = _data(shown, by)
    title = f"Paired differences to {to}"
    caption = (
        f"Mean difference in {what} to {to} over the seeds that both have, with its uncorrected "
        f"interval. The colour is the verdict, which is corrected for all comparisons and looks: "
        f"an interval without zero can still be grey."
    )
    caption += aside_note(data) + others
    heading = names.row_heading(by.values())
    chart = forest(data, heading, x_title=f"difference ({better} is better)", zero=to)
    name = f"differences_{metric}" if is_one_of_many else "differences"
    spec = finish(chart, title, what, seen(data, "Difference"))
    return Figure(name, title, caption, spec)


def _data(rows: pd.DataFrame, by: Mapping[int, Name]) -> pd.DataFrame:
    learned = rows["outcome"] != "unlearned"
    aside = ~learned & bool(learned.any())
    words = [f"never learned: {names.significant(value, 3)}" for value in rows["mean"]]
    count = [names.counted(int(number), "pair") for number in rows["num_pairs"]]
    return pd.DataFrame(
        {
            "title": [by[index].short_title for index in rows["configuration"]],
            "value": rows["mean"].mask(aside).to_numpy(float),
            "low": rows["ci_low"].mask(aside).to_numpy(float),
            "high": rows["ci_high"].mask(aside).to_numpy(float),
            "outcome": [_WORDS[str(outcome)] for outcome in rows["outcome"]],
            "text": [
                f"{pairs}, p {names.p_value(p)}"
                for pairs, p in zip(count, rows["p_t"], strict=True)
            ],
            "aside": [
                word if is_aside else "" for word, is_aside in zip(words, aside, strict=True)
            ],
        }
    )
