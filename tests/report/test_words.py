import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from runner.plan import Replicate
from runner.report import load, words
from runner.report.comparison import compare
from runner.report.results import Results
from runner.report.verdict import judge

Scored = Callable[..., Results]
Build = Callable[..., Path]
GOOD = [0.90, 0.92, 0.94, 0.96, 0.98]
WORSE = [0.881, 0.899, 0.921, 0.939, 0.96]
SAME = [0.91, 0.91, 0.95, 0.94, 0.985]


def told(results: Results) -> dict[str, str]:
    """Returns the sentences of a sweep with one cell, by their kind."""
    (cell,) = judge(results)
    return {sentence.kind: sentence.text for sentence in words.sentences(cell)}


def headline(results: Results) -> str:
    return words.headline(judge(results))


def crossed(folder: Path, scores: list[list[float]]) -> None:
    """Makes the only replicate of a configuration one for each weight (row) and batch seed."""
    path = folder / "configuration.json"
    record = json.loads(path.read_text())
    record["settings"] |= {"weight_seeds": [*range(len(scores))], "batch_seeds": [*range(3)]}
    path.write_text(json.dumps(record | {"num_replicates": 3 * len(scores)}))
    (only,) = (folder / "replicates").glob("*.json")
    replicate = json.loads(only.read_text())
    only.unlink()
    for weight, row in enumerate(scores):
        for batch, score in enumerate(row):
            replicate |= {"weight_seed": weight, "batch_seed": batch}
            replicate["seed"] = weight if weight == batch else None
            replicate["curves"]["val_accuracy"][-1] = score
            only.with_stem(Replicate(weight, batch).key).write_text(json.dumps(replicate))


def test_each_class_of_outcome_has_its_sentence(scored: Scored) -> None:
    scores = {
        "good": GOOD,
        "same": SAME,
        "worse": WORSE,
        "zero": [0.1] * 5,
        "lossy": [0.5, 0.6, "diverged", "diverged", "failed"],
        "lost": ["diverged"] * 5,
    }
    found = told(scored(scores, loss={"zero": [2.3026] * 5}))
    # Half the width of `good`: t(4, 0.975) * 0.0316228 / sqrt(5) = 0.0393.
    assert found["leads"] == (
        "good has the highest mean final validation accuracy, 0.940 [0.901, 0.979] over 5 seeds."
    )
    assert found["same"].startswith("Not distinguishable from good: same (\N{MINUS SIGN}0.001 [")
    assert found["worse"].startswith("Worse than good: worse by 0.020 [0.019, 0.021]")
    assert found["unlearned"] == (
        "Never learned, ended where a constant guess would be (loss 2.303): "
        "zero (all 5 that finished)."
    )
    assert found["lost"] == (
        "Not all replicates finished: lossy (mean over 2 of 5; 2 diverged, 1 failed), "
        "lost (0 of 5; 5 diverged)."
    )


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ({"same": SAME}, "None of the others differs significantly from it."),
        ({"worse": WORSE}, "The other is significantly worse."),
        (
            {"worse": WORSE, "lost": ["diverged"] * 5},
            "The other that finished is significantly worse. lost trained less often than good "
            "(Fisher's exact test).",
        ),
        (
            {"worse": WORSE, "bad": [0.5, 0.52, 0.51, 0.5, 0.5]},
            "Both others are significantly worse.",
        ),
        (
            {"same": SAME, "worse": WORSE},
            "1 of the 2 others does not differ significantly from it: same.",
        ),
        (
            {"same": SAME, "lost": ["diverged"] * 5, "worse": WORSE},
            "1 of the 2 others that finished does not differ significantly from it: same. lost "
            "trained less often than good (Fisher's exact test).",
        ),
    ],
)
def test_the_headline_tells_how_the_others_stand(
    scored: Scored, others: dict, expected: str
) -> None:
    assert headline(scored({"good": GOOD, **others})).endswith(f" {expected}")


def test_one_seed_allows_no_statement_of_certainty(scored: Scored) -> None:
    results = scored({"a": [0.9], "b": [0.8]})
    assert headline(results) == (
        "a has the highest final validation accuracy, 0.9000; "
        "one seed each allows no statement of certainty."
    )
    assert told(results) == {
        "leads": headline(results),
        "next": "Next: more seeds, such as `seeds=5`; with so few any difference may be luck.",
    }
    assert words.method(judge(results), 0.95) == ""


