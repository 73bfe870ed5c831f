"""Fixed points of the judgement, every illness in a net that was built to have it, and its cure."""

import dataclasses
import re

import numpy as np
import pytest

from runner.initializers.rules import RULES
from runner.records import KernelRecord

# Initializer, its settings, the MLP's, the verdict.
FIXED = {
    "he at depth 20": ("he_normal", {}, {"width": 256, "depth": 20}, "healthy"),
    "glorot at depth 30": ("glorot_uniform", {}, {"width": 256, "depth": 30}, "vanishing"),
    "zero": ("zero", {}, {"width": 256}, "symmetric"),
    "normal 0.5": ("normal", {"scale": 0.5}, {"width": 256, "depth": 20}, "exploding"),
}
BUILT = {
    "ones": ("ones", {}, {}, "symmetric"),
    "small": ("normal", {"scale": 1e-4}, {}, "vanishing"),
    "overflow": ("normal", {"scale": 1e9}, {"depth": 6}, "exploding"),
    "large outputs": ("he_normal", {"gain": 8.0}, {"depth": 1}, "exploding"),
    "negative biases": ("he_normal", {"bias": -10.0}, {}, "dead"),
    "steep tanh": ("normal", {"scale": 2.0}, {"activation": "tanh"}, "saturated"),
    "steep sigmoid": ("normal", {"scale": 10.0}, {"activation": "sigmoid"}, "saturated"),
    "common biases": ("lecun_normal", {"bias": 30.0, "gain": 0.5}, {"depth": 4}, "collapsed"),
    "relu and he": ("he_uniform", {}, {"depth": 6}, "healthy"),
    "tanh and glorot": ("glorot_normal", {}, {"depth": 6, "activation": "tanh"}, "healthy"),
    "linear and orthogonal": ("orthogonal", {}, {"depth": 12, "activation": "linear"}, "healthy"),
    "no hidden layer": ("zero", {}, {"depth": 0}, "healthy"),
    "exponential": ("glorot_uniform", {"gain": 0.3}, {"activation": "exponential"}, "healthy"),
    "flat exponential": (
        "glorot_uniform",
        {"bias": -10.0},
        {"activation": "exponential"},
        "saturated",
    ),
}


def marked_slow(*cases):
    return [pytest.param(case, marks=pytest.mark.slow) for case in cases]


@pytest.mark.sampled
@pytest.mark.parametrize("case", ["zero", *BUILT, *marked_slow("he at depth 20")])
def test_verdict(examine, case):
    init, init_settings, mlp, expected = (FIXED | BUILT)[case]
    found = examine(init, init_settings=init_settings, **mlp)
    verdict = found.verdict()
    assert verdict.name == expected, str(verdict)
    assert verdict.reason
    if expected == "healthy":
        assert found.advice() == ""


# Activations of the theory, one of each kind, deep and with kernels that are far too small.
DEEP = {
    name: (
        "normal",
        {"scale": 0.01},
        {"width": 128, "depth": 20, "activation": name},
        "vanishing",
    )
    for name in ("relu", "elu", "gelu", "tanh", "sigmoid", "softplus")
}
# What decides beside the activation.
OTHERS = {
    "no hidden layer, large": ("normal", {"scale": 20.0}, {"depth": 0}, "exploding"),
    "relu6": ("normal", {"scale": 0.01}, {"activation": "relu6", "depth": 4}, "vanishing"),
    "mish": ("glorot_uniform", {}, {"activation": "mish", "width": 128, "depth": 16}, "vanishing"),
    "residual at depth 30": (
        "glorot_uniform",
        {},
        {"width": 128, "depth": 30, "residual": True},
        "exploding",
    ),
    "normalized, small": ("normal", {"scale": 1e-4}, {"batch_norm": True}, "vanishing"),
    "normalized and deep": (
        "glorot_uniform",
        {},
        {"width": 128, "depth": 36, "batch_norm": True},
        "exploding",
    ),
    "normalized and residual": (
        "he_normal",
        {},
        {"width": 128, "depth": 30, "batch_norm": True, "residual": True},
        "exploding",
    ),
}


@pytest.mark.sampled
@pytest.mark.parametrize(
    "case",
    [
        *("zero", "ones", "small", "negative biases", "steep tanh", "steep sigmoid"),
        *("no hidden layer, large", "relu6", "normalized, small"),
        *marked_slow("glorot at depth 30", "normal 0.5", "mish", "residual at depth 30"),
        *marked_slow("normalized and deep", "normalized and residual", *DEEP),
    ],
)
def test_every_advice_cures(examine, case):
    init, init_settings, mlp, expected = (FIXED | BUILT | OTHERS | DEEP)[case]
    ill = examine(init, init_settings=init_settings, **mlp)
    assert ill.verdict().name == expected
    for alternative in alternatives(ill.advice()):
        cured = follow(examine, alternative, init, init_settings, mlp)
        assert cured.verdict().name == "healthy", f"{alternative}: {cured.verdict()}"


