"""What tests share: a quiet TensorFlow, and sample data that costs nothing to make."""

import os
import sys

import numpy as np
import pytest

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture(scope="session")
def keras():
    """Keras on a quiet TensorFlow; imported once, by the first test that needs it."""
    from runner.training import tensorflow

    tensorflow.start()
    import keras
    from absl import logging as absl_logging

    # Its handler would close the stream that pytest captures when Hydra reconfigures logging.
    absl_logging.get_absl_handler().python_handler.setStream(sys.__stderr__)

    return keras


@pytest.fixture
def numbers():
    """A generator with a fixed seed, for data whose values do not matter."""
    return np.random.default_rng(0)
