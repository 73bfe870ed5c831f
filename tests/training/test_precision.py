"""Precisions: set for as long as they are needed, and the same in both engines."""

import dataclasses
from functools import partial

import numpy as np
import pytest

from runner import models
from runner.tasks import Signature
from runner.training.precision import computing_in, in_precision
from tests.training.cohorts import (
    CLASSES,
    SHAPE,
    assert_same,
    cnn,
    cohort,
    dataset,
    member,
    mlp,
    run,
)

# Variables, and what a layer computes in.
DTYPES = {
    "float32": ("float32", "float32"),
    "bfloat16": ("float32", "bfloat16"),
    "float16": ("float32", "float16"),
    "float64": ("float64", "float64"),
}


def engines_in(precision):
    from runner.training import reference, vectorized

    def trains(engine, cohort):
        return in_precision(precision, engine.train(cohort))

    named = {"reference": reference, "vectorized": vectorized}
    return {name: partial(trains, engine) for name, engine in named.items()}


def states(keras):
    return keras.config.floatx(), keras.config.dtype_policy().name


@pytest.mark.parametrize("precision", DTYPES)
def test_a_precision_holds_for_its_block_only(keras, precision):
    def events():
        for _ in range(2):
            yield states(keras)

    before = states(keras)
    with computing_in(precision):
        inside = states(keras)
    with pytest.raises(ZeroDivisionError), computing_in(precision):
        raise ZeroDivisionError
    assert states(keras) == before
    for event in in_precision(precision, events()):
        assert event == inside
        assert states(keras) == before
    assert inside[0] == DTYPES[precision][0]


@pytest.mark.parametrize("option", sorted({"mlp", "cnn", "rnn"}))
def test_models_are_built_in_it(keras, option):
    signature = Signature(SHAPE, (CLASSES,), "classification")
    values = {}
    for precision, (variables, computed) in DTYPES.items():
        keras.utils.clear_session(free_memory=False)
        with computing_in(precision):
            model = models.build(option, models.CATALOGUE[option](), signature)
            assert {weight.dtype for weight in model.trainable_weights} == {variables}
            assert model.layers[-1].compute_dtype == computed
        values[precision] = [weight.numpy() for weight in model.weights]
    for precision in ("bfloat16", "float16"):
        for value, wanted in zip(values[precision], values["float32"], strict=True):
            np.testing.assert_array_equal(value, wanted)


# Products are rounded to 8 bits (half a unit is 2e-3 of a number) or 11 bits (2e-4), and XLA rounds
# less often; some six steps of training let that grow by up to ten.
WORKS = {
    "float64": ("float64", mlp, {}, 1e-9),
    "float64, cnn": ("float64", cnn, {"optimizer": "adam"}, 1e-9),
    "float64, schedule and average": (
        "float64",
        mlp,
        {"optimizer": "adamw", "schedule": "cosine", "warmup": 3, "ema": 0.9},
        1e-9,
    ),
    "bfloat16": ("bfloat16", mlp, {}, 2e-2),
    "bfloat16, cnn": ("bfloat16", cnn, {}, 2e-2),
    "float16": ("float16", mlp, {}, 2e-3),
    "float16, average": ("float16", mlp, {"optimizer": "adam", "ema": 0.8}, 5e-3),
}


@pytest.mark.parametrize(
    "name", [n if n == "bfloat16" else pytest.param(n, marks=pytest.mark.slow) for n in WORKS]
)
def test_engines_compute_alike(keras, name):
    precision, build, settings, rtol = WORKS[name]
    with computing_in(precision):
        model = build(keras)
    work = cohort(model, [member(model, seed) for seed in (0, 1)], **settings)
    assert_same(engines_in(precision), work, rtol)


@pytest.mark.slow
def test_regression_in_double_precision(keras):
    data = dataset("regression", 2)
    with computing_in("float64"):
        layers = keras.layers
        model = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(2)])
    work = cohort(model, [member(model, seed) for seed in (0, 1)], data=data)
    assert_same(engines_in("float64"), work, 1e-9)


@pytest.mark.slow
def test_a_step_that_overflows_is_left_out_of_one_replica_only(keras):
    """The first scale is 2^15: gradients above 2 become infinite in 16 bits."""
    with computing_in("float16"):
        model = mlp(keras)
    usual = member(model, 0, 0.01)
    large = dataclasses.replace(usual, draw=lambda: [10 * value for value in usual.draw()])
    for engine in engines_in("float16").values():
        beside, ends = run(engine, cohort(model, [usual, large], epochs=3))
        alone, _ = run(engine, cohort(model, [usual, usual], epochs=3))
        assert [ends[position].status for position in (0, 1)] == ["finished", "finished"]
        for epoch in range(4):
            assert beside[0, epoch] == alone[0, epoch]
        assert beside[1, 3]["loss"] < beside[1, 1]["loss"]  # it has found a scale, and learns
