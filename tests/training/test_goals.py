"""What is minimized where the user names it: one meaning in both engines, that of `fit`."""

import dataclasses

import numpy as np
import pytest

from runner.config import ConfigError
from runner.plan import EarlyStopping, Goal, Training
from runner.training.precision import computing_in
from tests.training.cohorts import (
    CLASSES,
    ENDS,
    assert_same,
    cohort,
    dataset,
    ending_in,
    member,
    run,
)
from tests.training.test_precision import engines_in

HERE = "tests.training.test_goals"


def own(y_true, y_pred):
    """Takes the number of the class, as `fit` gives it."""
    import keras

    chosen = keras.ops.one_hot(keras.ops.cast(y_true, "int32"), CLASSES, dtype=y_pred.dtype)
    return keras.ops.sum((chosen - y_pred) ** 2, axis=-1)


def own_mean(y_true, y_pred):
    import keras

    return keras.ops.mean(own(y_true, y_pred))


def root_of_the_mean(y_true, y_pred):
    import keras

    return keras.ops.sqrt(own_mean(y_true, y_pred))


def smoothing(y_true, y_pred, from_logits=False, label_smoothing=0.0):
    import keras

    kwargs = {"from_logits": from_logits, "label_smoothing": label_smoothing}
    one_hot = keras.ops.one_hot(keras.ops.cast(y_true, "int32"), CLASSES)
    return keras.losses.categorical_crossentropy(one_hot, y_pred, **kwargs)


def without_gradient(y_true, y_pred):
    import keras

    return own(y_true, keras.ops.stop_gradient(y_pred))


def not_a_number(y_true, y_pred):
    return own(y_true, y_pred) * np.nan


def of_another_shape(y_true, y_pred):
    return own(y_true, y_pred)[:3]


def raising(y_true, y_pred):
    raise KeyError("of mine")


def made_class(reduction="sum_over_batch_size"):
    import keras

    class Own(keras.losses.Loss):
        def __init__(self):
            super().__init__(reduction=reduction)

        def call(self, y_true, y_pred):
            return own(y_true, y_pred)

    return Own


def __getattr__(name):
    """Keras is imported late: what needs it is made when it is asked for."""
    if name == "OwnClass":
        return made_class()
    if name == "Summing":
        return made_class("sum")
    if name == "an_instance":
        return made_class()()
    raise AttributeError(name)


def softmax(keras):
    return ending_in(keras, keras.layers.Dense(CLASSES, activation="softmax"))


def logits(keras):
    return ending_in(keras, keras.layers.Dense(CLASSES))


def case(end, **goal):
    """Returns (model, data, goal) of an end of `ENDS`, or of one for three classes."""
    if isinstance(end, str):
        model, task, num_outputs = ENDS[end]
    else:
        model, task, num_outputs = end, "classification", CLASSES
    return model, dataset(task, num_outputs), Goal(**goal)


SIGMOID, LABELS = "one output, sigmoid", "labels, sigmoid"
LABEL_LOGITS = "labels, logits"

# What is minimized -> (model and goal, what Keras's `fit` is told; y as (one-hot) `fit` needs it).
FITTING = {
    "mse, one-hot": (softmax, {"loss": "mse"}, "MeanSquaredError", {}, True),
    "divergence": (softmax, {"loss": "kl_divergence"}, "KLDivergence", {}, True),
    "focal, logits": (
        logits,
        {"loss": "CategoricalFocalCrossentropy"},
        "CategoricalFocalCrossentropy",
        {"from_logits": True},
        True,
    ),
    "hinge of classes": (logits, {"loss": "categorical_hinge"}, "CategoricalHinge", {}, True),
    "smoothed": (
        logits,
        {"label_smoothing": 0.2},
        "CategoricalCrossentropy",
        {"from_logits": True, "label_smoothing": 0.2},
        True,
    ),
    "smoothed, softmax": (
        softmax,
        {"label_smoothing": 0.2},
        "CategoricalCrossentropy",
        {"label_smoothing": 0.2},
        True,
    ),
    "smoothed, one output": (
        SIGMOID,
        {"label_smoothing": 0.2},
        "BinaryCrossentropy",
        {"label_smoothing": 0.2},
        False,
    ),
    "smoothed labels": (
        LABEL_LOGITS,
        {"label_smoothing": 0.2},
        "BinaryCrossentropy",
        {"from_logits": True, "label_smoothing": 0.2},
        False,
    ),
    "smoothed steps": (
        "tokens, logits",
        {"label_smoothing": 0.2},
        "CategoricalCrossentropy",
        {"from_logits": True, "label_smoothing": 0.2},
        True,
    ),
    "focal, labels": (
        LABELS,
        {"loss": "binary_focal_crossentropy"},
        "BinaryFocalCrossentropy",
        {},
        False,
    ),
    "margins": (LABEL_LOGITS, {"loss": "squared_hinge"}, "SquaredHinge", {}, False),
    "huber": ("targets", {"loss": "Huber"}, "Huber", {}, False),
    "cosine": ("targets", {"loss": "cosine_similarity"}, "CosineSimilarity", {}, False),
    "pixels": ("pixels", {"loss": "binary_crossentropy"}, "BinaryCrossentropy", {}, False),
}


