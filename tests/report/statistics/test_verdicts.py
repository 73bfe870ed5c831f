"""What is decided at which look: by hand for each rule, and how often by simulation."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from runner.report.statistics.looks import nominal_level
from runner.report.statistics.verdicts import (
    DIFFERENT,
    EQUIVALENT,
    UNKNOWN,
    WITHIN,
    Pairs,
    decide,
)

LOOKS = (5, 10, 20, 40)


def pairs(
    values: np.ndarray,
    trained: np.ndarray | None = None,
    ended: np.ndarray | None = None,
    outcome: np.ndarray | None = None,
) -> Pairs:
    """Returns pairs with these differences, shape (pairs, seeds)."""
    rows = np.atleast_2d(values)
    every = np.ones(rows.shape, bool)
    both = np.stack([every, every])
    return Pairs(
        values=rows,
        is_asked=every,
        has_ended=every if ended is None else ended,
        has_outcome=both if outcome is None else outcome,
        has_trained=both if trained is None else trained,
    )


def noisy(mean: float, count: int, std: float = 1.0) -> np.ndarray:
    """Returns values with exactly this mean and standard deviation at every even count."""
    return mean + std * np.tile([1.0, -1.0], count)[:count]


def lost(count: int, number: int, seeds: int = 10) -> np.ndarray:
    """Returns which of both trained where the first of each lost `count`, the second `number`."""
    place = np.arange(seeds)
    return np.stack([[place >= count], [place >= number]])


# Values, options -> verdict, seeds at which it was known.
DECISIONS: dict[str, tuple[Pairs, dict, str, int | None]] = {
    # t(5) = 4 / (1.095 / √5) = 8.2, p = 0.0012.
    "a large difference": (pairs(noisy(4, 5)), {}, DIFFERENT, 5),
    "too few seeds for a look": (pairs(noisy(4, 4)), {}, UNKNOWN, None),
    "between two looks": (pairs(noisy(1, 9)), {}, UNKNOWN, None),
    # t(10) = 1.1 / (1.054 / √10) = 3.3, p = 0.0092 <= 0.0105.
    "at the second look": (pairs(noisy(1.1, 12)), {}, DIFFERENT, 10),
    # t(10) = 3, p = 0.015; t(20) = 1 / (1.026 / √20) = 4.4, p = 0.0003 <= 0.017.
    "at the third": (pairs(noisy(1, 22)), {}, DIFFERENT, 20),
    "one look has all of the level": (pairs(noisy(0.9, 8)), {"looks": (8,)}, DIFFERENT, 8),
    "the same at two looks has not": (pairs(noisy(0.9, 8)), {"looks": (4, 8)}, UNKNOWN, None),
    "nothing within a margin": (pairs(noisy(0, 40)), {"margin": 1.0}, EQUIVALENT, 10),
    "nothing without a margin": (pairs(noisy(0, 40)), {}, UNKNOWN, None),
    "a margin of zero is none": (pairs(noisy(0, 40)), {"margin": 0.0}, UNKNOWN, None),
    "differs, by less than the margin": (
        pairs(noisy(1, 40)), {"margin": 3.0}, WITHIN, 10,
    ),
    "unequal failures are not equivalent": (
        pairs(noisy(0, 10), trained=lost(1, 0)), {"margin": 3.0}, UNKNOWN, None,
    ),
    "equal failures may be": (
        pairs(noisy(0, 10), trained=lost(1, 1)), {"margin": 3.0}, EQUIVALENT, 5,
    ),
    "identical differences need ten seeds": (
        pairs(np.full(10, 0.1)), {"margin": 1.0, "level": 1e-9}, EQUIVALENT, 10,
    ),
    "five identical differences show nothing": (pairs(np.full(5, 0.1)), {}, UNKNOWN, None),
    # 2 / 2^10 = 0.002.
    "ten identical differences have one sign": (pairs(np.full(10, 0.1)), {}, DIFFERENT, 10),
    # Fisher: 2 / C(20, 10) = 1e-5; five against five 0.0079 > 0.0012, a fifth of the level.
    "one never trains": (
        pairs(np.full(10, np.nan), trained=lost(10, 0)), {}, DIFFERENT, 10,
    ),
    "one trains a little less often": (
        pairs(np.full(10, np.nan), trained=lost(3, 0)), {}, UNKNOWN, None,
    ),
    "a look that has not ended": (
        pairs(noisy(4, 5), ended=np.array([[True] * 4 + [False]])), {}, UNKNOWN, None,
    ),
    "two pairs are no test": (
        pairs(np.array([4.0, 4.1, np.nan, np.nan, np.nan])), {}, UNKNOWN, None,
    ),
    # E = 20 needs |t| = 8.453 at five seeds: 4.2 / (1.095 / √5) = 8.57.
    "enough evidence": (pairs(noisy(4.2, 5)), {"looks": None}, DIFFERENT, 5),
    "not enough evidence": (pairs(noisy(3.9, 5)), {"looks": None}, UNKNOWN, None),
    "any number of seeds is a look": (pairs(noisy(3, 7)), {"looks": None}, DIFFERENT, 6),
    "evidence of equivalence": (
        pairs(noisy(0, 40)), {"looks": None, "margin": 3.0}, EQUIVALENT, 6,
    ),
    "failures at any number of seeds": (
        pairs(np.full(10, np.nan), trained=lost(10, 0)), {"looks": None}, DIFFERENT, 10,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DECISIONS)
def test_a_pair_is_decided_by_its_rule(name: str) -> None:
    of, options, verdict, seeds = DECISIONS[name]
    told = decide(of, **{"looks": LOOKS, "level": 0.05, **options}).iloc[0]
    assert told["verdict"] == verdict
    assert (None if pd.isna(told["decided_at"]) else told["decided_at"]) == seeds


def test_what_is_decided_stays_decided() -> None:
    values = np.concatenate([noisy(4, 5), noisy(-4, 5)])
    told = decide(pairs(values), LOOKS, 0.05).iloc[0]
    assert (told["verdict"], told["decided_at"], told["sign"], told["look"]) == (
        DIFFERENT, 5, 1, 10,
    )  # fmt: skip


def test_what_differs_makes_it_easier_for_the_next_and_what_is_equivalent_does_not() -> None:
    # p = 0.0092 at ten seeds: below the look's level of 0.05, 0.0105, above that of 0.025, 0.0046.
    near, far, same = noisy(1.1, 10), noisy(9, 10), noisy(0, 10)
    alone = decide(pairs(near), LOOKS, 0.05)
    with_far = decide(pairs(np.stack([near, far])), LOOKS, 0.05)
    with_same = decide(pairs(np.stack([near, same])), LOOKS, 0.05, margin=3.0)
    stamped = decide(pairs(near), LOOKS, 0.05, size=2)
    assert [frame["verdict"].iloc[0] for frame in (alone, with_far)] == [DIFFERENT] * 2
    assert with_same["verdict"].tolist() == [EQUIVALENT] * 2
    assert stamped["verdict"].tolist() == [UNKNOWN]


def test_who_fails_more_is_told_with_the_side() -> None:
    told = decide(pairs(np.full(10, np.nan), trained=lost(0, 10)), LOOKS, 0.05).iloc[0]
    assert (told["fails"], told["sign"]) == (-1, 0)


def repeated(effect: float, options: dict, number: int) -> pd.DataFrame:
    """Returns the verdicts on independent pairs, each a family of its own."""
    generator = np.random.default_rng(round(10 * effect) + number)
    told = [
        decide(pairs(generator.normal(effect, 1, 40)), LOOKS, 0.05, **options)
        for _ in range(number)
    ]
    return pd.concat(told, ignore_index=True)


# Effect size -> power, and seeds until it is known (forty where it is not).
@pytest.mark.parametrize(
    ("effect", "power", "seeds"),
    [(0.3, 0.386, 36.5), (0.5, 0.811, 30.7), (1, 1, 15.1), (2, 1, 7.9)],
)
def test_differences_are_found_as_often_and_as_early_as_computed(
    effect: float, power: float, seeds: float
) -> None:
    told = repeated(effect, {}, 150)
    # Four standard errors of a share over 150, and half a unit of the last place.
    assert (told["verdict"] == DIFFERENT).mean() == pytest.approx(
        power, abs=4 * np.sqrt(power * (1 - power) / 150) + 0.005
    )
    assert told["decided_at"].fillna(40).mean() == pytest.approx(seeds, rel=0.13)


@pytest.mark.parametrize(
    ("margin", "power", "seeds"), [(0.5, 0.755, 37.7), (1, 1, 16.8), (2, 1, 7.9)]
)
def test_equivalence_is_found_as_often_and_as_early_as_computed(
    margin: float, power: float, seeds: float
) -> None:
    told = repeated(0, {"margin": margin}, 150)
    is_same = told["verdict"].isin([EQUIVALENT, WITHIN])
    assert is_same.mean() == pytest.approx(power, abs=4 * np.sqrt(power * (1 - power) / 150) + 0.01)
    assert told["decided_at"].fillna(40).mean() == pytest.approx(seeds, rel=0.13)


def test_a_difference_of_the_margin_is_called_equivalent_in_one_pair_in_twenty() -> None:
    told = repeated(1.0, {"margin": 1.0}, 300)
    wrong = int(told["verdict"].isin([EQUIVALENT, WITHIN]).sum())
    assert wrong < stats.binom(300, 0.05).isf(0.001)


@pytest.mark.parametrize("mean", [0.0, 0.5, 0.9, 1.5])
def test_the_chance_of_a_verdict_is_how_often_the_last_look_has_one(mean: float) -> None:
    seen = noisy(mean, 10, std=2.0)
    (told,) = decide(pairs(seen), LOOKS, 0.05, 1.0).to_dict("records")
    assert told["verdict"] == UNKNOWN
    # Thirty more values, by the posterior of a flat prior: their spread, then their mean.
    draws, number = np.random.default_rng(7), 4000
    sigma = seen.std(ddof=1) * np.sqrt(9 / draws.chisquare(9, (number, 1)))
    center = mean + sigma / np.sqrt(10) * draws.normal(size=(number, 1))
    later = center + sigma * draws.normal(size=(number, 30))
    futures = np.concatenate([np.tile(seen, (number, 1)), later], axis=1)
    level = nominal_level(0.05, LOOKS, 40)
    differs = stats.ttest_1samp(futures, 0, axis=1).pvalue <= level
    above = stats.ttest_1samp(futures, -1, axis=1, alternative="greater").pvalue <= level
    below = stats.ttest_1samp(futures, 1, axis=1, alternative="less").pvalue <= level
    # Four standard errors are 0.03; the rest: the last spread is taken to be that seen so far.
    assert told["chance"] == pytest.approx(np.mean(differs | (above & below)), abs=0.06)


def test_nothing_is_predicted_of_what_is_decided_or_has_failed() -> None:
    for of in (pairs(noisy(4, 5)), pairs(noisy(0.5, 10, 2.0), trained=lost(1, 0))):
        assert decide(of, LOOKS, 0.05, 1.0)["chance"].tolist() == [1.0]
    assert decide(pairs(noisy(0.5, 10, 2.0)), None, 0.05, 1.0)["chance"].tolist() == [1.0]
