"""What tests share: a quiet TensorFlow, and sample data that costs nothing to make."""

import os
import shutil
import sys
import tempfile
from collections import Counter

import numpy as np
import pytest
from absl import logging as absl_logging

from runner.config import choose
from runner.initializers import CATALOGUE
from runner.plan import Choice

pytest.register_assert_rewrite("tests.training.cohorts")

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

# TensorFlow logs through absl, whose handler closes its stream when Hydra reconfigures logging:
# that must not be the one that pytest captures.
absl_logging.get_absl_handler().python_handler.setStream(sys.__stderr__)


def pytest_configure(config):
    """Has all tests, and the commands that they start, share a cache that is not the user's."""
    if not hasattr(config, "workerinput"):
        os.environ["XDG_CACHE_HOME"] = cache = tempfile.mkdtemp()
        config.add_cleanup(lambda: shutil.rmtree(cache, ignore_errors=True))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Has every third member of a table that is `sampled` in the default run, the others slow."""
    seen = Counter()
    for item in items:
        if item.get_closest_marker("sampled"):
            table = item.nodeid.partition("[")[0]
            if seen[table] % 3:
                item.add_marker(pytest.mark.slow)
            seen[table] += 1


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
