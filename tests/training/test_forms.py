"""Which form a model is trained in, and how many replicas a program takes."""

import dataclasses

import pytest

from runner.machine import Room
from tests.training.cohorts import (
    BATCH,
    cnn,
    cohort,
    dataset,
    lstm,
    masked_in_both_directions,
    member,
    mlp,
    option,
    recurrent,
)

FORMS = {
    "mlp": (mlp, "stacked", True),
    "dropout": (lambda keras: mlp(keras, dropout=True), "stacked", True),
    "constraint": (lambda keras: mlp(keras, constraint="non_neg"), "unrolled", False),
    "cnn": (cnn, "unrolled", False),
    "recurrent": (recurrent, "stacked", True),
    "lstm": (lstm, "stacked", True),
    "both directions": (masked_in_both_directions, "stacked", True),
    "dropout in a cell": (lambda keras: lstm(keras, dropout=0.1), "stacked", True),
    "resnet": (lambda keras: option("resnet", depth=(1,), width=2), "unrolled", False),
    "vision transformer": (lambda keras: option("transformer", depth=1), "stacked", True),
}


@pytest.mark.parametrize("name", FORMS)
def test_the_form_follows_the_layers(keras, name):
    from runner.training.forms import candidates

    build, form, jit = FORMS[name]
    work = cohort(build(keras), [])
    found = candidates(work.model, work.optimizer, "/CPU:0", num_replicas=10, num_epochs=1)
    assert (found[0].name, found[0].jit) == (form, jit)
    assert found[-1].name == "single"


def convolving(keras, *kinds):
    layers = [kind(2, 3, padding="same") for kind in kinds]
    shape = (8,) * layers[0].rank
    return keras.Sequential([keras.Input((*shape, 2)), *layers, keras.layers.Flatten()])


@pytest.mark.parametrize(
    ("kinds", "form"),
    [
        (["Conv2D", "Conv2DTranspose"], "stacked"),
        (["Conv1D", "Conv1DTranspose"], "stacked"),
        (["Conv2D", "SeparableConv2D"], "unrolled"),
        (["Conv3D"], "unrolled"),
    ],
)
def test_convolutions_of_all_replicas_are_one_on_a_gpu(keras, kinds, form):
    from runner.training.forms import candidates

    model = convolving(keras, *(getattr(keras.layers, kind) for kind in kinds))
    found = candidates(model, cohort(model, []).optimizer, "/GPU:0", num_replicas=9, num_epochs=1)
    assert (found[0].name, found[0].jit) == (form, True)


def with_initial_state(keras):
    inputs = keras.Input((32, 3))
    return inputs, keras.layers.SimpleRNN(3)(inputs, initial_state=inputs[:, 0])


def called_twice(keras):
    inputs, layer = keras.Input((20, 3)), keras.layers.SimpleRNN(3)
    return inputs, layer(inputs) + layer(inputs[:, ::-1])


def of_parts(keras):
    inputs = keras.Input((4, 5, 3))
    return inputs, keras.layers.TimeDistributed(keras.layers.SimpleRNN(3))(inputs)


def both_directions_masked(keras):
    inputs, layers = keras.Input((4, 3)), keras.layers
    masked = layers.Masking()(inputs)
    return inputs, layers.Bidirectional(layers.SimpleRNN(3, return_sequences=True))(masked)


def cells(keras, length, *kinds):
    inputs = keras.Input((length, 3))
    return inputs, keras.layers.RNN([kind(3) for kind in kinds])(inputs)


def nested_cells(keras):
    inputs, layers = keras.Input((4, 3)), keras.layers
    inner = layers.StackedRNNCells([layers.SimpleRNNCell(3), layers.SimpleRNNCell(3)])
    return inputs, layers.RNN([inner, layers.SimpleRNNCell(3)])(inputs)


def own_cell(keras):
    class Cell(keras.layers.SimpleRNNCell):
        pass

    inputs = keras.Input((4, 3))
    return inputs, keras.layers.RNN(Cell(3))(inputs)


def layer_of(name, length):
    def build(keras):
        inputs = keras.Input((length, 3))
        return inputs, getattr(keras.layers, name)(3)(inputs)

    return build


SEQUENCES = {
    "32 steps": (layer_of("SimpleRNN", 32), True),
    "33 steps": (layer_of("SimpleRNN", 33), False),
    "any number of steps": (layer_of("SimpleRNN", None), False),
    "16 steps with two gates": (layer_of("GRU", 16), True),
    "17 steps with two gates": (layer_of("GRU", 17), False),
    "8 steps with three gates": (layer_of("LSTM", 8), True),
    "9 steps with three gates": (layer_of("LSTM", 9), False),
    "an initial state": (with_initial_state, True),
    "as many steps twice": (called_twice, False),
    "steps of steps": (of_parts, False),
    "few steps of stacked cells": (
        lambda keras: cells(keras, 8, keras.layers.SimpleRNNCell, keras.layers.GRUCell),
        True,
    ),
    "more steps of stacked cells": (
        lambda keras: cells(keras, 16, keras.layers.SimpleRNNCell, keras.layers.GRUCell),
        False,
    ),
    "stacks of stacked cells": (nested_cells, False),
    "a cell of one's own": (own_cell, False),
    "zeros for masked steps, reversed": (both_directions_masked, False),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_few_steps_of_keras_cells_are_unrolled_under_xla(keras, name):
    from runner.training.forms import candidates

    build, stacked = SEQUENCES[name]
    model = keras.Model(*build(keras))
    found = candidates(model, cohort(model, []).optimizer, "/CPU:0", num_replicas=9, num_epochs=1)
    assert (found[0].name, found[0].jit) == (("stacked", True) if stacked else ("unrolled", False))


@pytest.fixture
def width(keras):
    """Returns a function: how many of `count` replicas an MLP's program takes on two cores."""
    from runner.training import grouping, memory

    model = mlp(keras)
    one = memory.need(model, dataset().train.x, BATCH)

    def find(count, in_cache):
        step = one.step_bytes + one.batch_bytes + one.state_bytes / memory._COPIES * memory._IN_STEP
        room = Room(cores=2, memory_bytes=2**40, cache_bytes=int(2 * in_cache * step + 1))
        work = cohort(model, [member(model, seed) for seed in range(count)])
        divided = grouping.Grouping(dataclasses.replace(work, room=room))
        return divided.width(divided.forms[0])

    return find


@pytest.mark.parametrize(
    ("count", "in_cache", "expected"),
    [
        (100, 1000, 50),  # two cores, a program each
        (100, 10, 10),
        (100, 12, 10),  # rather 10 programs of 10 than of 12, two of them nearly empty
        (10, 1000, 5),
        (10, 3, 5),  # rather a bit more than the cache holds than two programs of 5 fillers
        (3, 1000, 2),
        (102, 0, 3),  # not one by one, whatever the cache
    ],
)
def test_a_programs_numbers_stay_in_a_cores_cache(width, count, in_cache, expected):
    assert width(count, in_cache) == expected