def images(keras):
    """Separable convolutions, and what they look at."""
    from keras import layers

    convolutions = [
        layers.SeparableConv2D(16, 3, padding="same", activation="relu") for _ in range(3)
    ]
    return [keras.Input((8, 8, 1)), *convolutions, layers.Flatten()]


def sequences(keras):
    """Recurrent layers, and what they look at."""
    from keras import layers

    return [keras.Input((8, 8)), layers.LSTM(16, return_sequences=True), layers.LSTM(16)]


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("stack", "init", "init_settings", "expected"),
    [
        (images, "zero", {}, "symmetric"),
        (images, "normal", {"scale": 1e-4}, "vanishing"),
        (images, "glorot_uniform", {}, "healthy"),
        (sequences, "zero", {}, "symmetric"),
        (sequences, "normal", {"scale": 1e-6}, "vanishing"),
        (sequences, "glorot_uniform", {}, "healthy"),
    ],
)
def test_layers_with_several_kernels_are_judged(
    keras, examine, digits, reshaped, stack, init, init_settings, expected
):
    model = keras.Sequential([*stack(keras), keras.layers.Dense(10)])
    data = reshaped(digits, model.input_shape[1:])
    found = examine(init, model=model, dataset=data, init_settings=init_settings)
    assert found.verdict().name == expected, str(found.verdict())
    weighted = [layer for layer in model.layers if layer.weights]
    assert [found.records[0].layers[row] for row in found.records[0].judged] == [
        layer.name for layer in weighted
    ]


def test_the_signal_starts_where_the_first_kernel_is(keras, examine, digits):
    from keras import layers

    def build(*first):
        hidden = [layers.Dense(64, activation="relu") for _ in range(2)]
        return keras.Sequential([keras.Input((64,)), *first, *hidden, layers.Dense(10)])

    parts = {
        name: dataclasses.replace(part, x=part.x * np.float32(512))
        for name, part in (("train", digits.train), ("validation", digits.validation))
    }
    large = dataclasses.replace(digits, **parts)
    plain = examine("he_normal", model=build(), seeds=2)
    scaled = examine("he_normal", model=build(layers.Rescaling(1 / 512)), seeds=2, dataset=large)
    for one, other in zip(plain.records, scaled.records, strict=True):
        for name in ("log10_signal_gain", "input_mean_square", "input_correlation"):
            assert other.number(name) == pytest.approx(one.number(name), rel=1e-5), name
    assert scaled.verdict().name == "healthy"


def test_embeddings_are_no_loss_of_signal(keras, examine, digits):
    from keras import layers

    parts = {
        name: dataclasses.replace(part, x=np.abs(part.x * 1000).round())
        for name, part in (("train", digits.train), ("validation", digits.validation))
    }
    model = keras.Sequential(
        [
            keras.Input((64,)),
            layers.Embedding(20000, 32),
            layers.GlobalAveragePooling1D(name="mean"),
            layers.Dense(64, activation="relu"),
            layers.Dense(10),
        ]
    )
    found = examine("he_normal", model=model, dataset=dataclasses.replace(digits, **parts))
    assert found.verdict().name == "healthy", str(found.verdict())
    record = found.records[0]
    row = record.layers.index("mean")
    mean, variance = (record.values(f"activation_{of}")[row] for of in ("mean", "variance"))
    assert record.number("input_mean_square") == pytest.approx(mean**2 + variance, rel=1e-5)
    assert record.number("input_correlation") == pytest.approx(
        record.values("correlation")[row], rel=1e-5
    )


def alternatives(advice):
    """Returns the overrides that an advice names."""
    return re.match(r"Try (.*?): ", advice)[1].split(", or ")


def follow(examine, overrides, init, init_settings, mlp):
    """Examines what a command with these overrides would start from."""
    given = dict(word.split("=") for word in overrides.split())
    name = given.pop("init", None)
    settings, mlp = {} if name else dict(init_settings), dict(mlp)
    for key, value in given.items():
        group, setting = key.split(".")
        if group == "model":
            mlp[setting] = value == "true"
        else:
            settings[setting] = float(value)
    return examine(name or init, init_settings=settings, **mlp)


