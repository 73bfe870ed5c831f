"""Several data sets or models: ranks of the initializers."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from runner.records import ConfigurationRecord
from runner.report import names
from runner.report.answer import Answer, blocks, overall
from runner.report.choices import Chosen, choices, downward, is_tuned, own_best, told_scores
from runner.report.render import theme
from runner.report.render.charts import WIDTH
from runner.report.render.vegalite import Spec, View, channel, expr, layer
from runner.report.results import Results
from runner.report.scores import Scores, is_problem
from runner.report.statistics import ranks
from runner.report.sweep import Sweep
from runner.report.table import Table, number, tabulated, text

_RANKS = ["init", "average_rank", "num_problems", "friedman_p", "critical_difference"]
_PAIRS = ["init_a", "init_b", "rank_difference", "p_nemenyi", "distinguishable"]
_ROW_HEIGHT = 26
_PROBLEM = "rank: "


def ask(sweep: Sweep) -> Answer:
    """Who is best over all problems?"""
    ranked, rank_pairs = rank_tables(sweep.results, sweep.scores)
    return Answer(
        "problems",
        "Over all problems",
        sentences=overall([sentence(ranked, rank_pairs, sweep.confidence)]),
        figures=sweep.drawn(rank_figures, ranked),
        blocks=blocks(ranks_block(ranked), csv="ranks.csv"),
        tables={"ranks.csv": ranked, "rank_pairs.csv": rank_pairs},
    )


def rank_tables(results: Results, found: Scores) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns `ranks.csv` and `rank_pairs.csv`; empty below two problems or two initializers.

    An initializer is ranked by its mean score, failures counted, in each problem; where ways to
    train vary, at its own best. Only initializers that were trained on every problem are ranked. A
    problem that is there several times, with different endpoints for one, counts once: the first.

    Returns:
      `init, average_rank, num_problems, friedman_p, critical_difference` and a column
      `rank: <problem>` each, best first; and `init_a, init_b, rank_difference, p_nemenyi,
      distinguishable` of every two.
    """
    of, inits = _best_of_problems(results, found)
    if len(of) < 2 or len(inits) < 2:
        return pd.DataFrame(columns=_RANKS), pd.DataFrame(columns=_PAIRS)
    scores = np.array([_means(results, [chosen[init] for init in inits]) for chosen in of.values()])
    each = ranks.ranks(scores)
    average = each.mean(axis=0)
    size = len(inits), len(of)
    critical = ranks.critical_difference(*size, 1 - results.sweep.confidence)
    table = pd.DataFrame(
        {
            "init": inits,
            "average_rank": average,
            "num_problems": len(of),
            "friedman_p": ranks.friedman(-each),
            "critical_difference": critical,
        }
        | {f"rank: {problem}": row for problem, row in zip(of, each, strict=True)}
    ).sort_values("average_rank", kind="stable", ignore_index=True)
    return table, _rank_pairs(inits, average, size, 1 - results.sweep.confidence)


def _rank_pairs(
    inits: list[str], average: np.ndarray, size: tuple[int, int], level: float
) -> pd.DataFrame:
    first, second = np.triu_indices(len(inits), k=1)
    difference = average[first] - average[second]
    p = ranks.nemenyi(difference, *size)
    return pd.DataFrame(
        {
            "init_a": [inits[place] for place in first],
            "init_b": [inits[place] for place in second],
            "rank_difference": difference,
            "p_nemenyi": p,
            "distinguishable": p <= level,
        }
    )


def _best_of_problems(
    results: Results, found: Scores
) -> tuple[dict[str, dict[str, Chosen]], list[str]]:
    """Returns problem -> initializer -> what stands for it, and the initializers that all have."""
    first: dict[tuple, str] = {}
    of = choices(results, found)
    for problem, chosen in of.items():
        first.setdefault(_posed(chosen[0][0].record), problem)
    best = {
        problem: {of_init[0].record.init: own_best(of_init) for of_init in of[problem]}
        for problem in first.values()
    }
    inits = dict.fromkeys(init for of_init in best.values() for init in of_init)
    return best, [init for init in inits if all(init in of_init for of_init in best.values())]


def _posed(record: ConfigurationRecord) -> tuple:
    """Returns data and model, whatever else varies."""
    given = [item for item in record.factors.items() if is_problem(item[0])]
    return record.dataset.get("fingerprint"), *given


def _means(results: Results, chosen: Sequence[Chosen]) -> list[float]:
    """Returns the mean scores of a problem, failures counted; a higher one is better."""
    records = [choice.record for choice in chosen]
    _, _, counted = told_scores(results, records, on_test=_is_chosen(results))
    means = [float(np.mean(counted.get(record.index, [np.nan]))) for record in records]
    return [-downward(record, mean) for record, mean in zip(records, means, strict=True)]


def _is_chosen(results: Results) -> bool:
    """Whether the setting of training is chosen by the endpoint, which then flatters."""
    return any(is_tuned(key) for record in results.configurations for key in record.factors)


