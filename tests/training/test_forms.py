"""Which form a model is trained in, and how many replicas a program takes."""

import pytest

from tests.training.test_vectorized import (
    BATCH,
    cnn,
    cohort,
    dataset,
    lstm,
    masked_in_both_directions,
    member,
    mlp,
    recurrent,
)

FORMS = {
    "mlp": (mlp, "stacked", True),
    "dropout": (lambda keras: mlp(keras, dropout=True), "unrolled", False),
    "constraint": (lambda keras: mlp(keras, constraint="non_neg"), "unrolled", False),
    "cnn": (cnn, "unrolled", False),
    "recurrent": (recurrent, "stacked", True),
    "lstm": (lstm, "stacked", True),
    "both directions": (masked_in_both_directions, "stacked", True),
    "a random state that is used": (lambda keras: lstm(keras, dropout=0.1), "unrolled", False),
    "many steps": (lambda keras: sequence(keras, 100), "unrolled", False),
    "any number of steps": (lambda keras: sequence(keras, None), "unrolled", False),
}


def sequence(keras, length):
    body = [keras.layers.SimpleRNN(3), keras.layers.Dense(2)]
    return keras.Sequential([keras.Input((length, 3)), *body])


@pytest.mark.parametrize("name", FORMS)
def test_the_form_follows_the_layers(keras, name):
    from runner.training.forms import candidates

    build, form, jit = FORMS[name]
    work = cohort(build(keras), [])
    found = candidates(work.model, work.optimizer, "/CPU:0", num_replicas=10, num_epochs=1)
    assert (found[0].name, found[0].jit) == (form, jit)
    assert found[-1].name == "single"


@pytest.fixture
def width(keras, monkeypatch):
    """Returns a function: how many of `count` replicas an MLP's program takes on two cores."""
    from runner.training import grouping, memory

    model = mlp(keras)
    one = memory.need(model, dataset().train.x, BATCH)
    monkeypatch.setattr(grouping, "num_cores", lambda: 2)

    def find(count, in_cache):
        step = one.step_bytes + one.batch_bytes + one.state_bytes / memory._COPIES * memory._IN_STEP
        monkeypatch.setattr(memory, "cache_bytes", lambda: 2 * in_cache * step + 1)
        divided = grouping.Grouping(cohort(model, [member(model, seed) for seed in range(count)]))
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
        (1000, 0, 3),  # not one by one, whatever the cache
    ],
)
def test_a_programs_numbers_stay_in_a_cores_cache(width, count, in_cache, expected):
    assert width(count, in_cache) == expected
