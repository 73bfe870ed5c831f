"""Measured numbers against plain numpy: forward, backward, Jacobian."""

import numpy as np
import pytest

from runner.propagation.settings import Diagnostics, FullDiagnostics


@pytest.fixture(scope="module")
def small(examine):
    return examine("he_normal", width=24, depth=2, seeds=3, init_settings={"bias": 0.1})


def probe(examined):
    from runner.propagation.diagnosis import _probe

    rows = _probe(len(examined.dataset.train), Diagnostics().examples)
    return examined.dataset.train.x[rows].astype(float), examined.dataset.train.y[rows]


def forward(weights, x):
    """Returns pre-activations and activations of each dense layer."""
    before, after = [], [x]
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        before.append(after[-1] @ kernel.astype(float) + bias.astype(float))
        after.append(np.maximum(before[-1], 0))
    after[-1] = before[-1]
    return before, after[1:]


def loss_of(logits, y):
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_shares = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -log_shares[np.arange(len(y)), y], np.exp(log_shares)


def test_against_a_plain_forward_and_backward_pass(small):
    x, y = probe(small)
    for weights, record in zip(small.weights, small.records, strict=True):
        before, after = forward(weights, x)
        losses, shares = loss_of(before[-1], y)
        assert record.number("loss") == pytest.approx(losses.mean(), rel=1e-5)
        gradient = shares - np.eye(10)[y]
        gradients, kernels = [], []
        for layer in reversed(range(3)):
            gradients.insert(0, gradient)
            inputs = after[layer - 1] if layer else x
            kernels.insert(0, inputs.T @ gradient / len(x))
            gradient = gradient @ weights[2 * layer].T.astype(float)
            gradient = gradient * (before[layer - 1] > 0) if layer else gradient
        expected = {
            "preactivation_mean": [z.mean() for z in before],
            "preactivation_variance": [z.var() for z in before],
            "activation_mean": [h.mean() for h in after],
            "activation_variance": [h.var() for h in after],
            "zero_share": [*((h == 0).mean() for h in after[:-1]), np.nan],
            "saturated_share": [0, 0, np.nan],
            "off_share": [*((h == 0).all(axis=0).mean() for h in after[:-1]), np.nan],
            "gradient_variance": [g.var() for g in gradients],
            "correlation": [correlation(h) for h in after],
            "participation_ratio": [participation_ratio(h) for h in after],
            "kernel_stddev": [w.std() for w in weights[::2]],
            "kernel_gradient_variance": [g.var() for g in kernels],
            "weight_variance": [len(w) * np.mean(w**2) for w in weights[::2]],
            "weight_gradient_ratio": [
                np.sqrt(np.mean(w**2) / np.mean(g**2))
                for w, g in zip(weights[::2], kernels, strict=True)
            ],
            "unit_difference": [np.ptp(w, axis=1).max() for w in weights[::2]],
        }
        assert set(expected) == set(record.measured)
        for quantity, values in expected.items():
            # float32 sums of a few hundred numbers.
            found = record.values(quantity)
            np.testing.assert_allclose(found, values, rtol=2e-4, atol=1e-6, err_msg=quantity)


def correlation(h):
    first, second = np.split(h, 2)
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.mean(np.sum(first * second, axis=1) / norms)


def participation_ratio(h):
    eigenvalues = np.linalg.eigvalsh(np.cov(h.T))
    return eigenvalues.sum() ** 2 / (eigenvalues**2).sum()


def test_gains_are_of_the_signal_and_of_the_gradient(small):
    x, _ = probe(small)
    record = small.records[0]
    before, _ = forward(small.weights[0], x)
    expected = np.log10(np.mean(before[1] ** 2) / np.mean(x**2))
    assert record.number("log10_signal_gain") == pytest.approx(expected, abs=1e-4)
    variance = record.values("gradient_variance")
    expected = np.log10(variance[0] * 24 / (variance[2] * 10))
    assert record.number("log10_gradient_gain") == pytest.approx(expected, abs=1e-4)


def test_a_replicate_alone_has_the_bits_that_it_has_in_company(examine, small):
    alone = examine("he_normal", width=24, depth=2, seeds=1, init_settings={"bias": 0.1})
    assert alone.records[0].measured == small.records[0].measured
    assert alone.records[0].network == small.records[0].network


def test_jacobian_against_finite_differences(examine):
    full = examine(
        "glorot_normal",
        width=12,
        depth=2,
        activation="tanh",
        seeds=1,
        diagnostics=FullDiagnostics(),
    )
    x, _ = probe(full)
    weights = [value.astype(float) for value in full.weights[0]]

    def outputs(inputs):
        hidden = inputs
        for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
            hidden = np.tanh(hidden @ kernel + bias)
        return hidden @ weights[-2] + weights[-1]

    step, spectra = 1e-5, []
    for example in x[:16]:
        moved = np.concatenate([example + step * np.eye(64), example - step * np.eye(64)])
        high, low = np.split(outputs(moved), 2)
        spectra.append(np.linalg.svd((high - low) / (2 * step), compute_uv=False))
    record = full.records[0]
    np.testing.assert_allclose(record.singular_values, np.mean(spectra, axis=0), rtol=1e-4)
    assert record.number("singular_value_mean") == pytest.approx(np.mean(spectra), rel=1e-4)
    assert record.number("singular_value_max") == pytest.approx(
        np.mean([s[0] for s in spectra]), rel=1e-4
    )


def test_orthogonal_linear_nets_are_isometric(examine):
    full = examine(
        "orthogonal", width=64, depth=8, activation="linear", seeds=2, diagnostics=FullDiagnostics()
    )
    for record in full.records:
        np.testing.assert_allclose(record.singular_values, 1, rtol=1e-4)
        assert record.number("jacobian_condition") == pytest.approx(1, rel=1e-4)


