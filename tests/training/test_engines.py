"""Both engines against their promises, and the reference engine against `keras.Model.fit`."""

import dataclasses
import importlib

import numpy as np
import pytest

from runner import seeds
from runner.datasets.dataset import Dataset, Part
from runner.events import ReplicateEnded
from runner.plan import Choice, Key, NoTraining, Training
from runner.training import optimizers
from runner.training.cohort import Cohort, Member
from tests.training import cohorts

ROWS, FEATURES, CLASSES, BATCH = 50, 6, 3, 16  # the last batch of an epoch has 2 rows


def make_dataset(task="classification", test=False):
    numbers = np.random.default_rng(1)

    def part(rows):
        x = numbers.normal(size=(rows, FEATURES)).astype("float32")
        if task == "regression":
            return Part(x, x[:, :1] - x[:, 1:2])
        return Part(x, np.argmax(x[:, :CLASSES], axis=1).astype("int32"))

    return Dataset(
        name="sample",
        task=task,
        num_outputs=CLASSES if task == "classification" else 1,
        train=part(ROWS),
        validation=part(20),
        test=part(10) if test else None,
        classes=("a", "b", "c") if task == "classification" else (),
    )


def make_model(keras, outputs=CLASSES, dropout=0.0, batch_norm=False, regularizer=None):
    layers = [keras.layers.Dense(8, activation="relu", kernel_regularizer=regularizer)]
    layers += [keras.layers.BatchNormalization()] if batch_norm else []
    layers += [keras.layers.Dropout(dropout)] if dropout else []
    return keras.Sequential([keras.Input((FEATURES,)), *layers, keras.layers.Dense(outputs)])


def draw_for(model, seed):
    """Returns a draw of normal kernels; everything else as built."""
    values = []
    for position, weight in enumerate(model.weights):
        value = weight.numpy()
        if weight.name == "kernel":
            scaled = seeds.generator(seed, "weights", position).normal(0, 0.3, value.shape)
            value = scaled.astype("float32")
        values.append(value)
    return lambda: [value.copy() for value in values]


def make_cohort(model, members, optimizer="adam", training=None, dataset=None, **settings):
    return Cohort(
        model=model,
        dataset=dataset or make_dataset(),
        optimizer=Choice(optimizer, optimizers.CATALOGUE[optimizer](**settings)),
        training=training or Training(epochs=3, batch_size=BATCH),
        device="/CPU:0",
        members=[
            dataclasses.replace(each, key=Key(position, 0, 0))
            for position, each in enumerate(members)
        ],
    )


@pytest.fixture(params=["reference", pytest.param("vectorized", marks=pytest.mark.slow)])
def run(request, keras):
    """A function that trains a cohort: ({position: [epoch's record]}, {position: outcome})."""
    engine = importlib.import_module(f"runner.training.{request.param}")

    def collect(cohort):
        epochs, outcomes = {}, {}
        for event in engine.train(cohort):
            if isinstance(event, ReplicateEnded):
                outcomes[event.key.configuration] = event
                continue
            for row, key in enumerate(event.keys):
                metrics = {name: values[row] for name, values in event.metrics.items()}
                record = {"epoch": event.epoch, "step": event.step, **metrics}
                epochs.setdefault(key.configuration, []).append(record)
        return epochs, outcomes

    return collect


def member(draw, batch_seed, learning_rate=0.001):
    return Member(draw, batch_seed, learning_rate)


def curve(records, metric):
    return [record[metric] for record in records]


