"""Differences of configurations on the seeds that both have, plain, crossed and with gaps."""

import dataclasses
from collections.abc import Iterable, Mapping
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from runner.design import Design
from runner.records import ConfigurationRecord, ReplicateRecord, SweepRecord
from runner.report.cautions import cautions
from runner.report.pairs import differences, statistics
from runner.report.results import Results, collect
from runner.report.scores import SEEDS, Scores
from tests.report.asked import analyse

Seeds = tuple[int, int]


def crossed_scores(first: np.ndarray, second: np.ndarray) -> Scores:
    """Returns the scores of two configurations, shape (weight seeds, batch seeds) each."""
    sizes = [range(size) for size in first.shape]
    index = pd.MultiIndex.from_product(sizes, names=SEEDS)
    table = pd.DataFrame({0: first.ravel(), 1: second.ravel()}, index=index)
    known = table.notna()
    return Scores(table, table, known, known, known, known, frozenset([0, 1]))


def told(found: Scores) -> pd.Series:
    return statistics(differences(found, [0], [1]), [False], 0.95).iloc[0]


def results(scores: Mapping[str, Mapping[Seeds, float]]) -> Results:
    """Returns results with given final accuracies by weight and batch seed."""
    jobs = [
        ConfigurationRecord(
            index, init, {}, {}, {"name": "digits", "fingerprint": "1", "num_outputs": 10},
            endpoint="val_accuracy", num_replicates=len(values),
        )
        for index, (init, values) in enumerate(scores.items())
    ]  # fmt: skip
    records = [
        ReplicateRecord(
            index, seeds[0] if seeds[0] == seeds[1] else None, *seeds, "finished", [0, 9],
            {"val_accuracy": [0.1, value], "loss": [2.3, 0.1]}, 1.0,
        )
        for index, values in enumerate(scores.values())
        for seeds, value in values.items()
    ]  # fmt: skip
    return collect(SweepRecord("name", "command", "", {}, ""), jobs, records)


def luck(seeds: Iterable[Seeds], mean: float) -> dict[Seeds, float]:
    generator = np.random.default_rng(3)
    return {seed: mean + 0.01 * generator.normal() for seed in seeds}


GRID = [(weights, batches) for weights in range(3) for batches in range(3)]
PLAIN = [(seed, seed) for seed in range(6)]


def test_a_gap_leaves_out_its_whole_seed_everywhere() -> None:
    first = 0.01 + 0.001 * np.random.default_rng(1).normal(size=(5, 4))
    first[4] += 0.5  # the seed with a gap is like no other
    first[4, 3] = np.nan
    row = told(crossed_scores(first, np.zeros((5, 4))))
    kept = first[:4].ravel()
    assert (row["num_pairs"], row["num_left_out"]) == (16, 3)
    assert row["mean"] == pytest.approx(kept.mean())
    assert row["median"] == pytest.approx(np.median(kept))
    assert row["std"] == pytest.approx(kept.std(ddof=1))
    assert row["d_z"] == pytest.approx(kept.mean() / kept.std(ddof=1))
    assert row["probability_better"] == 1
    whole = told(crossed_scores(first[:4], np.zeros((4, 4))))
    assert row[["ci_low", "ci_high", "p_t"]].tolist() == pytest.approx(
        whole[["ci_low", "ci_high", "p_t"]].tolist()
    )


@pytest.mark.parametrize("missing", [0.05, 0.2, 0.5])
def test_an_estimate_lies_in_its_interval_whatever_is_missing(missing: float) -> None:
    generator = np.random.default_rng(7)
    num_intervals = 0
    for _ in range(100):
        shape = tuple(generator.integers(2, 7, 2))
        seeds = generator.normal(size=(shape[0], 1)) + generator.normal(size=(1, shape[1]))
        first = seeds + generator.normal(size=shape)
        first[generator.random(shape) < missing] = np.nan
        row = told(crossed_scores(first, np.zeros(shape)))
        assert row["num_pairs"] + row["num_left_out"] == np.isfinite(first).sum()
        if not np.isnan(row["ci_low"]):
            num_intervals += 1
            assert row["ci_low"] <= row["mean"] <= row["ci_high"]
    assert num_intervals > 20


