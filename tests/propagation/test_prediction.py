"""Predicted beside measured, on nets that are wide enough for the theory."""

import numpy as np
import pytest

# MLP settings and initializer; widths that make the layers rectangular come with the data (64, 10).
DENSE = {
    "relu": ("he_normal", {}, {"activation": "relu"}),
    "relu under glorot": ("glorot_uniform", {}, {"activation": "relu"}),
    "linear": ("lecun_normal", {}, {"activation": "linear"}),
    "leaky relu": ("he_uniform", {}, {"activation": "leaky_relu"}),
    "leaky relu with a slope": (
        *("he_uniform", {"negative_slope": 0.5}),
        {"activation": "leaky_relu", "negative_slope": 0.5},
    ),
    "a list": ("he_normal", {}, {"activation": ("relu", "sine", "elu"), "omega": 1.0}),
    "tanh": ("normal", {"scale": 0.08}, {"activation": "tanh"}),
    "gelu": ("he_normal", {}, {"activation": "gelu"}),
    "selu": ("lecun_normal", {}, {"activation": "selu"}),
    "softplus": ("glorot_normal", {}, {"activation": "softplus"}),
    "by keras": ("he_normal", {}, {"activation": "hard_tanh"}),
    "orthogonal": ("orthogonal", {"gain": 1.4}, {"activation": "relu"}),
}


@pytest.mark.sampled
@pytest.mark.parametrize("case", DENSE)
def test_theory_beside_measurement(examine, case):
    init, init_settings, mlp = DENSE[case]
    found = examine(init, init_settings=init_settings, seeds=6, width=512, depth=3, **mlp)
    for quantity in ("preactivation_variance", "activation_variance", "correlation"):
        compare(found.records, quantity, rtol=0.1)
    # The gradient's variance depends on few outputs and on how the loss weighs the examples.
    compare(found.records, "gradient_variance", rtol=0.25)


def compare(records, quantity, rtol, rows=slice(None)):
    measured = np.array([record.values(quantity)[rows] for record in records])
    predicted = records[0].values(quantity, predicted=True)[rows]
    assert np.isfinite(predicted).all(), quantity
    error = measured.std(axis=0, ddof=1) / np.sqrt(len(records))
    # 4 standard errors of six seeds, and what finite width and few examples for the integrals add.
    distance = np.abs(measured.mean(axis=0) - predicted)
    assert (distance < 4 * error + rtol * np.abs(predicted)).all(), (
        quantity,
        measured.mean(axis=0),
        predicted,
    )


@pytest.mark.sampled
@pytest.mark.parametrize(("init", "activation"), [("he_normal", "relu"), ("lecun_normal", "tanh")])
def test_convolutions_lose_at_the_border_what_the_theory_says(
    keras, examine, digits, reshaped, init, activation
):
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            *(
                layers.Conv2D(96, 3, padding="same", activation=activation, name=f"conv_{n}")
                for n in range(3)
            ),
            layers.Flatten(),
            layers.Dense(10, name="output"),
        ]
    )
    data = reshaped(digits, (8, 8, 1))
    records = examine(init, model=model, dataset=data, seeds=6).records
    compare(records, "preactivation_variance", rtol=0.1)
    compare(records, "gradient_variance", rtol=0.25)
    # The same pairs are measured and predicted; before the output layer many units average.
    compare(records, "correlation", rtol=0.01, rows=slice(0, 3))


@pytest.mark.slow
def test_maps_of_convolutions_against_random_numbers(keras, examine, digits, reshaped):
    """Draws the hidden layers' Gaussian fields by hand instead of integrating."""
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(64, 3, padding="valid", activation="tanh", name="first"),
            layers.Conv2D(64, 3, strides=2, activation="tanh", name="second"),
            layers.Flatten(),
            layers.Dense(10, name="output"),
        ]
    )
    data = reshaped(digits, (8, 8, 1))
    found = examine("normal", init_settings={"scale": 0.4}, model=model, dataset=data, seeds=2)
    count = len(data.train)
    x = data.train.x[np.linspace(0, count - 1, 128).round().astype(int)][..., 0]
    predicted = found.records[0].values("correlation", predicted=True)
    numbers = np.random.default_rng(0)
    channels, height = 3000, 6
    patches = _patches(x[..., None], 1)
    first = np.tanh(patches @ numbers.normal(0, 0.4, (9, channels)))
    assert predicted[0] == pytest.approx(cosine(first), abs=0.01)
    # Kernels so small as to give the sums over more channels the variance of 64.
    stddev = 0.4 * np.sqrt(64 / channels)
    patches = _patches(first.reshape(128, height, height, channels), 2)
    second = np.tanh(patches @ numbers.normal(0, stddev, (patches.shape[-1], 500)))
    assert predicted[1] == pytest.approx(cosine(second), abs=0.02)


def _patches(images, stride):
    """Returns what a 3 x 3 kernel sees at each position, shape (examples, positions, inputs)."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2))
    windows = windows[:, ::stride, ::stride]
    return windows.reshape(len(images), windows.shape[1] * windows.shape[2], -1)


def cosine(h):
    first, second = h[:64].reshape(64, -1), h[64:].reshape(64, -1)
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.mean(np.sum(first * second, axis=1) / norms)


@pytest.mark.parametrize(
    ("init", "settings", "mlp"),
    [
        ("identity", {}, {}),
        ("ones", {}, {}),
        ("he_normal", {"bias": 0.5}, {}),
        ("he_normal", {}, {"residual": True}),
        ("he_normal", {}, {"batch_norm": True}),
    ],
)
def test_nothing_is_predicted_where_the_theory_does_not_hold(examine, init, settings, mlp):
    found = examine(init, init_settings=settings, width=64, depth=3, seeds=2, **mlp)
    predicted = found.records[0].values("preactivation_variance", predicted=True)
    assert np.isnan(predicted[-1])