@pytest.mark.parametrize("run", ["reference"], indirect=True)
def test_trains_as_fit_does_on_the_same_order(keras, run):
    model, data = make_model(keras, batch_norm=True), make_dataset()
    draw = draw_for(model, 0)
    epochs, _ = run(make_cohort(model, [member(draw, batch_seed=5)]))

    plain = make_model(keras, batch_norm=True)
    plain.set_weights(draw())
    plain.compile(
        optimizer=keras.optimizers.Adam(),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    validation = (data.validation.x, data.validation.y)
    history = {"loss": [], "accuracy": [], "val_loss": [], "val_accuracy": []}
    for epoch in (1, 2, 3):
        order = seeds.generator(5, "batches", epoch).permutation(ROWS)
        x, y = data.train.x[order], data.train.y[order]
        logs = plain.fit(
            x, y, batch_size=BATCH, shuffle=False, verbose=0, validation_data=validation
        ).history
        for metric, values in history.items():
            values += logs[metric]
    for metric, values in history.items():
        # Both run the same float32 kernels; only the averaging of batches differs.
        np.testing.assert_allclose(curve(epochs[0][1:], metric), values, rtol=2e-6, err_msg=metric)
    for ours, theirs in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


ENDINGS = {
    "moving average": {"target": "SGD", "arguments": {"use_ema": True, "ema_momentum": 0.5}},
    "started from the weights": {"target": "ScheduleFreeAdamW", "learning_rate": 0.01},
}


@pytest.mark.parametrize("run", ["reference"], indirect=True)
@pytest.mark.parametrize("ending", ENDINGS)
def test_starts_and_ends_as_fit_does(keras, run, ending):
    model, data = make_model(keras), dataclasses.replace(make_dataset(), test=make_dataset().train)
    draw, training = draw_for(model, 0), Training(epochs=1, batch_size=BATCH)
    rate = ENDINGS[ending].get("learning_rate", 0.001)
    members = [member(draw_for(model, 1), 4, rate), member(draw, 5, rate)]
    work = make_cohort(model, members, "custom", training, data, **ENDINGS[ending])
    _, outcomes = run(work)

    plain = make_model(keras)
    plain.set_weights(draw())
    made = getattr(keras.optimizers, ENDINGS[ending]["target"])
    plain.compile(
        optimizer=made(rate, **ENDINGS[ending].get("arguments", {})),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    # `fit` builds it while it is traced, where what a state starts from is lost.
    plain.optimizer.build(plain.trainable_variables)
    order = seeds.generator(5, "batches", 1).permutation(ROWS)
    x, y = data.train.x[order], data.train.y[order]
    plain.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)
    for ours, theirs in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)
    loss = plain.evaluate(x, y, batch_size=ROWS, verbose=0)
    assert outcomes[1].test["loss"] == pytest.approx(loss, rel=1e-6)


def test_epoch_0_is_the_untrained_model(keras, run):
    model, data = make_model(keras), make_dataset()
    draw = draw_for(model, 0)
    epochs, _ = run(make_cohort(model, [member(draw, 0)]))
    kernel_1, bias_1, kernel_2, bias_2 = draw()
    for prefix, part in (("", data.train), ("val_", data.validation)):
        logits = np.maximum(part.x @ kernel_1 + bias_1, 0) @ kernel_2 + bias_2
        logits -= logits.max(axis=1, keepdims=True)
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        loss = -log_p[np.arange(len(part.y)), part.y].mean()
        accuracy = (logits.argmax(axis=1) == part.y).mean()
        assert curve(epochs[0], f"{prefix}loss")[0] == pytest.approx(loss, rel=1e-5)
        assert curve(epochs[0], f"{prefix}accuracy")[0] == pytest.approx(accuracy, rel=1e-5)


def test_accuracy_is_a_whole_number_of_examples(keras, run):
    model = make_model(keras)
    epochs, _ = run(make_cohort(model, [member(draw_for(model, seed), seed) for seed in (0, 1)]))
    for records in epochs.values():
        for record in records:
            assert record["accuracy"] in {count / ROWS for count in range(ROWS + 1)}
            assert record["val_accuracy"] in {count / 20 for count in range(21)}


def test_steps_count_the_partial_batch(keras, run):
    model = make_model(keras)
    epochs, _ = run(make_cohort(model, [member(draw_for(model, 0), 0)]))
    assert [record["step"] for record in epochs[0]] == [0, 4, 8, 12]
    assert [record["epoch"] for record in epochs[0]] == [0, 1, 2, 3]


# Programs of other widths add in another order; within one width the bits are equal, which
# `test_vectorized` shows. A few steps of sums in single precision (6e-8) leave less than 1e-5.
_ROUNDING = {"reference": 0.0, "vectorized": 1e-5}


def test_a_member_has_the_same_numbers_alone_and_beside_others(keras, run, request):
    rounding = _ROUNDING[request.node.callspec.params["run"]]
    model = make_model(keras, dropout=0.5, batch_norm=True)
    wanted = member(draw_for(model, 1), 1)
    others = [member(draw_for(model, seed), seed) for seed in (0, 2)]
    alone, _ = run(make_cohort(model, [wanted]))
    beside, _ = run(make_cohort(model, [others[0], wanted, others[1]]))
    for metric in ("loss", "val_loss"):
        assert curve(alone[0], metric) == pytest.approx(
            curve(beside[1], metric), rel=rounding, abs=0
        )
        assert curve(beside[0], metric) != pytest.approx(
            curve(beside[1], metric), rel=100 * rounding
        )


