"""Measured numbers against plain numpy: forward, backward, Jacobian."""

import numpy as np
import pytest

from runner.propagation.settings import Diagnostics, FullDiagnostics


@pytest.fixture(scope="module")
def small(examine):
    return examine("he_normal", width=24, depth=2, seeds=3, init_settings={"bias": 0.1})


def probe(examined):
    x, y = examined.dataset.probe(Diagnostics().examples)
    return x.astype(float), y


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
            "unit_gradient_difference": [np.ptp(g, axis=1).max() for g in kernels],
        }
        assert set(expected) == set(record.measured)
        for quantity, values in expected.items():
            # float32 sums of a few hundred numbers.
            found = record.values(quantity)
            np.testing.assert_allclose(found, values, rtol=2e-4, atol=1e-6, err_msg=quantity)


@pytest.mark.parametrize("limit", ["_MAX_OF_NUMPY", "_TOGETHER_BYTES"])
def test_numbers_do_not_depend_on_who_computes_them_or_for_how_many(
    small, examine, monkeypatch, limit
):
    """By TensorFlow instead of numpy, and one replicate at a time."""
    from runner.propagation import measurement

    monkeypatch.setattr(measurement, limit, 0)
    again = examine("he_normal", width=24, depth=2, seeds=3, init_settings={"bias": 0.1})
    for record, other in zip(small.records, again.records, strict=True):
        for quantity in record.measured:
            found, wanted = other.values(quantity), record.values(quantity)
            np.testing.assert_allclose(found, wanted, rtol=2e-7, err_msg=quantity)
        for name, number in record.network.items():
            assert other.network[name] == pytest.approx(number, rel=2e-7), name


def test_convolutions_against_a_plain_forward_and_backward_pass(keras, examine, digits, reshaped):
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(3, 3, padding="same", activation="relu", name="first"),
            layers.AveragePooling2D(2, name="pool"),
            layers.Conv2D(5, (2, 3), activation="tanh", name="second"),
            layers.Flatten(),
            layers.Dense(10, name="output"),
        ]
    )
    data = reshaped(digits, (8, 8, 1))
    found = examine("he_normal", model=model, dataset=data, seeds=2, init_settings={"bias": 0.1})
    x, y = probe(found)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for weights, record in zip(found.weights, found.records, strict=True):
        kernels = [value.astype(float) for value in weights[::2]]
        biases = [value.astype(float) for value in weights[1::2]]
        first = convolved(padded, kernels[0]) + biases[0]
        pooled = np.maximum(first, 0).reshape(-1, 4, 2, 4, 2, 3).mean(axis=(2, 4))
        second = convolved(pooled, kernels[1]) + biases[1]
        flat = np.tanh(second).reshape(len(x), -1)
        output = flat @ kernels[2] + biases[2]
        losses, shares = loss_of(output, y)
        assert record.number("loss") == pytest.approx(losses.mean(), rel=1e-5)

        of_output = shares - np.eye(10)[y]
        of_second = (of_output @ kernels[2].T).reshape(second.shape) * (1 - np.tanh(second) ** 2)
        of_pooled, of_kernel = convolution_gradients(pooled, kernels[1], of_second)
        of_first = of_pooled.repeat(2, axis=1).repeat(2, axis=2) / 4 * (first > 0)
        gradients = [of_first, of_pooled, of_second, of_output]
        of_kernels = [
            convolution_gradients(padded, kernels[0], of_first)[1] / len(x),
            of_kernel / len(x),
            flat.T @ of_output / len(x),
        ]
        before = [first, second, output]
        after = [np.maximum(first, 0), pooled, np.tanh(second), output]
        flat_after = [h.reshape(len(x), -1) for h in after]
        # The slope of tanh is 5 % at 2.178, which is looked up on a grid of hundredths.
        slopes = [first > 0, np.abs(second) < 2.175]
        zeros = [after[0] == 0, after[2] == 0]

        def at(rows, values):
            column = np.full(4, np.nan)
            column[rows] = values
            return column

        hidden, weighted = [0, 2], [0, 2, 3]
        expected = {
            "preactivation_mean": at(weighted, [z.mean() for z in before]),
            "preactivation_variance": at(weighted, [z.var() for z in before]),
            "activation_mean": [h.mean() for h in after],
            "activation_variance": [h.var() for h in after],
            "zero_share": at(hidden, [zero.mean() for zero in zeros]),
            "saturated_share": at(
                hidden, [(~s & ~zero).mean() for s, zero in zip(slopes, zeros, strict=True)]
            ),
            "off_share": at(hidden, [(~s).all(axis=(0, 1, 2)).mean() for s in slopes]),
            "gradient_variance": [g.var() for g in gradients],
            "correlation": [correlation(h) for h in flat_after],
            "participation_ratio": [participation_ratio(h) for h in flat_after],
            "kernel_stddev": at(weighted, [w.std() for w in kernels]),
            "kernel_gradient_variance": at(weighted, [g.var() for g in of_kernels]),
            "weight_variance": at(
                weighted, [n * np.mean(w**2) for n, w in zip((9, 18, 30), kernels, strict=True)]
            ),
            "weight_gradient_ratio": at(
                weighted,
                [
                    np.sqrt(np.mean(w**2) / np.mean(g**2))
                    for w, g in zip(kernels, of_kernels, strict=True)
                ],
            ),
            "unit_difference": at(
                weighted, [np.ptp(w.reshape(-1, w.shape[-1]), axis=1).max() for w in kernels]
            ),
            "unit_gradient_difference": at(
                weighted, [np.ptp(g.reshape(-1, g.shape[-1]), axis=1).max() for g in of_kernels]
            ),
        }
        assert set(expected) == set(record.measured)
        for quantity, values in expected.items():
            # float32 sums of a few thousand numbers.
            measured = record.values(quantity)
            np.testing.assert_allclose(measured, values, rtol=2e-4, atol=1e-6, err_msg=quantity)
        assert record.judged == weighted
        gain = np.log10(np.mean(second**2) / np.mean(x**2))
        assert record.number("log10_signal_gain") == pytest.approx(gain, abs=1e-4)
        gain = np.log10(of_first.var() * 192 / (of_output.var() * 10))
        assert record.number("log10_gradient_gain") == pytest.approx(gain, abs=1e-4)