def test_gradient_quotient_against_finite_differences(examine):
    full = examine(
        "glorot_normal", width=6, depth=1, activation="tanh", seeds=1, diagnostics=FullDiagnostics()
    )
    x, y = probe(full)
    start = [value.astype(float) for value in full.weights[0]]

    def gradient(weights):
        hidden = np.tanh(x @ weights[0] + weights[1])
        _, shares = loss_of(hidden @ weights[2] + weights[3], y)
        error = (shares - np.eye(10)[y]) / len(x)
        back = error @ weights[2].T * (1 - hidden**2)
        return [x.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0)]

    here, step = gradient(start), 1e-4
    moved = gradient([w + step * g for w, g in zip(start, here, strict=True)])
    flat = [np.concatenate([part.ravel() for part in parts]) for parts in (here, moved)]
    change = (flat[1] - flat[0]) / step
    sign = np.where(flat[0] >= 0, 1, -1)
    expected = np.mean(np.abs((flat[0] - change) / (flat[0] + 1e-5 * sign) - 1))
    # Quotients of gradients near zero are sensitive to float32.
    assert full.records[0].number("gradient_quotient") == pytest.approx(expected, rel=0.02)


def models_of(keras):
    """Returns one model of each kind, with the paths that its layers must be listed by."""
    from keras import layers

    image, sequence = keras.Input((8, 8, 1)), keras.Input((8, 8))
    shared = layers.Dense(8, activation="tanh", name="shared")
    attended = layers.MultiHeadAttention(2, 4, name="attention")(sequence, sequence)
    attended = layers.LayerNormalization(name="norm")(attended + sequence)
    return {
        "convolutional": (
            keras.Sequential(
                [
                    image,
                    layers.Conv2D(4, 3, name="conv"),
                    layers.BatchNormalization(name="bn"),
                    layers.ReLU(name="relu"),
                    layers.MaxPooling2D(name="pool"),
                    layers.Dropout(0.5, name="dropout"),
                    layers.SeparableConv2D(4, 3, activation="gelu", name="separable"),
                    layers.GlobalAveragePooling2D(name="mean"),
                    layers.Dense(10, activation="softmax", name="output"),
                ]
            ),
            ["conv", "pool", "separable", "mean", "output"],
        ),
        "shared and attention": (
            keras.Model(
                sequence,
                layers.Dense(10, name="output")(layers.Flatten()(shared(shared(attended)))),
            ),
            [
                *(f"attention/{name}" for name in ("query", "key", "value", "attention_output")),
                *("attention", "norm", "shared", "shared", "output"),
            ],
        ),
        "recurrent": (
            keras.Sequential(
                [
                    keras.Input((8, 8)),
                    layers.TimeDistributed(layers.Dense(5, name="inner"), name="each"),
                    layers.LSTM(6, name="lstm"),
                    keras.Sequential([layers.Dense(10, name="output")], name="nested"),
                ]
            ),
            ["each", "lstm", "nested/output"],
        ),
    }


@pytest.mark.parametrize("kind", ["convolutional", "shared and attention", "recurrent"])
def test_every_kind_of_model_is_measured_layer_by_layer(keras, examine, digits, reshaped, kind):
    model, paths = models_of(keras)[kind]
    data = reshaped(digits, model.input_shape[1:])
    before = model.predict(data.validation.x[:4], verbose=0)
    found = examine("glorot_normal", model=model, dataset=data, seeds=2)
    for record in found.records:
        assert record.layers == paths
        assert record.number("nonfinite_layers") == 0
        for quantity in ("activation_mean", "activation_variance", "gradient_variance"):
            assert np.isfinite(record.values(quantity)).all(), quantity
        kernels = [weight for weight in model.weights if weight.name.endswith("kernel")]
        assert len(record.kernels) == len(kernels)
    # Looking leaves no trace: not in the layers' calls, not in the weights.
    np.testing.assert_array_equal(model.predict(data.validation.x[:4], verbose=0), before)
    assert all("call" not in vars(layer) for layer in model._flatten_layers())


def test_dropout_is_off_and_normalization_as_in_training(keras, examine, digits):
    from keras import layers

    def build(dropout):
        return keras.Sequential(
            [
                keras.Input((64,)),
                layers.Dense(32, name="hidden"),
                layers.BatchNormalization(name="norm"),
                layers.Activation("relu"),
                layers.Dropout(dropout),
                layers.Dense(10, name="output"),
            ]
        )

    with_dropout, without = (examine("he_normal", model=build(d), seeds=1) for d in (0.5, 0.0))
    assert with_dropout.records[0].measured == without.records[0].measured
    # What enters the activation is normalized over the batch, whatever the kernel's scale.
    large = examine("normal", model=build(0.0), seeds=1, init_settings={"scale": 3.0})
    assert large.records[0].values("preactivation_variance")[0] == pytest.approx(1, rel=0.2)


def test_a_layer_that_hides_its_calls_is_taken_as_a_whole(keras, examine):
    @keras.saving.register_keras_serializable("propagation-tests")
    class Looped(keras.layers.Layer):
        def __init__(self):
            super().__init__(name="looped")
            self.inner = keras.layers.Dense(64, name="inner")

        def build(self, shape):
            self.inner.build(shape)

        def call(self, x):
            import tensorflow as tf

            return tf.while_loop(lambda i, _: i < 2, lambda i, h: (i + 1, self.inner(h)), (0, x))[1]

    model = keras.Sequential([keras.Input((64,)), Looped(), keras.layers.Dense(10, name="output")])
    found = examine("he_normal", model=model, seeds=1)
    assert found.records[0].layers == ["looped", "output"]
    assert np.isfinite(found.records[0].values("activation_variance")).all()
