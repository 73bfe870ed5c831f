from collections.abc import Callable

import pytest
from scipy import stats

from runner.report.results import Results
from runner.report.verdict import Cell, judge

Scored = Callable[..., Results]

# Paired with `good`: always about 0.02 lower; now higher, now lower.
GOOD = [0.90, 0.92, 0.94, 0.96, 0.98]
WORSE = [0.881, 0.899, 0.921, 0.939, 0.96]
SAME = [0.91, 0.91, 0.95, 0.94, 0.985]


def outcomes(results: Results) -> dict[str, str]:
    (cell,) = judge(results)
    return {standing.name.series: standing.outcome for standing in cell.standings}


def only(results: Results) -> Cell:
    (cell,) = judge(results)
    return cell


def test_pairing_finds_a_difference_that_overlapping_intervals_hide(scored: Scored) -> None:
    results = scored({"worse": WORSE, "good": GOOD, "same": SAME})
    assert outcomes(results) == {"good": "reference", "same": "same", "worse": "worse"}
    good, _, worse = only(results).standings
    assert worse.score.high > good.score.low
    assert worse.difference is not None
    assert worse.difference.mean == pytest.approx(-0.02)


def test_the_difference_is_scipys_paired_interval(scored: Scored) -> None:
    same = only(scored({"good": GOOD, "same": SAME})).standings[1]
    expected = stats.ttest_rel(SAME, GOOD).confidence_interval(0.95)
    assert same.difference is not None
    assert (same.difference.low, same.difference.high) == pytest.approx(
        (expected.low, expected.high)
    )


def test_a_loss_is_better_when_it_is_lower(scored: Scored) -> None:
    results = scored({"good": GOOD, "worse": WORSE}, endpoint="val_loss")
    assert outcomes(results) == {"worse": "reference", "good": "worse"}


def test_equal_scores_are_not_distinguishable(scored: Scored) -> None:
    results = scored({"a": GOOD, "b": GOOD})
    assert outcomes(results) == {"a": "reference", "b": "same"}
    difference = only(results).standings[1].difference
    assert difference is not None
    assert difference.low == difference.mean == difference.high == 0


def test_only_seeds_that_both_finished_are_paired(scored: Scored) -> None:
    results = scored({"good": [*GOOD, 0.97], "lossy": [*WORSE[:4], "diverged", 0.1]})
    difference = only(results).standings[1].difference
    assert difference is not None
    assert difference.count == 5


@pytest.mark.parametrize(
    "lossy", [["diverged", 0.5, "diverged", "diverged", "diverged"], [0.5, None, None, None, None]]
)
def test_one_shared_seed_is_no_comparison(scored: Scored, lossy: list) -> None:
    assert outcomes(scored({"good": GOOD, "lossy": lossy}))["lossy"] == "unknown"


def test_what_mostly_diverged_does_not_lead(scored: Scored) -> None:
    survivor = ["diverged", "diverged", "diverged", 0.99, 0.999]
    results = scored({"survivor": survivor, "good": GOOD, "lost": ["diverged"] * 5})
    cell = only(results)
    assert [s.name.series for s in cell.standings] == ["good", "survivor", "lost"]
    assert [s.outcome for s in cell.standings] == ["reference", "unknown", "unfinished"]


def test_the_leader_can_be_worse_on_the_shared_seeds(scored: Scored) -> None:
    uneven = [0.911, 0.929, 0.951, None, None]
    results = scored({"good": GOOD, "uneven": uneven})
    assert outcomes(results) == {"good": "reference", "uneven": "better"}


def test_a_baseline_that_is_there_is_the_reference(scored: Scored) -> None:
    results = scored({"good": GOOD, "worse": WORSE}, baseline="worse")
    assert outcomes(results) == {"good": "better", "worse": "reference"}
    assert only(results).is_baseline
    absent = scored({"good": GOOD, "worse": WORSE}, baseline="absent")
    assert outcomes(absent) == {"good": "reference", "worse": "worse"}
    assert not only(absent).is_baseline


def test_factors_divide_the_sweep_into_cells(scored: Scored) -> None:
    factors = [{"model.depth": 2}, {"model.depth": 2}, {"model.depth": 8}, {"model.depth": 8}]
    results = scored({"a": GOOD, "b": WORSE, "a#1": WORSE, "b#1": GOOD}, factors=factors)
    shallow, deep = judge(results)
    assert (shallow.name, deep.name) == ("depth=2", "depth=8")
    assert shallow.leader is not None
    assert deep.leader is not None
    assert (shallow.leader.name.series, deep.leader.name.series) == ("a", "b")


def test_one_initializer_is_compared_over_its_factors(scored: Scored) -> None:
    factors = [{"model.depth": 2}, {"model.depth": 8}]
    results = scored({"a": WORSE, "a#1": GOOD}, factors=factors)
    assert outcomes(results) == {"depth=8": "reference", "depth=2": "worse"}


def test_other_data_is_never_compared(scored: Scored) -> None:
    factors = [{"dataset": "iris"}, {"dataset": "wine"}]
    results = scored({"a": GOOD, "a#1": WORSE}, factors=factors, fingerprints=["1", "2"])
    assert [len(cell.standings) for cell in judge(results)] == [1, 1]


def test_never_learned_is_told_from_worse(scored: Scored) -> None:
    results = scored({"good": GOOD, "zero": [0.1] * 5}, loss={"zero": [2.31] * 5})
    assert outcomes(results) == {"good": "reference", "zero": "unlearned"}
    assert only(results).standings[1].num_unlearned == 5


def test_what_was_not_trained_has_not_failed_to_learn(scored: Scored) -> None:
    results = scored({"a": [0.1] * 5, "zero": [0.1] * 5}, loss={"zero": [2.31] * 5}, epochs=0)
    assert outcomes(results) == {"a": "reference", "zero": "same"}