def test_plain_seeds_with_gaps_leave_nothing_out() -> None:
    scores = {"glorot_uniform": luck(PLAIN, 0.9), "a": luck(PLAIN[2:], 0.8)}
    row = analyse(results(scores)).differences.iloc[0]
    assert (row["num_pairs"], row["num_left_out"]) == (4, 0)


def of_init(analysis: SimpleNamespace, init: str) -> pd.Series:
    return analysis.differences.set_index("init").loc[init]


def test_crossed_seeds_take_nothing_from_plain_ones() -> None:
    plain = {"glorot_uniform": luck(PLAIN, 0.95), "he_normal": luck(PLAIN, 0.9)}
    alone = of_init(analyse(results(plain)), "he_normal")
    joined = analyse(results({**plain, "zero": luck(GRID, 0.8), "ones": luck(GRID, 0.7)}))
    numbers = ["num_pairs", "mean", "ci_low", "ci_high", "p_t", "d_z"]
    pd.testing.assert_series_equal(of_init(joined, "he_normal")[numbers], alone[numbers])
    # The diagonal is what both have: independent pairs.
    diagonal = [luck(GRID, 0.8)[seed] - plain["glorot_uniform"][seed] for seed in PLAIN[:3]]
    row = of_init(joined, "zero")
    assert row["num_pairs"] == 3
    assert row["p_t"] == pytest.approx(stats.ttest_1samp(diagonal, 0).pvalue)
    both = joined.pairs.set_index(["init_a", "init_b"]).loc[("zero", "ones")]
    assert both["num_pairs"] == 9
    assert set(joined.variance["init"]) == {"zero", "ones"}


def test_batches_under_one_seed_of_the_weights_are_independent() -> None:
    seeds = [(0, batches) for batches in range(5)]
    scores = {"glorot_uniform": luck(seeds, 0.9), "he_normal": luck(GRID[::-1], 0.8)}
    row = of_init(analyse(results(scores)), "he_normal")
    assert row["num_pairs"] == 3
    both = [[scores[init][seed] for seed in seeds[:3]] for init in ("he_normal", "glorot_uniform")]
    assert row["p_t"] == pytest.approx(stats.ttest_rel(*both).pvalue)


def test_what_is_left_out_is_told() -> None:
    gappy = luck(GRID, 0.8)
    del gappy[2, 1]
    whole = results({"glorot_uniform": luck(GRID, 0.9), "a": gappy, "b": luck(GRID, 0.7)})
    analysis = analyse(whole)
    assert of_init(analysis, "a")[["num_pairs", "num_left_out"]].tolist() == [6, 2]
    (caution,) = [text for text in cautions(whole, analysis.cells) if "left out" in text]
    assert "2 that both finished are left out of 2 differences" in caution


def test_crossed_seeds_are_one_look_at_the_part_that_was_stamped() -> None:
    """More seeds of the weights, added afterwards, change no verdict."""
    whole = {(w, b) for w in range(6) for b in range(3)}
    # In the stamped three by three the difference is nearly the same everywhere.
    glorot = luck(whole, 0.9)
    other = {
        seed: glorot[seed] + (0.02 + 0.0005 * (seed[0] - seed[1]) if seed[0] < 3 else -0.5)
        for seed in whole
    }
    found = results({"glorot_uniform": glorot, "he_normal": other})
    design = Design((9,), "family", "glorot_uniform", grid=(3, 3))
    stamped = [dataclasses.replace(r, design=design) for r in found.configurations]
    row = of_init(analyse(dataclasses.replace(found, configurations=tuple(stamped))), "he_normal")
    assert (row["verdict"], row["outcome"]) == ("different", "better")
    assert of_init(analyse(found), "he_normal")["verdict"] == "unknown"