def test_equal_leaders_are_all_named(scored: Scored) -> None:
    text = headline(scored({"a": GOOD, "b": GOOD, "c": WORSE}))
    assert text.startswith("a and b share the highest mean final validation accuracy, 0.940")
    assert headline(scored({"a": GOOD, "b": GOOD})).endswith("over 5 seeds.")


def test_a_lower_loss_leads(scored: Scored) -> None:
    text = headline(scored({"good": GOOD, "worse": WORSE}, endpoint="val_loss"))
    assert text.startswith("worse has the lowest mean final validation loss")
    by = told(scored({"good": GOOD, "worse": WORSE}, endpoint="val_loss"))["worse"]
    assert by == "Worse than worse: good by 0.0200 [0.0188, 0.0212]."


def test_nothing_finished_is_said_so(scored: Scored) -> None:
    results = scored({"a": ["diverged", None], "b": ["failed", "interrupted"]})
    assert headline(results) == "No replicate has finished: there is nothing to compare."
    assert told(results)["lost"] == (
        "Not all replicates finished: a (0 of 2; 1 diverged, 1 missing), "
        "b (0 of 2; 1 failed, 1 interrupted)."
    )


def test_a_single_configuration_leads_nobody(scored: Scored) -> None:
    text = headline(scored({"he_uniform": GOOD}))
    assert text == (
        "he_uniform reaches a final validation accuracy of 0.940 [0.901, 0.979] "
        "(mean over 5 seeds)."
    )
    assert headline(scored({"he_uniform": [0.94]})).endswith("of 0.9400 (1 seed).")


def test_when_nothing_learned_nobody_leads(scored: Scored) -> None:
    losses = {"zero": [2.3] * 5, "ones": [2.31] * 5}
    results = scored({"zero": [0.1] * 5, "ones": [0.11] * 5}, loss=losses)
    assert headline(results) == "Result: none of the 2 configurations with a score learned."
    assert "worse" not in told(results)


def test_partly_unlearned_is_counted(scored: Scored) -> None:
    scores = {"good": GOOD, "half": [0.1, 0.1, 0.9, 0.9, 0.9]}
    found = told(scored(scores, loss={"half": [2.3, 2.3, 0.1, 0.1, 0.1]}))
    assert "half (2 of 5 seeds)" in found["unlearned"]


def test_too_few_shared_seeds_are_named(scored: Scored) -> None:
    found = told(scored({"good": GOOD, "lossy": [0.9, None, None, None, None]}))
    assert found["unknown"] == "No test against good, fewer than 3 seeds finished by both: lossy."


UNTESTED = {
    "no seed finished by both": [*[None] * 5, 0.9, 0.9, 0.9],
    "fewer than 3 seeds finished by both": [0.91, 0.9, *[None] * 6],
}


@pytest.mark.parametrize("reason", UNTESTED)
def test_the_reason_of_a_missing_test_is_told(scored: Scored, reason: str) -> None:
    found = told(scored({"good": [*GOOD, None, None, None], "other": UNTESTED[reason]}))
    assert found["unknown"] == f"No test against good, {reason}: other."


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ([[0.95, 0.95, 0.95], [0.95, 0.95, 0.95], [0.95, 0.95, 0.95]], "the same difference for "),
        ([[0.95, 0.96, 0.95], [0.94, 0.95, 0.97]], "fewer than 3 weight or batch seeds shared"),
    ],
)
def test_the_reason_of_a_missing_test_of_crossed_seeds_is_told(
    build: Build, behaviour: Any, other: list[list[float]], reason: str
) -> None:
    folder = build(dict.fromkeys(("glorot_uniform", "he_normal"), behaviour()), seeds=[0])
    crossed(folder / "0", [[0.9] * len(row) for row in other])
    crossed(folder / "1", other)
    assert told(load(folder))["unknown"].startswith(f"No test against glorot_uniform, {reason}")


