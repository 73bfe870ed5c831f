"""The tables of statistics for people: what stands behind the verdict, in a few columns each."""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from runner.report import names
from runner.report.names import Name
from runner.report.ranking import Entry, Table

MAX_ROWS = 100

Row = Mapping[Hashable, Any]
Column = tuple[str, Callable[[Row], Entry]]
_TEXTS = frozenset({"configuration", "initializer", "a", "b", "verdict", "at step 0"})


def differences(frame: pd.DataFrame, by: Mapping[int, Name], confidence: float) -> Table | None:
    """Returns each configuration beside its reference, or None if there is nothing to compare."""
    return _table(
        frame,
        [
            ("configuration", _title(by)),
            *_pairs_columns(frame),
            ("difference", _estimate("mean", "ci_low", "ci_high", _digits(frame))),
            ("verdict", _verdict),
            *_known_columns(frame),
        ],
    )


def pairs(frame: pd.DataFrame, by: Mapping[int, Name], confidence: float) -> Table | None:
    """Returns every two configurations of a cell, or None where the differences tell them all."""
    if len(frame) < 2:
        return None
    return _table(
        frame,
        [
            ("a", _title(by, "configuration_a")),
            ("b", _title(by, "configuration_b")),
            *_pairs_columns(frame),
            ("a minus b", _estimate("mean", "ci_low", "ci_high", _digits(frame))),
            ("verdict", _verdict),
            *_known_columns(frame),
        ],
    )


def _known_columns(frame: pd.DataFrame) -> list[Column]:
    failing: list[Column] = [("p (Fisher)", _p("p_fisher"))]
    return [
        ("known at", _count("decided_at")),
        ("p", _p("p_t")),
        ("needed", _p("level", "muted")),
        ("effect size d_z", _number("d_z", 2)),
        ("better in", _share("probability_better")),
        *(failing if (frame["p_fisher"] < 1).any() else []),
    ]


def _pairs_columns(frame: pd.DataFrame) -> list[Column]:
    """Returns the number of pairs, and of those that crossed seeds with a gap leave out."""
    left_out: Column = ("left out", _count("num_left_out"))
    return [("pairs", _count("num_pairs")), *([left_out] if frame["num_left_out"].any() else [])]


def success(frame: pd.DataFrame, by: Mapping[int, Name]) -> Table | None:
    """Returns how often each configuration trained, or None if all did."""
    if frame.empty or (frame["num_succeeded"] == frame["num_asked"]).all():
        return None
    return _table(
        frame,
        [
            ("configuration", _title(by)),
            ("trained", _of("num_succeeded", "num_ended")),
            ("success rate", _rate),
            ("diverged", _count("num_diverged")),
            ("never learned", _count("num_unlearned")),
            ("failed", _count("num_failed")),
            *([("at step 0", _text("start"))] if _is_told(frame, "start") else []),
        ],
    )


def times(frame: pd.DataFrame, by: Mapping[int, Name]) -> Table | None:
    """Returns the epochs to the target, or None where no target was set."""
    return _table(
        frame[frame["unit"] == "epochs"],
        [
            ("configuration", _title(by)),
            ("reached it", _of("num_reached", "num_replicates")),
            ("median epochs", _number("median", 1)),
            ("mean epochs", _mean_time),
            ("up to epoch", _number("horizon", 0)),
            ("p (log-rank, Holm)", _p("p_holm")),
        ],
    )


def rankings(frame: pd.DataFrame) -> Table | None:
    """Returns the two rankings side by side, or None where no way to train varies."""
    if frame.empty:
        return None
    keys = ["problem", "init"]
    shared = frame[frame["ranking"] == "shared"].set_index(keys).add_prefix("shared_")
    own = frame[frame["ranking"] == "own best"].set_index(keys)
    both = own.join(shared).reset_index()
    digits = _digits(both)
    several = both["problem"].nunique() > 1
    return _table(
        both,
        [
            *([("problem", _text("problem"))] if several else []),
            ("initializer", _text("init")),
            ("# shared", _number("shared_rank", 0)),
            ("mean, shared", _number("shared_counted_mean", digits)),
            ("shared setting", _text("shared_setting")),
            ("# own best", _number("rank", 0)),
            ("mean, own best", _number("counted_mean", digits)),
            ("own best setting", _text("setting")),
        ],
    )


def ranks(frame: pd.DataFrame) -> Table | None:
    """Returns the average ranks, or None below two problems."""
    problems = [str(column) for column in frame if str(column).startswith("rank: ")]
    return _table(
        frame,
        [
            ("initializer", _text("init")),
            ("average rank", _number("average_rank", 2)),
            *((column.removeprefix("rank: "), _number(column, 1)) for column in problems),
        ],
    )


