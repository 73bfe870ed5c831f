"""Small models, cohorts of them, and what an engine makes of a cohort; for several tests."""

import dataclasses

import numpy as np
import pytest

from runner import seeds
from runner.datasets.dataset import Dataset, Part
from runner.events import EpochEnded, ReplicateEnded
from runner.plan import Choice, Key, Training
from runner.tasks import Signature
from runner.training import optimizers
from runner.training.cohort import Cohort, Member

BATCH = 16
ROWS = 3 * BATCH + 5  # the last batch of an epoch is a partial one
SHAPE, CLASSES = (8, 8, 1), 3
STEPS = 4  # of sequences: they are compiled one after the other


def mlp(keras, **extra):
    layers = keras.layers
    kernel = {"kernel_constraint": extra.get("constraint")}
    body = [layers.Flatten(), layers.Dense(12, activation="relu", **kernel)]
    body += [layers.BatchNormalization()] if "batch_norm" in extra else []
    body += [layers.Dropout(0.4)] if "dropout" in extra else []
    return keras.Sequential([keras.Input(SHAPE), *body, layers.Dense(CLASSES)])


def cnn(keras, **extra):
    layers = keras.layers
    kernel = {"kernel_constraint": extra.get("constraint")}
    body = [layers.Conv2D(3, 3, activation="relu", **kernel), layers.MaxPooling2D()]
    body += [layers.BatchNormalization(), layers.Dropout(0.3)] if "batch_norm" in extra else []
    return keras.Sequential([keras.Input(SHAPE), *body, layers.Flatten(), layers.Dense(CLASSES)])


def normalizing_images(keras):
    """Batches are large enough for the fused kernels; the partial one is not."""
    layers = keras.layers
    body = [layers.Conv2D(40, 3, padding="same"), layers.BatchNormalization(), layers.ReLU()]
    body += [layers.Dropout(0.2), layers.Flatten()]
    return keras.Sequential([keras.Input(SHAPE), *body, layers.Dense(CLASSES)])


def residual(keras):
    layers = keras.layers
    inputs = keras.Input(SHAPE)
    hidden = layers.Dense(8, activation="tanh")(layers.Flatten()(inputs))
    hidden = hidden + layers.Dense(8, activation="tanh", kernel_regularizer="l2")(hidden)
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(hidden))


def attention(keras):
    layers = keras.layers
    inputs = keras.Input(SHAPE)
    tokens = layers.Reshape((8, 8))(inputs)
    tokens = layers.LayerNormalization()(tokens + layers.MultiHeadAttention(2, 4)(tokens, tokens))
    return keras.Model(inputs, layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(tokens)))


def noisy(keras, kind):
    """Returns a model with layers that draw in training, at the start and later."""
    layers = keras.layers
    images = {
        "noise": [layers.GaussianNoise(0.3), layers.SpatialDropout2D(0.3)],
        "shapes": [layers.RandomFlip(), layers.RandomTranslation(0.2, 0.2)],
        "values": [layers.RandomContrast(0.3), layers.RandomBrightness(0.2, (0.0, 1.0))],
    }[kind]
    rows = [layers.Dense(12, "tanh"), layers.AlphaDropout(0.2), layers.GaussianDropout(0.2)]
    body = [*images, layers.Flatten(), *rows, layers.Dense(CLASSES)]
    return keras.Sequential([keras.Input(SHAPE), *body])


def recurrent(keras):
    layers = keras.layers
    body = [layers.Reshape((STEPS, -1)), layers.SimpleRNN(6)]
    return keras.Sequential([keras.Input(SHAPE), *body, layers.Dense(CLASSES)])


def lstm(keras, **settings):
    layers = keras.layers
    body = [layers.Reshape((STEPS, -1)), layers.LSTM(5, **settings)]
    return keras.Sequential([keras.Input(SHAPE), *body, layers.Dense(CLASSES)])


def masked_in_both_directions(keras, sequences=False):
    layers = keras.layers
    inputs = keras.Input(SHAPE)
    tokens = layers.Reshape((STEPS, -1))(inputs)
    tokens *= keras.ops.cast(tokens[..., :1] > 0, tokens.dtype)  # about every other step is zero
    tokens = layers.Masking()(tokens)
    rnn = layers.SimpleRNN(4, return_sequences=sequences)
    gru = layers.GRU(4, use_cudnn=False)  # it takes no masks within a sequence
    hidden = layers.Bidirectional(rnn if sequences else gru)(tokens)
    if sequences:
        hidden = layers.Bidirectional(layers.SimpleRNN(3))(hidden)
    return keras.Model(inputs, layers.Dense(CLASSES)(hidden))