def test_a_fixed_baseline_is_what_the_others_are_compared_with(scored: Scored) -> None:
    results = scored({"good": GOOD, "worse": WORSE, "same": SAME}, baseline="worse")
    assert told(results)["better"].startswith("Better than worse, the baseline: good by 0.0200 [")
    assert "picked" not in words.method(judge(results), 0.95)


METHODS = {
    "no baseline": ({}, "all 3 pairs, as the winner was chosen from these data"),
    "a baseline": ({"baseline": "same"}, "2 differences to the baseline"),
}


@pytest.mark.parametrize("name", METHODS)
def test_the_family_of_comparisons_is_stated(scored: Scored, name: str) -> None:
    options, family = METHODS[name]
    results = scored({"good": GOOD, "worse": WORSE, "same": SAME}, **options)
    assert words.method(judge(results), 0.95) == (
        "Brackets: 95 % Student t intervals over seeds. Differences are paired by seed; their "
        "intervals are uncorrected. Two initializers are called different if p < 0.05 (paired t "
        f"test, Holm-corrected for {family}). The exact tests (Wilcoxon, sign flips) cannot give a "
        "smaller p-value than 0.062 with so few seeds."
    )


def test_better_on_the_shared_seeds_is_said_so(scored: Scored) -> None:
    results = scored({"good": GOOD, "uneven": [0.911, 0.929, 0.951, None, None]})
    assert told(results)["better"].startswith(
        "Better than good: uneven by 0.0103 [0.0075, 0.0132] over 3 seeds that both finished"
    )
    assert headline(results).endswith(
        "over 5 seeds. uneven is better on the seeds that both finished."
    )


def test_untrained_models_have_no_final_score(scored: Scored) -> None:
    text = headline(scored({"a": GOOD, "b": WORSE}, epochs=0))
    assert "mean validation accuracy before training, 0.940" in text


def test_crossed_seeds_are_not_called_seeds(scored: Scored) -> None:
    assert "over 5 replicates" in headline(scored({"a": GOOD, "b": WORSE}, crossed=True))


def test_several_cells_are_compared_one_by_one(scored: Scored) -> None:
    factors = [{"model.depth": 2}, {"model.depth": 2}, {"model.depth": 8}, {"model.depth": 8}]
    best = [score + 0.01 for score in GOOD]
    results = scored({"a": GOOD, "b": WORSE, "a#1": WORSE, "b#1": best}, factors=factors)
    assert headline(results) == (
        "Of all 4 configurations, b at depth=8 has the highest mean final validation accuracy, "
        "0.950 [0.911, 0.989]. Optimistic: this was the best of 4. "
        "Configurations are compared within each of the 2 settings of depth."
    )
    shallow, deep = (words.sentences(cell)[0].text for cell in judge(results))
    assert shallow.startswith("At depth=2: a has the highest mean")
    assert deep.startswith("At depth=8: b has the highest mean")


def test_other_data_has_no_common_best(scored: Scored) -> None:
    factors = [{"dataset": "iris"}, {"dataset": "wine"}]
    results = scored({"a": GOOD, "a#1": WORSE}, factors=factors, fingerprints=["1", "2"])
    assert headline(results).startswith("Configurations are compared within each of the 2 settings")


CAUTIONS = {
    "few seeds": ({"a": [0.9, 0.8]}, {}, "Few seeds: with 2 seeds a configuration"),
    "missing": ({"a": [*GOOD, None]}, {}, "Missing: 1 of 6 replicates, in 1 configuration"),
    "survivors": ({"a": [*GOOD, "diverged"]}, {}, "are over finished replicates only; 1 replicate"),
    "unpaired": ({"a": [*GOOD, None], "b": [*GOOD, 0.9]}, {}, "Not every configuration ended with"),
    "crossed": ({"a": GOOD}, {"crossed": True}, "Weight and batch seeds are crossed"),
    "mixed": ({"a": GOOD, "b": GOOD}, {"fingerprints": ["1", "2"]}, "Data or endpoint differ"),
    "best": ({"a": GOOD}, {"at": "best"}, "at each replicate's best epoch"),
    "baseline": ({"a": GOOD}, {"baseline": "b"}, "Unknown baseline 'b'; using the best median."),
    "lost baseline": (
        {"a": GOOD, "b": ["diverged"] * 5},
        {"baseline": "b"},
        "The baseline b did not finish in this sweep; using the best median.",
    ),
}


