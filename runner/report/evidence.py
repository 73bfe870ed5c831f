"""The tables of statistics for people: what stands behind the verdict, in a few columns each."""

import math
from collections.abc import Callable, Mapping

import pandas as pd

from runner.report.names import Name
from runner.report.ranking import OUTCOMES
from runner.report.table import Column, Entry, Row, Table
from runner.report.table import count as _count
from runner.report.table import estimate as _estimate
from runner.report.table import interval_digits as _digits
from runner.report.table import number as _number
from runner.report.table import p_value as _p
from runner.report.table import part_of as _of
from runner.report.table import share as _share
from runner.report.table import tabulated as _table
from runner.report.table import text as _text
from runner.report.table import title as _title
from runner.report.table import value as _value


def differences(frame: pd.DataFrame, by: Mapping[int, Name], confidence: float) -> Table | None:
    """Returns each configuration beside its reference, or None if there is nothing to compare."""
    digits = _digits(frame)
    return _table(
        frame,
        [
            ("configuration", _title(by)),
            *_pairs_columns(frame),
            ("difference", _estimate("mean", "ci_low", "ci_high", digits)),
            ("verdict", _verdict),
            ("p (Holm)", _p("p_holm")),
            ("p (Wilcoxon)", _p("p_wilcoxon")),
            ("least (Wilcoxon)", _p("p_wilcoxon_least", "muted")),
            ("p (sign flips)", _p("p_sign_flip")),
            ("least (sign flips)", _p("p_sign_flip_least", "muted")),
            ("effect size d_z", _number("d_z", 2)),
            ("better in", _share("probability_better")),
            ("further seeds", _further(1 - confidence)),
        ],
    )


def pairs(frame: pd.DataFrame, by: Mapping[int, Name], confidence: float) -> Table | None:
    """Returns every two configurations of a cell, or None where the differences tell them all."""
    if len(frame) < 2:
        return None
    digits = _digits(frame)
    return _table(
        frame,
        [
            ("a", _title(by, "configuration_a")),
            ("b", _title(by, "configuration_b")),
            *_pairs_columns(frame),
            ("a minus b", _estimate("mean", "ci_low", "ci_high", digits)),
            ("p (Holm)", _p("p_holm")),
            ("p (Wilcoxon)", _p("p_wilcoxon")),
            ("p (sign flips)", _p("p_sign_flip")),
            ("effect size d_z", _number("d_z", 2)),
            ("further seeds", _further(1 - confidence)),
            ("p of success (Fisher, Holm)", _p("p_fisher_holm")),
        ],
    )


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


def _rate(row: Row) -> Entry:
    rate, low, high = (_value(row, key) for key in ("success_rate", "ci_low", "ci_high"))
    if math.isnan(rate):
        return Entry("–", rate)
    return Entry(f"{100 * rate:.0f} % [{100 * low:.0f}, {100 * high:.0f}]", rate)


def _further(level: float) -> Callable[[Row], Entry]:
    def entry(row: Row) -> Entry:
        # What is told apart already needs none.
        is_apart = _value(row, "p_holm") <= level
        value = math.nan if is_apart else _value(row, "further_seeds")
        return Entry("–" if math.isnan(value) else f"{value:.0f}", value)

    return entry


def _verdict(row: Row) -> Entry:
    text, emphasis = OUTCOMES.get(str(row["outcome"]), (str(row["outcome"]), ""))
    return Entry(text, emphasis=emphasis)


def _is_told(frame: pd.DataFrame, column: str) -> bool:
    return column in frame and bool(frame[column].replace("", None).notna().any())
