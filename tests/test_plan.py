"""Replicates from the seed settings, factors from all settings."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from runner.config import ARGUMENTS, POSITIVE_INTEGER, TEXT, ConfigError, setting
from runner.plan import Choice, Replicate, factors, replicates


@dataclass(frozen=True)
class Own:
    target: str = setting(TEXT)
    arguments: Mapping[str, object] = setting(ARGUMENTS, {})
    width: int = setting(POSITIVE_INTEGER, 64)


def configuration(**changes):
    """Returns the settings of a configuration."""
    return {
        "dataset": {"name": "digits", "path": None},
        "model": {"name": "mlp", "width": 64, "depth": 2},
        "init": {"name": "zero"},
        "optimizer": {"name": "sgd", "learning_rate": 0.1},
        "training": {"name": "default", "epochs": 5},
        "engine": {"name": "keras"},
        "device": "auto",
        **changes,
    }


def test_a_larger_number_of_seeds_is_a_superset():
    assert replicates(3) == (Replicate(0, 0), Replicate(1, 1), Replicate(2, 2))
    assert set(replicates(3)) < set(replicates(7))


def test_a_list_of_seeds_is_taken_as_it_is():
    assert [replicate.seed for replicate in replicates([7, 0])] == [7, 0]


def test_weight_and_batch_seeds_are_crossed():
    crossed = replicates(5, weight_seeds=[0, 1], batch_seeds=[0, 1, 2])
    assert len(crossed) == 6
    assert len({replicate.key for replicate in crossed}) == 6
    assert [r.seed for r in crossed] == [0, None, None, None, 1, None]


@pytest.mark.parametrize("seeds", [0, -1, True, "3", [], [1, 1], [-1], [2**63], [0.5], None, {}])
def test_bad_seeds_are_refused(seeds):
    with pytest.raises(ConfigError, match=r"^`seeds` must be "):
        replicates(seeds)


def test_crossed_seeds_need_both_lists():
    with pytest.raises(ConfigError, match="`batch_seeds` is missing"):
        replicates(5, weight_seeds=[1])


def mlp(**settings):
    return {"name": "mlp", "width": 64, "depth": 2, **settings}


def cnn(**settings):
    return {"name": "cnn", "filters": 16, "depth": 3, **settings}


def custom(target="mine.build", **settings):
    return {"name": "custom", "target": target, "function": None, "arguments": {}, **settings}


# The varying setting of each configuration -> the factors of each.
FACTORS = {
    "nothing varies": ([{}, {}], [{}, {}]),
    "the initializer is none": ([{}, {"init": {"name": "ones"}}], [{}, {}]),
    "a setting": (
        [{}, {"model": mlp(depth=8)}],
        [{"model.depth": 2}, {"model.depth": 8}],
    ),
    "an option, whatever its settings": (
        [{}, {"model": cnn(filters=4)}],
        [{"model": "mlp"}, {"model": "cnn"}],
    ),
    "an option and a setting of it": (
        [{}, {"model": cnn()}, {"model": cnn(filters=4)}],
        [{"model": "mlp"}, {"model": "cnn(filters=16)"}, {"model": "cnn(filters=4)"}],
    ),
    "each argument": (
        [
            {"model": custom(arguments={"width": 8, "layers": [1, 2]})},
            {"model": custom(arguments={"width": 4})},
        ],
        [
            {"model.arguments.width": 8, "model.arguments.layers": "[1, 2]"},
            {"model.arguments.width": 4, "model.arguments.layers": None},
        ],
    ),
    "what the user names": (
        [{}, {"model": custom()}, {"model": custom("mine.other", arguments={"width": 4})}],
        [{"model": "mlp"}, {"model": "mine.build"}, {"model": "mine.other(width=4)"}],
    ),
    "no training": (
        [{}, {"training": {"name": "none"}}],
        [{"training": "default"}, {"training": "none"}],
    ),
    "engine and device": (
        [{}, {"engine": {"name": "vectorized"}, "device": "cpu"}],
        [{"engine": "keras", "device": "auto"}, {"engine": "vectorized", "device": "cpu"}],
    ),
}


@pytest.mark.parametrize("case", FACTORS)
def test_what_varies_is_a_factor(case):
    changes, expected = FACTORS[case]
    assert factors([configuration(**each) for each in changes]) == expected


LABELS = {
    "mine.build": Own("mine.build"),
    "mine.build(units=8)": Own("mine.build", {"units": 8}),
    "mine.build(arguments.width=8)": Own("mine.build", {"width": 8}),
    "mine.build(rate=1.0, width=1)": Own("mine.build", {"rate": 1.0}, width=1),
    "mine.build(rate=0.1, width=8)": Own("mine.build", {"rate": 0.1}, width=8),
    "mine.build(arguments.width=3, width=8)": Own("mine.build", {"width": 3}, width=8),
    "keras.optimizers.Lamb(beta_1=0.5)": Own("keras.optimizers.Lamb", {"beta_1": 0.5}),
    "Lamb": Own("Lamb"),
}


@pytest.mark.parametrize("label", LABELS)
def test_what_the_user_names_is_called_after_that(label):
    assert Choice("custom", LABELS[label]).label == label
    assert Choice("custom", LABELS[label]).label_with(("width",)).count("width=8") == (
        1 if label == "mine.build(arguments.width=8)" else 0
    )