@pytest.mark.parametrize("name", FITTING)
def test_a_loss_is_that_of_keras(keras, name):
    from runner.training.fitting import check_goal
    from runner.training.objective import Objective

    end, goal, wanted, arguments, is_one_hot = FITTING[name]
    make, data, goal = case(end, **goal)
    model, data = make(keras), data.aimed(goal)
    check_goal(model, data)
    x, y = data.train.x, data.train.y
    if is_one_hot:
        y = np.eye(CLASSES, dtype="float32")[y]
    elif data.task == "classification":
        y = y[:, np.newaxis]
    outputs = model(x)
    expected = float(getattr(keras.losses, wanted)(**arguments)(y, outputs))
    found = float(Objective(model, data).loss(data.train.y, outputs))
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["divergence", "smoothed steps", "margins", "huber", "pixels"])
def test_both_engines_minimize_it(keras, name):
    end, goal, *_ = FITTING[name]
    make, data, goal = case(end, **goal)
    with computing_in("float64"):
        model = make(keras)
    members = [member(model, seed) for seed in range(2)]
    one = cohort(model, members, "adam", data=data.aimed(goal))
    one = dataclasses.replace(one, training=dataclasses.replace(one.training, precision="float64"))
    assert_same(engines_in("float64"), one, rtol=1e-9)


OWN = ("own", "own_mean", "OwnClass", "an_instance")


def test_own_losses_in_every_form_are_one(keras):
    from runner.training.fitting import check_goal
    from runner.training.objective import Objective

    model, data = softmax(keras), dataset()
    found = []
    for name in OWN:
        aimed = data.aimed(Goal(loss=f"{HERE}.{name}"))
        check_goal(model, aimed)
        found.append(float(Objective(model, aimed).loss(data.train.y, model(data.train.x))))
    assert found == pytest.approx([float(np.mean(own(data.train.y, model(data.train.x))))] * 4)
    assert aimed.uninformed_loss is aimed.uninformed_val_loss is None


def test_a_signature_decides_what_a_function_is_told(keras):
    from runner.training.objective import Objective

    data = dataset().aimed(Goal(loss=f"{HERE}.smoothing", label_smoothing=0.2))
    plain = dataset().aimed(Goal(label_smoothing=0.2))
    model, y = logits(keras), data.train.y
    outputs = model(data.train.x)
    values = [float(Objective(model, each).loss(y, outputs)) for each in (data, plain)]
    assert values[0] == pytest.approx(values[1], rel=1e-6)


# End of the model, goal -> what is said.
REFUSED = [
    (logits, {"loss": "hubr"}, "`training.loss` must be a name in keras.losses.*`huber`"),
    (logits, {"loss": "ctc"}, "no mean over examples"),
    (logits, {"loss": "Circle"}, "no mean over examples"),
    (softmax, {"loss": "dice"}, "no mean over examples"),
    (logits, {"loss": "binary_crossentropy"}, "each output is a class"),
    (logits, {"loss": "kl_divergence"}, "the outputs are logits"),
    (logits, {"loss": "poisson"}, "the outputs are logits"),
    (SIGMOID, {"loss": "categorical_crossentropy"}, "one unit for two classes"),
    (LABELS, {"loss": "sparse_categorical_crossentropy"}, "labels that may occur together"),
    ("targets", {"loss": "categorical_crossentropy"}, "the outputs are quantities"),
    ("targets", {"loss": "binary_crossentropy"}, "targets go from -.* not from 0 to 1"),
    ("targets", {"loss": "MeanSquaredLogarithmicError"}, "targets are negative"),
    ("targets", {"loss": "hinge"}, "targets are quantities"),
    (logits, {"loss": "mse", "label_smoothing": 0.1}, "`training.label_smoothing` must be 0"),
    (softmax, {"loss": f"{HERE}.root_of_the_mean"}, "of pairs of them .* no mean over examples"),
    (softmax, {"loss": f"{HERE}.without_gradient"}, "it has no gradient"),
    (softmax, {"loss": f"{HERE}.not_a_number"}, "it is nan for the untrained model"),
    (softmax, {"loss": f"{HERE}.of_another_shape"}, r"of 16 examples it gives values .*\(3,\)"),
    (softmax, {"loss": f"{HERE}.raising"}, "does not: KeyError: 'of mine'"),
    (softmax, {"loss": f"{HERE}.Summing"}, "the mean over the batch.*reduction=sum"),
    (softmax, {"loss": f"{HERE}.HERE"}, "a function of targets and outputs"),
    (softmax, {"loss": f"{HERE}.missing"}, "has no `missing`"),
]