def taps(kernel, shape):
    """Yields each tap of a kernel with where it looks in an image; no padding, no strides."""
    height, width = (n - k + 1 for n, k in zip(shape[1:3], kernel.shape[:2], strict=True))
    for row, column in np.ndindex(*kernel.shape[:2]):
        yield (row, column), np.s_[:, row : row + height, column : column + width]


def convolved(x, kernel):
    return sum(x[seen] @ kernel[tap] for tap, seen in taps(kernel, x.shape))


def convolution_gradients(x, kernel, gradient):
    """Returns the gradients with respect to the input and to the kernel."""
    of_x, of_kernel = np.zeros_like(x), np.zeros_like(kernel)
    for tap, seen in taps(kernel, x.shape):
        of_x[seen] += gradient @ kernel[tap].T
        of_kernel[tap] = np.tensordot(x[seen], gradient, axes=[(0, 1, 2)] * 2)
    return of_x, of_kernel


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
        "states and positions": (
            keras.Model(
                sequence,
                layers.Dense(10, name="output")(
                    layers.LSTM(6, return_state=True, name="encoder")(positioned(keras)(sequence))[
                        2
                    ]
                ),
            ),
            ["positions/table", "positions", "encoder", "output"],
        ),
        "unet": (
            option("unet", width=2, depth=1),
            [
                *("down_1_conv_1", "down_1_conv_2", "down_1_pool", "bottom_conv_1"),
                *("bottom_conv_2", "up_1", "up_1_skip", "up_1_conv_1", "up_1_conv_2"),
                *("pool", "output"),
            ],
        ),
        "autoencoder": (
            option("autoencoder", kind="convolutional", width=4),
            ["encoder_1", "bottleneck", "spread", "decoder_1", "pool", "output"],
        ),
        "conv1d": (
            option("conv1d", depth=2, filters=4, activation="maxout", causal=True),
            ["block_1", "block_2", "output"],
        ),
        "causal transformer": (
            option("transformer", width=8, depth=1, heads=2, feed_forward=8, causal=True),
            [
                *("embedding", "positions", "block_1_norm_1"),
                *(
                    f"block_1_attention/{name}"
                    for name in ("query", "key", "value", "attention_output")
                ),
                *(
                    "block_1_attention",
                    "block_1_add_1",
                    "block_1_norm_2",
                    "block_1_feed_forward_in",
                ),
                *("block_1_feed_forward_out", "block_1_add_2", "norm", "output"),
            ],
        ),
    }


def option(name, **settings):
    """Returns an option of the group `model` for digits as images."""
    from runner import models
    from runner.tasks import Signature

    signature = Signature((8, 8, 1), (10,), "classification")
    return models.build(name, models.CATALOGUE[name](**settings), signature)