@pytest.mark.parametrize("name", CAUTIONS)
def test_what_limits_the_comparison_is_said(scored: Scored, name: str) -> None:
    scores, options, expected = CAUTIONS[name]
    cautions = compare(scored(scores, **options)).cautions
    assert [text for text in cautions if expected in text]


def test_a_sound_comparison_needs_no_caution(scored: Scored) -> None:
    assert compare(scored({"a": GOOD, "b": WORSE})).cautions == ()


def test_the_way_to_tell_rivals_apart_is_told(scored: Scored) -> None:
    # Differences of mean 0.01 and d_z = 0.877: 13 pairs have 80 % power at 5 % (statsmodels).
    near = [0.898, 0.912, 0.910, 0.955, 0.975]
    found = told(scored({"good": GOOD, "near": near}))
    assert found["next"] == (
        "Next: about 8 more seeds (`seeds=13`) would confirm the difference seen between near and "
        "good (80 % power)."
    )
    assert "; about 8 more seeds to tell)" in found["same"]


def test_a_hopeless_comparison_is_said_so(scored: Scored) -> None:
    found = told(scored({"good": GOOD, "same": [0.92, 0.90, 0.96, 0.94, 0.9799]}))
    assert "more than 1,000 more seeds to tell" in found["same"]
    assert found["next"].startswith("Next: not even 1,000 more seeds would tell")


def test_a_difference_that_the_correction_takes_back_is_told_with_its_p(scored: Scored) -> None:
    near = [0.881, 0.905, 0.939, 0.930, 0.955]  # interval excludes zero, p = 0.03
    found = told(scored({"good": GOOD, "near": near, "same": SAME}))
    assert "after Holm's correction for 3" in found["same"]
    assert "worse" not in found


def test_equal_differences_at_few_seeds_are_no_difference(scored: Scored) -> None:
    found = told(scored({"good": GOOD, "shifted": [score - 0.02 for score in GOOD]}))
    assert "the same for all 5, too few to tell" in found["same"]


# Paired with itself in another order: no difference that would be more than luck.
TWELVE = [0.90, 0.92, 0.94, 0.96, 0.98, 0.91, 0.93, 0.95, 0.97, 0.99, 0.90, 0.98]


def test_what_keeps_up_but_fails_more_often_does_not_lead(scored: Scored) -> None:
    results = scored({"good": TWELVE, "lossy": [*SAME, *["diverged"] * 7]})
    found = told(results)
    # Of 17 that trained and 7 that did not, all 7 among 12: 2 C(12, 7) / C(24, 7) = 1584 / 346104.
    assert found["fragile"] == (
        "Not distinguishable where both finished, but trained less often than good: "
        "lossy (5 of 12 against 12 of 12; Fisher p = 0.0046 after Holm's correction)."
    )
    assert "None of the others" not in headline(results)
    (cell,) = judge(results)
    assert [standing.name.series for standing in cell.leaders] == ["good"]


LOST = ["diverged"] * 5
SUCCESSES = {
    # 2 / C(10, 5) = 2 / 252 = 0.0079
    "all against none": (
        {"good": GOOD, "lost": LOST},
        {},
        "Trained less often than good: lost (0 of 5 against 5 of 5; Fisher p = 0.0079 after Holm's "
        "correction).",
    ),
    # Of 9 that trained and 7 that did not, all 7 of one: 2 C(8, 7) / C(16, 7) = 16 / 11440.
    "too few finished for a test of scores": (
        {"good": [*GOOD, 0.9, 0.91, 0.92], "lossy": [0.9, *["diverged"] * 7]},
        {},
        "Trained less often than good: lossy (1 of 8 against 8 of 8; Fisher p = 0.0014 after "
        "Holm's correction).",
    ),
    "worse and less often": (
        {"good": [*GOOD, *GOOD], "lossy": [0.1, 0.2, 0.3, *["diverged"] * 7]},
        {},
        "Trained less often than good: lossy (3 of 10 against 10 of 10; Fisher p = 0.0031 after "
        "Holm's correction).",
    ),
    "never learned": (
        {"good": GOOD, "zero": [0.1] * 5},
        {"zero": [2.31] * 5},
        "Trained less often than good: zero (0 of 5 against 5 of 5; Fisher p = 0.0079 after Holm's "
        "correction).",
    ),
    # Failures counted, `good` still leads: 0.7 · 0.94 + 0.3 · 0.1 is more than 0.5.
    "the leader is the one that fails": (
        {"steady": [0.5, 0.52, 0.49, 0.51] * 10, "good": [*GOOD * 6, *["diverged"] * 10]},
        {},
        "Trained more often than good: steady (40 of 40 against 30 of 40; Fisher p = 0.001 after "
        "Holm's correction).",
    ),
    "two seeds": (
        {"good": [0.9, 0.92], "lost": ["diverged"] * 2},
        {},
        "Trained less often than good, with too few seeds to test it: lost (0 of 2 against 2 of "
        "2).",
    ),
    "one of three": (
        {"good": [0.9, 0.92, 0.93], "lossy": [0.9, "diverged", "diverged"]},
        {},
        "Trained less often than good, with too few seeds to test it: lossy (1 of 3 against 3 of "
        "3).",
    ),
}