def name_of(value):
    return getattr(value, "__name__", str(value))[-40:]


@pytest.mark.parametrize(("end", "goal", "said"), REFUSED, ids=name_of)
def test_a_loss_that_does_not_fit_is_refused(keras, end, goal, said):
    from runner.training.fitting import check_goal

    keras.utils.set_random_seed(0)
    make, data, goal = case(end, **goal)
    with pytest.raises(ConfigError, match=said):
        check_goal(make(keras), data.aimed(goal))


def with_weights(data):
    """Returns the data with weights from 0 to 2 in all parts."""
    numbers = np.random.default_rng(3)

    def part(one):
        weight = numbers.uniform(0, 2, len(one)).astype("float32")
        weight[::5] = 0
        return dataclasses.replace(one, weight=weight)

    return dataclasses.replace(
        data, train=part(data.train), validation=part(data.validation), test=part(data.test)
    )


@pytest.mark.parametrize("has_weights", [False, True])
@pytest.mark.parametrize(
    "end", [logits, "one output, logits", LABEL_LOGITS, "tokens, logits", "targets"]
)
def test_the_constant_guess_has_the_least_loss(keras, end, has_weights):
    from runner.training.objective import Objective

    make, data, goal = case(end, label_smoothing=0.0 if end == "targets" else 0.2)
    data = (with_weights(data) if has_weights else data).aimed(goal)
    loss, y = Objective(make(keras), data).loss, data.train.y
    weight = np.ones(len(y)) if data.train.weight is None else data.train.weight
    if data.task == "regression":
        guess = np.average(y, axis=0, weights=weight)
    elif data.task == "multilabel" or data.num_outputs == 2:
        share = np.average(y.reshape(len(y), -1), axis=0, weights=weight) * 0.8 + 0.1
        guess = np.log(share / (1 - share))
    else:
        counts = np.bincount(y.reshape(-1), np.repeat(weight, y[0].size))
        guess = np.log(counts / counts.sum() * 0.8 + 0.2 / CLASSES)

    def value(part, guess):
        shape = part.y.shape if data.task == "tokens" else part.y.shape[:1]
        return float(loss(part.y, np.tile(guess, (*shape, 1)), part.weight))

    least = value(data.train, guess)
    assert least == pytest.approx(data.uninformed_loss, rel=1e-5)
    assert value(data.validation, guess) == pytest.approx(data.uninformed_val_loss, rel=1e-5)
    for step in np.eye(len(guess)) * 0.1:
        assert min(value(data.train, guess + step), value(data.train, guess - step)) > least


WEIGHTS = {"a": 0.5, "c": 3.0}


