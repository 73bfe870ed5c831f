"""What is said where seeds share their initial weights, and of weights that nothing draws."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from runner.report import words
from runner.report.comparison import compare
from runner.report.methods import reading
from runner.report.progress import next_seeds
from runner.report.results import Results
from runner.report.verdict import judge

Scored = Callable[..., Results]

GOOD = [0.92, 0.94, 0.91, 0.95, 0.98]
NEAR = [0.898, 0.912, 0.910, 0.955, 0.975]


def seeded(scored: Scored, of: dict[str, tuple[str, Sequence[str] | None]]) -> Results:
    """Returns two configurations with near scores.

    Args:
      scored: The fixture.
      of: Label -> name of the option, and what varies between its seeds.
    """
    results = scored(dict(zip(of, (GOOD, NEAR), strict=True)))
    told = [
        replace(
            record,
            settings={**record.settings, "init": {"name": name}},
            varies=None if varies is None else list(varies),
        )
        for record, (name, varies) in zip(results.configurations, of.values(), strict=True)
    ]
    return replace(results, configurations=tuple(told))


def told(results: Results) -> str:
    return " ".join(sentence.text for cell in judge(results) for sentence in words.sentences(cell))


RANDOM = ("he_normal", ("kernels", "batches"))
# Two configurations, of whom more seeds would be in vain, and what a caution or the method says.
PAIRS = {
    "both random": ({"a": RANDOM, "b": RANDOM}, "", "", ""),
    "not recorded": ({"a": ("custom", None), "b": ("zero", None)}, "", "", ""),
    "one custom": (
        {"a": RANDOM, "mine.B": ("custom", ("batches",))},
        "mine.B",
        "Same kernels for every seed: mine.B, whose seeds differ in the order of the data only.",
        "",
    ),
    "one in which nothing varies": (
        {"a": RANDOM, "mine.B": ("custom", ())},
        "mine.B",
        "Same kernels for every seed: mine.B, whose seeds differ in nothing.",
        "",
    ),
    "two that share a reason": (
        {"mine.A": ("custom", ()), "mine.B": ("custom", ())},
        "mine.A and mine.B",
        "Same kernels for every seed: mine.A and mine.B, whose seeds differ in nothing. Their ",
        "",
    ),
    "one named law in which nothing varies": (
        {"a": RANDOM, "zero": ("zero", ())},
        "",
        "",
        "Seeds of zero do not differ.",
    ),
    "one named law": (
        {"a": RANDOM, "identity": ("identity", ("batches", "dropout"))},
        "",
        "",
        "Seeds of identity differ in the order of the data and dropout only.",
    ),
    "two named laws": (
        {"zero": ("zero", ("batches",)), "ones": ("ones", ("batches",))},
        "zero and ones",
        "",
        "Seeds of zero and ones differ in the order of the data only.",
    ),
}


@pytest.mark.parametrize("case", PAIRS)
def test_seeds_that_share_their_kernels(
    scored: Scored, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, vain, caution, method = PAIRS[case]
    results = seeded(scored, of)
    text = told(results)
    assert ("`seeds=10` for the next look" in text) == (not vain)
    assert (f"all seeds of {vain} start with the same kernels" in text) == bool(vain)
    monkeypatch.setattr("runner.report.progress.collect", lambda *_: results)
    assert bool(next_seeds(results.sweep, results.configurations, [])) == (not vain)
    cautions = [text for text in compare(results).cautions if "Same kernels" in text]
    assert bool(cautions) == bool(caution)
    assert not caution or cautions[0].startswith(caution)
    assert reading(judge(results), 0.95).startswith(method or "Brackets")


def test_the_seeds_of_the_reference_are_named_where_they_are_in_vain(scored: Scored) -> None:
    results = seeded(scored, {"mine.A": ("custom", ()), "b": RANDOM})
    assert "all seeds of mine.A start with the same kernels" in told(results)


def test_one_weight_that_nothing_draws_is_told_in_the_singular(scored: Scored) -> None:
    results = scored({"a": GOOD})
    (first,) = results.configurations
    (caution,) = compare(
        replace(results, configurations=(replace(first, undrawn=["table"]),))
    ).cautions
    assert caution == (
        "Not drawn: table starts with the same random values for every seed and every "
        "initializer. If it is a kernel, name it in `init.kernels`."
    )


def test_weights_that_nothing_draws_are_named_beside_the_verdict(scored: Scored) -> None:
    results = scored({"a": GOOD, "b": NEAR})
    first, second = results.configurations
    paths = [f"layer_{number}/gate" for number in range(6)]
    changed = (replace(first, undrawn=paths), replace(second, undrawn=paths))
    (caution,) = compare(replace(results, configurations=changed)).cautions
    assert caution.startswith("Not drawn: layer_0/gate, layer_1/gate, layer_2/gate, layer_3/gate ")
    assert " and 2 more start with the same random values for every seed" in caution
    assert "`init.kernels`" in caution