@pytest.mark.parametrize("name", SUCCESSES)
def test_who_trained_less_often_is_told_with_the_test(scored: Scored, name: str) -> None:
    scores, losses, expected = SUCCESSES[name]
    assert told(scored(scores, loss=losses))["success"] == expected


def test_the_headline_names_who_never_trained(scored: Scored) -> None:
    assert headline(scored({"good": GOOD, "lost": LOST})) == (
        "good reaches a final validation accuracy of 0.940 [0.901, 0.979] (mean over 5 seeds). "
        "lost trained less often than good (Fisher's exact test)."
    )


def test_the_pairs_have_the_test_of_what_never_finished(scored: Scored) -> None:
    (cell,) = judge(scored({"good": GOOD, "lost": LOST, "other": ["diverged"] * 4}))
    p = cell.pairs.set_index(["configuration_a", "configuration_b"])["p_fisher"]
    assert p.round(4).to_dict() == {(0, 1): 0.0079, (0, 2): 0.0079, (1, 2): 1.0}


def test_a_failure_more_is_no_difference(scored: Scored) -> None:
    results = scored({"good": [*GOOD, 0.95], "lossy": [*SAME, "diverged"]})
    assert "fragile" not in told(results)
    (cell,) = judge(results)
    assert [standing.name.series for standing in cell.leaders] == ["good", "lossy"]
    assert headline(results).endswith("None of the others differs significantly from it.")


def test_better_where_it_finished_is_told_as_that(scored: Scored) -> None:
    lossy = [*[score + 0.02 for score in WORSE], "diverged", "diverged", "diverged"]
    results = scored({"glorot_uniform": [*WORSE, 0.9, 0.91, 0.92], "good": [*GOOD, *lossy[5:]]})
    # The mean of eight is 0.9162, that of `good` with failures counted (5 * 0.94 + 3 * 0.1) / 8.
    assert headline(results) == (
        "glorot_uniform has the highest mean final validation accuracy with failures counted, "
        "0.916 [0.896, 0.937] over 8 seeds. good is better on the seeds that both finished, but "
        "trained less often."
    )
    # Of 13 that trained and 3 that did not, all 3 among 8: 2 * C(8, 3) / C(16, 3) = 112 / 560.
    assert told(results)["fragile"] == (
        "Better where both finished, but trained less often than glorot_uniform: good (5 of 8 "
        "against 8 of 8; Fisher p = 0.2 after Holm's correction)."
    )
    (cell,) = judge(results)
    assert not cell.level


def test_a_leader_that_failed_is_told_with_its_failures_counted(scored: Scored) -> None:
    results = scored({"lossy": [*GOOD, "diverged"], "worse": [0.5, 0.51, 0.49, 0.5, 0.51, 0.5]})
    # (5 * 0.94 + 0.1) / 6
    assert headline(results).startswith(
        "lossy has the highest mean final validation accuracy with failures counted, 0.800: 0.940 "
        "[0.901, 0.979] where it finished, over 5 of 6 seeds; 1 diverged."
    )


