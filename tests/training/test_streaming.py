"""What is streamed to the device a few batches at a time is trained to the same bits."""

import dataclasses

import numpy as np
import pytest

from runner.datasets.dataset import Part
from runner.datasets.held import scaled
from runner.datasets.scaling import standardization
from runner.plan import EarlyStopping
from tests.training.cohorts import cnn, cohort, dataset, lstm, member, mlp, noisy, run


@pytest.fixture(scope="module")
def engines(keras):
    from runner.training import reference, vectorized

    return {"reference": reference.train, "vectorized": vectorized.train}


def of_bytes(data):
    """Returns a data set of bytes, and the same one of the numbers that they stand for."""
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    raw = {
        name: np.clip(part.x * 40 + 128, 0, 255).astype(np.uint8) for name, part in parts.items()
    }
    scaling = standardization(raw["train"])

    def with_inputs(make):
        new = {name: Part(make(raw[name]), part.y) for name, part in parts.items()}
        return dataclasses.replace(data, **new)

    return with_inputs(lambda x: scaled(x, scaling)), with_inputs(scaling.apply)


MODELS = {
    "dropout": lambda keras: mlp(keras, dropout=True, batch_norm=True),
    "convolutions": cnn,
    "recurrent": lstm,
    "noise": lambda keras: noisy(keras, "noise"),
}
SLOW = {"noise", "recurrent", "convolutions"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in MODELS]
)
@pytest.mark.parametrize("steps", [1, 2], ids=["one", "two"])
def test_streamed_and_in_memory_are_equal(keras, engines, name, steps, monkeypatch):
    from runner.training import batches

    monkeypatch.setattr(batches, "block_steps", lambda *args: steps)
    keras.utils.set_random_seed(0)
    model, data = MODELS[name](keras), of_bytes(dataset())[0]
    members = [member(model, seed, rate=rate) for seed, rate in enumerate([0.05, 1e4, 0.2, 0.01])]
    results = {}
    for memory in ("device", "stream"):
        one = cohort(
            model, members, "adam", epochs=3, data=dataclasses.replace(data, memory=memory)
        )
        stopping = EarlyStopping(1, "val_accuracy", 0.01)
        one = dataclasses.replace(
            one, training=dataclasses.replace(one.training, early_stopping=stopping)
        )
        curves, ends = run(engines["vectorized"], one)
        told = {
            key: (end.status, end.test, end.movement, end.diverged_step, end.stopped_epoch)
            for key, end in ends.items()
        }
        results[memory] = repr(curves), repr(told)
    assert results["stream"] == results["device"]


@pytest.mark.parametrize("engine", ["reference", pytest.param("vectorized")])
def test_bytes_are_trained_on_as_the_numbers_that_they_stand_for(keras, engines, engine):
    keras.utils.set_random_seed(0)
    held, plain = of_bytes(dataset())
    assert held.fingerprint == plain.fingerprint
    model = mlp(keras)
    members = [member(model, seed) for seed in range(2)]
    results = [run(engines[engine], cohort(model, members, data=data)) for data in (held, plain)]
    assert repr(results[0][0]) == repr(results[1][0])
