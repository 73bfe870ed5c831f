"""The estimate of what a replica takes, against a network counted by hand."""

import pytest

from runner.training import memory


@pytest.fixture
def model(keras):
    layers = [keras.layers.Dense(5, activation="relu"), keras.layers.Dense(3)]
    return keras.Sequential([keras.Input((7,)), *layers])


def test_counts_weights_and_activations(model):
    weights = (7 * 5 + 5) + (5 * 3 + 3)
    one = memory.need(model, batch_size=10)
    # Weights, gradients and the like; at least the weights, the gradients and a new value.
    assert one.state_bytes == pytest.approx(4 * weights * memory._COPIES)
    outputs = 5 + 3
    assert one.step_bytes >= 4 * 10 * 2 * outputs  # activations and their gradients
    assert memory.need(model, batch_size=20).step_bytes == 2 * one.step_bytes


def test_so_many_fit_as_the_memory_holds(model, monkeypatch):
    one = memory.Need(state_bytes=100, step_bytes=10)
    monkeypatch.setattr(memory, "available_memory", lambda: 4000)
    assert (one.max_replicas(), one.max_in_step()) == (10, 100)
    monkeypatch.setattr(memory, "available_memory", lambda: 0)
    assert (one.max_replicas(), one.max_in_step()) == (1, 1)
    monkeypatch.setattr(memory, "available_memory", lambda: float("inf"))
    assert one.max_replicas() > 10**6