def test_who_is_level_with_the_leader_is_named_in_each_setting(scored: Scored) -> None:
    near = [0.899, 0.922, 0.937, 0.958, 0.983]
    of_cell = {"glorot_uniform": WORSE, "good": GOOD, "near": near}
    scores = {f"{init}#{cell}": of for cell in (0, 1) for init, of in of_cell.items()}
    factors = [{"model.depth": depth} for depth in (2, 8) for _ in of_cell]
    for cell in judge(scored(scores, factors=factors)):
        found = {s.kind: s.text for s in words.sentences(cell, has_headline=False)}
        assert found["level"] == "Not distinguishable from the leader good: near."


def test_whom_the_headline_only_counts_the_findings_name(scored: Scored) -> None:
    near = {f"near{i}": [x + (-1) ** p * 0.001 * i for p, x in enumerate(GOOD)] for i in range(5)}
    results = scored({"glorot_uniform": [0.5, 0.52, 0.53, 0.51, 0.5], "good": GOOD, **near})
    assert headline(results).endswith("5 of the 6 others do not differ significantly from it.")
    assert told(results)["level"].startswith("Not distinguishable from the leader ")
    assert all(name in told(results)["level"] + headline(results) for name in ("good", *near))


def test_two_configurations_are_told_apart_once(scored: Scored) -> None:
    text = headline(scored({"glorot_uniform": WORSE, "good": GOOD}))
    assert text.endswith(
        "It is better than the baseline glorot_uniform by 0.0200 [0.0188, 0.0212]."
    )


def test_while_nothing_differs_from_the_baseline_seeds_are_told_for_that(scored: Scored) -> None:
    # `good` and `worse` differ as nothing else does, but the baseline from neither.
    spread = [0.90, 0.80, 0.99, 0.70, 0.95]
    results = scored({"glorot_uniform": spread, "good": GOOD, "worse": WORSE})
    assert "seen between good and glorot_uniform" in told(results)["next"]


def test_other_endpoints_have_no_common_best(scored: Scored) -> None:
    factors = [{"model.depth": depth} for depth in (2, 2, 8, 8)]
    results = scored({"a": GOOD, "b": WORSE, "a#1": GOOD, "b#1": WORSE}, factors=factors)
    deep = [dataclasses.replace(r, endpoint_at="best") for r in results.configurations[2:]]
    mixed = dataclasses.replace(results, configurations=(*results.configurations[:2], *deep))
    assert words.best_of_all(judge(results))
    assert words.best_of_all(judge(mixed)) == ""


def test_survivors_do_not_lead_over_what_never_fails(scored: Scored) -> None:
    survivor = [0.99, 0.99, 0.99, "diverged", "diverged"]
    results = scored({"survivor": survivor, "good": GOOD})
    assert headline(results).startswith("good has the highest mean")
    assert "survivor (mean over 3 of 5; 2 diverged)" in told(results)["lost"]


def test_the_leader_is_set_against_the_default_baseline(scored: Scored) -> None:
    near = [0.899, 0.922, 0.937, 0.958, 0.983]
    results = scored({"glorot_uniform": WORSE, "good": GOOD, "near": near})
    assert headline(results) == (
        "good has the highest mean final validation accuracy, 0.940 [0.901, 0.979] over 5 seeds. "
        "It is better than the baseline glorot_uniform by 0.0200 [0.0188, 0.0212]. 1 of the 2 "
        "others does not differ significantly from it: near."
    )
    assert told(results)["better"].startswith("Better than glorot_uniform, the baseline: good by")


def test_a_baseline_that_shows_no_difference_leaves_all_together(scored: Scored) -> None:
    spread = [0.90, 0.80, 0.99, 0.70, 0.95]
    results = scored({"glorot_uniform": spread, "good": GOOD, "worse": WORSE})
    assert headline(results).endswith("None of the others differs significantly from it.")


def test_what_was_seen_before_training_explains_a_failure(scored: Scored) -> None:
    results = scored({"good": GOOD, "lost": ["diverged"] * 5})
    (cell,) = judge(results, {1: "exploding"})
    found = {sentence.kind: sentence.text for sentence in words.sentences(cell)}
    assert found["lost"] == (
        "Not all replicates finished: lost (0 of 5; 5 diverged; at step 0: exploding)."
    )