def positioned(keras):
    """Returns a layer that adds an odd number of embeddings, which are no examples."""

    @keras.saving.register_keras_serializable("propagation-tests")
    class Positions(keras.layers.Layer):
        def build(self, shape):
            self.table = keras.layers.Embedding(7, shape[-1], name="table")
            self.table.build((7,))

        def call(self, x):
            return x[:, :7] + self.table(keras.ops.arange(7))

        def compute_output_shape(self, shape):
            return (shape[0], 7, shape[2])

    return Positions(name="positions")


@pytest.mark.sampled
@pytest.mark.parametrize(
    "kind",
    [
        *("convolutional", "shared and attention", "recurrent", "states and positions"),
        *("conv1d", "causal transformer"),
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("unet", "autoencoder")),
    ],
)
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


def block(keras, rate, norm=True, own=False):
    """Returns a layer of layers that passes `training` on, as people write them.

    Args:
      keras: The module.
      rate: Of dropout.
      norm: Whether there is a normalization.
      own: Whether the layer itself drops out, not one that it consists of.
    """

    @keras.saving.register_keras_serializable("propagation-tests")
    class Block(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(24, name="dense")
            self.norm = keras.layers.BatchNormalization(name="norm") if norm else None
            self.dropout = None if own else keras.layers.Dropout(rate, name="dropout")
            self.seeds = keras.random.SeedGenerator(0) if own else None

        def build(self, shape):
            self.dense.build(shape)
            if norm:
                self.norm.build((*shape[:-1], 24))

        def call(self, x, training=None):
            h = self.dense(x)
            h = keras.activations.relu(self.norm(h, training=training) if norm else h)
            if not own:
                return self.dropout(h, training=training)
            return keras.random.dropout(h, rate, seed=self.seeds) if training else h

        def compute_output_shape(self, shape):
            return (*shape[:-1], 24)

    return Block()


def with_dropout(keras, kind, rate):
    """Returns a model in which something other than a Dropout of the model's own drops out."""
    from keras import layers

    image, inner = keras.Input((8, 8)), {"dropout": rate, "recurrent_dropout": rate}
    attended = {
        "attention": lambda: layers.Attention(dropout=rate)([image, image]),
        "heads": lambda: layers.MultiHeadAttention(2, 4, dropout=rate)(image, image),
    }
    if kind in attended:
        return keras.Model(image, layers.Dense(10)(layers.Flatten()(attended[kind]())))
    stacks = {
        "blocks": lambda: [block(keras, rate) for _ in range(3)],
        "own draws": lambda: [block(keras, rate, norm=False, own=True) for _ in range(3)],
        "block in a wrapper": lambda: [layers.TimeDistributed(block(keras, rate))],
        "recurrent": lambda: [
            layers.Bidirectional(layers.LSTM(4, return_sequences=True, **inner)),
            layers.GRU(4, return_sequences=True, **inner),
            layers.RNN([layers.SimpleRNNCell(4, **inner), layers.LSTMCell(4, **inner)]),
        ],
    }
    return keras.Sequential([image, *stacks[kind](), layers.Flatten(), layers.Dense(10)])


@pytest.mark.sampled
@pytest.mark.parametrize(
    "kind",
    [
        *("blocks", "own draws", "block in a wrapper", "attention", "heads"),
        pytest.param("recurrent", marks=pytest.mark.slow),
    ],
)
def test_nothing_is_dropped_at_any_depth(keras, examine, digits, reshaped, kind):
    data = reshaped(digits, (8, 8))
    half, nothing = (
        examine("he_normal", model=with_dropout(keras, kind, rate), dataset=data, seeds=1)
        for rate in (0.5, 1e-9)
    )
    assert half.records[0].measured == nothing.records[0].measured
    assert half.records[0].network == nothing.records[0].network


@pytest.mark.parametrize("own", [False, True])
def test_normalizations_in_blocks_with_dropout_are_as_in_training(keras, examine, own):
    from keras import layers

    blocks = [block(keras, 0.1, own=own) for _ in range(4)]
    model = keras.Sequential([keras.Input((64,)), *blocks, layers.Dense(10, name="output")])
    found = examine("normal", model=model, seeds=1, init_settings={"scale": 1.0})
    record = found.records[0]
    hidden = record.values("preactivation_variance")[record.judged[:-1]]
    assert len(hidden) == 4
    np.testing.assert_allclose(hidden, 1, rtol=0.01)
    assert found.verdict().name == "healthy"


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


def handing_on(keras):
    """Returns layers that, with randomness off, put out what they are given."""
    from keras import layers

    class Own(layers.Layer):
        def call(self, x):
            return x

    class Noise(layers.Layer):
        """Draws unless it is told not to, as Keras's augmentations do."""

        def __init__(self):
            super().__init__()
            self.seed_generator = keras.random.SeedGenerator(1)

        def call(self, x, training=True):
            noise = keras.random.normal(x.shape[1:], seed=self.seed_generator)
            return x + noise if training else x

    return {
        "flip": [layers.RandomFlip()],
        "rotation": [layers.RandomRotation(0.1)],
        "crop": [layers.RandomCrop(8, 8)],
        "augmentations in a layer": [
            layers.Pipeline([layers.RandomFlip(), layers.RandomZoom(0.1)])
        ],
        "augmentations in a model": [
            keras.Sequential([layers.RandomFlip(), keras.Sequential([layers.RandomContrast(0.1)])])
        ],
        "function": [layers.Lambda(lambda x: x)],
        "alpha dropout": [layers.AlphaDropout(0.3)],
        "noise": [layers.GaussianNoise(0.3)],
        "nothing": [layers.Identity(), layers.Activation("linear"), layers.Masking()],
        "own layer": [Own()],
        "own noise": [Noise()],
        "one after the other": [layers.ActivityRegularization(), layers.RandomFlip()],
    }


@pytest.mark.filterwarnings("ignore:Layer 'conv' .* does not support masking")
@pytest.mark.slow
@pytest.mark.parametrize("subclass", [False, True])
def test_what_hands_on_its_inputs_is_no_row(keras, examine, digits, reshaped, subclass):
    from keras import layers

    class Net(keras.Model):
        def __init__(self, body):
            super().__init__()
            self.body = body

        def call(self, x):  # without `training`
            for layer in self.body:
                x = layer(x)
            return x

    def records(first):
        conv = layers.Conv2D(3, 3, activation="relu", name="conv")
        body = [*first, conv, layers.Flatten(), layers.Dense(10, name="output")]
        model = Net(body) if subclass else keras.Sequential([keras.Input((8, 8, 1)), *body])
        model(keras.Input((8, 8, 1)))
        data = reshaped(digits, (8, 8, 1))
        return examine("he_normal", model=model, dataset=data, seeds=1).records[0]

    plain = records([])
    assert plain.layers == ["conv", "output"]
    first_layers = handing_on(keras)
    for name in ("flip", "own noise") if subclass else first_layers:
        found = records(first_layers[name])
        assert (name, found.layers) == (name, plain.layers)
        assert found.measured == plain.measured, name


def test_an_activation_at_the_start_has_a_gradient(keras, examine):
    from keras import layers

    body = [layers.Activation("tanh", name="first"), layers.Dense(10, name="output")]
    model = keras.Sequential([keras.Input((64,)), *body])
    found = examine("he_normal", model=model, seeds=1)
    kernel = found.weights[0][0].astype(float)
    x, y = probe(found)
    _, shares = loss_of(np.tanh(x) @ kernel, y)
    expected = ((shares - np.eye(10)[y]) @ kernel.T * (1 - np.tanh(x) ** 2)).var()
    assert found.records[0].values("gradient_variance")[0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("examples", [1, 3])
def test_as_many_examples_are_measured_as_the_settings_say(examine, examples):
    limits = Diagnostics(examples=examples)
    found = examine("he_normal", width=24, depth=2, seeds=1, diagnostics=limits)
    record, kernel = found.records[0], found.weights[0][0].astype(float)
    rows = np.linspace(0, len(found.dataset.train) - 1, examples).round().astype(int)
    z = found.dataset.train.x[rows].astype(float) @ kernel
    variance = record.values("preactivation_variance")[0]
    assert variance == pytest.approx(z.var(), rel=1e-4)
    assert found.verdict().name == "healthy"
    pairs = {"correlation", "participation_ratio"}
    assert pairs & set(record.measured) == (pairs if examples > 1 else set())
    has_theory = np.isfinite(record.values("correlation", predicted=True))
    assert has_theory.all() == has_theory.any() == (examples > 1)
    if examples == 1:  # of independent units about their own mean
        square = np.sum(found.dataset.train.x[rows] ** 2) * np.mean(kernel**2)
        predicted = record.values("preactivation_variance", predicted=True)[0]
        assert predicted == pytest.approx(square * (1 - 1 / 24), rel=1e-4)
