import pytest

from runner.config import ConfigError, choose
from runner.models import CATALOGUE, build, num_parameters
from runner.models.cnn import Cnn
from runner.tasks import Signature

TASK = "classification"


@pytest.mark.parametrize(
    ("settings", "input_shape", "num_outputs", "expected"),
    [
        # 3*3*1*16 + 16, 3*3*16*16 + 16, then 2*2*16 inputs of the output layer
        (Cnn(), (8, 8, 1), 10, 160 + 2320 + 650),
        # the same on 28 x 28: 7*7*16 inputs
        (Cnn(), (28, 28, 1), 10, 160 + 2320 + 7850),
        # 5*5*3*4 + 4, 8 for the normalization, 32*32*4 inputs
        (
            Cnn(filters=4, depth=1, kernel_size=5, pooling="none", batch_norm=True),
            (32, 32, 3),
            2,
            304 + 8 + 8194,
        ),
        # 9 x 13 -> 4 x 6: halves are rounded down
        (Cnn(filters=2, depth=1, pooling="average"), (9, 13, 1), 3, 20 + 147),
    ],
)
def test_shapes_and_number_of_parameters(settings, input_shape, num_outputs, expected):
    model = build("cnn", settings, Signature(input_shape, (num_outputs,), TASK))
    assert num_parameters(model) == expected
    assert model.output_shape == (None, num_outputs)


def test_layers_stand_in_the_documented_order():
    settings = Cnn(batch_norm=True, dropout=0.25, pooling="average", activation="gelu")
    model = build("cnn", settings, Signature((8, 8, 1), (10,), TASK))
    block = ["Conv2D", "BatchNormalization", "Activation", "AveragePooling2D", "Dropout"]
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["InputLayer", *block, *block, "Flatten", "Dense"]
    assert model.get_layer("block_2_activation").activation.__name__ == "gelu"


def test_as_many_poolings_as_the_image_has_halves():
    assert build("cnn", Cnn(depth=3), Signature((8, 8, 1), (2,), TASK)).output_shape == (None, 2)
    with pytest.raises(ConfigError, match=r"`model.depth` must be at most 3 .* Received: 4"):
        build("cnn", Cnn(depth=4), Signature((8, 8, 1), (2,), TASK))
    unpooled = build("cnn", Cnn(depth=4, pooling="none"), Signature((8, 8, 1), (2,), TASK))
    assert unpooled.output_shape == (None, 2)


@pytest.mark.parametrize("input_shape", [(64,), (8, 8), (4, 8, 8, 1)])
def test_only_images_are_taken(input_shape):
    with pytest.raises(ConfigError, match=r"`model=cnn` needs images.*Received: .* model=mlp"):
        build("cnn", Cnn(), Signature(input_shape, (10,), TASK))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"depth": 0}, r"`model.depth` must be a positive integer"),
        ({"filters": "16"}, r"`model.filters` must be a positive integer\. Received: '16'"),
        ({"pooling": "min"}, r"`model.pooling` must be one of max, average, none"),
        ({"activation": "tahn"}, r"`model.activation` must be .* Close to it: tanh"),
    ],
)
def test_bad_settings_are_explained(node, message):
    with pytest.raises(ConfigError, match=message):
        choose(CATALOGUE, {"name": "cnn", **node}, "model")
