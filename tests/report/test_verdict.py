"""How configurations stand to each other: the outcome of each, whatever is said of it."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from runner.report.progress import next_seeds
from runner.report.results import Results
from runner.report.verdict import Cell, judge

Scored = Callable[..., Results]

# Paired with `good`: always about 0.02 lower; now higher, now lower.
GOOD = [0.90, 0.92, 0.94, 0.96, 0.98]
WORSE = [0.881, 0.899, 0.921, 0.939, 0.96]
SAME = [0.91, 0.91, 0.95, 0.94, 0.985]
# Ten seeds: differences to TEN of mean 0 and standard deviation 0.001.
TEN = [*GOOD, *GOOD]
TIED = [score + 0.00095 * (-1) ** place for place, score in enumerate(TEN)]
LOST = ["diverged"] * 5


def only(results: Results) -> Cell:
    (cell,) = judge(results)
    return cell


def outcomes(results: Results) -> dict[str, str]:
    return {standing.name.series: standing.outcome for standing in only(results).standings}


# Scores, options -> outcomes.
OUTCOMES: dict[str, tuple[dict, dict, dict[str, str]]] = {
    "pairs find what overlapping intervals hide": (
        {"worse": WORSE, "good": GOOD, "same": SAME},
        {},
        {"good": "reference", "same": "unknown", "worse": "worse"},
    ),
    "a loss is better when it is lower": (
        {"good": GOOD, "worse": WORSE},
        {"endpoint": "val_loss"},
        {"worse": "reference", "good": "worse"},
    ),
    "equal scores at five seeds are not known to be equal": (
        {"a": GOOD, "b": GOOD},
        {"margin": 0.005},
        {"a": "reference", "b": "unknown"},
    ),
    "equal scores at ten seeds are": (
        {"a": TEN, "b": TEN},
        {"margin": 0.005},
        {"a": "reference", "b": "equivalent"},
    ),
    "within a margin": (
        {"glorot_uniform": TEN, "b": TIED},
        {"margin": 0.005},
        {"glorot_uniform": "reference", "b": "equivalent"},
    ),
    "without a margin nothing is equivalent": (
        {"glorot_uniform": TEN, "b": TIED},
        {},
        {"b": "unknown", "glorot_uniform": "reference"},
    ),
    "one shared seed is no comparison": (
        {"good": GOOD, "lossy": ["diverged", 0.5, "diverged", "diverged", "diverged"]},
        {},
        {"good": "reference", "lossy": "unknown"},
    ),
    "a look that has not ended is none": (
        {"good": GOOD, "lossy": [*WORSE[:4], None]},
        {},
        {"good": "reference", "lossy": "unknown"},
    ),
    "without a stamp what is there is the look": (
        {"good": GOOD, "lossy": [*WORSE[:4], None]},
        {"looks": ()},
        {"good": "reference", "lossy": "worse"},
    ),
    "what mostly diverged does not lead": (
        {
            "survivor": ["diverged", "diverged", "diverged", 0.99, 0.999],
            "good": GOOD,
            "lost": LOST,
        },
        {},
        {"good": "reference", "survivor": "unknown", "lost": "unfinished"},
    ),
    "a baseline is the reference": (
        {"good": GOOD, "worse": WORSE},
        {"baseline": "worse"},
        {"good": "better", "worse": "reference"},
    ),
    "a baseline that is not there is none": (
        {"good": GOOD, "worse": WORSE},
        {"baseline": "absent"},
        {"good": "reference", "worse": "worse"},
    ),
    "a baseline that never finished is none": (
        {"glorot_uniform": LOST, "good": GOOD, "worse": WORSE},
        {},
        {"good": "reference", "worse": "worse", "glorot_uniform": "unfinished"},
    ),
    "never learned is told from worse": (
        {"good": GOOD, "zero": [0.1] * 5},
        {"loss": {"zero": [2.31] * 5}},
        {"good": "reference", "zero": "unlearned"},
    ),
    "what was not trained has not failed to learn": (
        {"a": [0.1] * 5, "zero": [0.1] * 5},
        {"loss": {"zero": [2.31] * 5}, "epochs": 0},
        {"a": "reference", "zero": "unknown"},
    ),
    "who fails more is worse, however good the rest": (
        {"glorot_uniform": TEN, "lossy": [*TIED[:2], *["diverged"] * 8]},
        {"margin": 0.005},
        {"glorot_uniform": "reference", "lossy": "worse"},
    ),
    "one look has the whole level": (
        {"good": GOOD, "near": [0.885, 0.915, 0.925, 0.952, 0.971]},
        {"looks": (5,)},
        {"good": "reference", "near": "worse"},
    ),
    "the first of four looks has not": (
        {"good": GOOD, "near": [0.885, 0.919, 0.925, 0.957, 0.965]},
        {},
        {"good": "reference", "near": "unknown"},
    ),
    "one initializer is compared over its factors": (
        {"a": WORSE, "a#1": GOOD},
        {"factors": [{"model.depth": 2}, {"model.depth": 8}]},
        {"depth=8": "reference", "depth=2": "worse"},
    ),
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_each_configuration_has_its_outcome(scored: Scored, name: str) -> None:
    scores, options, expected = OUTCOMES[name]
    assert outcomes(scored(scores, **options)) == expected


def test_the_difference_is_scipys_paired_interval(scored: Scored) -> None:
    same = only(scored({"good": GOOD, "same": SAME})).standings[1]
    expected = stats.ttest_rel(SAME, GOOD).confidence_interval(0.95)
    assert same.difference is not None
    assert (same.difference.low, same.difference.high) == pytest.approx(
        (expected.low, expected.high)
    )


def test_seeds_beyond_the_last_look_change_neither_verdict_nor_difference(scored: Scored) -> None:
    at_look = only(scored({"glorot_uniform": GOOD, "b": SAME}, margin=0.1)).standings
    more = {"glorot_uniform": [*GOOD, 0.1], "b": [*SAME, 0.9]}
    beyond = only(scored(more, margin=0.1)).standings
    by_name = [{s.name.series: s for s in standings} for standings in (at_look, beyond)]
    assert by_name[0]["b"].difference == by_name[1]["b"].difference


def test_fewer_seeds_than_a_look_spend_nothing(scored: Scored) -> None:
    three = only(scored({"glorot_uniform": GOOD[:3], "b": WORSE[:3]}))
    assert (three.look, three.is_decided) == (0, False)
    five = only(scored({"glorot_uniform": GOOD, "b": WORSE}))
    assert five.having("worse")[0].difference.decided_at == 5  # type: ignore[union-attr]


def test_a_configuration_that_was_added_later_has_a_family_of_its_own(scored: Scored) -> None:
    # p = 0.0045: below the level of one comparison, 0.0061, above that of two, 0.0024.
    near = [0.877, 0.913, 0.921, 0.947, 0.964]
    scores = {"glorot_uniform": GOOD, "b": SAME, "near": near}
    together = only(scored(scores)).pairs.set_index(["configuration_a", "configuration_b"])
    added = only(scored(scores, added=["near"])).pairs.set_index(
        ["configuration_a", "configuration_b"]
    )
    assert together.loc[(0, 2), "verdict"] == "unknown"
    assert added.loc[(0, 2), "verdict"] == "different"
    assert added.loc[(0, 1), "level"] == pytest.approx(added.loc[(0, 2), "level"])
    assert not added.loc[(1, 2), "is_tested"]


def test_factors_divide_the_sweep_into_cells(scored: Scored) -> None:
    factors = [{"model.depth": 2}, {"model.depth": 2}, {"model.depth": 8}, {"model.depth": 8}]
    results = scored({"a": GOOD, "b": WORSE, "a#1": WORSE, "b#1": GOOD}, factors=factors)
    shallow, deep = judge(results)
    assert (shallow.name, deep.name) == ("depth=2", "depth=8")
    assert shallow.leader is not None
    assert deep.leader is not None
    assert (shallow.leader.name.series, deep.leader.name.series) == ("a", "b")


def test_other_data_is_never_compared(scored: Scored) -> None:
    factors = [{"dataset": "iris"}, {"dataset": "wine"}]
    results = scored({"a": GOOD, "a#1": WORSE}, factors=factors, fingerprints=["1", "2"])
    assert [len(cell.standings) for cell in judge(results)] == [1, 1]


def asked_next(results: Results, records: list) -> dict[int, int]:
    return next_seeds(results.sweep, results.configurations, records)


def noise(seeds: int, mean: float = 0.9) -> list[float]:
    return list(mean + 0.01 * np.random.default_rng(round(1e4 * mean)).normal(size=seeds))


# Scores, options -> configurations that need more seeds, and how many.
NEXT = {
    "undecided": ({"glorot_uniform": noise(5), "b": noise(5, 0.901)}, {}, {0: 10, 1: 10}),
    "decided": ({"glorot_uniform": GOOD, "b": WORSE}, {}, {}),
    "one of two": (
        {"glorot_uniform": GOOD, "b": WORSE, "c": noise(5, 0.94)},
        {},
        {0: 10, 2: 10},
    ),
    "all pairs": ({"a": GOOD, "b": WORSE, "c": SAME}, {}, {0: 10, 1: 10, 2: 10}),
    "equivalent": ({"glorot_uniform": TEN, "b": TIED}, {"margin": 0.005}, {}),
    "alone": ({"glorot_uniform": GOOD}, {}, {}),
    "after the last look": ({"glorot_uniform": GOOD, "b": SAME}, {"looks": (5,)}, {}),
    "any number": ({"glorot_uniform": GOOD, "b": SAME}, {"looks": None}, {0: 10, 1: 10}),
    "one never finishes": ({"glorot_uniform": TEN, "b": [*LOST, *LOST]}, {}, {}),
}


@pytest.mark.parametrize("name", NEXT)
def test_who_needs_more_seeds(scored: Scored, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scores, options, expected = NEXT[name]
    results = scored(scores, **options)
    monkeypatch.setattr("runner.report.progress.collect", lambda *_: results)
    assert asked_next(results, []) == expected
