"""What is said where seeds share their initial weights, and of weights that nothing draws."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from runner.report import words
from runner.report.comparison import compare
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
# Two configurations, whether more seeds may be advised, and what a caution or the method says.
PAIRS = {
    "both random": ({"a": RANDOM, "b": RANDOM}, True, "", ""),
    "not recorded": ({"a": ("custom", None), "b": ("zero", None)}, True, "", ""),
    "one custom": (
        {"a": RANDOM, "mine.B": ("custom", ("batches",))},
        False,
        "Same kernels for every seed: mine.B, whose seeds differ in the order of the data only.",
        "",
    ),
    "one in which nothing varies": (
        {"a": RANDOM, "mine.B": ("custom", ())},
        False,
        "Same kernels for every seed: mine.B, whose seeds differ in nothing.",
        "",
    ),
    "one named law in which nothing varies": (
        {"a": RANDOM, "zero": ("zero", ())},
        True,
        "",
        "Seeds of zero do not differ.",
    ),
    "one named law": (
        {"a": RANDOM, "identity": ("identity", ("batches", "dropout"))},
        True,
        "",
        "Seeds of identity differ in the order of the data and dropout only.",
    ),
    "two named laws": (
        {"zero": ("zero", ("batches",)), "ones": ("ones", ("batches",))},
        False,
        "",
        "Seeds of zero and ones differ in the order of the data only.",
    ),
}


@pytest.mark.parametrize("case", PAIRS)
def test_seeds_that_share_their_kernels(scored: Scored, case: str) -> None:
    of, is_advised, caution, method = PAIRS[case]
    results = seeded(scored, of)
    text = told(results)
    assert ("more seeds to tell" in text) == is_advised
    assert ("more seeds start with the same kernels" in text) != is_advised
    assert ("Next:" in text) == is_advised
    (further,) = (cell.pairs["further_seeds"] for cell in judge(results))
    assert further.notna().all() == is_advised
    cautions = [text for text in compare(results).cautions if "Same kernels" in text]
    assert bool(cautions) == bool(caution)
    assert not caution or cautions[0].startswith(caution)
    assert words.method(judge(results), 0.95).startswith(method or "Brackets")


def test_weights_that_nothing_draws_are_named_beside_the_verdict(scored: Scored) -> None:
    results = scored({"a": GOOD, "b": NEAR})
    first, second = results.configurations
    paths = [f"layer_{number}/gate" for number in range(6)]
    changed = (replace(first, undrawn=paths), replace(second, undrawn=paths))
    (caution,) = compare(replace(results, configurations=changed)).cautions
    assert caution.startswith("Not drawn: layer_0/gate, layer_1/gate, layer_2/gate, layer_3/gate ")
    assert " and 2 more start with the same random values for every seed" in caution
    assert "`init.kernels`" in caution
