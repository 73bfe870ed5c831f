"""The tables of a sweep, each against numbers worked out beside it."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from runner.records import ConfigurationRecord, ReplicateRecord, SweepRecord
from runner.report.comparison import compare
from runner.report.questions import ask
from runner.report.results import Results, collect
from runner.report.sweep import Sweep
from tests.report.asked import analyse

Scored = Callable[..., Results]
GOOD = [0.90, 0.92, 0.94, 0.96, 0.98]
WORSE = [0.881, 0.899, 0.921, 0.939, 0.96]
SAME = [0.91, 0.91, 0.95, 0.94, 0.985]
TABLES = [
    *("differences", "pairs", "success", "times", "survival", "mean_times", "rankings"),
    *("trainability", "variance", "predictors", "ranks", "rank_pairs"),
]


def replicate(
    configuration: int,
    curve: list[float],
    weight_seed: int,
    batch_seed: int | None = None,
    status: Any = "finished",
    test: float | None = None,
) -> ReplicateRecord:
    batches = weight_seed if batch_seed is None else batch_seed
    return ReplicateRecord(
        configuration=configuration,
        seed=weight_seed if weight_seed == batches else None,
        weight_seed=weight_seed,
        batch_seed=batches,
        status=status,
        steps=[9 * epoch for epoch in range(len(curve))],
        curves={"val_accuracy": curve, "loss": [0.1] * len(curve)},
        wall_time_s=2.0 * (len(curve) - 1),
        diverged_epoch=len(curve) if status == "diverged" else None,
        test={} if test is None else {"accuracy": test, "loss": 0.1},
    )


def sweep(configurations: list[ConfigurationRecord], records: list[ReplicateRecord]) -> Results:
    record = SweepRecord("2026-11-23/18-02-11", "python -m runner", "", {}, "a machine")
    return collect(record, configurations, records)


def configuration(index: int, init: str, **options: Any) -> ConfigurationRecord:
    """Returns the record of a configuration that trains ten epochs."""
    given = {
        "factors": {},
        "settings": {"training": {"name": "default", "epochs": 10}},
        "dataset": {"name": "digits", "fingerprint": "1", "num_outputs": 10},
        "endpoint": "val_accuracy",
        "num_replicates": 5,
        **options,
    }
    return ConfigurationRecord(index=index, init=init, **given)


@pytest.mark.parametrize(
    "scores",
    [
        {},
        {"a": [0.9]},
        {"a": [0.9], "b": [0.8]},
        {"a": [0.9, 0.91], "b": [0.8, 0.81]},
        {"a": ["diverged"] * 5, "b": ["diverged"] * 5},
        {"a": ["failed", None], "b": [None, "interrupted"]},
        {"a": [0.9] * 5, "b": [0.9] * 5},
        {"a": [0.9] * 5, "b": [*["diverged"] * 4, 0.9]},
        {"a": [None, None, 0.9, 0.8, 0.7], "b": [0.9, 0.8, None, None, None]},
    ],
    ids=str,
)
def test_every_table_stands_whatever_became_of_the_replicates(scored: Scored, scores: dict) -> None:
    analysis = analyse(scored(scores))
    for name in TABLES:
        table = getattr(analysis, name)
        assert len(table.columns) >= 5
        assert not table.columns.duplicated().any()
    assert set(vars(analysis)) == {"cells", *TABLES}


def test_differences_are_those_of_scipy_to_the_baseline(scored: Scored) -> None:
    results = scored({"a": GOOD, "glorot_uniform": SAME, "b": WORSE})
    table = analyse(results).differences.set_index("init")
    assert list(table.index) == ["a", "b"]
    assert table["is_baseline"].all()
    assert (table["reference_init"] == "glorot_uniform").all()
    for init, values in (("a", GOOD), ("b", WORSE)):
        expected = stats.ttest_rel(values, SAME)
        assert table.loc[init, "p_t"] == pytest.approx(expected.pvalue)
        ends = expected.confidence_interval(0.95)
        assert tuple(table.loc[init, ["ci_low", "ci_high"]]) == pytest.approx((ends.low, ends.high))
    # Neither reaches the level of the first of two comparisons.
    assert table["level"].tolist() == pytest.approx([0.00236, 0.00236], rel=0.01)
    assert table["verdict"].tolist() == ["unknown", "unknown"]
    assert table.loc["a", "probability_better"] == pytest.approx(2 / 5)


def test_with_a_reference_from_the_data_the_family_is_all_pairs(scored: Scored) -> None:
    analysis = analyse(scored({"a": GOOD, "c": SAME, "b": WORSE}))
    assert analysis.pairs["is_tested"].all()
    assert not analysis.differences["is_baseline"].any()
    pairs = analysis.pairs.set_index(["init_a", "init_b"])
    assert list(pairs.index) == [("a", "c"), ("a", "b"), ("c", "b")]
    # a has the best mean; a's row to c would mirror c's to a.
    of = analysis.differences.set_index("init").loc["b"]
    assert of["mean"] == pytest.approx(-pairs.loc[("a", "b"), "mean"])
    assert of["ci_low"] == pytest.approx(-pairs.loc[("a", "b"), "ci_high"])
    assert of["probability_better"] == 1 - pairs.loc[("a", "b"), "probability_better"]


def test_settings_are_corrected_together(scored: Scored) -> None:
    factors = [{"model.depth": 2}] * 2 + [{"model.depth": 8}] * 2
    results = scored({"a": GOOD, "b": WORSE, "a#1": GOOD, "b#1": SAME}, factors=factors)
    table = analyse(results).differences
    assert sorted(table["level"]) == pytest.approx([0.00236, 0.00612], rel=0.01)


def test_a_lower_loss_is_the_better_one(scored: Scored) -> None:
    table = analyse(scored({"a": GOOD, "b": WORSE}, endpoint="val_loss")).pairs
    assert table["mean"].item() > 0
    assert table["probability_better"].item() == 0


def test_success_counts_what_diverged_and_what_never_learned(scored: Scored) -> None:
    scores = {"good": GOOD, "lossy": [0.9, "diverged", "failed", None, 0.1], "zero": [0.1] * 5}
    losses = {"zero": [2.31] * 5, "lossy": [0.1] * 4 + [2.31]}
    analysis = analyse(scored(scores, loss=losses))
    table = analysis.success.set_index("init")
    counts = ["num_asked", "num_ended", "num_diverged", "num_unlearned", "num_failed"]
    assert table.loc["lossy", counts].tolist() == [5, 3, 1, 1, 1]
    assert table["num_succeeded"].tolist() == [5, 1, 0]
    interval = stats.binomtest(1, 3).proportion_ci(0.95, "wilson")
    assert tuple(table.loc["lossy", ["ci_low", "ci_high"]]) == pytest.approx(
        (interval.low, interval.high)
    )
    # What diverged is worth a guess among ten classes, 0.1, as is the worst that finished.
    assert table.loc["lossy", "counted_mean"] == pytest.approx((0.9 + 0.1 + 0.1) / 3)
    pair = analysis.pairs.set_index(["init_a", "init_b"]).loc[("good", "zero")]
    assert pair["success_difference"] == 1
    assert pair["p_fisher"] == pytest.approx(2 / 252)  # one of 10! / (5! 5!) tables, two sides


def test_a_divergence_is_never_better_than_the_worst_that_finished(scored: Scored) -> None:
    analysis = analyse(scored({"a": [7.0, 8.0, "diverged"], "b": [1, 1, 1]}, endpoint="val_loss"))
    # ln 10 would be the loss of a guess, but 8 was seen.
    assert analysis.success["counted_mean"].tolist() == pytest.approx([(7 + 8 + 8) / 3, 1])


def timed() -> Results:
    """Targets of 0.9: reached at epochs 1, 2 and never; diverged; interrupted; another at 3."""
    curves = {
        0: [0.1, 0.95, *[0.9] * 9],
        1: [0.1, 0.5, 0.9, *[0.9] * 8],
        2: [0.1] * 11,
    }
    target = ("val_accuracy", 0.9)
    records = [replicate(0, curve, seed) for seed, curve in curves.items()]
    records.append(replicate(0, [0.1, 0.2], 3, status="diverged"))
    records.append(replicate(0, [0.1, 0.2, 0.3], 4, status="interrupted"))
    records += [replicate(1, [0.1, 0.1, 0.1, 0.9, *[0.9] * 7], seed) for seed in range(5)]
    return sweep(
        [configuration(0, "a", target=target), configuration(1, "b", target=target)], records
    )


def test_times_to_the_target_are_censored_not_dropped() -> None:
    table = analyse(timed()).times
    of = table[table["configuration"] == 0]
    assert of["reached"].tolist() == [True, True, False, False, False]
    # Never reached: to the last planned epoch, after a divergence too; interrupted at epoch 2.
    assert of["epochs"].tolist() == [1, 2, 10, 10, 2]
    assert of["steps"].tolist() == [9, 18, 90, 90, 18]
    assert of["time_s"].tolist() == [2, 4, 20, 20, 4]  # two seconds an epoch


def test_survival_and_restricted_means_follow_from_the_times() -> None:
    analysis = analyse(timed())
    curve = analysis.survival.query("configuration == 0 and unit == 'epochs'")
    # At 1 one of five; at 2 one of four, another is lost there.
    assert curve["time"].tolist() == [0, 1, 2, 10]
    assert curve["share_reached"].tolist() == pytest.approx([0, 0.2, 0.4, 0.4])
    means = analysis.mean_times.query("unit == 'epochs'").set_index("init")
    assert (means["horizon"] == 10).all()  # all of b are done at 3, so nothing ends there
    # The area: 1 up to 1, then 0.8, then 0.6 up to 10.
    assert means["restricted_mean"].tolist() == pytest.approx([1 + 0.8 + 0.6 * 8, 3])
    assert means["num_reached"].tolist() == [2, 5]
    assert means["median"].isna().tolist() == [True, False]
    assert means.loc["b", "median"] == 3
    compared = means["p_logrank"].dropna()
    assert len(compared) == 1  # the other is the reference
    assert compared.item() == pytest.approx(means["p_all"].iloc[0])


def test_times_to_different_targets_are_not_compared() -> None:
    same = timed()
    other = replace(same.configurations[1], target=("val_accuracy", 0.5))
    means = analyse(replace(same, configurations=(same.configurations[0], other))).mean_times
    assert len(means) == 6
    assert means["p_logrank"].isna().all()
    assert means["p_all"].isna().all()


def test_without_a_target_there_are_no_times(scored: Scored) -> None:
    analysis = analyse(scored({"a": GOOD, "b": WORSE}))
    assert analysis.times.empty
    assert analysis.survival.empty
    assert analysis.mean_times.empty


def tuned(with_test: bool, lost: bool = False) -> Results:
    """`slow` needs a rate of 1, `fast` one of 0.1; at 0.1 `fast` leads, at its best `slow`."""
    validation = {("slow", 0.1): 0.7, ("fast", 0.1): 0.9, ("slow", 1.0): 0.95, ("fast", 1.0): 0.3}
    jobs, records = [], []
    for index, ((init, rate), score) in enumerate(validation.items()):
        jobs.append(configuration(index, init, factors={"optimizer.learning_rate": rate}))
        for seed in range(5):
            status = "diverged" if lost and (init, rate) == ("slow", 1.0) and seed else "finished"
            test = score - 0.02 if with_test and status == "finished" else None
            curve = [0.1, score + 0.001 * seed]
            records.append(replicate(index, curve, seed, status=status, test=test))
    return sweep(jobs, records)


def test_each_initializer_at_its_own_best_is_told_on_the_test_part() -> None:
    table = analyse(tuned(with_test=True)).rankings
    shared, own = (table[table["ranking"] == name] for name in ("shared", "own best"))
    # Means over both: 0.8 at 0.1 and 0.625 at 1.
    assert set(shared["setting"]) == {"learning_rate=0.1"}
    assert shared["init"].tolist() == ["fast", "slow"]
    assert own["init"].tolist() == ["slow", "fast"]
    assert own["setting"].tolist() == ["learning_rate=1", "learning_rate=0.1"]
    assert (table["metric"] == "test_accuracy").all()
    assert own["mean"].tolist() == pytest.approx([0.93, 0.88])
    assert own["chosen_mean"].tolist() == pytest.approx([0.952, 0.902])
    assert not table["same_data"].any()


def test_the_others_of_a_ranking_are_compared_with_the_first_by_seed() -> None:
    results = tuned(with_test=True)
    noise = np.random.default_rng(3).normal(0, 0.05, len(results.replicates))
    noisy = results.replicates.assign(test_accuracy=results.replicates["test_accuracy"] + noise)
    own = analyse(replace(results, replicates=noisy)).rankings.query("ranking == 'own best'")
    first, second = (
        noisy.loc[noisy["configuration"] == index, "test_accuracy"].to_numpy()
        for index in own["configuration"]
    )
    assert own["p_to_first"].isna().tolist() == [True, False]
    assert own["p_to_first"].iloc[1] == pytest.approx(stats.ttest_rel(second, first).pvalue)
    assert own["to_first"].iloc[1] == pytest.approx(np.mean(second - first))


def test_a_sweep_that_was_ended_early_has_rankings() -> None:
    whole = tuned(with_test=False)
    none_of_first = whole.replicates[whole.replicates["configuration"] != 0]
    table = analyse(replace(whole, replicates=none_of_first)).rankings
    assert (table["num_finished"] == 5).all()  # what has no replicate is never chosen
    nothing = analyse(replace(whole, replicates=whole.replicates.iloc[:0])).rankings
    assert (nothing["num_finished"] == 0).all()


def test_without_a_test_part_the_choice_is_confessed() -> None:
    table = analyse(tuned(with_test=False)).rankings
    assert table["same_data"].all()
    assert (table["metric"] == "val_accuracy").all()


def test_a_setting_is_not_chosen_for_its_survivors() -> None:
    table = analyse(tuned(with_test=False, lost=True)).rankings
    own = table[table["ranking"] == "own best"].set_index("init")
    assert own.loc["slow", "setting"] == "learning_rate=0.1"  # four of five diverged at 1


def test_one_way_to_train_needs_no_ranking(scored: Scored) -> None:
    factors = [{"model.depth": 2}, {"model.depth": 8}]
    assert analyse(scored({"a": GOOD, "a#1": WORSE}, factors=factors)).rankings.empty


def test_the_trainability_map_counts_failures() -> None:
    table = analyse(tuned(with_test=False, lost=True)).trainability
    assert (table["factor"] == "optimizer.learning_rate").all()
    assert table["value"].tolist() == [0.1, 0.1, 1.0, 1.0]
    slow = table.iloc[2]
    assert slow["success_rate"] == pytest.approx(1 / 5)
    assert slow["mean"] == pytest.approx(0.95)
    assert slow["counted_mean"] == pytest.approx((0.95 + 4 * 0.1) / 5)


def test_crossed_seeds_have_components_of_variance() -> None:
    luck = {0: 0.0, 1: 0.02, 2: 0.05}
    records = [
        replicate(
            index,
            [0.1, 0.8 + luck[weights] + 0.001 * (batches == weights) + gain],
            weights,
            batches,
        )
        for index, gain in ((0, 0.0), (1, 0.01))
        for weights in range(3)
        for batches in range(3)
    ]
    jobs = [configuration(index, init, num_replicates=9) for index, init in enumerate("ab")]
    analysis = analyse(sweep(jobs, records))
    shares = analysis.variance.pivot_table("share", "init", "source")
    assert (shares["weights"] > 0.99).all()


def test_seeds_that_are_not_crossed_have_no_components(scored: Scored) -> None:
    assert analyse(scored({"a": GOOD})).variance.empty


def problems(scored: Scored) -> SimpleNamespace:
    inits = {"a": 0.0, "b": -0.05, "c": -0.1}
    names = ["digits", "iris", "wine", "diabetes"]
    scores = {
        f"{init}#{name}": [score + loss - 0.01 * place for score in GOOD]
        for place, name in enumerate(names)
        for init, loss in inits.items()
    }
    scores["c#diabetes"] = ["diverged"] * 5
    factors = [{"dataset": name} for name in names for _ in inits]
    prints = [name for name in names for _ in inits]
    return analyse(scored(scores, factors=factors, fingerprints=prints))


def test_ranks_over_several_data_sets(scored: Scored) -> None:
    table = problems(scored).ranks
    assert table["init"].tolist() == ["a", "b", "c"]
    assert table["average_rank"].tolist() == [1, 2, 3]
    assert (table["num_problems"] == 4).all()
    # Friedman: χ² = 12 · 4 / (3 · 4) · ((1 - 2)² + 0 + (3 - 2)²) = 8 with 2 degrees of freedom.
    assert table["friedman_p"].iloc[0] == pytest.approx(stats.chi2.sf(8, 2))
    # q(0.05, 3) = 2.343 (Demšar 2006, table 5a); √(3 · 4 / (6 · 4)).
    assert table["critical_difference"].iloc[0] == pytest.approx(2.343 * np.sqrt(0.5), rel=1e-3)
    assert table["rank: dataset=iris"].tolist() == [1, 2, 3]


def test_pairs_of_ranks_by_nemenyi(scored: Scored) -> None:
    table = problems(scored).rank_pairs.set_index(["init_a", "init_b"])
    assert table["rank_difference"].tolist() == [-1, -2, -1]
    assert table["distinguishable"].tolist() == [False, True, False]


def test_a_divergence_costs_the_worst_of_all_where_ranks_are_made(scored: Scored) -> None:
    scores = {
        f"{init}#{data}": values
        for data in ("a", "b")
        for init, values in {
            "steady": [0.2] * 5,
            "risky": [0.19] * 4 + ["diverged"],
            "zero": [0.9] * 5,
        }.items()
    }
    factors = [{"dataset": name} for name in "ab" for _ in range(3)]
    prints = [name for name in "ab" for _ in range(3)]
    analysis = analyse(scored(scores, endpoint="val_mae", factors=factors, fingerprints=prints))
    # 0.9 was seen, worse than a guess (0.8): (4 · 0.19 + 0.9) / 5 = 0.332.
    assert analysis.success["counted_mean"].tolist() == pytest.approx([0.2, 0.332, 0.9] * 2)
    assert analysis.ranks["init"].tolist() == ["steady", "risky", "zero"]


def test_a_divergence_costs_the_worst_of_all_at_the_chosen_settings(scored: Scored) -> None:
    scores = {
        "a": [1.0] * 4 + ["diverged"],
        "b": [2.0] * 5,
        "a#fast": [9.0] * 5,
        "b#fast": [9.5] * 5,
    }
    factors = [{"optimizer.learning_rate": rate} for rate in (0.1, 0.1, 1.0, 1.0)]
    table = analyse(scored(scores, endpoint="val_loss", factors=factors)).rankings
    assert table["init"].tolist() == ["b", "a"] * 2
    # The guess has a loss of ln 10, but 9.5 was seen: (4 + 9.5) / 5.
    assert table["counted_mean"].tolist() == pytest.approx([2, 2.7] * 2)
    assert table["counted_mean"].tolist() == pytest.approx(table["chosen_mean"].tolist())


def test_one_problem_has_no_ranks(scored: Scored) -> None:
    analysis = analyse(scored({"a": GOOD, "b": WORSE}))
    assert analysis.ranks.empty
    assert analysis.rank_pairs.empty


def propagation(values: dict[int, float], quantity: str = "gradient_ratio") -> pd.DataFrame:
    rows = [
        {
            "configuration": index,
            "init": "a",
            "seed": seed,
            "layer_index": layer,
            "layer": "" if layer < 0 else "dense",
            "quantity": quantity,
            "measured": value * (1 + 0.01 * seed) if layer < 0 else 77.0,
            "predicted": np.nan,
        }
        for index, value in values.items()
        for seed in range(3)
        for layer in (-1, 0)
    ]
    return pd.DataFrame(rows)


def test_step_zero_is_correlated_with_the_outcome(scored: Scored) -> None:
    results = scored({f"i{k}": [0.5 + 0.05 * k, 0.52 + 0.05 * k] for k in range(6)})
    # Too small and too large are both bad: only the distance from 1 goes with the outcome.
    distances = [32, 1 / 16, 8, 1 / 4, 2, 1.0]
    table = analyse(
        replace(results, propagation=propagation(dict(enumerate(distances))))
    ).predictors
    rho = table.set_index("transform")["rho"]
    assert rho["distance from 1"] == pytest.approx(-1)
    assert abs(rho["value"]) < 0.9
    assert (table["num_configurations"] == 6).all()
    assert (table["quantity"] == "gradient_ratio").all()


def test_a_logarithm_is_measured_from_zero_and_a_spectrum_counts_once(scored: Scored) -> None:
    results = scored({f"i{k}": [0.5 + 0.05 * k, 0.52 + 0.05 * k] for k in range(6)})
    gains = dict(enumerate([1.5, -1.2, 0.9, -0.6, 0.3, 0.0]))
    spectra = [propagation(gains, f"singular_value_{k}") for k in (1, 2, 10)]
    measured = pd.concat([propagation(gains, "log10_gain"), *spectra])
    table = analyse(replace(results, propagation=measured)).predictors
    assert set(table["quantity"]) == {"log10_gain", "singular_value_1"}
    rho = table.set_index(["quantity", "transform"])["rho"]
    assert rho["log10_gain", "distance from 0"] == pytest.approx(-1)
    results = replace(results, propagation=propagation(gains, "log10_gain"))
    told = compare(results).overall
    assert told[-1].text.startswith(
        "Before training, the distance of log10 gain from 0 predicts the outcome best: rank "
        "correlation \N{MINUS SIGN}1.00 ["
    )


def test_without_propagation_nothing_is_predicted(scored: Scored) -> None:
    assert analyse(scored({"a": GOOD})).predictors.empty
    nothing = replace(scored({"a": GOOD}), propagation=propagation({}))
    assert analyse(nothing).predictors.empty


def test_nothing_is_predicted_of_models_that_are_not_trained(scored: Scored) -> None:
    scores = {f"i{k}": [0.5 + 0.05 * k, 0.52 + 0.05 * k] for k in range(6)}
    measured = propagation(dict(enumerate([32, 1 / 16, 8, 1 / 4, 2, 1.0])))
    results = replace(scored(scores, epochs=0), propagation=measured)
    assert analyse(results).predictors.empty
    assert compare(results).overall == ()
    answers = ask(Sweep(results))
    assert "predictors" not in {answer.anchor for answer in answers if answer.has_section}


def test_what_was_seen_before_training_is_kept(scored: Scored) -> None:
    results = scored({"a": GOOD, "b": WORSE, "c": SAME})
    seen = {0: ["dead", "dead", "healthy"], 1: ["healthy"], 2: []}
    place = results.replicates.groupby("configuration").cumcount()
    verdicts = [
        seen[index][row] if row < len(seen[index]) else None
        for index, row in zip(results.replicates["configuration"], place, strict=True)
    ]
    partly = replace(results, replicates=results.replicates.assign(verdict=verdicts))
    table = analyse(partly).success
    assert table["start"].tolist() == ["dead in 2 of 3", "healthy", ""]
    told = replace(results, replicates=results.replicates.assign(verdict="healthy"))
    assert analyse(told).success["start"].tolist() == ["healthy"] * 3
