"""Who never learned: a table of cases by hand, and how often the rule errs."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from runner.report.learning import is_unlearned
from runner.report.results import Results
from runner.report.verdict import judge

SIZES = {"num_train": 1_079, "num_validation": 359}
TEN = {"task": "classification", "num_outputs": 10, "uninformed_loss": math.log(10), **SIZES}
TINY = TEN | {"num_train": 40, "num_validation": 10}
UNEQUAL = TEN | {"num_outputs": 2, "uninformed_loss": 0.2536, "majority_share": 0.93}
TARGETS = {"task": "regression", "num_outputs": 1, "uninformed_loss": 1.0, **SIZES}
TARGETS |= {"uninformed_val_loss": 1.2}
LABELS = TEN | {
    "task": "multilabel",
    "uninformed_loss": 0.5,
    "uninformed_val_loss": 0.5,
    "uninformed_binary_accuracy": 0.8,
}

# Data, final training loss, final validation loss and accuracy, accuracy before training.
CASES: dict[str, tuple[dict[str, Any], float, float, float, float, bool]] = {
    "always one class": (TEN, 2.3026, 2.3026, 0.1, 0.1, True),
    "drifting with the batches": (TEN, 2.3018, 2.3018, 0.148, 0.1, True),
    "wilder than a guess": (TEN, 3.0, 3.0, 0.1, 0.1, True),
    "small outputs, but mostly the right ones": (TEN, 2.3, 2.3, 0.45, 0.1, False),
    "not trained, but lucky": (TEN, 2.3, 2.3, 0.21, 0.21, True),
    "luckier than before by nothing much": (TEN, 2.3, 2.3, 0.3, 0.21, True),
    "a tenth of the loss": (TEN, 2.07, 2.07, 0.1, 0.1, False),
    "sure of itself and sometimes wrong": (TEN, 3.0, 5.0, 0.9, 0.1, False),
    "learned by heart": (TEN, 0.001, 9.0, 0.1, 0.1, False),
    "seen on other examples only": (TEN, 2.5, 1.5, 0.1, 0.1, False),
    "few examples, lucky": (TINY, 2.3, 2.25, 0.3, 0.1, True),
    "few examples, plain": (TINY, 2.3, 1.2, 0.6, 0.1, False),
    "always the larger class": (UNEQUAL, 0.254, 0.254, 0.93, 0.5, True),
    "the larger class, but surer where it is": (UNEQUAL, 0.21, 0.21, 0.93, 0.5, False),
    "the mean": (TARGETS, 1.0, 1.2, math.nan, math.nan, True),
    "worse than the mean": (TARGETS, 5.0, 5.0, math.nan, math.nan, True),
    "not below the mean on these examples": (TARGETS, 1.1, 1.17, math.nan, math.nan, True),
    "below the mean in training": (TARGETS, 0.9, 1.3, math.nan, math.nan, False),
    "below the mean on other examples": (TARGETS, 1.1, 1.0, math.nan, math.nan, False),
    "all labels at their shares": (LABELS, 0.5, 0.501, math.nan, math.nan, True),
    "labels better than their shares": (LABELS, 0.4, 0.42, math.nan, math.nan, False),
    "labels sure of themselves and sometimes wrong": (LABELS, 1.5, 2.5, 0.9, 0.5, False),
    "each label as it mostly is": (LABELS, 0.501, 0.501, 0.8, 0.5, True),
    "no number for a guess": ({}, 2.3, 2.3, 0.1, 0.1, False),
    "no loss": (TEN, math.nan, 2.3, 0.1, 0.1, False),
}


@pytest.mark.parametrize("name", CASES)
def test_what_counts_as_never_learned(name: str) -> None:
    dataset, loss, val_loss, accuracy, start, expected = CASES[name]
    of = {"final_loss": [loss], "final_val_loss": [val_loss]}
    if not math.isnan(accuracy):
        name = "val_binary_accuracy" if dataset is LABELS else "val_accuracy"
        of |= {f"final_{name}": [accuracy], "start": [start]}
    assert is_unlearned(dataset, of).tolist() == [expected]


def classified(shares: list[float], size: int, spread: float, signal: float) -> tuple[dict, dict]:
    """Returns data of a hundred replicates and their ends: a guess that differs, class by class and
    example by example, by `spread` from the best one, and leans to the right class by `signal`."""
    generator = np.random.default_rng(size)
    ends: dict[str, np.ndarray] = {}
    sizes = {"train": 3 * size, "validation": size}
    labels = {part: generator.choice(len(shares), n, p=shares) for part, n in sizes.items()}
    found = np.bincount(labels["train"], minlength=len(shares)) / sizes["train"]
    for part, of_part in labels.items():
        shape = (100, len(of_part), len(shares))
        logits = np.log(np.maximum(found, 1e-3)) + spread * generator.normal(
            size=(100, 1, shape[2])
        )
        logits = logits + spread / 2 * generator.normal(size=shape)
        logits[:, np.arange(shape[1]), of_part] += signal
        chances = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
        loss = -np.log(chances[:, np.arange(shape[1]), of_part]).mean(axis=1)
        ends["final_loss" if part == "train" else "final_val_loss"] = loss
        ends["final_val_accuracy"] = (logits.argmax(axis=2) == of_part).mean(axis=1)
    known = found[found > 0]
    return {
        "task": "classification",
        "num_outputs": len(shares),
        "num_train": sizes["train"],
        "num_validation": size,
        "majority_share": found.max(),
        "uninformed_loss": -float(np.sum(known * np.log(known))),
        "uninformed_val_loss": -float(
            np.mean(np.log(np.maximum(found, 1e-3)[labels["validation"]]))
        ),
    }, ends


SHARES = {"ten equal": [0.1] * 10, "two equal": [0.5, 0.5], "one large": [0.93, 0.07]}


@pytest.mark.parametrize("spread", [1e-4, 0.03, 0.1, 0.3])
@pytest.mark.parametrize("size", [20, 100, 400])
@pytest.mark.parametrize("name", SHARES)
def test_what_knows_nothing_has_not_learned(name: str, size: int, spread: float) -> None:
    dataset, ends = classified(SHARES[name], size, spread, signal=0.0)
    # Of a hundred one in a thousand each of three ways: two or more would be one in thirty at most.
    assert np.sum(~is_unlearned(dataset, ends)) <= 1


WEAK = [
    ("ten equal", 20, 0.3),
    ("two equal", 20, 0.4),
    ("ten equal", 400, 0.05),
    ("two equal", 400, 0.05),
    ("one large", 400, 0.2),
]


@pytest.mark.parametrize(("name", "size", "signal"), WEAK)
def test_what_knows_a_little_has_learned(name: str, size: int, signal: float) -> None:
    dataset, ends = classified(SHARES[name], size, 0.03, signal)
    assert np.mean(ends["final_val_loss"]) > 0.6 * dataset["uninformed_val_loss"]
    assert np.mean(is_unlearned(dataset, ends)) < 0.05


LAWS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda generator, size: generator.normal(size=size),
    "lognormal": lambda generator, size: generator.lognormal(size=size),
    "far outliers": lambda generator, size: generator.standard_t(2.5, size=size),
}


@pytest.mark.parametrize("size", [20, 100, 400])
@pytest.mark.parametrize("name", LAWS)
def test_regressions_that_know_nothing_or_a_little(name: str, size: int) -> None:
    generator = np.random.default_rng(size)
    known = {0.0: 0, 0.1: 0}
    for _ in range(300):
        targets = LAWS[name](generator, 4 * size)
        train = targets[size:]
        targets = (targets - train.mean()) / train.std()
        for share in known:
            noise = generator.normal(0, 0.1, targets.size) + generator.normal(0, 0.1)
            squares = (targets * (1 - share) - noise) ** 2
            guess = float(np.mean(targets[:size] ** 2))
            dataset = {"task": "regression", "uninformed_loss": 1.0, "uninformed_val_loss": guess}
            dataset |= {"num_outputs": 1, "num_train": 3 * size, "num_validation": size}
            ends = {
                "final_loss": [squares[size:].mean()],
                "final_val_loss": [squares[:size].mean()],
            }
            known[share] += int(~is_unlearned(dataset, ends)[0])
    # One in a thousand either way: five or more would be one case in a thousand. Of a tenth of
    # every target is known, and so a fifth of the variance.
    assert known[0.0] <= 4
    assert known[0.1] >= 0.9 * 300 or size == 20


def test_the_start_is_that_of_the_same_replicate(scored: Callable[..., Results]) -> None:
    # All are right on 0.45 of the examples: `luck` was so before training, `small` learned it.
    results = scored(
        {"small": [0.45] * 3, "luck": [0.45] * 3}, loss={"small": [2.3] * 3, "luck": [2.3] * 3}
    )
    chosen = (results.curves["epoch"] == 0) & (results.curves["metric"] == "val_accuracy")
    results.curves.loc[chosen & (results.curves["init"] == "luck"), "value"] = 0.45
    (cell,) = judge(results)
    assert {s.record.init: s.num_unlearned for s in cell.standings} == {"small": 0, "luck": 3}
