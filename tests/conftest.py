"""What tests share: a quiet TensorFlow, and sample data that costs nothing to make."""

import os
import sys

import numpy as np
import pytest
from absl import logging as absl_logging

from runner.config import choose
from runner.initializers import CATALOGUE
from runner.plan import Choice

pytest.register_assert_rewrite("tests.training.cohorts")

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# Whoever names a folder for compiled programs, such as none, has them in the user's cache no more.
os.environ.setdefault("TF_XLA_FLAGS", "--tf_xla_persistent_cache_directory=")

# TensorFlow logs through absl, whose handler closes its stream when Hydra reconfigures logging:
# that must not be the one that pytest captures.
absl_logging.get_absl_handler().python_handler.setStream(sys.__stderr__)


@pytest.fixture(scope="session")
def keras():
    """Keras on a quiet TensorFlow; imported once, by the first test that needs it."""
    from runner.training import tensorflow

    tensorflow.start()
    import keras

    return keras


@pytest.fixture
def numbers():
    """A generator with a fixed seed, for data whose values do not matter."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def option():
    """A function from an initializer's name and settings to its `Choice`."""

    def choice(name, **settings):
        return Choice(name, choose(CATALOGUE, {"name": name, **settings}, "init"))

    return choice
