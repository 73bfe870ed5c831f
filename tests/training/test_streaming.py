"""What is streamed to the device a few batches at a time is trained to the same bits."""

import dataclasses

import numpy as np
import pytest

from runner.config import ConfigError
from runner.datasets.dataset import Part
from runner.datasets.held import Several, scaled
from runner.datasets.scaling import standardization
from runner.plan import EarlyStopping
from tests.training.cohorts import (
    CLASSES,
    SHAPE,
    assert_same,
    cnn,
    cohort,
    dataset,
    lstm,
    member,
    mlp,
    noisy,
    run,
)


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


def with_words(data):
    """Returns a data set with a second input, of whole numbers."""

    def part(one):
        words = np.random.default_rng(len(one)).integers(0, 9, (len(one), 4), np.int32)
        return Part(Several({"words": words, "image": one.x}), one.y)

    return dataclasses.replace(
        data, train=part(data.train), validation=part(data.validation), test=part(data.test)
    )


def two_inputs(keras):
    layers = keras.layers
    image, words = keras.Input(SHAPE, name="image"), keras.Input((4,), name="words", dtype="int32")
    embedded = layers.GlobalAveragePooling1D()(layers.Embedding(9, 5)(words))
    hidden = layers.Concatenate()([layers.Flatten()(image), embedded])
    hidden = layers.Dropout(0.2)(layers.Dense(12, "relu")(hidden))
    return keras.Model([words, image], layers.Dense(CLASSES)(hidden))


def subclass_with_two_inputs(keras):
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.table, self.flat = keras.layers.Embedding(9, 5), keras.layers.Flatten()
            self.hidden, self.last = keras.layers.Dense(12, "relu"), keras.layers.Dense(CLASSES)

        def call(self, x):
            words = keras.ops.mean(self.table(x["words"]), axis=1)
            return self.last(self.hidden(keras.ops.concatenate([self.flat(x["image"]), words], 1)))

    model = Net()
    model({"words": keras.Input((4,), name="words"), "image": keras.Input(SHAPE, name="image")})
    return model


MODELS = {
    "two inputs": two_inputs,
    "dropout": lambda keras: mlp(keras, dropout=True, batch_norm=True),
    "convolutions": cnn,
    "recurrent": lstm,
    "noise": lambda keras: noisy(keras, "noise"),
}
QUICK = "convolutions"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name != QUICK)) for name in MODELS]
)
def test_streamed_and_in_memory_are_equal(keras, engines, name, monkeypatch):
    from runner.training import batches

    keras.utils.set_random_seed(0)
    model, data = MODELS[name](keras), of_bytes(dataset())[0]
    data = with_words(data) if name == "two inputs" else data
    members = [member(model, seed, rate=rate) for seed, rate in enumerate([0.05, 1e4, 0.2, 0.01])]
    results = []
    for memory, steps in (("device", None), ("stream", 1), ("stream", 2)):
        monkeypatch.setattr(batches, "block_steps", lambda *args, steps=steps: steps)
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
        results.append((repr(curves), repr(told)))
    in_memory, *streamed = results
    assert streamed == [in_memory] * 2


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["reference", "vectorized"])
def test_bytes_are_trained_on_as_the_numbers_that_they_stand_for(keras, engines, engine):
    keras.utils.set_random_seed(0)
    held, plain = of_bytes(dataset())
    assert held.fingerprint == plain.fingerprint
    model = mlp(keras)
    members = [member(model, seed) for seed in range(2)]
    results = [run(engines[engine], cohort(model, members, data=data)) for data in (held, plain)]
    assert repr(results[0][0]) == repr(results[1][0])


@pytest.mark.slow
@pytest.mark.parametrize("make", [two_inputs, subclass_with_two_inputs])
def test_several_inputs_are_trained_alike_by_both_engines(keras, engines, make):
    keras.utils.set_random_seed(0)
    model = make(keras)
    data = with_words(of_bytes(dataset())[0])
    members = [member(model, seed) for seed in range(3)]
    assert_same(engines, cohort(model, members, data=data), rtol=1e-5)


@pytest.mark.parametrize(
    ("memory", "room_in_data", "streamed"),
    [("auto", 3.9, True), ("auto", 4.1, False), ("stream", 1000, True), ("device", 1.1, False)],
)
def test_what_does_not_fit_the_device_is_streamed(keras, memory, room_in_data, streamed):
    from runner.training import batches

    data = dataclasses.replace(of_bytes(dataset())[0], memory=memory)
    room = int(room_in_data * batches.num_bytes(data))
    assert batches.is_streamed(data, "/CPU:0", room) == streamed


def test_data_that_a_device_cannot_hold_does_not_stay_there(keras):
    from runner.training import batches

    data = dataclasses.replace(dataset(), memory="device")
    with pytest.raises(ConfigError, match=r"`dataset\.memory` must be auto or stream .*device has"):
        batches.is_streamed(data, "/CPU:0", batches.num_bytes(data) - 1)
