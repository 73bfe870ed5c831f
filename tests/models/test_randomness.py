"""Builds with one seed are alike, and what TensorFlow has prepared outlives them."""

import numpy as np
import pytest

from runner.models import randomness
from runner.models.randomness import fixed_randomness, functions_kept


@pytest.fixture
def drops(keras, monkeypatch):
    """How often TensorFlow has dropped its kernels; random operations have not been met yet."""
    from tensorflow.python import pywrap_tfe
    from tensorflow.python.framework import random_seed

    counted, drop = [], pywrap_tfe.TFE_ContextClearCaches
    monkeypatch.setattr(
        pywrap_tfe, "TFE_ContextClearCaches", lambda handle: counted.append(drop(handle))
    )
    monkeypatch.setattr(random_seed, "get_seed", random_seed.get_seed)
    monkeypatch.setattr(randomness, "_Drawn", type("_Drawn", (randomness._Drawn,), {}))
    randomness._Drawn.is_any = False
    with functions_kept():  # from here on it is watched
        pass
    return counted


def draws(tf, keras):
    """What a model may draw from while it is built."""
    return {
        "keras": lambda: keras.initializers.HeNormal()((3, 3)),
        "numpy": lambda: np.random.normal(size=3),
        "tensorflow": lambda: tf.random.normal([3]),
        "tensorflow, with a seed of its own": lambda: tf.random.normal([3], seed=5),
        "tensorflow, in a function": tf.function(lambda: tf.random.normal([3], seed=5)),
    }


def test_builds_draw_alike_whatever_they_draw_from(keras, drops):
    import tensorflow as tf

    for name, draw in draws(tf, keras).items():
        found = []
        for _ in range(4):
            with fixed_randomness():
                found.append(np.asarray(draw()))
        assert all(np.array_equal(found[0], each) for each in found), name


def test_functions_outlive_a_build_of_a_model_of_keras(keras, drops):
    drops.clear()
    for _ in range(2):
        with functions_kept():
            keras.utils.clear_session(free_memory=False)
        with fixed_randomness():
            keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dropout(0.5)])
    assert not drops


def test_from_the_first_random_operation_on_they_do_not(keras, drops):
    import tensorflow as tf

    tf.random.normal([2])
    drops.clear()
    for _ in range(2):
        with fixed_randomness():
            pass
    assert len(drops) == 2
