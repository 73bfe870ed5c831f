"""Every class of verdict has its sentence, and every sentence says no more than is known."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from runner.report import words
from runner.report.comparison import compare
from runner.report.methods import methods, reading
from runner.report.results import Results
from runner.report.verdict import judge

Scored = Callable[..., Results]

# Paired with `good`: always about 0.02 lower; now higher, now lower.
GOOD = [0.90, 0.92, 0.94, 0.96, 0.98]
WORSE = [0.881, 0.899, 0.921, 0.939, 0.96]
SAME = [0.91, 0.91, 0.95, 0.94, 0.985]
TEN = [*GOOD, *GOOD]
LOST = ["diverged"] * 5


def tied(by: float = 0.0) -> list[float]:
    """Returns ten scores whose differences to TEN have this mean and deviate by 0.001."""
    return [score + by + 0.001 * (-1) ** place for place, score in enumerate(TEN)]


def told(results: Results) -> dict[str, str]:
    """Returns the sentences of a sweep with one cell, by their kind."""
    (cell,) = judge(results)
    return {sentence.kind: sentence.text for sentence in words.sentences(cell)}


def headline(results: Results) -> str:
    return words.headline(judge(results))


DEFAULT = "glorot_uniform (the default)"
HIGHEST = "Highest mean so far: {}, 0.940 [0.901, 0.979] (mean over 5 seeds)."
UNLEARNED = {"loss": {"zero": [2.31] * 10}}
# Scores, options -> the first line.
FIRST_LINES: dict[str, tuple[dict, dict, str]] = {
    "the default, ties, what to avoid": (
        {
            "glorot_uniform": TEN,
            "he_normal": tied(0.001),
            "lecun_normal": tied(-0.001),
            "normal": tied(-0.007),
            "uniform": tied(-0.017),
            "zero": [0.1] * 10,
        },
        {"margin": 0.005, **UNLEARNED},
        f"Use {DEFAULT}: he_normal and lecun_normal are equivalent within 0.005. Avoid normal and "
        "uniform (0.7 and 1.7 points worse) and zero (never learns).",
    ),
    "what is not known": (
        {
            "glorot_uniform": TEN,
            "open": [s + 0.03 * (-1) ** p for p, s in enumerate(TEN)],
            "he_normal": tied(),
        },
        {"margin": 0.005},
        f"Use {DEFAULT}: he_normal is equivalent within 0.005. Not known yet: open (next look: 20 "
        "seeds).",
    ),
    "something is better": (
        {"glorot_uniform": WORSE, "good": GOOD},
        {},
        f"Use good: 2 points better than {DEFAULT}.",
    ),
    "two are better": (
        {"glorot_uniform": TEN, "a": tied(0.03), "b": tied(0.02), "c": tied()},
        {"margin": 0.005},
        f"Use a: 3 points better than {DEFAULT}. Also better: b (2 points). c is equivalent to "
        "glorot_uniform within 0.005.",
    ),
    "nothing is known": (
        {"glorot_uniform": SAME, "good": GOOD},
        {"margin": 0.005},
        f"Not known yet after 5 seeds whether good differs from {DEFAULT}. "
        f"{HIGHEST.format('good')} Next look: 10 seeds.",
    ),
    "nothing is known after the last look": (
        {"glorot_uniform": SAME, "good": GOOD},
        {"looks": (5,)},
        f"Still not known after 5 seeds whether good differs from {DEFAULT}. "
        f"{HIGHEST.format('good')}",
    ),
    "nothing is known of many": (
        {"glorot_uniform": SAME, "good": GOOD, "b": SAME},
        {},
        f"Not known yet after 5 seeds whether any other initializer differs from {DEFAULT}. "
        f"{HIGHEST.format('good')} Next look: 10 seeds.",
    ),
    "decibels are no points": (
        {"glorot_uniform": [20 + s for s in TEN], "good": [22 + s for s in tied()]},
        {"endpoint": "val_psnr"},
        f"Use good: final validation peak signal-to-noise ratio 2 higher than {DEFAULT}.",
    ),
    "nothing is known without a baseline": (
        {"a": SAME, "good": GOOD},
        {},
        "Not known yet after 5 seeds whether a is worse than good. "
        f"{HIGHEST.format('good')} Next look: 10 seeds.",
    ),
    "nothing is known at any number of seeds": (
        {"glorot_uniform": SAME, "good": GOOD},
        {"looks": None},
        f"Not known yet after 5 seeds whether good differs from {DEFAULT}. "
        f"{HIGHEST.format('good')}",
    ),
    "nothing is known from old records": (
        {"glorot_uniform": SAME, "good": GOOD},
        {"looks": ()},
        f"Not known after 5 seeds whether good differs from {DEFAULT}. {HIGHEST.format('good')}",
    ),
    "seven tie": (
        {"glorot_uniform": TEN, **{f"i{n}": tied(-0.0001 * n) for n in range(7)}},
        {"margin": 0.005},
        f"Use {DEFAULT}: i0, i1, i2, i3, i4 and 2 others are equivalent within 0.005.",
    ),
    "many are worse": (
        {"glorot_uniform": TEN, **{f"i{n}": tied(-0.02 - 0.01 * n) for n in range(7)}},
        {},
        f"Use {DEFAULT}: all others are worse. Avoid i0, i1, i2, i3, i4 and 2 others (2 to 8 "
        "points worse).",
    ),
    "one has no result": (
        {"glorot_uniform": TEN, "b": tied(-0.02), "lost": ["failed"] * 10},
        {},
        f"Use {DEFAULT}. Avoid b (2 points worse). No result: lost.",
    ),
    "only one has a result": (
        {"good": GOOD, "lost": ["failed"] * 5},
        {},
        "Only good has a result: 0.940 [0.901, 0.979] (mean over 5 seeds).",
    ),
    "another trains more often": (
        {"glorot_uniform": [*TEN[:1], *["diverged"] * 9], "b": tied(), "c": tied(0.02)},
        {},
        f"Use c: it trains more often than {DEFAULT}. Also better: b (trains more often).",
    ),
    "twelve seeds": (
        {"glorot_uniform": [*TEN, 0.9, 0.9], "b": [*tied(-0.02), 0.9, 0.9]},
        {},
        f"Use {DEFAULT}. Avoid b (2 points worse).",
    ),
    "too few seeds": (
        {"good": GOOD[:3], "b": WORSE[:3]},
        {"margin": 0.5},
        "No verdict yet: five seeds are needed for a verdict, 3 are trained. Highest mean so far: "
        "good, 0.920 [0.870, 0.970] (mean over 3 seeds).",
    ),
    "one seed": (
        {"a": [0.9], "b": [0.8]},
        {},
        "No verdict yet: five seeds are needed for a verdict, 1 is trained. Highest mean so far: "
        "a, 0.9000 (one seed).",
    ),
    "a look that has not ended": (
        {"good": GOOD, "b": [*WORSE[:4], None]},
        {},
        f"No verdict yet: not all of the first five seeds have ended. {HIGHEST.format('good')}",
    ),
    "no baseline": (
        {"a": GOOD, "b": WORSE, "c": SAME},
        {},
        "Use a: it has the highest mean so far. Not known yet: c (next look: 10 seeds). Avoid b (2 "
        "points worse).",
    ),
    "no baseline, all worse": (
        {"a": GOOD, "b": WORSE, "c": [score - 0.01 for score in WORSE]},
        {},
        "Use a: all others are worse. Avoid b and c (2 and 3 points worse).",
    ),
    "no baseline, a tie": (
        {"a": TEN, "b": tied(-0.0001)},
        {"margin": 0.005},
        "Use a: b is equivalent within 0.005.",
    ),
    "a loss": (
        {"glorot_uniform": GOOD, "good": WORSE},
        {"endpoint": "val_loss"},
        f"Use good: final validation loss 0.02 lower than {DEFAULT}.",
    ),
    "a worse loss": (
        {"glorot_uniform": WORSE, "good": GOOD},
        {"endpoint": "val_loss"},
        f"Use {DEFAULT}. Avoid good (loss 0.02 higher).",
    ),
    "the default never learns": (
        {"glorot_uniform": [0.1] * 5, "good": GOOD},
        {"loss": {"glorot_uniform": [2.31] * 5}},
        f"Use good: 84 points better than {DEFAULT}. Avoid glorot_uniform (never learns).",
    ),
    "the default always diverges": (
        {"glorot_uniform": LOST, "good": GOOD, "b": WORSE},
        {},
        "Use good: all others are worse. Avoid b (2 points worse) and glorot_uniform (always "
        "diverges).",
    ),
    "one trains less often": (
        {"glorot_uniform": TEN, "lossy": [*tied()[:2], *["diverged"] * 8]},
        {},
        f"Use {DEFAULT}. Avoid lossy (trains in 2 of 10).",
    ),
    "nothing learned": (
        {"zero": [0.1] * 5, "ones": [0.11] * 5},
        {"loss": {"zero": [2.3] * 5, "ones": [2.31] * 5}},
        "Nothing that finished has learned: try another learning rate or more epochs.",
    ),
    "nothing finished": (
        {"a": ["diverged", None], "b": ["failed", "interrupted"]},
        {},
        "No replicate has finished: there is nothing to compare.",
    ),
    "one configuration": (
        {"he_uniform": GOOD},
        {},
        "he_uniform reaches a final validation accuracy of 0.940 [0.901, 0.979] (mean over 5 "
        "seeds).",
    ),
    "an untrained model": (
        {"he_uniform": GOOD},
        {"epochs": 0},
        "he_uniform reaches a validation accuracy before training of 0.940 [0.901, 0.979] (mean "
        "over 5 seeds).",
    ),
}


@pytest.mark.parametrize("name", FIRST_LINES)
def test_the_first_line_is_the_answer(scored: Scored, name: str) -> None:
    scores, options, expected = FIRST_LINES[name]
    assert headline(scored(scores, **options)) == expected


DEPTHS = [{"model.depth": depth} for depth in (2, 2, 2, 8, 8, 8)]


def deep(shallow: dict, of_deep: dict) -> dict:
    return {f"{k}#{n}": v for n, of in enumerate((shallow, of_deep)) for k, v in of.items()}


ZERO = {"zero": [0.1] * 10}
# Scores of two depths -> the first line.
MANY = {
    "one is best in all": (
        deep(
            {"glorot_uniform": TEN, "he_normal": tied(), **ZERO},
            {"glorot_uniform": TEN, "he_normal": tied(0.05), **ZERO},
        ),
        "Use he_normal: best or tied in both settings. Avoid zero everywhere.",
    ),
    "each has its own": (
        deep(
            {"glorot_uniform": TEN, "he_normal": tied(-0.05), **ZERO},
            {"glorot_uniform": TEN, "he_normal": tied(0.05), **ZERO},
        ),
        "The best differs between settings: glorot_uniform and he_normal are each best or tied in "
        "1 of 2. Avoid zero everywhere.",
    ),
    "two are best in all": (
        deep(
            {"glorot_uniform": TEN, "he_normal": tied(), **ZERO},
            {"glorot_uniform": TEN, "he_normal": tied(), **ZERO},
        ),
        "Use glorot_uniform or he_normal: each of them is best or tied in both settings. Avoid "
        "zero everywhere.",
    ),
    "nothing is known": (
        deep(
            {"glorot_uniform": GOOD, "he_normal": SAME, "b": SAME},
            {"glorot_uniform": GOOD, "he_normal": SAME, "b": SAME},
        ),
        "Not known yet which initializer is best in either setting.",
    ),
    "two tie in one": (
        deep(
            {"glorot_uniform": TEN, "he_normal": tied()},
            {"glorot_uniform": TEN, "he_normal": [s + 0.03 * (-1) ** p for p, s in enumerate(TEN)]},
        ),
        "Use glorot_uniform or he_normal: each of them is best or tied in 1 of 2 settings. Not "
        "known yet in 1 of 2 (10 seeds).",
    ),
    "all others never learn": (
        deep({"glorot_uniform": TEN, **ZERO}, {"glorot_uniform": TEN, **ZERO}),
        "Use glorot_uniform: best or tied in both settings. Avoid zero everywhere.",
    ),
    "nothing finished in one": (
        deep({"a": LOST, "b": LOST}, {"a": TEN, "b": tied()}),
        "Use a: b is equivalent within 0.005. Nothing finished in 1 other setting.",
    ),
    "too few seeds, and one never learns": (
        deep({"a": GOOD[:2], "zero": [0.1] * 2}, {"a": GOOD[:2], "zero": [0.1] * 2}),
        "No verdict yet: five seeds are needed for a verdict, 2 are trained. Avoid zero "
        "everywhere.",
    ),
    "too few seeds": (
        deep(
            {"glorot_uniform": GOOD[:2], "he_normal": SAME[:2], "b": SAME[:2]},
            {"glorot_uniform": GOOD[:2], "he_normal": SAME[:2], "b": SAME[:2]},
        ),
        "No verdict yet: five seeds are needed for a verdict, 2 are trained.",
    ),
}


@pytest.mark.parametrize("name", MANY)
def test_several_settings_have_one_answer(scored: Scored, name: str) -> None:
    scores, expected = MANY[name]
    depths = [{"model.depth": depth} for depth in (2, 8) for _ in range(len(scores) // 2)]
    assert headline(scored(scores, factors=depths, margin=0.005, **UNLEARNED)) == expected


def test_the_matrix_marks_the_best_of_each_setting(scored: Scored) -> None:
    scores, _ = MANY["one is best in all"]
    table = compare(scored(scores, factors=DEPTHS, margin=0.005, **UNLEARNED)).matrix
    assert table is not None
    assert table.columns == ("initializer", "depth=2", "depth=8")
    assert [[entry.text for entry in row] for row in table.rows] == [
        ["he_normal", "0.940 =", "0.990 ★"],
        ["glorot_uniform", "0.940 ★", "0.940"],
        ["zero", "never learns", "never learns"],
    ]


def test_each_class_of_outcome_has_its_sentence(scored: Scored) -> None:
    scores = {
        "glorot_uniform": TEN,
        "better": tied(0.02),
        "same": tied(),
        "near": [score + 0.0001 for score in tied(0.002)],
        "open": [score + 0.03 * (-1) ** place for place, score in enumerate(TEN)],
        "worse": tied(-0.02),
        "zero": [0.1] * 10,
        "lossy": [0.5, *tied()[1:], "diverged"][1:],
        "lost": ["diverged"] * 10,
    }
    found = told(scored(scores, margin=0.005, **UNLEARNED))
    assert found["better"].startswith("Better than glorot_uniform: better (+0.02000 [+0.01925, ")
    assert found["equivalent"] == (
        "Equivalent to glorot_uniform: near (+0.00210 [+0.00135, +0.00285]; differs, by less than "
        "the margin), same (0.00000 [\N{MINUS SIGN}0.00075, +0.00075])."
    )
    assert (
        "open (0.00000 [\N{MINUS SIGN}0.02262, +0.02262]; p > 0.99, needed ≤ " in found["unknown"]
    )
    assert found["worse"].startswith("Worse than glorot_uniform: worse (\N{MINUS SIGN}0.02000 [")
    assert found["fails"] == (
        "Trained less often than glorot_uniform: lossy (9 of 10 against 10 of 10), lost (0 of 10 "
        "against 10 of 10); different by Fisher's exact test: lost."
    )
    assert found["unlearned"] == (
        "Never learned, no better than a constant guess (loss 2.303): zero (all 10 seeds)."
    )
    assert found["lost"] == (
        "Not all replicates finished: lossy (9 of 10; 1 diverged), lost (0 of 10; 10 diverged)."
    )
    assert found["next"].startswith("Next: `seeds=20` for the next look, or `seeds=auto` to go on")


UNTESTED = {
    "no seed finished by both": [*["failed"] * 5, 0.9, 0.9, 0.9, 0.9, 0.9],
    "fewer than 3 seeds finished by both": [0.91, 0.9, *["failed"] * 8],
}


@pytest.mark.parametrize("reason", UNTESTED)
def test_the_reason_of_a_missing_test_is_told(scored: Scored, reason: str) -> None:
    found = told(scored({"good": [*GOOD, *["failed"] * 5], "other": UNTESTED[reason]}))
    assert reason in found["unknown"]


def test_partly_unlearned_is_counted(scored: Scored) -> None:
    scores = {"good": GOOD, "half": [0.1, 0.1, 0.9, 0.9, 0.9]}
    found = told(scored(scores, loss={"half": [2.3, 2.3, 0.1, 0.1, 0.1]}))
    assert "half (2 of 5 seeds)" in found["unlearned"]


def test_crossed_seeds_are_not_called_seeds(scored: Scored) -> None:
    assert "over 5 replicates" in headline(scored({"a": GOOD}, crossed=True))


READINGS = {
    "looks": ({}, "2 comparisons is at most 5 %, over all looks (5, 10, 20, 40 seeds)."),
    "one look": ({"looks": (5,)}, "2 comparisons is at most 5 % (one look, at 5 seeds)."),
    "any": ({"looks": None}, "2 comparisons is at most 5 %, however often one looks."),
    "no stamp": ({"looks": ()}, "2 comparisons is at most 5 % (one look, at these seeds)."),
    "a margin": ({"margin": 0.005}, "Equivalent: the difference is less than the margin, with"),
}


@pytest.mark.parametrize("name", READINGS)
def test_how_to_read_the_verdict_is_told(scored: Scored, name: str) -> None:
    options, expected = READINGS[name]
    results = scored({"glorot_uniform": GOOD, "worse": WORSE, "same": SAME}, **options)
    assert expected in reading(judge(results), 0.95)


def test_one_seed_has_nothing_to_be_read(scored: Scored) -> None:
    assert reading(judge(scored({"a": [0.9], "b": [0.8]})), 0.95) == ""


METHODS = {
    "looks": ({}, ["wang1987", "holm1979", "student1908"], "at 5, 10, 20 and 40 seeds"),
    "any": ({"looks": None}, ["lai1976", "holm1979"], "valid at any number of seeds"),
    "one look": ({"looks": (5,)}, ["student1908", "holm1979"], "at one look fixed beforehand"),
    "a margin": ({"margin": 0.01}, ["schuirmann1987"], "a difference of less than 0.01"),
    "failures": ({}, ["fisher1922"], "how often initializers failed"),
}


@pytest.mark.parametrize("name", METHODS)
def test_the_methods_paragraph_names_design_and_sources(scored: Scored, name: str) -> None:
    options, sources, expected = METHODS[name]
    lossy = [*SAME[:4], "diverged"] if name == "failures" else SAME
    results = scored({"glorot_uniform": GOOD, "worse": WORSE, "same": lossy}, **options)
    found = methods(results, judge(results))
    assert found is not None
    assert expected in found.plain()
    assert "tensorflow 2.21.0" in found.plain()
    assert "[" not in found.plain()
    for key in sources:
        assert f"[{key}]" in found.text
        assert f"@article{{{key}," in found.bibtex()


CAUTIONS: dict[str, tuple[dict, dict, str]] = {
    "beyond the look": (
        {"a": [*GOOD, 0.9], "b": [*WORSE, 0.9]},
        {},
        "The verdict is that of the look at 5 seeds; means and curves include the seeds beyond it, "
        "which are exploratory. The next look is at 10 seeds.",
    ),
    "beyond the last look": (
        {"a": [*GOOD, 0.9], "b": [*WORSE, 0.9]},
        {"looks": (5,)},
        "exploratory. It was the last look.",
    ),
    "no stamp": ({"a": GOOD, "b": WORSE}, {"looks": ()}, "No looks were fixed before these"),
    "added": (
        {"a": GOOD, "b": WORSE, "c": SAME},
        {"added": ["c"]},
        "c was added later: its comparisons form a family of their own",
    ),
    "skewed losses": (
        {"glorot_uniform": [1.00, 1.01, 0.99, 1.0, 1.01], "b": [0.6, 0.55, 0.62, 0.5, 0.66]},
        {"endpoint": "val_loss"},
        "The losses of b scatter at least 3 times as much as those of an initializer that differs.",
    ),
    "missing": ({"a": [*GOOD, None]}, {}, "Missing: 1 of 6 replicates, in 1 configuration"),
    "survivors": ({"a": [*GOOD, "diverged"]}, {}, "are over finished replicates only; 1 replicate"),
    "unpaired": (
        {"a": [*GOOD, None], "b": [*GOOD, 0.9]},
        {},
        "Configurations ended with different",
    ),
    "crossed": ({"a": GOOD}, {"crossed": True}, "Weight and batch seeds are crossed"),
    "mixed": (
        {"a": GOOD, "b": GOOD},
        {"fingerprints": ["1", "2"]},
        "Configurations with other data or an",
    ),
    "best": ({"a": GOOD}, {"at": "best"}, "of each replicate's best epoch"),
    "baseline": ({"a": GOOD}, {"baseline": "b"}, "Unknown baseline 'b'; using the best mean."),
    "lost baseline": (
        {"a": GOOD, "b": ["diverged"] * 5},
        {"baseline": "b"},
        "The baseline b did not finish in this sweep; using the best mean.",
    ),
}


@pytest.mark.parametrize("name", CAUTIONS)
def test_what_limits_the_comparison_is_said(scored: Scored, name: str) -> None:
    scores, options, expected = CAUTIONS[name]
    cautions = compare(scored(scores, **options)).cautions
    assert [text for text in cautions if expected in text]


def test_a_sound_comparison_needs_no_caution(scored: Scored) -> None:
    assert compare(scored({"a": GOOD, "b": WORSE})).cautions == ()


def test_what_was_seen_before_training_explains_a_failure(scored: Scored) -> None:
    results = scored({"good": GOOD, "lost": LOST})
    (cell,) = judge(results, {1: "exploding"})
    found = {sentence.kind: sentence.text for sentence in words.sentences(cell)}
    assert found["lost"] == (
        "Not all replicates finished: lost (0 of 5; 5 diverged; before training: exploding)."
    )


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
        f"Next: a smaller learning rate for what diverged: `optimizer.learning_rate={advised}`."
    )


@pytest.mark.parametrize(
    ("standardize", "training", "start", "state"),
    [
        (False, "default", "`dataset.standardize=true`, or a higher `training", "above it, or "),
        (None, "default", "smaller initial weights, or a higher `training", "above it, or "),
        (False, "none", "`dataset.standardize=true`: the untrained", ""),
        (None, "none", "smaller initial weights: the untrained", ""),
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
    assert found.endswith(f" the untrained model's loss is {state}not finite (a, b).")


def test_the_test_part_stands_beside_what_chooses(scored: Scored) -> None:
    results = scored({"glorot_uniform": GOOD, "b": WORSE})
    records = [
        dataclasses.replace(record, dataset={**record.dataset, "num_test": 400})
        for record in results.configurations
    ]
    rows = results.replicates.assign(test_accuracy=[*np.array(GOOD) - 0.04, *np.array(WORSE)])
    found = compare(dataclasses.replace(results, configurations=tuple(records), replicates=rows))
    place = found.ranking.columns.index("test ± sampling error")
    # 1.96 √(0.9 · 0.1 / 400) = 0.029.
    texts = [entry.text for entry in found.ranking.rows[0][place:]]
    assert texts[:2] == ["0.900 ± 0.029", "[0.861, 0.939]"]
    assert "test" not in found.headline


SETTINGS = {
    "a factor of the data": (
        {
            "factors": [{"dataset.standardize": value} for value in (True, False)],
            "fingerprints": ["1", "2"],
        },
        ["standardize=true", "standardize=false"],
    ),
    "data sets": (
        {"factors": [{"dataset": name} for name in "xy"], "fingerprints": ["1", "2"]},
        ["dataset=x", "dataset=y"],
    ),
    "data as each model takes them": (
        {"factors": [{"model": name} for name in ("mlp", "words")], "fingerprints": ["1", "2"]},
        ["data for mlp", "data for words"],
    ),
    "only the data's key": ({"fingerprints": ["1", "2"]}, ["data 1", "data 2"]),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_no_shared_factor_names_are_named(scored: Scored, name: str) -> None:
    options, expected = SETTINGS[name]
    scores = {"a": GOOD, "b" if name == "only the data's key" else "a#1": GOOD}
    results = scored(scores, **options)
    records = [
        dataclasses.replace(record, model=str(record.factors.get("model", "")))
        for record in results.configurations
    ]
    cells = judge(dataclasses.replace(results, configurations=tuple(records)))
    assert [cell.name for cell in cells] == expected
