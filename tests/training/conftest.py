import pytest


@pytest.fixture(scope="module")
def engines(keras):
    """What trains a cohort, by the engine's name."""
    from runner.training import reference, vectorized

    return {"reference": reference.train, "vectorized": vectorized.train}