def option(name, **settings):
    """Returns an option of the group `model`."""
    from runner import models

    spec = models.CATALOGUE[name](**settings)
    return models.build(name, spec, Signature(SHAPE, (CLASSES,), "classification"))


def of_words(name, task="tokens", **settings):
    """Returns an option of the group `model` for the data set `words`."""
    from runner import models

    outputs = (STEPS, WORDS) if task == "tokens" else (CLASSES,)
    signature = Signature((STEPS,), outputs, task, vocabulary=WORDS)
    return models.build(name, models.CATALOGUE[name](**settings), signature)


def normalizing(keras):
    layers = keras.layers
    hidden = layers.SpectralNormalization(layers.Dense(12, "tanh", kernel_regularizer="l2"))
    body = [layers.Flatten(), hidden, layers.Dense(CLASSES)]
    return keras.Sequential([keras.Input(SHAPE), *body])


def adding_losses(keras):
    class Penalty(keras.layers.Layer):
        def build(self, shape):
            self.unused = self.add_weight(shape=(3,), initializer="ones")

        def call(self, x):
            self.add_loss(0.01 * x**2)  # one for every example and unit
            return x

    layers = keras.layers
    body = [layers.Flatten(), layers.Dense(12, "tanh"), Penalty(), layers.Dense(CLASSES)]
    return keras.Sequential([keras.Input(SHAPE), *body])


def subclassed(keras, kind):
    """Returns a model of a class of its own; what differs is what its `call` takes."""
    layers = keras.layers

    class Block(layers.Layer):
        """Knows nothing of training, and hands nothing on."""

        def __init__(self):
            super().__init__()
            self.body = [layers.Dense(8, "tanh"), layers.BatchNormalization(), layers.Dropout(0.4)]

        def call(self, x):
            for layer in self.body:
                x = layer(x)
            return x

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.flatten, self.blocks = layers.Flatten(), [Block(), Block()]
            self.dropout, self.last = layers.Dropout(0.3), layers.Dense(CLASSES)

        def through(self, x, **passed):
            x = self.flatten(x)
            for block in self.blocks:
                x = block(x)
            return self.last(self.dropout(x, **passed))

    class Plain(Net):
        def call(self, x):
            return self.through(x)

    class Masked(Net):
        def call(self, x, mask=None):
            return self.through(x)

    class AnyArguments(Net):
        def call(self, x, **kwargs):
            return self.through(x, **kwargs)

    class Training(Net):
        def call(self, inputs, *, training=None):
            return self.through(inputs, training=training)

    class Silent(Net):
        def call(self, x, training=False):
            return self.through(x)

    kinds = {made.__name__: made for made in (Plain, Masked, AnyArguments, Training, Silent)}
    if kind == "Inner":
        inputs = keras.Input(SHAPE)
        hidden = layers.Dense(6)(layers.Flatten()(inputs))
        return keras.Model(inputs, Plain()(hidden))
    model = kinds[kind]()
    model(np.zeros((1, *SHAPE), "float32"))
    model(keras.Input(SHAPE))
    return model


WORDS = 9


def words(task="tokens"):
    """Returns sequences of tokens with the next ones, or with a class that the first one tells."""
    whole = dataset()

    def part(one):
        shape = len(one), STEPS + 1
        numbers = np.random.default_rng(len(one)).integers(0, WORDS, shape, np.int32)
        x = numbers[:, :-1]
        return Part(x, numbers[:, 1:] if task == "tokens" else x[:, 0] % CLASSES)

    return dataclasses.replace(
        whole,
        task=task,
        num_outputs=WORDS if task == "tokens" else CLASSES,
        train=part(whole.train),
        validation=part(whole.validation),
        test=part(whole.test),
        classes=tuple("abcdefghi"[: WORDS if task == "tokens" else CLASSES]),
        vocabulary=WORDS,
    )