def test_bits_do_not_depend_on_what_was_built_before(keras, run):
    def result():
        model = make_model(keras, dropout=0.5)
        epochs, _ = run(make_cohort(model, [member(draw_for(model, 0), 0)]))
        return curve(epochs[0], "loss")

    first = result()
    make_model(keras, dropout=0.3)
    make_model(keras, dropout=0.3, batch_norm=True)
    keras.utils.set_random_seed(9)
    assert result() == first


def test_batch_seed_changes_the_order_and_the_dropout_only(keras, run):
    model = make_model(keras, dropout=0.5)
    draw = draw_for(model, 0)
    epochs, _ = run(make_cohort(model, [member(draw, 0), member(draw, 1)]))
    first, second = (curve(epochs[position], "loss") for position in (0, 1))
    assert first[0] == second[0]
    assert first[1] != second[1]


def test_a_diverging_member_ends_with_epoch_and_step_and_leaves_the_others_alone(keras, run):
    model = make_model(keras)
    good = member(draw_for(model, 0), 0)
    spoiled = [np.full_like(value, np.nan) for value in draw_for(model, 1)()]
    alone, _ = run(make_cohort(model, [good]))
    epochs, outcomes = run(make_cohort(model, [member(lambda: spoiled, 1), good]))
    assert (outcomes[0].status, outcomes[0].diverged_epoch, outcomes[0].diverged_step) == (
        "diverged",
        0,
        0,
    )
    assert 0 not in epochs
    assert outcomes[1].status == "finished"
    assert curve(epochs[1], "loss") == curve(alone[0], "loss")


def test_divergence_during_training_names_the_first_bad_step(keras, run):
    model = make_model(keras)
    cohort = make_cohort(
        model,
        [member(draw_for(model, 0), 0, learning_rate=1e6)],
        optimizer="sgd",
        training=Training(epochs=3, batch_size=BATCH, divergence_limit=100.0),
    )
    epochs, outcomes = run(cohort)
    outcome = outcomes[0]
    # The first update uses a loss that is still small; its result is seen at the second step.
    assert (outcome.status, outcome.diverged_epoch, outcome.diverged_step) == ("diverged", 1, 2)
    assert [record["epoch"] for record in epochs[0]] == [0]


def test_an_error_in_one_member_is_its_own(keras, run):
    model = make_model(keras)

    def broken():
        raise ValueError("no weights\nfor you")

    _, outcomes = run(make_cohort(model, [member(broken, 0), member(draw_for(model, 0), 0)]))
    assert outcomes[0].status == "failed"
    assert outcomes[0].error.startswith("ValueError: no weights for you (")
    assert outcomes[1].status == "finished"


def test_without_training_there_is_epoch_0_alone(keras, run):
    model = make_model(keras)
    epochs, outcomes = run(
        make_cohort(model, [member(draw_for(model, 0), 0)], training=NoTraining())
    )
    assert [record["epoch"] for record in epochs[0]] == [0]
    assert outcomes[0].status == "finished"
    assert all(change == 0 for _, change in outcomes[0].movement.values())


@pytest.mark.parametrize("run", ["reference", "vectorized"], indirect=True)
def test_without_training_an_infinite_loss_is_a_divergence(keras, run):
    model = make_model(keras, outputs=1)
    large = [value * np.float32(1e15) for value in draw_for(model, 0)()]  # their squares overflow
    cohort = make_cohort(
        model, [member(lambda: large, 0)], training=NoTraining(), dataset=make_dataset("regression")
    )
    epochs, outcomes = run(cohort)
    assert (outcomes[0].status, outcomes[0].diverged_epoch) == ("diverged", 0)
    assert not epochs


@pytest.mark.parametrize("run", ["reference"], indirect=True)
def test_test_part_is_measured_once_at_the_end(keras, run):
    model = make_model(keras)
    dataset = make_dataset(test=True)
    epochs, outcomes = run(make_cohort(model, [member(draw_for(model, 0), 0)], dataset=dataset))
    logits = model.predict(dataset.test.x, verbose=0)
    assert outcomes[0].test["accuracy"] == pytest.approx(
        (logits.argmax(axis=1) == dataset.test.y).mean()
    )
    assert not any(name.startswith("test") for name in epochs[0][-1])


