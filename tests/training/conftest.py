import pytest


@pytest.fixture(scope="module")
def engines(keras):
    """What trains a cohort, by the engine's name."""
    from runner.training import reference, vectorized

    return {"reference": reference.train, "vectorized": vectorized.train}


@pytest.fixture
def float64(keras):
    """Has Keras compute in double precision, where rounding hides nothing."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