def dataset(task="classification", num_outputs=CLASSES, scale=1.0):
    """Returns targets that are linear in the inputs, which are `scale` times normal.

    Quantities are the inputs themselves where `num_outputs` is 1, brought to [0, 1] as pixels.
    """
    numbers = np.random.default_rng(1)
    num_scores = num_outputs * (STEPS if task == "tokens" else 1)
    kernel = np.random.default_rng(2).normal(size=(64, num_scores))

    def part(rows):
        x = numbers.normal(size=(rows, *SHAPE))
        scores = x.reshape(rows, -1) @ kernel
        if task == "regression":
            y = 1 / (1 + np.exp(-x)) if num_outputs == 1 else scores
            return Part((scale * x).astype("float32"), y.astype("float32"))
        if task == "tokens":
            y = scores.reshape(rows, STEPS, num_outputs).argmax(axis=-1)
        else:
            y = scores.argmax(axis=1) if task == "classification" else scores > 0
        return Part((scale * x).astype("float32"), y.astype("int32"))

    return Dataset(
        name="sample",
        task=task,
        num_outputs=num_outputs,
        train=part(ROWS),
        validation=part(20),
        test=part(11),
        classes=tuple("abc"[:num_outputs]) if task in ("classification", "tokens") else (),
        has_pixels=task == "regression",
    )


def ending_in(keras, *last):
    body = [keras.layers.Flatten(), keras.layers.Dense(12, activation="relu")]
    return keras.Sequential([keras.Input(SHAPE), *body, *last])


def at_each_step(keras, activation):
    units, shape = STEPS * CLASSES, (STEPS, CLASSES)
    last = [keras.layers.Reshape(shape), keras.layers.Activation(activation)]
    return ending_in(keras, keras.layers.Dense(units), *last)


def subclass(keras, units, activation):
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.flat, self.dense = keras.layers.Flatten(), keras.layers.Dense(units)

        def call(self, x, training=False):
            return activation(self.dense(self.flat(x)))

    model = Net()
    model(keras.Input(SHAPE))
    return model


def ends(task, units, num_outputs):
    """Returns the usual last layers for so many units; each model takes `keras`."""
    forms = {
        "logits": lambda keras: ending_in(keras, keras.layers.Dense(units)),
        "sigmoid": lambda keras: ending_in(keras, keras.layers.Dense(units, activation="sigmoid")),
        "activation layer": lambda keras: ending_in(
            keras, keras.layers.Dense(units), keras.layers.Activation("sigmoid")
        ),
        "reshaped": lambda keras: ending_in(
            keras, keras.layers.Dense(units, activation="sigmoid"), keras.layers.Reshape((units,))
        ),
        "convolutions": lambda keras: keras.Sequential(
            [
                keras.Input(SHAPE),
                keras.layers.Conv2D(3, 3, activation="relu"),
                keras.layers.Flatten(),
                keras.layers.Dense(units),
            ]
        ),
        "subclass": lambda keras: subclass(keras, units, keras.ops.sigmoid),
    }
    what = "one output" if task == "classification" else "labels"
    return {f"{what}, {name}": (form, task, num_outputs) for name, form in forms.items()}


ENDS = {
    **ends("classification", 1, 2),
    **ends("multilabel", 4, 4),
    "two logits": (
        lambda keras: ending_in(keras, keras.layers.Dense(2)),
        "classification",
        2,
    ),
    "softmax layer": (
        lambda keras: ending_in(keras, keras.layers.Dense(2), keras.layers.Softmax()),
        "classification",
        2,
    ),
    "tokens, logits": (lambda keras: at_each_step(keras, None), "tokens", CLASSES),
    "tokens, softmax": (lambda keras: at_each_step(keras, "softmax"), "tokens", CLASSES),
    "targets": (lambda keras: ending_in(keras, keras.layers.Dense(5)), "regression", 5),
    "pixels": (
        lambda keras: ending_in(
            keras, keras.layers.Dense(64, "sigmoid"), keras.layers.Reshape(SHAPE)
        ),
        "regression",
        1,
    ),
}
"""What a model ends in -> (model, task, classes or labels)."""


def member(model, seed, rate=0.05, spoil=False):
    """Returns a replicate with normal kernels and, as yet, everything else as built."""
    built = [(weight.name, weight.numpy()) for weight in model.weights]

    def draw():
        values = []
        for position, (name, value) in enumerate(built):
            if "kernel" in name:
                noise = seeds.generator(seed, "weights", position).normal(0, 0.2, value.shape)
                value = np.full_like(value, np.nan) if spoil else noise.astype(value.dtype)
            values.append(value)
        return values

    return Member(draw, batch_seed=seed % 3, learning_rate=rate)


def cohort(model, members, optimizer="sgd", epochs=2, data=None, device="/CPU:0", **settings):
    """Returns a cohort; the key of each member has its position as the configuration."""
    return Cohort(
        model=model,
        dataset=data or dataset(),
        optimizer=Choice(optimizer, optimizers.CATALOGUE[optimizer](**settings)),
        training=Training(epochs=epochs, batch_size=BATCH),
        device=device,
        members=[
            dataclasses.replace(each, key=Key(position, 0, 0))
            for position, each in enumerate(members)
        ],
    )