def test_regularization_counts_in_the_loss(keras, run):
    model = make_model(keras, regularizer=keras.regularizers.L2(10.0))
    plain = make_model(keras)
    draw = draw_for(model, 0)
    training = NoTraining()
    with_penalty, _ = run(make_cohort(model, [member(draw, 0)], training=training))
    without, _ = run(make_cohort(plain, [member(draw, 0)], training=training))
    difference = curve(with_penalty[0], "loss")[0] - curve(without[0], "loss")[0]
    assert difference == pytest.approx(10.0 * float(np.square(draw()[0]).sum()), rel=1e-4)


@pytest.mark.parametrize("run", ["reference"], indirect=True)
def test_regression_has_loss_and_mae(keras, run):
    model = make_model(keras, outputs=1)
    dataset = make_dataset("regression")
    epochs, _ = run(make_cohort(model, [member(draw_for(model, 0), 0)], dataset=dataset))
    assert set(epochs[0][-1]) - {"epoch", "step"} == {"loss", "mae", "val_loss", "val_mae"}
    errors = model.predict(dataset.validation.x, verbose=0) - dataset.validation.y
    assert curve(epochs[0], "val_loss")[-1] == pytest.approx(np.square(errors).mean(), rel=1e-5)
    assert curve(epochs[0], "val_mae")[-1] == pytest.approx(np.abs(errors).mean(), rel=1e-5)


def binary_cross_entropy(logits, labels):
    return np.mean(np.logaddexp(0, logits) - labels * logits)


@pytest.mark.parametrize("name", ["logits", "sigmoid", "activation layer", "subclass"])
@pytest.mark.parametrize("what", ["one output", "labels"])
def test_two_classes_with_one_output_and_labels_are_measured_as_documented(keras, what, name):
    """Far from zero, where the logarithm of a rounded sigmoid would be another number."""
    from runner.training import reference

    make, task, num_outputs = cohorts.ENDS[f"{what}, {name}"]
    model, data = make(keras), cohorts.dataset(task, num_outputs, scale=20.0)
    work = cohorts.cohort(model, [cohorts.member(model, 0)], "adam", epochs=0, data=data)
    curves, outcomes = cohorts.run(reference.train, work)
    *_, kernel, bias = (hidden := work.members[0].draw())
    x = data.validation.x.reshape(len(data.validation), -1)
    x = np.maximum(x @ hidden[0] + hidden[1], 0) if len(hidden) == 4 else x
    logits, y = x @ kernel + bias, data.validation.y.reshape(len(x), -1)
    right = (logits > 0) == y
    found = curves[0, 0]
    assert np.abs(logits).max() > 20
    assert found["val_loss"] == pytest.approx(binary_cross_entropy(logits, y), rel=1e-5)
    if task == "classification":
        assert found["val_accuracy"] == right.mean()
        assert set(outcomes[0].test) == {"loss", "accuracy"}
    else:
        assert found["val_binary_accuracy"] == pytest.approx(right.mean(), abs=1e-12)
        assert found["val_exact_match"] == right.all(axis=1).mean()
        assert set(outcomes[0].test) == {"loss", "binary_accuracy", "exact_match"}


@pytest.mark.parametrize("run", ["reference"], indirect=True)
def test_movement_compares_the_end_with_the_start(keras, run):
    model = make_model(keras)
    draw = draw_for(model, 0)
    _, outcomes = run(make_cohort(model, [member(draw, 0)]))
    change = model.get_weights()[0] - draw()[0]
    path, (start, moved) = next(iter(outcomes[0].movement.items()))
    assert path.endswith("kernel")
    assert not path.startswith(model.name)
    assert start == pytest.approx(np.sqrt(np.square(draw()[0]).mean()), rel=1e-6)
    assert moved == pytest.approx(np.sqrt(np.square(change).mean()), rel=1e-6)


@pytest.mark.parametrize("name", ["reference", "vectorized"])
def test_an_engine_leaves_its_device_whenever_it_yields(keras, name):
    import tensorflow as tf

    model = make_model(keras)
    cohort = make_cohort(model, [member(draw_for(model, 0), 0)])
    events = importlib.import_module(f"runner.training.{name}").train(cohort)
    next(events)
    with tf.device("/CPU:0"):  # TensorFlow raises where the engine still is in a scope of its own
        events.close()