def test_nothing_learned_asks_for_another_way_to_train(scored: Scored) -> None:
    results = scored({"a": [0.1] * 5, "b": [0.1] * 5}, loss={k: [2.31] * 5 for k in "ab"})
    assert told(results)["next"].startswith("Next: another learning rate or more epochs")


def test_a_leader_that_is_better_than_the_baseline_is_not_level_with_it(scored: Scored) -> None:
    # Differences of 0.028, 0.010, 0.022, 0.013, 0.026: p = 0.0051, small enough for the four
    # differences to the baseline, not for all ten pairs.
    better = [0.909, 0.909, 0.943, 0.952, 0.986]
    others = {
        f"other{number}": [x + 0.02 * number * (-1) ** place for place, x in enumerate(WORSE)]
        for number in (1, 2, 3)
    }
    results = scored({"glorot_uniform": WORSE, "better": better, **others})
    (cell,) = judge(results)
    assert [s.name.series for s in cell.standings if s.outcome == "better"] == ["better"]
    assert sorted(s.name.series for s in cell.level) == ["other1", "other2", "other3"]


def changed(results: Results, settings: Mapping[str, Any], diverged_epoch: int = 3) -> Results:
    """Returns results with other settings, of which replicates diverged at another epoch."""
    records = [
        dataclasses.replace(record, settings={**record.settings, **settings})
        for record in results.configurations
    ]
    rows = results.replicates
    at = rows["diverged_epoch"].mask(rows["status"] == "diverged", diverged_epoch)
    return dataclasses.replace(
        results, configurations=tuple(records), replicates=rows.assign(diverged_epoch=at)
    )


NOTHING_FINISHED = {
    "diverged": (["diverged"] * 2, {}),
    "failed": (["failed"] * 2, {}),
    "crossed": (["diverged"] * 2, {"crossed": True}),
    "best epoch": (["diverged"] * 2, {"at": "best"}),
    "baseline": (["diverged"] * 2, {"baseline": "b"}),
    "other data": (["diverged"] * 2, {"fingerprints": ["1", "2"]}),
    "other seeds": (["diverged", None], {}),
}


@pytest.mark.parametrize("name", NOTHING_FINISHED)
def test_where_nothing_finished_no_caution_is_about_means(scored: Scored, name: str) -> None:
    lost, options = NOTHING_FINISHED[name]
    results = scored({"a": lost, "b": ["diverged"] * 2}, **options)
    fixed = {"init": {"name": "custom"}}
    records = [
        dataclasses.replace(record, settings={**record.settings, **fixed}, varies=[])
        for record in results.configurations
    ]
    cautions = compare(dataclasses.replace(results, configurations=tuple(records))).cautions
    assert [text for text in cautions if not text.startswith("Missing: ")] == []


def test_few_seeds_are_told_by_what_they_do_to_intervals(scored: Scored) -> None:
    def caution(scores: dict) -> str:
        return next((t for t in compare(scored(scores)).cautions if t.startswith("Few")), "")

    lost = ["diverged"] * 2
    assert caution({"a": [0.9, 0.8], "b": lost}).endswith("the intervals are wide.")
    assert caution({"a": [0.9, 0.8], "b": [0.9, "failed"]}).endswith("are wide or missing.")
    assert caution({"a": [0.9]}).endswith("with 1 seed a configuration there are no intervals.")
    assert caution({"a": GOOD, "b": lost}) == ""


@pytest.mark.parametrize(
    ("rate", "advised"),
    [
        (0.1, "0.01,0.001"),
        (0.3, "0.03,0.003"),
        (1e6, "100000,10000"),
        (1e7, "1000000,100000"),
        (1e20, "1e19,1e18"),
        (1e-4, "1e-5,1e-6"),
    ],
)
def test_only_smaller_rates_than_the_diverged_one_are_advised(
    scored: Scored, rate: float, advised: str
) -> None:
    results = changed(scored({"a": LOST, "b": LOST}), {"optimizer": {"learning_rate": rate}})
    assert told(results)["next"] == (
        "Next: what diverged may train at a smaller learning rate: "
        f"`optimizer.learning_rate={advised}`."
    )