def variance(frame: pd.DataFrame, by: Mapping[int, Name]) -> Table | None:
    """Returns the shares of the variance, or None where seeds are not crossed."""
    if frame.empty:
        return None
    wide = frame.pivot_table(
        ["share", "std", "p_value"], "configuration", "source", dropna=False, sort=False
    )
    wide.columns = pd.Index([f"{name[1]}_{name[0]}" for name in wide.columns])
    sources = [s for s in ("weights", "batches", "residual") if f"{s}_share" in wide]
    columns: list[Column] = [("configuration", _title(by))]
    for source in sources:
        columns.append((f"{source}, share", _share(f"{source}_share")))
        columns.append((f"{source}, std", _number(f"{source}_std", 4)))
        if f"{source}_p_value" in wide and wide[f"{source}_p_value"].notna().any():
            columns.append((f"{source}, p", _p(f"{source}_p_value")))
    return _table(wide.reset_index(), columns)


def predictors(frame: pd.DataFrame) -> Table | None:
    """Returns how step 0 goes with the endpoint, or None where step 0 was not looked at."""
    return _table(
        frame,
        [
            ("data", _text("group")),
            ("measured before training", _text("quantity")),
            ("as", _text("transform")),
            ("configurations", _count("num_configurations")),
            ("rank correlation", _estimate("rho", "ci_low", "ci_high", 2)),
            ("p (Holm)", _p("p_holm")),
        ],
    )


def _table(frame: pd.DataFrame, columns: Sequence[Column]) -> Table | None:
    if frame.empty:
        return None
    rows = frame.to_dict("records")
    entries = [tuple(entry(row) for _, entry in columns) for row in rows[:MAX_ROWS]]
    return Table(
        columns=tuple(title for title, _ in columns),
        rows=tuple(entries),
        numeric=frozenset(
            title
            for place, (title, _) in enumerate(columns)
            if title not in _TEXTS and any(row[place].sort is not None for row in entries)
        ),
        omitted=len(rows[MAX_ROWS:]),
    )


def _value(row: Row, column: str) -> float:
    value = row.get(column)
    return math.nan if value is None or pd.isna(value) else float(value)


def _title(by: Mapping[int, Name], column: str = "configuration") -> Callable[[Row], Entry]:
    return lambda row: Entry(by[int(row[column])].title, float(row[column]))


def _text(column: str) -> Callable[[Row], Entry]:
    def entry(row: Row) -> Entry:
        value = row.get(column)
        return Entry("" if pd.isna(value) else names.one_line(str(value)))

    return entry


def _number(column: str, digits: int) -> Callable[[Row], Entry]:
    return lambda row: Entry(names.number(_value(row, column), digits), _value(row, column))


def _count(column: str) -> Callable[[Row], Entry]:
    return _number(column, 0)


def _of(part: str, whole: str) -> Callable[[Row], Entry]:
    def entry(row: Row) -> Entry:
        count, total = _value(row, part), _value(row, whole)
        return Entry(f"{count:.0f} of {total:.0f}", count, "" if count == total else "bad")

    return entry


def _share(column: str) -> Callable[[Row], Entry]:
    def entry(row: Row) -> Entry:
        value = _value(row, column)
        return Entry("–" if math.isnan(value) else f"{100 * value:.0f} %", value)

    return entry


def _p(column: str, emphasis: str = "") -> Callable[[Row], Entry]:
    def entry(row: Row) -> Entry:
        value = _value(row, column)
        return Entry(names.p_value(value).removeprefix("= "), value, emphasis)

    return entry


def _estimate(
    mean: str, low: str, high: str, digits: int, signed: bool = True
) -> Callable[[Row], Entry]:
    def entry(row: Row) -> Entry:
        value = _value(row, mean)
        ends = [_value(row, column) for column in (low, high)]
        text = names.number(value, digits, signed)
        if not any(math.isnan(end) for end in ends):
            shown = ", ".join(names.number(end, digits, signed) for end in ends)
            text = f"{text} [{shown}]"
        return Entry(text, value)

    return entry


def _rate(row: Row) -> Entry:
    rate, low, high = (_value(row, key) for key in ("success_rate", "ci_low", "ci_high"))
    if math.isnan(rate):
        return Entry("–", rate)
    return Entry(f"{100 * rate:.0f} % [{100 * low:.0f}, {100 * high:.0f}]", rate)


def _mean_time(row: Row) -> Entry:
    if not row["num_reached"]:
        return Entry("–", math.inf)  # the restricted mean is no more than the horizon
    return _estimate("restricted_mean", "ci_low", "ci_high", 1, signed=False)(row)


# Verdict of a pair -> what it is called, and its emphasis.
_VERDICTS = {
    "different": ("different", ""),
    "equivalent": ("equivalent", ""),
    "different_within_margin": ("differs, by less than the margin", ""),
    "unknown": ("not known yet", "muted"),
}


def _verdict(row: Row) -> Entry:
    if row.get("is_tested", True):
        text, emphasis = _VERDICTS[str(row["verdict"])]
        return Entry(text, emphasis=emphasis)
    return Entry("not compared", emphasis="muted")


def _is_told(frame: pd.DataFrame, column: str) -> bool:
    return column in frame and bool(frame[column].replace("", None).notna().any())


def _digits(frame: pd.DataFrame) -> int:
    return names.decimals_of((frame["ci_high"] - frame["ci_low"]) / 2, frame["mean"])