@pytest.mark.parametrize(
    ("memory", "class_weight"),
    [
        ("stream", None),
        pytest.param("device", None, marks=pytest.mark.slow),
        pytest.param("device", WEIGHTS, marks=pytest.mark.slow),
    ],
)
def test_weights_mean_what_they_mean_to_fit(keras, memory, class_weight):
    from runner.training import vectorized

    data = dataset()
    arguments = {"class_weight": {0: 0.5, 1: 1.0, 2: 3.0}}
    if class_weight is None:
        data = with_weights(data)
        arguments = {"sample_weight": data.train.weight}
    data = dataclasses.replace(data.aimed(Goal(class_weight=class_weight)), memory=memory)
    train, validation = data.train, data.validation
    model = logits(keras)
    one = member(model, 0)
    training = Training(epochs=3, batch_size=len(train))
    wanted = dataclasses.replace(cohort(model, [one], "sgd", data=data), training=training)
    curves, ends = run(vectorized.train, wanted)
    model.compile(
        keras.optimizers.SGD(one.learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.set_weights(one.draw())
    told = model.fit(
        train.x,
        train.y,
        validation_data=(validation.x, validation.y, validation.weight),
        **arguments,
        epochs=3,
        batch_size=len(train),
        verbose=0,
    )
    for epoch in range(3):
        for name in ("loss", "val_loss"):
            assert curves[0, epoch + 1][name] == pytest.approx(told.history[name][epoch], rel=1e-5)
    tested = model.evaluate(data.test.x, data.test.y, sample_weight=data.test.weight, verbose=0)
    assert ends[0].test["loss"] == pytest.approx(tested, rel=1e-5)


WEIGHTED = {
    "focal": (
        softmax,
        {
            "loss": "CategoricalFocalCrossentropy",
            "class_weight": WEIGHTS,
            "label_smoothing": 0.1,
        },
        True,
    ),
    "one output": ("one output, logits", {"class_weight": {"a": 0.1}}, True),
    "steps": ("tokens, logits", {"class_weight": "balanced"}, True),
    "pixels": ("pixels", {"loss": "huber"}, True),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WEIGHTED)
def test_both_engines_weight_alike(keras, name):
    end, goal, has_weights = WEIGHTED[name]
    make, data, goal = case(end, **goal)
    data = (with_weights(data) if has_weights else data).aimed(goal)
    with computing_in("float64"):
        model = make(keras)
    one = cohort(model, [member(model, seed) for seed in range(2)], "adam", data=data)
    one = dataclasses.replace(one, training=dataclasses.replace(one.training, precision="float64"))
    assert_same(engines_in("float64"), one, rtol=1e-9)


def test_balanced_classes_count_the_same():
    data = with_weights(dataset())
    balanced = dataset().aimed(Goal(class_weight="balanced"))
    y = balanced.train.y
    sums = np.bincount(y, balanced.train.weight)
    assert sums == pytest.approx([len(y) / CLASSES] * CLASSES)
    assert balanced.validation.weight is balanced.test.weight is None
    assert balanced.fingerprint == dataset().fingerprint != data.fingerprint
    both = data.aimed(Goal(class_weight="balanced")).train.weight
    assert both == pytest.approx(data.train.weight * balanced.train.weight)


@pytest.mark.parametrize(
    ("task", "class_weight", "said"),
    [
        ("classification", {"d": 1.0}, "weights of the classes .*'a', 'b', 'c'.*Received: 'd'"),
        ("classification", {"a": 0.0, "b": 0.0, "c": 0.0}, "positive for some class"),
        ("regression", "balanced", r"null where there are no classes \(task: regression\)"),
        ("multilabel", {"a": 1.0}, "no classes"),
    ],
)
def test_weights_of_classes_that_are_not_there(task, class_weight, said):
    with pytest.raises(ConfigError, match=f"`training.class_weight` must be .*{said}"):
        dataset(task).aimed(Goal(class_weight=class_weight))


def test_a_loss_without_values_for_examples_cannot_be_weighted(keras):
    from runner.training.fitting import check_goal

    data = with_weights(dataset()).aimed(Goal(loss=f"{HERE}.own_mean"))
    with pytest.raises(ConfigError, match="one value for all examples, which cannot be weighted"):
        check_goal(softmax(keras), data)


def hits(y_true, y_pred):
    """Takes the number of the class, as Keras gives it to a function: as a float."""
    import keras

    chosen = keras.ops.cast(keras.ops.argmax(y_pred, -1), y_true.dtype)
    return keras.ops.cast(keras.ops.abs(y_true - chosen) < 2, "float32")


def coupled(y_true, y_pred):
    import keras

    return keras.ops.max(y_pred, axis=-1) - keras.ops.max(y_pred)


# Metric, end of the model -> what Keras has for it, y one-hot or not.
MEASURED = {
    "sparse_top_k_categorical_accuracy": (logits, ("SparseTopKCategoricalAccuracy", {}), False),
    "CategoricalAccuracy": (softmax, ("CategoricalAccuracy", {}), True),
    "categorical_crossentropy": (logits, ("CategoricalCrossentropy", {"from_logits": True}), True),
    "CosineSimilarity": ("targets", ("CosineSimilarity", {}), False),
    "mse": (softmax, ("MeanSquaredError", {}), True),
    "MeanAbsolutePercentageError": ("pixels", ("MeanAbsolutePercentageError", {}), False),
    "SparseCategoricalCrossentropy": (
        "tokens, softmax",
        ("SparseCategoricalCrossentropy", {}),
        False,
    ),
    "BinaryCrossentropy": (LABEL_LOGITS, ("BinaryCrossentropy", {"from_logits": True}), False),
    "BinaryAccuracy": ("one output, logits", ("BinaryAccuracy", {"threshold": 0.0}), False),
}


@pytest.mark.parametrize("name", MEASURED)
def test_a_metric_is_that_of_keras(keras, name):
    import tensorflow as tf

    from runner.tasks import column
    from runner.training.fitting import check_goal
    from runner.training.objective import Objective

    end, (wanted, arguments), is_one_hot = MEASURED[name]
    make, data, goal = case(end, metrics=(name,))
    data, model = with_weights(data).aimed(goal), make(keras)
    check_goal(model, data)
    metric = getattr(keras.metrics, wanted)(**arguments)
    x, y = data.train.x, data.train.y
    outputs = tf.convert_to_tensor(model(x))
    given = np.eye(CLASSES, dtype="float32")[y] if is_one_hot else y
    metric.update_state(
        given[:, np.newaxis] if outputs.shape[-1] == 1 == y.ndim else given, outputs
    )
    objective = Objective(model, data)
    place, answers = list(objective.answers).index(column(name)), objective.answers[column(name)]
    total = float(objective.sums(tf.constant(y), outputs)[place]) / (len(y) * answers)
    assert total == pytest.approx(float(metric.result()), rel=1e-5)


ALL = (
    *("sparse_top_k_categorical_accuracy", "CategoricalAccuracy", "mse", "huber"),
    *("categorical_crossentropy", "accuracy", f"{HERE}.hits"),
)


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["stream", "device"])
def test_both_engines_do_all_at_once(keras, memory):
    model = softmax(keras)
    goal = Goal("CategoricalFocalCrossentropy", ALL, 0.1, WEIGHTS)
    data = dataclasses.replace(with_weights(dataset()).aimed(goal), memory=memory)
    one = cohort(model, [member(model, seed) for seed in range(2)], "adam", data=data)
    stopping = EarlyStopping(1, "val_categorical_accuracy")
    one = dataclasses.replace(
        one, training=dataclasses.replace(one.training, early_stopping=stopping)
    )
    assert_same(engines_in("float32"), one, rtol=1e-5)
    assert data.metrics == (
        *("accuracy", "sparse_top_k_categorical_accuracy", "categorical_accuracy", "mse", "huber"),
        *("categorical_crossentropy", "hits"),
    )


NOT_MEASURED = [
    (logits, "AUC", "a mean over examples. Received: 'AUC'. Use a function"),
    (logits, "F1Score", "a mean over examples"),
    (logits, "RootMeanSquaredError", "a mean over examples"),
    (logits, "kl_divergence", "the outputs are logits"),
    (logits, "mes", "a name in keras.metrics"),
    (LABELS, "accuracy", "whether outputs equal targets"),
    (LABELS, "top_k_categorical_accuracy", "labels that may occur together"),
    (softmax, "BinaryAccuracy", "each output is a class"),
    ("targets", "binary_accuracy", "targets are quantities"),
    (softmax, f"{HERE}.own_mean", r"of 2 examples it gives values of shape \(\)"),
    (softmax, f"{HERE}.coupled", "for an example depends on the others"),
    (softmax, f"{HERE}.raising", "KeyError"),
    (softmax, f"{HERE}.not_a_number", "not finite"),
]


@pytest.mark.parametrize(("end", "name", "said"), NOT_MEASURED, ids=name_of)
def test_a_metric_that_does_not_fit_is_refused(keras, end, name, said):
    from runner.training.fitting import check_goal

    keras.utils.set_random_seed(0)
    make, data, goal = case(end, metrics=(name,))
    with pytest.raises(ConfigError, match=f"`training.metrics` must be .*{said}"):
        check_goal(make(keras), data.aimed(goal))


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        (("mse", "MSE"), "mse and MSE have one name, mse"),
        (("m.loss",), "loss is what a loss"),
        (("m.val_hits",), "val_hits is what a loss, or a part"),
        (("m.accuracy",), "accuracy is measured anyway"),
    ],
)
def test_columns_have_one_meaning(metrics, said):
    from runner.execution.preflight import check_columns

    with pytest.raises(ConfigError, match=f"`training.metrics` must be .*{said}"):
        check_columns(dataset().aimed(Goal(metrics=metrics)))


def test_the_direction_of_a_metric_of_keras_is_that_of_its_name(keras):
    from runner.records import lower_is_better
    from runner.tasks import column

    directions = {}
    for name, kind in vars(keras.metrics).items():
        if isinstance(kind, type) and issubclass(kind, keras.metrics.MeanMetricWrapper):
            try:
                directions[name] = kind()._direction
            except TypeError:  # it needs arguments
                continue
    known = {name: way for name, way in directions.items() if way in ("up", "down")}
    assert len(known) > 15
    for name, way in known.items():
        assert lower_is_better(f"val_{column(name)}") == (way == "down"), name