def ranks_block(frame: pd.DataFrame) -> Table | None:
    """Returns the average ranks, or None below two problems."""
    problems = [str(column) for column in frame if str(column).startswith("rank: ")]
    return tabulated(
        frame,
        [
            ("initializer", text("init")),
            ("average rank", number("average_rank", 2)),
            *((column.removeprefix("rank: "), number(column, 1)) for column in problems),
        ],
    )


def sentence(table: pd.DataFrame, pairs: pd.DataFrame, confidence: float) -> str:
    """Returns the average ranks over several problems."""
    if table.empty:
        return ""
    first = table.iloc[0]
    init, number = names.one_line(str(first["init"])), int(first["num_problems"])
    start = (
        f"Over {number} problems {init} has the best average rank, {first['average_rank']:.2f} of "
        f"{len(table)}"
    )
    of_first = pairs[(pairs["init_a"] == first["init"]) | (pairs["init_b"] == first["init"])]
    apart = int(of_first["distinguishable"].sum())
    p = first["friedman_p"]
    test = "" if pd.isna(p) else f"; Friedman p {names.p_value(p)}"
    end = f"(Nemenyi, critical difference {first['critical_difference']:.2f}{test})."
    if not apart or p > 1 - confidence:
        return f"{start}; no other differs significantly from it {end}"
    differ = "differs" if apart == 1 else "differ"
    return f"{start}; {apart} of the {len(table) - 1} others {differ} significantly from it {end}"


def rank_figures(table: pd.DataFrame) -> list[theme.Figure]:
    """Returns the critical-difference diagram: average ranks, and which of them are alike."""
    rows = table.sort_values("average_rank", ignore_index=True).iloc[: theme.MAX_ROWS]
    if len(rows) < 2:
        return []
    distance = float(rows["critical_difference"].iloc[0])
    num_problems = int(rows["num_problems"].iloc[0])
    title = "Average ranks"
    note = f"critical difference {names.significant(distance, 3)}"
    caption = (
        f"Average rank over {names.counted(num_problems, 'problem')} (1 is the best; small points: "
        f"the single problems). A bar joins initializers that do not differ significantly by "
        f"Nemenyi's test: their ranks differ by less than the critical difference, "
        f"{names.significant(distance, 3)}. Friedman's test that all are equal: "
        f"p {names.p_value(float(rows['friedman_p'].iloc[0]))}."
    )
    means = rows.set_index("init")["average_rank"]
    seen = f"Average rank: {theme.extremes(means, lower_is_better=True)}."
    return [
        theme.Figure(
            "ranks", title, caption, theme.finish(_rank_chart(rows, distance), title, note, seen)
        )
    ]


def _rank_chart(rows: pd.DataFrame, distance: float) -> View:
    titles = [names.one_line(str(init)) for init in rows["init"]]
    problems = [str(column) for column in rows if str(column).startswith(_PROBLEM)]
    single = pd.DataFrame(
        [
            {"title": title, "rank": float(row[column]), "problem": column.removeprefix(_PROBLEM)}
            for title, row in zip(titles, rows.to_dict("records"), strict=True)
            for column in problems
        ]
    )
    means = pd.DataFrame({"title": titles, "rank": rows["average_rank"].to_numpy(float)})
    last = math.ceil(max(len(rows), single["rank"].max()))
    scale = dict(domain=[1, last], nice=False, padding=12)
    axis = theme.whole_axis(1, last, orient="top", gridColor=theme.GRID)
    x = channel("rank:Q", title="rank, 1 is the best", scale=scale, axis=axis)
    told = channel("title:N", title="initializer")
    points = View(data=theme.csv_data(single)).mark(
        "point", size=25, opacity=0.5, color=theme.MUTED, filled=True
    )
    dots = View(data=theme.csv_data(means)).mark(
        "point", size=110, opacity=1, color=theme.INK, filled=True
    )
    layers = [
        points.encode(x=x, y=_row(titles), tooltip=[told, channel("problem:N"), channel("rank:Q")]),
        dots.encode(x=x, y=_row(titles), tooltip=[told, channel("rank:Q", format=".3~g")]),
        *_bars(titles, rows["average_rank"].tolist(), distance),
    ]
    return layer(*layers, width=WIDTH, height=_ROW_HEIGHT * len(rows))


def _row(titles: Sequence[str], column: str = "title") -> Spec:
    scale = dict(domain=list(titles))
    return channel(f"{column}:N", title=None, scale=scale, sort=list(titles), axis=theme.row_axis())


def _bars(titles: Sequence[str], average: Sequence[float], distance: float) -> list[View]:
    """Returns a vertical bar, right of the axis, for each group of initializers that are alike."""
    charts = []
    for place, (first, last) in enumerate(ranks.cliques(average, distance)):
        ends = dict(values=[{"first": titles[first], "last": titles[last]}])
        bar = View(data=ends).mark("rule", strokeWidth=5, strokeCap="round", color=theme.PALETTE[0])
        x = {"value": expr(f"width + {16 + 12 * place}")}
        charts.append(bar.encode(x=x, y=_row(titles, "first"), y2=channel("last")))
    return charts
