"""Replicates from the seed settings, factors from the configurations."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.config import ARGUMENTS, POSITIVE_INTEGER, TEXT, ConfigError, setting
from runner.plan import Choice, Configuration, NoTraining, Replicate, Training, factors, replicates


@dataclass(frozen=True)
class Mlp:
    width: int = setting(POSITIVE_INTEGER, 64)
    depth: int = setting(POSITIVE_INTEGER, 2)


@dataclass(frozen=True)
class Cnn:
    filters: int = setting(POSITIVE_INTEGER, 16)


@dataclass(frozen=True)
class Own:
    target: str = setting(TEXT)
    arguments: Mapping[str, object] = setting(ARGUMENTS, {})
    width: int = setting(POSITIVE_INTEGER, 64)


def configuration(index=0, **changes):
    values = {
        "dataset": Choice("digits", Mlp()),
        "model": Choice("mlp", Mlp()),
        "init": Choice("zero", Mlp()),
        "optimizer": Choice("sgd", Mlp()),
        "training": Training(),
        "engine": "keras",
        "device": "auto",
    }
    return Configuration(
        index=index, folder=Path("x"), replicates=replicates(2), settings={}, **(values | changes)
    )


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


def test_what_does_not_vary_is_no_factor():
    assert factors([configuration(0), configuration(1)]) == [{}, {}]


def test_a_varying_setting_is_a_factor():
    deep = configuration(1, model=Choice("mlp", Mlp(depth=8)))
    assert factors([configuration(0), deep]) == [{"model.depth": 2}, {"model.depth": 8}]


def test_varying_options_make_the_group_the_factor():
    cnn = configuration(1, model=Choice("cnn", Cnn(filters=4)))
    assert factors([configuration(0), cnn]) == [{"model": "mlp"}, {"model": "cnn(filters=4)"}]


def test_each_argument_that_varies_is_a_factor():
    nets = [
        configuration(index, model=Choice("custom", Own("mine.build", arguments)))
        for index, arguments in enumerate([{"width": 8, "layers": [1, 2]}, {"width": 4}])
    ]
    assert factors(nets) == [
        {"model.arguments.width": 8, "model.arguments.layers": "[1, 2]"},
        {"model.arguments.width": 4, "model.arguments.layers": None},
    ]


LABELS = {
    "mine.build": Own("mine.build"),
    "mine.build(width=8)": Own("mine.build", {"width": 8}),
    "mine.build(rate=0.1, width=8)": Own("mine.build", {"rate": 0.1}, width=8),
    "mine.build(arguments.width=3, width=8)": Own("mine.build", {"width": 3}, width=8),
    "Lamb(beta_1=0.5)": Own("keras.optimizers.Lamb", {"beta_1": 0.5}),
    "Lamb": Own("Lamb"),
}


@pytest.mark.parametrize("label", LABELS)
def test_what_the_user_names_is_called_after_that(label):
    assert Choice("custom", LABELS[label]).label == label
    assert Choice("custom", LABELS[label]).label_with(("width",)).count("width=8") == (
        1 if label == "mine.build(width=8)" else 0
    )


def test_training_or_not_is_a_factor():
    untrained = configuration(1, training=NoTraining())
    assert factors([configuration(0), untrained]) == [{"training": "default"}, {"training": "none"}]


def test_the_initializer_is_never_a_factor():
    other = configuration(1, init=Choice("ones", Mlp(width=3)))
    assert factors([configuration(0), other]) == [{}, {}]
