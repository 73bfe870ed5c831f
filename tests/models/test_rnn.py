import numpy as np
import pytest

from runner.config import ConfigError, choose
from runner.models import CATALOGUE, build, num_parameters
from runner.models.rnn import Rnn
from runner.tasks import Signature

TASK = "classification"


@pytest.mark.parametrize(
    ("settings", "input_shape", "expected"),
    [
        # A row of 8 pixels is a step: (8 + 5) * 5 + 5 for a gate.
        (Rnn("simple", 5), (8, 8, 1), 70 + 18),
        (Rnn("lstm", 5), (8, 8), 4 * 70 + 18),
        # Keras's GRU has two biases.
        (Rnn("gru", 5), (8, 8, 1), 3 * 75 + 18),
        # All channels of a row, and then the states of the first layer.
        (Rnn("simple", 5, depth=2), (4, 2, 3), 60 + 55 + 18),
        # A number is a step; two directions, each of 5 units.
        (Rnn("simple", 5, bidirectional=True), (64,), 2 * 35 + 10 * 3 + 3),
        (Rnn("simple", 5, depth=2, bidirectional=True), (9, 1), 2 * (35 + 80) + 10 * 3 + 3),
    ],
)
def test_shapes_and_number_of_parameters(settings, input_shape, expected):
    model = build("rnn", settings, Signature(input_shape, (3,), TASK))
    assert num_parameters(model) == expected
    assert model.output_shape == (None, 3)


def test_forward_pass_is_the_documented_formula():
    """Row by row, forward and backward, and what both ends know."""
    settings = Rnn("simple", 4, bidirectional=True, activation="softsign")
    model = build("rnn", settings, Signature((3, 2, 1), (2,), TASK))
    numbers = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(numbers.normal(0, 0.5, weight.shape))
    w = {weight.path: weight.numpy().astype(np.float64) for weight in model.weights}
    x = numbers.normal(size=(5, 3, 2))

    def end(direction, rows):
        name = f"recurrent_1/{direction}_recurrent_1/simple_rnn_cell"
        h = np.zeros((5, 4))
        for row in rows:
            z = x[:, row] @ w[f"{name}/kernel"] + h @ w[f"{name}/recurrent_kernel"]
            z = z + w[f"{name}/bias"]
            h = z / (1 + np.abs(z))
        return h

    h = np.concatenate([end("forward", [0, 1, 2]), end("backward", [2, 1, 0])], axis=1)
    expected = h @ w["output/kernel"] + w["output/bias"]
    np.testing.assert_allclose(model(x[..., None], training=False), expected, rtol=1e-4, atol=1e-5)


def test_other_examples_are_refused():
    with pytest.raises(ConfigError, match=r"`model=rnn` needs sequences .*Received: .*\(2, 8, 8"):
        build("rnn", Rnn(), Signature((2, 8, 8, 1), (3,), TASK))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"cell": "lstn"}, r"`model.cell` must be one of simple, lstm, gru\. Received: 'lstn'"),
        ({"depth": 0}, r"`model.depth` must be a positive integer"),
        ({"bidirectional": 1}, r"`model.bidirectional` must be true or false"),
        ({"activation": "tahn"}, r"`model.activation` must be .* Close to it: tanh"),
    ],
)
def test_bad_settings_are_explained(node, message):
    with pytest.raises(ConfigError, match=message):
        choose(CATALOGUE, {"name": "rnn", **node}, "model")
