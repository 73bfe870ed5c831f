"""Early stopping: as Keras's callback decides, alike in both engines, and of one replica only."""

import dataclasses

import numpy as np
import pytest

from runner.plan import EarlyStopping
from runner.training.stopping import Criterion, Watch
from tests.training.cohorts import assert_same, cnn, cohort, dataset, member, mlp, run

CURVES = {
    "improving": [3.0, 2.0, 1.0, 0.5],
    "one bump": [3.0, 2.0, 2.5, 1.0, 1.5, 1.6, 1.7, 0.1],
    "ties": [1.0, 1.0, 1.0, 1.0, 0.5],
    "small steps": [1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.2],
    "rising": [1.0, 2.0, 3.0, 4.0, 5.0],
}


def watched(metric, curve, patience, min_delta, rows=20):
    """Returns the epoch that stops, or None, and the best one, both from 1."""
    part = type("Part", (), {"__len__": lambda self: rows})()
    data = type("Data", (), {"train": part, "validation": part})()
    settings = EarlyStopping(patience, metric, min_delta)
    watch = Watch(Criterion(settings, type("Cohort", (), {"dataset": data})(), {"accuracy": 1}))
    best = 0
    for epoch, value in enumerate(curve, start=1):
        best = epoch if watch.take({metric: value}) else best
        if watch.is_over:
            return epoch, best
    return None, best


def by_keras(keras, metric, curve, patience, min_delta):
    class Model:
        stop_training = False
        metrics = ()

        def get_weights(self):
            return []

    mode = "max" if "accuracy" in metric else "min"
    callback = keras.callbacks.EarlyStopping(
        metric, min_delta, patience, mode=mode, restore_best_weights=True
    )
    callback.set_model(model := Model())
    callback.on_train_begin()
    for epoch, value in enumerate(curve):
        callback.on_epoch_end(epoch, {metric: value})
        if model.stop_training:
            return epoch + 1, callback.best_epoch + 1
    return None, callback.best_epoch + 1


@pytest.mark.parametrize("patience", [1, 2, 3])
@pytest.mark.parametrize("min_delta", [0.0, 0.06])
@pytest.mark.parametrize("name", CURVES)
def test_it_stops_where_keras_stops(keras, name, patience, min_delta):
    curve = CURVES[name]
    shares = [1 - value / 10 for value in curve]  # whole numbers of 200 right answers
    for metric, values in (("val_loss", curve), ("accuracy", shares)):
        got = watched(metric, values, patience, min_delta, rows=200)
        assert got == by_keras(keras, metric, values, patience, min_delta)


def stopping(model, members, metric="val_loss", patience=2, epochs=12, min_delta=0.0, **settings):
    made = cohort(model, members, epochs=epochs, **settings)
    early = EarlyStopping(patience, metric, min_delta)
    return dataclasses.replace(
        made, training=dataclasses.replace(made.training, early_stopping=early)
    )


WORKS = {
    "side by side": (mlp, {}),
    "side by side, by accuracy": (mlp, {"metric": "val_accuracy"}),
    "side by side, by training loss": (mlp, {"metric": "loss", "min_delta": 0.05}),
    "side by side, by training accuracy": (mlp, {"metric": "accuracy"}),
    "side by side, with an average": (mlp, {"ema": 0.9}),
    "unrolled": (cnn, {}),
    "one by one": (mlp, {"clipnorm": 0.5}),
    "with batch norm": (lambda keras: mlp(keras, batch_norm=True), {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WORKS)
def test_engines_stop_alike(keras, engines, name):
    build, settings = WORKS[name]
    model = build(keras)
    members = [member(model, seed, rate) for seed, rate in enumerate((0.3, 0.01, 0.6))]
    work = stopping(model, members, **settings)
    # A dozen epochs of sums in single precision; see `test_vectorized`.
    assert_same(engines, work, rtol=2e-4)
    curves, ends = run(engines["vectorized"], work)
    _, wanted = run(engines["reference"], work)
    stopped = {position: end.stopped_epoch for position, end in ends.items()}
    assert stopped == {position: end.stopped_epoch for position, end in wanted.items()}
    assert any(stopped.values())
    for position, epoch in stopped.items():
        assert ends[position].status == "finished"
        last = max(each for place, each in curves if place == position)
        assert last == (epoch or work.training.epochs)


@pytest.mark.slow
def test_a_replica_that_stops_changes_no_bit_of_the_others(keras, engines):
    model = mlp(keras)
    going_on, stops, other = (member(model, 0, 0.01), member(model, 1, 0.6), member(model, 2, 0.01))
    curves, ends = run(engines["vectorized"], stopping(model, [going_on, stops, going_on]))
    wanted, wanted_ends = run(engines["vectorized"], stopping(model, [going_on, other, going_on]))
    assert ends[1].stopped_epoch is not None
    assert wanted_ends[1].stopped_epoch != ends[1].stopped_epoch
    for position in (0, 2):
        assert {e: m for (p, e), m in curves.items() if p == position} == {
            e: m for (p, e), m in wanted.items() if p == position
        }
        assert ends[position].test == wanted_ends[position].test
        assert ends[position].movement == wanted_ends[position].movement


@pytest.mark.slow
def test_the_test_part_sees_the_best_weights(keras, engines):
    model, data = mlp(keras), dataset()
    data = dataclasses.replace(data, test=data.validation)
    for engine in engines.values():
        work = stopping(model, [member(model, 1, 0.6)], data=data)
        kept = []
        work = dataclasses.replace(work, at_end=lambda key, take, kept=kept: kept.append(take()))
        curves, ends = run(engine, work)
        best = min((curves[key]["val_loss"], key[1]) for key in curves if key[1])
        assert best[1] == ends[0].stopped_epoch - 2
        # Another program may round differently.
        assert ends[0].test["loss"] == pytest.approx(best[0], rel=1e-6)
        model.set_weights(kept[0])
        outputs = model(data.validation.x)
        right = np.mean(np.argmax(outputs, axis=-1) == data.validation.y)
        assert right == pytest.approx(curves[0, best[1]]["val_accuracy"])


@pytest.mark.slow
def test_one_resumed_stops_where_it_would_have(keras, engines):
    model = mlp(keras)
    members = [member(model, seed, rate) for seed, rate in enumerate((0.3, 0.6))]
    for engine in engines.values():
        for own in [members] if engine is engines["vectorized"] else [members[:1]]:
            taken = []
            work = stopping(model, own)
            watched = dataclasses.replace(work, at_pause=lambda take, t=taken: t.append(take()))
            _, wanted = run(engine, watched)
            early = next(shot for shot in taken if shot.epoch >= 1 and shot.alive.all())
            _, ends = run(engine, dataclasses.replace(work, resume=early))
            for position, end in ends.items():
                assert end.stopped_epoch == wanted[position].stopped_epoch
                assert end.test == wanted[position].test
