"""Predicted beside measured, on nets that are wide enough for the theory."""

import numpy as np
import pytest

# MLP settings and initializer; widths that make the layers rectangular come with the data (64, 10).
DENSE = {
    "relu": ("he_normal", {}, {"activation": "relu"}),
    "relu under glorot": ("glorot_uniform", {}, {"activation": "relu"}),
    "linear": ("lecun_normal", {}, {"activation": "linear"}),
    "leaky relu": ("he_uniform", {}, {"activation": "leaky_relu"}),
    "tanh": ("normal", {"scale": 0.08}, {"activation": "tanh"}),
    "gelu": ("he_normal", {}, {"activation": "gelu"}),
    "selu": ("lecun_normal", {}, {"activation": "selu"}),
    "softplus": ("glorot_normal", {}, {"activation": "softplus"}),
    "by keras": ("he_normal", {}, {"activation": "hard_tanh"}),
    "orthogonal": ("orthogonal", {"gain": 1.4}, {"activation": "relu"}),
}


@pytest.mark.parametrize("case", DENSE)
def test_theory_beside_measurement(examine, case):
    init, init_settings, mlp = DENSE[case]
    found = examine(init, init_settings=init_settings, seeds=6, width=512, depth=3, **mlp)
    for quantity in ("preactivation_variance", "activation_variance", "correlation"):
        compare(found.records, quantity, rtol=0.1)
    # The gradient's variance depends on few outputs and on how the loss weighs the examples.
    compare(found.records, "gradient_variance", rtol=0.25)


def compare(records, quantity, rtol):
    measured = np.array([record.values(quantity) for record in records])
    predicted = records[0].values(quantity, predicted=True)
    assert np.isfinite(predicted).all(), quantity
    error = measured.std(axis=0, ddof=1) / np.sqrt(len(records))
    # 4 standard errors of six seeds, and what finite width and few examples for the integrals add.
    distance = np.abs(measured.mean(axis=0) - predicted)
    assert (distance < 4 * error + rtol * np.abs(predicted)).all(), (
        quantity,
        measured.mean(axis=0),
        predicted,
    )


def test_convolutions_lose_at_the_border_what_the_theory_says(keras, examine, digits, reshaped):
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            *(
                layers.Conv2D(96, 3, padding="same", activation="relu", name=f"conv_{n}")
                for n in range(3)
            ),
            layers.Flatten(),
            layers.Dense(10, name="output"),
        ]
    )
    data = reshaped(digits, (8, 8, 1))
    records = examine("he_normal", model=model, dataset=data, seeds=6).records
    compare(records, "preactivation_variance", rtol=0.1)
    compare(records, "gradient_variance", rtol=0.25)


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
