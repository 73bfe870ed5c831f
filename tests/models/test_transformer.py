import numpy as np
import pytest

from runner.config import ConfigError, choose
from runner.models import CATALOGUE, build, num_parameters
from runner.models.transformer import Transformer
from runner.tasks import Signature

TASK = "classification"
SMALL = {"width": 8, "depth": 1, "heads": 2, "feed_forward": 16}


def block(width, hidden):
    """Returns the parameters of four matrices, two more and two normalizations."""
    return 4 * (width**2 + width) + 2 * width * hidden + hidden + width + 4 * width


@pytest.mark.parametrize(
    ("settings", "input_shape", "expected"),
    [
        # 16 patches of 4 numbers; one normalization more at the end
        (Transformer(**SMALL), (8, 8, 1), 4 * 8 + 8 + 16 * 8 + block(8, 16) + 16),
        # 6 patches of 12 numbers
        (Transformer(**SMALL), (4, 6, 3), 12 * 8 + 8 + 6 * 8 + block(8, 16) + 16),
        (Transformer(**SMALL, prenorm=False), (5, 3), 3 * 8 + 8 + 5 * 8 + block(8, 16)),
        # a number is a token
        (Transformer(**SMALL), (13,), 8 + 8 + 13 * 8 + block(8, 16) + 16),
    ],
)
def test_shapes_and_number_of_parameters(settings, input_shape, expected):
    model = build("transformer", settings, Signature(input_shape, (3,), TASK))
    assert num_parameters(model) == expected + 8 * 3 + 3
    assert model.output_shape == (None, 3)


def attention(w, name, x):
    """Returns softmax(Q K' / sqrt(size)) V of all heads, joined."""

    def heads(part):
        weights = (w[f"{name}/{part}/kernel"], w[f"{name}/{part}/bias"])
        return np.einsum("btw,whs->bhts", x, weights[0]) + weights[1][:, None]

    query, key, value = heads("query"), heads("key"), heads("value")
    scores = np.exp(query @ key.swapaxes(2, 3) / np.sqrt(query.shape[-1]))
    mixed = (scores / scores.sum(-1, keepdims=True)) @ value
    kernel, bias = (w[f"{name}/attention_output/{part}"] for part in ("kernel", "bias"))
    return np.einsum("bhts,hsw->btw", mixed, kernel) + bias


@pytest.mark.parametrize("prenorm", [True, False])
def test_forward_pass_is_the_documented_formula(prenorm):
    """The patches are those of a convolution with its size as strides."""
    settings = Transformer(**SMALL, prenorm=prenorm, activation="relu")
    model = build("transformer", settings, Signature((4, 6, 3), (2,), TASK))
    numbers = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(numbers.normal(0, 0.5, weight.shape))
    w = {weight.path: weight.numpy().astype(np.float64) for weight in model.weights}
    images = numbers.normal(size=(5, 4, 6, 3))

    def dense(name, x):
        return x @ w[f"{name}/kernel"] + w[f"{name}/bias"]

    def norm(name, x):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 0.001)
        return x * w[f"{name}/gamma"] + w[f"{name}/beta"]

    def feed_forward(x):
        hidden = np.maximum(dense("block_1_feed_forward_in", x), 0)
        return dense("block_1_feed_forward_out", hidden)

    corners = [(row, column) for row in (0, 2) for column in (0, 2, 4)]
    x = np.stack([images[:, r : r + 2, c : c + 2].reshape(5, -1) for r, c in corners], axis=1)
    x = dense("embedding", x) + w["positions/embeddings"]
    if prenorm:
        y = x + attention(w, "block_1_attention", norm("block_1_norm_1", x))
        z = norm("norm", y + feed_forward(norm("block_1_norm_2", y)))
    else:
        y = norm("block_1_norm_1", x + attention(w, "block_1_attention", x))
        z = norm("block_1_norm_2", y + feed_forward(y))
    expected = dense("output", z.mean(axis=1))
    # float32 arithmetic, in which normalizations amplify rounding.
    np.testing.assert_allclose(model(images, training=False), expected, rtol=1e-3, atol=1e-4)


def test_its_description_makes_the_same_model():
    """Saved models are read by it."""
    import keras

    model = build("transformer", Transformer(**SMALL), Signature((8, 8, 1), (3,), TASK))
    written = keras.saving.serialize_keras_object(model)
    again = keras.saving.deserialize_keras_object(written)
    again.set_weights(model.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype("float32")
    np.testing.assert_array_equal(again(x), model(x))


@pytest.mark.parametrize(
    ("input_shape", "message"),
    [
        ((14, 21, 1), r"`model.patch` must be a divisor .*\(14, 21, 1\). Received: 2. Use 1, 7\."),
        ((2, 8, 8, 1), r"`model=transformer` needs sequences .*Received: .*\(2, 8, 8, 1\)"),
    ],
)
def test_other_examples_are_refused(input_shape, message):
    with pytest.raises(ConfigError, match=message):
        build("transformer", Transformer(), Signature(input_shape, (3,), TASK))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"heads": 5}, r"`model.heads` must be a divisor of model.width, which is 32. Received: 5"),
        ({"patch": 0}, r"`model.patch` must be a positive integer"),
        ({"prenorm": "yes"}, r"`model.prenorm` must be true or false"),
    ],
)
def test_bad_settings_are_explained(node, message):
    with pytest.raises(ConfigError, match=message):
        choose(CATALOGUE, {"name": "transformer", **node}, "model")
