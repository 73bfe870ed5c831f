import numpy as np
import pytest

from runner.config import ConfigError, choose
from runner.models import CATALOGUE, build, num_parameters
from runner.models.resnet import Resnet
from runner.tasks import Signature

TASK = "classification"


def convolution(size, before, after):
    return size**2 * before * after + after


@pytest.mark.parametrize(
    ("settings", "input_shape", "expected"),
    [
        # Two convolutions in the first stage; two and a shortcut of 1 x 1 in the second.
        (
            Resnet(depth=(1, 1), width=4, normalization="none"),
            (8, 8, 1),
            convolution(3, 1, 4)
            + 2 * convolution(3, 4, 4)
            + convolution(3, 4, 8)
            + convolution(3, 8, 8)
            + convolution(1, 4, 8)
            + 8 * 3
            + 3,
        ),
        # Four times the channels at the end of a bottleneck, so the first block has a shortcut too.
        (
            Resnet(block="bottleneck", depth=(2,), width=4, normalization="none"),
            (7, 5, 3),
            convolution(3, 3, 4)
            + convolution(1, 4, 4)
            + convolution(1, 16, 4)
            + 2 * (convolution(3, 4, 4) + convolution(1, 4, 16))
            + convolution(1, 4, 16)
            + 16 * 3
            + 3,
        ),
    ],
)
@pytest.mark.parametrize("preactivation", [False, True])
def test_shapes_and_number_of_parameters(settings, input_shape, expected, preactivation):
    node = {**vars(settings), "preactivation": preactivation}
    model = build("resnet", Resnet(**node), Signature(input_shape, (3,), TASK))
    assert num_parameters(model) == expected
    assert model.output_shape == (None, 3)


def test_resnet_20_is_that_of_the_paper():
    """19 convolutions and a dense layer: 0.27 million, table 6 of He et al. (2016a)."""
    model = build("resnet", Resnet(depth=3), Signature((32, 32, 3), (10,), TASK))
    kernels = [w for w in model.weights if w.name == "kernel" and "shortcut" not in w.path]
    assert len(kernels) == 20
    assert num_parameters(model) / 1e6 == pytest.approx(0.27, abs=0.006)
    assert model.get_layer("stage_3_block_3_add").output.shape == (None, 8, 8, 64)


def pixels(x, kernel, bias):
    """Returns a convolution of images of one pixel: of the kernel, the middle alone acts."""
    return x @ kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] + bias


@pytest.mark.parametrize("preactivation", [False, True])
def test_forward_pass_is_the_documented_formula(preactivation):
    """On images of one pixel, with normalization of channels."""
    settings = Resnet(
        depth=(1,),
        width=4,
        normalization="layer",
        activation="tanh",
        residual_scale=0.5,
        preactivation=preactivation,
    )
    model = build("resnet", settings, Signature((1, 1, 3), (2,), TASK))
    numbers = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(numbers.normal(0, 0.5, weight.shape))
    w = {weight.path: weight.numpy().astype(np.float64) for weight in model.weights}
    x = numbers.normal(size=(5, 3))

    def norm(name, z):
        z = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 0.001)
        return z * w[f"{name}_norm/gamma"] + w[f"{name}_norm/beta"]

    def conv(name, z):
        return pixels(z, w[f"{name}/kernel"], w[f"{name}/bias"])

    one, two = "stage_1_block_1_conv_1", "stage_1_block_1_conv_2"
    if preactivation:
        h = conv("stem", x)
        h = h + 0.5 * conv(two, np.tanh(norm(two, conv(one, np.tanh(norm(one, h))))))
        h = np.tanh(norm("last", h))
    else:
        h = np.tanh(norm("stem", conv("stem", x)))
        h = np.tanh(h + 0.5 * norm(two, conv(two, np.tanh(norm(one, conv(one, h))))))
    expected = h @ w["output/kernel"] + w["output/bias"]
    # float32 arithmetic, in which a normalization of four numbers amplifies rounding.
    np.testing.assert_allclose(
        model(x.reshape(5, 1, 1, 3), training=False), expected, rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("batch", "BatchNormalization"),
        ("layer", "LayerNormalization"),
        ("group", "GroupNormalization"),
        ("none", None),
    ],
)
@pytest.mark.parametrize(("preactivation", "count"), [(False, 6), (True, 5)])
def test_each_convolution_has_its_normalization(name, kind, preactivation, count):
    settings = Resnet(depth=(1, 1), normalization=name, preactivation=preactivation)
    model = build("resnet", settings, Signature((8, 8, 1), (2,), TASK))
    kinds = [type(layer).__name__ for layer in model.layers]
    found = [each for each in kinds if each.endswith("Normalization")]
    assert found == [kind] * (count if kind else 0)


@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 20, 1), (5, 5, 1)])
def test_as_many_stages_as_the_image_has_halves(shape):
    model = build("resnet", Resnet(depth=(1, 1, 1, 1), width=2), Signature(shape, (2,), TASK))
    assert model.get_layer("stage_4_block_1_add").output.shape[1] == 1
    advice = r"at most 4 stages .*Received: \[1, 1, 1, 1, 1\].* model.depth=\[1, 1, 1, 1\]"
    with pytest.raises(ConfigError, match=advice):
        build("resnet", Resnet(depth=(1,) * 5), Signature(shape, (2,), TASK))


@pytest.mark.parametrize("input_shape", [(64,), (8, 8), (4, 8, 8, 1)])
def test_only_images_are_taken(input_shape):
    with pytest.raises(ConfigError, match=r"`model=resnet` needs images.*Received: .* model=mlp"):
        build("resnet", Resnet(), Signature(input_shape, (10,), TASK))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"depth": 0}, r"`model.depth` must be a positive integer or a list of them"),
        ({"depth": []}, r"`model.depth` must be a positive integer or a list of them"),
        ({"depth": [2, 0]}, r"`model.depth` must be .* Received: \[2, 0\]"),
        ({"block": "deep"}, r"`model.block` must be one of basic, bottleneck"),
        ({"normalization": None}, r"`model.normalization` must be one of batch, layer, group"),
        (
            {"normalization": "group", "width": 12},
            r"`model.groups` must be a divisor of model.width, which is 12. Received: 8",
        ),
        ({"residual_scale": 0}, r"`model.residual_scale` must be a positive number"),
    ],
)
def test_bad_settings_are_explained(node, message):
    with pytest.raises(ConfigError, match=message):
        choose(CATALOGUE, {"name": "resnet", **node}, "model")