def test_advice_names_fans_that_keras_counts_wrong(examine):
    from runner.propagation.advice import advice

    fans = {"fan_in": 1152, "fan_out": 9, "exact_fans": (9, 9)}
    depthwise = KernelRecord("dw/kernel", (3, 3, 128, 1), "he_normal", **fans)
    kernels = [dataclasses.replace(depthwise, stddev=0.0417, exact_stddev=0.4714)]
    ill, sound = examine("normal", init_settings={"scale": 1e-4}), examine("he_normal")
    told = advice(ill.verdict(), ill.records, ill.settings, kernels)
    assert told.startswith(f"{ill.advice()} dw/kernel: Keras counts fan_in 1152")
    assert advice(sound.verdict(), sound.records, sound.settings, kernels) == ""


def test_advice_offers_what_is_off_only(examine):
    on = examine("he_normal", depth=16, residual=True)
    assert "residual=true" not in on.advice()
    assert "init.gain=0." in on.advice()


@pytest.mark.slow
def test_advice_to_a_convolutional_net_holds_for_all_its_layers(keras, examine, digits, reshaped):
    from keras import layers

    def build():
        return keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                layers.Conv2D(32, 3, padding="same", activation="relu", name="conv_1"),
                layers.SeparableConv2D(32, 3, padding="same", activation="relu", name="conv_2"),
                layers.Conv2D(32, 3, padding="same", activation="relu", name="conv_3"),
                layers.Flatten(),
                layers.Dense(64, activation="relu", name="dense"),
                layers.Dense(10, name="output"),
            ]
        )

    data = reshaped(digits, (8, 8, 1))
    settings = {"scale": 1e-4}
    ill = examine("normal", init_settings=settings, model=build(), dataset=data)
    assert ill.verdict().name == "vanishing"
    assert "conv_1 to dense (relu)" in ill.advice()
    named = [words for words in alternatives(ill.advice()) if "init=" in words]
    assert named
    for alternative in alternatives(ill.advice()):
        cured = follow(
            examine, alternative, "normal", settings, {"model": build(), "dataset": data}
        )
        assert cured.verdict().name == "healthy", f"{alternative}: {cured.verdict()}"


def test_advice_knows_the_parameters_of_activations_and_says_what_it_does_not_know(keras, examine):
    from keras import layers

    def build(activation):
        # So deep that no other variance is nearly as good.
        hidden = [layer for _ in range(16) for layer in (layers.Dense(64), activation())]
        return keras.Sequential([keras.Input((64,)), *hidden, layers.Dense(10)])

    small = {"init": "normal", "init_settings": {"scale": 1e-3}}
    half = examine(model=build(lambda: layers.LeakyReLU(0.5)), **small)
    # 2 / (1 + 0.5^2) keeps signal and gradient (He et al., 2015, equation 15).
    found = float(re.search(r"variance = ([0-9.]+);", half.advice())[1])
    assert found == pytest.approx(1.6, rel=0.2)
    unknown = examine(model=build(layers.PReLU), **small)
    assert "is not known for this network (an activation depends on" in unknown.advice()


@pytest.mark.slow
def test_depth_widens_what_is_tolerated(examine):
    # A deep narrow net scatters by more than any fixed limit would allow.
    he = {"init": "he_normal", "width": 64, "depth": 50}
    assert examine(**he).verdict().name == "healthy"


def test_a_single_replicate_has_its_own_verdict(examine):
    found = examine("normal", init_settings={"scale": 1e-4}, seeds=2)
    assert [record.verdict for record in found.records] == ["vanishing"] * 2


def residual(keras):
    """Two residual branches of two convolutions each."""
    from keras import layers

    inputs = x = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    for _ in range(2):
        y = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
        x = layers.Add()([x, layers.Conv2D(8, 3, padding="same")(y)])
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def sigmoids(keras):
    """Units that are not zero where their kernels are."""
    hidden = [keras.layers.Dense(16, activation="sigmoid") for _ in range(2)]
    return keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(10)])


@pytest.mark.parametrize(
    ("build", "init", "rules", "expected"),
    [
        (residual, "fixup", [], "healthy"),
        (residual, "he_normal", [{"role": "last_of_branch", "init": "zero"}], "healthy"),
        (residual, "he_normal", [{"role": "output", "init": "zero"}], "healthy"),
        (residual, "zero", [], "symmetric"),
        (sigmoids, "zero", [], "symmetric"),
        (sigmoids, "he_normal", [{"index": 0, "init": "zero"}], "collapsed"),
    ],
)
def test_zeros_that_training_opens_are_no_illness(
    keras, examine, digits, reshaped, build, init, rules, expected
):
    model = build(keras)
    data = reshaped(digits, model.input_shape[1:])
    found = examine(
        init, model=model, dataset=data, init_settings={"rules": RULES.accept(rules)}, seeds=1
    )
    assert found.verdict().name == expected, str(found.verdict())
