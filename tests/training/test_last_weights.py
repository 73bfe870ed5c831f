"""The last weights of a replicate, as whoever keeps them gets them from an engine."""

import dataclasses

import numpy as np
import pytest

from runner.training import reference, vectorized
from runner.training.cohort import movement
from runner.training.objective import Objective

from .cohorts import cnn, cohort, dataset, member, mlp, run, subclassed

NORMALIZED = {"batch_norm": True, "dropout": True}

ADAM = {"optimizer": "adam"}
# Its averages become the weights at the end of a training.
AVERAGING = {"optimizer": "custom", "target": "Adam", "arguments": {"use_ema": True}}

CASES = [
    # engine, optimizer, model, members
    pytest.param(reference, AVERAGING, lambda keras: mlp(keras, **NORMALIZED), 2, id="reference"),
    pytest.param(
        reference, ADAM, lambda keras: subclassed(keras, "Training"), 1, id="reference, own"
    ),
    pytest.param(vectorized, ADAM, lambda keras: mlp(keras, batch_norm=True), 3, id="stacked"),
    pytest.param(vectorized, ADAM, lambda keras: cnn(keras, batch_norm=True), 2, id="unrolled"),
    pytest.param(vectorized, ADAM, lambda keras: subclassed(keras, "Training"), 2, id="own"),
    pytest.param(vectorized, AVERAGING, lambda keras: cnn(keras, batch_norm=True), 2, id="single"),
]


@pytest.mark.sampled
@pytest.mark.parametrize(("engine", "optimizer", "make", "count"), CASES)
def test_they_are_those_that_were_trained_and_measured(keras, engine, optimizer, make, count):
    """Moving averages of weights are in them, as `fit` would leave them, and those of the data."""
    model, data = make(keras), dataset()
    members = [member(model, seed) for seed in range(count - 1)]
    members += [member(model, 9, spoil=True)] if count > 1 else [member(model, 0)]
    own = cohort(model, members, epochs=2, data=data, **optimizer)
    kept = {}
    taken = dataclasses.replace(own, at_end=lambda key, take: kept.update({key: take()}))
    _, outcomes = run(engine.train, taken)
    finished = {event.key: event for event in outcomes.values() if event.status == "finished"}
    assert kept.keys() == finished.keys()
    assert len(finished) == max(count - 1, 1)
    model.compile(loss=Objective(model, data).loss)
    trainable = {id(variable) for variable in model.trainable_variables}
    for key, values in kept.items():
        start = [
            value
            for value, weight in zip(
                own.members[key.configuration].draw(), model.weights, strict=True
            )
            if id(weight) in trainable
        ]
        model.set_weights(values)
        end = [variable.numpy() for variable in model.trainable_variables]
        assert movement(model, start, end) == finished[key].movement
        loss = model.evaluate(data.test.x, data.test.y, verbose=0, return_dict=True)["loss"]
        assert loss == pytest.approx(finished[key].test["loss"], rel=1e-5)
        moving = [v for w, v in zip(model.weights, values, strict=True) if "moving_mean" in w.path]
        assert all(np.any(value) for value in moving)