@pytest.mark.parametrize(
    ("standardize", "training", "start", "state"),
    [
        (False, "default", "`dataset.standardize=true`, or a higher `training", "above it, or "),
        (None, "default", "smaller initial weights, or a higher `training", "above it, or "),
        (False, "none", "`dataset.standardize=true`: the loss", ""),
        (None, "none", "smaller initial weights: the loss", ""),
    ],
)
def test_what_diverges_untrained_is_not_sent_to_another_rate(
    scored: Scored, standardize: bool | None, training: str, start: str, state: str
) -> None:
    settings = {
        "optimizer": {"learning_rate": 0.1},
        "dataset": {"name": "table", "standardize": standardize},
        "training": {"name": training},
    }
    results = changed(scored({"a": LOST, "b": LOST}), settings, diverged_epoch=0)
    found = told(results)["next"]
    assert found.startswith(f"Next: {start}")
    assert found.endswith(f" the loss of the untrained model is {state}not finite (a, b).")


FIVE_GUESSES = [0.1] * 5
# Scores, final losses, how the headline ends, and what the table calls the first.
UNLEARNED_LEADERS = {
    "alone": ({"a": FIVE_GUESSES, "b": LOST}, {"a": [2.31] * 5}, "5 seeds), but never learned."),
    "first": (
        {"a": FIVE_GUESSES, "b": [0.05] * 5},
        {"a": [2.31] * 5},
        "over 5 seeds, but never learned.",
    ),
    "tied": (
        {"a": FIVE_GUESSES, "b": FIVE_GUESSES, "c": [0.05] * 5},
        {"a": [2.31] * 5, "b": [2.31] * 5},
        "over 5 seeds, but never learned.",
    ),
    "one seed": (
        {"a": [0.1], "b": [0.05]},
        {"a": [2.31]},
        "0.1000, but never learned; one seed each allows no statement of certainty.",
    ),
    "baseline": (
        {"glorot_uniform": FIVE_GUESSES, "b": [0.05] * 5},
        {"glorot_uniform": [2.31] * 5},
        "over 5 seeds, but never learned.",
    ),
}


@pytest.mark.parametrize("name", UNLEARNED_LEADERS)
def test_a_leader_that_never_learned_is_not_called_the_best(scored: Scored, name: str) -> None:
    scores, losses, end = UNLEARNED_LEADERS[name]
    comparison = compare(scored(scores, loss=losses))
    assert comparison.headline.endswith(end)
    assert comparison.outcomes[0] == "never learned"


SETTINGS = {
    "a factor of the data": (
        {
            "factors": [{"dataset.standardize": value} for value in (True, False)],
            "fingerprints": ["1", "2"],
        },
        "2 settings (standardize=true; standardize=false).",
        ["standardize=true reaches", "standardize=false reaches"],
    ),
    "data sets": (
        {"factors": [{"dataset": name} for name in "xy"], "fingerprints": ["1", "2"]},
        "2 settings (dataset=x; dataset=y).",
        ["dataset=x reaches", "dataset=y reaches"],
    ),
    "data as each model takes them": (
        {"factors": [{"model": name} for name in ("mlp", "words")], "fingerprints": ["1", "2"]},
        "2 settings (data for mlp; data for words).",
        ["At data for mlp: model=mlp reaches", "At data for words: model=words reaches"],
    ),
    "only the data's key": (
        {"fingerprints": ["1", "2"]},
        "2 settings (data 1; data 2).",
        ["At data 1: a reaches", "At data 2: b reaches"],
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_no_shared_factor_names_are_named(scored: Scored, name: str) -> None:
    options, end, starts = SETTINGS[name]
    scores = {"a": GOOD, "b" if name == "only the data's key" else "a#1": GOOD}
    results = scored(scores, **options)
    records = [
        dataclasses.replace(record, model=str(record.factors.get("model", "")))
        for record in results.configurations
    ]
    cells = judge(dataclasses.replace(results, configurations=tuple(records)))
    assert words.headline(cells).endswith(end)
    firsts = [words.sentences(cell, has_headline=False)[0].text for cell in cells]
    assert all(text.startswith(s) for text, s in zip(firsts, starts, strict=True))