def run(engine, cohort):
    """Returns ({(position, epoch): {metric: value}}, {position: outcome})."""
    curves, outcomes = {}, {}
    for event in engine(cohort):
        if isinstance(event, ReplicateEnded):
            outcomes[event.key.configuration] = event
            continue
        assert isinstance(event, EpochEnded)
        for row, key in enumerate(event.keys):
            metrics = {name: values[row] for name, values in event.metrics.items()}
            curves[key.configuration, event.epoch] = metrics
    return curves, outcomes


def assert_same(engines, cohort, rtol):
    wanted, ends = run(engines["reference"], cohort)
    got, got_ends = run(engines["vectorized"], cohort)
    assert got.keys() == wanted.keys()
    for key, metrics in wanted.items():
        assert list(got[key]) == list(metrics)  # in the same order, for it is that of the columns
        for name, value in metrics.items():
            assert got[key][name] == pytest.approx(value, rel=rtol, abs=rtol), (key, name)
    for position, end in ends.items():
        assert got_ends[position].status == end.status
        assert got_ends[position].test == pytest.approx(end.test, rel=rtol, abs=rtol)
        # What moves little has the rounding of what it moves away from.
        near = max(1e-7, rtol / 10)
        for path, pair in end.movement.items():
            assert got_ends[position].movement[path] == pytest.approx(pair, rel=10 * rtol, abs=near)


MODELS = {
    "mlp": mlp,
    "mlp with batch norm and dropout": lambda keras: mlp(keras, batch_norm=True, dropout=True),
    "noise and dropout": lambda keras: noisy(keras, "noise"),
    "augmented shapes": lambda keras: noisy(keras, "shapes"),
    "augmented values": lambda keras: noisy(keras, "values"),
    "cnn": cnn,
    "cnn with batch norm and dropout": lambda keras: cnn(keras, batch_norm=True),
    "cnn with many channels": normalizing_images,
    "residual": residual,
    "attention": attention,
    "recurrent": recurrent,
    "lstm": lstm,
    "lstm with dropout": lambda keras: lstm(keras, dropout=0.2, recurrent_dropout=0.2),
    "masked in both directions": masked_in_both_directions,
    "masked sequences in both directions": lambda keras: masked_in_both_directions(keras, True),
    "max norm": lambda keras: mlp(keras, constraint=keras.constraints.MaxNorm(0.5)),
    "no negative kernels": lambda keras: mlp(keras, constraint="non_neg"),
    "cnn with unit norm": lambda keras: cnn(
        keras, constraint=keras.constraints.UnitNorm([0, 1, 2])
    ),
    "spectral normalization": normalizing,
    "resnet": lambda keras: option("resnet", depth=(1, 1), width=4),
    "resnet of bottlenecks with preactivation": lambda keras: option(
        "resnet",
        block="bottleneck",
        depth=(1, 1),
        width=4,
        normalization="group",
        groups=2,
        preactivation=True,
        residual_scale=0.5,
    ),
    "vision transformer": lambda keras: option("transformer", width=8, heads=2, feed_forward=16),
    "mlp of maxout and sines": lambda keras: option(
        "mlp", width=8, activation=("maxout", "sine"), pieces=3, omega=1.0
    ),
    "cnn with prelu": lambda keras: option("cnn", filters=3, depth=1, activation="prelu"),
    "conv1d": lambda keras: option(
        "conv1d", filters=4, depth=2, dilation=2, causal=True, batch_norm=True
    ),
    "causal transformer": lambda keras: option(
        "transformer", depth=1, width=8, heads=2, feed_forward=16, causal=True
    ),
    "unet": lambda keras: option("unet", width=2, depth=1, batch_norm=True),
    "convolutional autoencoder": lambda keras: option(
        "autoencoder", kind="convolutional", width=4, depth=2
    ),
    "class whose call takes the inputs alone": lambda keras: subclassed(keras, "Plain"),
    "class whose call takes a mask": lambda keras: subclassed(keras, "Masked"),
    "class whose call takes anything": lambda keras: subclassed(keras, "AnyArguments"),
    "class whose call takes training": lambda keras: subclassed(keras, "Training"),
    "class whose call hands no training on": lambda keras: subclassed(keras, "Silent"),
    "class inside of a functional model": lambda keras: subclassed(keras, "Inner"),
}
