"""The estimate of what a replica takes, against a network counted by hand."""

import numpy as np
import pytest

from runner.machine import Room
from runner.training import memory


@pytest.fixture
def model(keras):
    layers = [keras.layers.Dense(5, activation="relu"), keras.layers.Dense(3)]
    return keras.Sequential([keras.Input((7,)), *layers])


def test_counts_weights_and_activations(model):
    weights = (7 * 5 + 5) + (5 * 3 + 3)
    x = np.zeros((50, 7), np.float32)
    one = memory.need(model, x, batch_size=10)
    # Weights, gradients and the like; at least the weights, the gradients and a new value.
    assert one.state_bytes == pytest.approx(4 * weights * memory._COPIES)
    outputs = 5 + 3
    assert one.step_bytes >= 4 * 10 * 2 * outputs  # activations and their gradients
    assert memory.need(model, x, batch_size=20).step_bytes == 2 * one.step_bytes
    assert 4 * outputs <= one.example_bytes <= 3 * 4 * outputs  # product, bias, activation


@pytest.mark.parametrize(
    ("memory_bytes", "replicas", "in_step"),
    [(4000, 10, 100), (0, 1, 1), (2**60, 2**31, 2**31)],
)
def test_so_many_fit_as_the_memory_holds(memory_bytes, replicas, in_step):
    one = memory.Need(state_bytes=100, step_bytes=10, example_bytes=1, batch_bytes=2)
    room = Room(cores=1, memory_bytes=memory_bytes, cache_bytes=1)
    assert (one.max_replicas(room), one.max_in_step(room)) == (replicas, in_step)


@pytest.mark.parametrize(
    ("cores", "memory_bytes", "in_step"),
    [
        (2, 40, 2),  # of half the memory
        (8, 40, 2),
        (2, 30, 1),  # that would not suffice
        (2, 400, 10),  # of a quarter
    ],
)
def test_no_core_is_idle_where_half_of_the_memory_suffices(cores, memory_bytes, in_step):
    one = memory.Need(state_bytes=1, step_bytes=10, example_bytes=1, batch_bytes=2)
    assert one.max_in_step(Room(cores, memory_bytes, cache_bytes=1)) == in_step


@pytest.mark.parametrize(
    ("cache_bytes", "replicas"),
    [
        (160, 10),  # four of nine copies of the weights, a step, a batch: 8 bytes
        (16, 3),  # rather outside of the cache than one by one
    ],
)
def test_so_many_share_a_core_as_half_of_its_cache_holds(cache_bytes, replicas):
    one = memory.Need(state_bytes=9, step_bytes=3, example_bytes=1, batch_bytes=1)
    assert one.max_in_cache(Room(1, 4000, cache_bytes)) == replicas


def need_of(model, shape, batch_size=10):
    return memory.need(model, np.zeros((50, *shape), np.float32), batch_size)


def test_counts_what_layers_compute_inside(keras):
    tokens = keras.Input((40, 4))
    mixed = keras.layers.MultiHeadAttention(num_heads=3, key_dim=2)(tokens, tokens)
    model = keras.Model(tokens, keras.layers.Dense(3)(mixed[:, 0]))
    scores = 3 * 40 * 40  # of each head for each pair of tokens; then their softmax
    assert need_of(model, (40, 4)).step_bytes >= 4 * 10 * 2 * 2 * scores


@pytest.mark.parametrize("unroll", [False, True])
def test_counts_every_step_of_a_recurrent_layer(keras, unroll):
    lstm = keras.layers.LSTM(8, unroll=unroll)
    model = keras.Sequential([keras.Input((20, 4)), lstm, keras.layers.Dense(3)])
    states = 20 * (4 + 2) * 8  # in each step four gates and two states
    assert need_of(model, (20, 4)).step_bytes >= 4 * 10 * 2 * states


def test_counts_what_a_model_of_its_own_class_computes(keras, model):
    class Wrapped(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = model.layers

        def call(self, x, training=False):
            for layer in self.inner:
                x = layer(x)
            return x

    wrapped = Wrapped()
    wrapped(np.zeros((1, 7), np.float32))
    assert need_of(wrapped, (7,)) == need_of(model, (7,))


def test_a_batch_has_no_more_examples_than_there_are(model):
    assert need_of(model, (7,), batch_size=1000) == need_of(model, (7,), batch_size=50)
