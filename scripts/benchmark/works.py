"""What is trained in the benchmark: data, model, numbers of replicates, and the targets."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from runner import datasets, seeds
from runner.datasets.dataset import Dataset, Part
from runner.tasks import Signature

BATCH_SIZE = 128
NUM_SEEDS = 10  # data orders; replicate i follows order i modulo this, as ten initializers would


@dataclass(frozen=True)
class Work:
    """A model and its data.

    Attributes:
      title: For the tables.
      dataset: Reads or generates the data.
      model: Builds the Keras model.
      replicates: How many are trained together, one measurement each.
      learning_rate: Of SGD.
      own_randomness: Whether the model draws random numbers while it is trained: the engines' are
        others than those of Keras.
      convolutional: Whether the model is the option `cnn`.
      sides: Those that are measured; None: all.
      targets: A side, a number of replicates, and how many times quicker the vectorized engine has
        to be there.
      limit: What stands in the way where the targets are out of reach, in words.
      peak_target: Share of the machine's matrix-product peak to be reached at 100 replicates.
    """

    title: str
    dataset: Callable[[], Dataset]
    model: Callable[[], Any]
    replicates: tuple[int, ...]
    learning_rate: float = 0.1
    own_randomness: bool = False
    convolutional: bool = False
    sides: tuple[str, ...] | None = None
    targets: tuple[tuple[str, int, float], ...] = ()
    limit: str = ""
    peak_target: float | None = None


def initial_weights(model: Any, replicate: int) -> list[np.ndarray]:
    """Returns a replicate's weights: kernels and tables uniform with Glorot's limit.

    The rest is as built, which is the same in every process.
    """
    return [
        _kernel(weight.shape, replicate, position) if _is_drawn(weight) else np.array(weight)
        for position, weight in enumerate(model.weights)
    ]


def _is_drawn(weight: Any) -> bool:
    return "kernel" in weight.name or weight.name == "embeddings"


def _kernel(shape: tuple[int, ...], replicate: int, position: int) -> np.ndarray:
    field_size = math.prod(shape[:-2])
    limit = math.sqrt(6 / (field_size * (shape[-2] + shape[-1])))
    draw = seeds.generator(replicate, "weights", position).uniform(-limit, limit, shape)
    return draw.astype(np.float32)


def batch_seed(replicate: int) -> int:
    """Returns the seed of a replicate's data order and dropout masks."""
    return replicate % NUM_SEEDS


def epoch_flops(model: Any, data: Dataset) -> float:
    """Returns the floating-point operations of an epoch's matrix products, per replicate.

    A kernel of s elements that is used at p positions of an example costs 2 s p forward, as much
    again for its gradient, and as much for that of its input, which the first layer does not need.
    The validation part costs one pass forward. So do the products of queries with keys, and of
    their result with the values, in an attention.
    """
    forward = [_forward_flops(layer) for layer in model.layers]
    forward = [flops for flops in forward if flops]
    training = 3 * sum(forward) - forward[0]
    return training * len(data.train) + sum(forward) * len(data.validation)


def _forward_flops(layer: Any) -> float:
    """Returns the operations of a layer's matrix products for one example."""
    kind = type(layer).__name__
    size = sum(math.prod(w.shape) for w in layer.trainable_weights if "kernel" in w.name)
    if not size:
        return 0
    if kind == "MultiHeadAttention":  # it has queries, keys and values of one length here
        steps, width = layer.output.shape[1], layer.num_heads * layer.key_dim
        return 2 * size * steps + 4 * steps**2 * width
    shape = layer.input.shape if kind in ("SimpleRNN", "LSTM") else layer.output.shape
    return 2 * size * math.prod(shape[1:-1])


def _digits(**settings: Any) -> Dataset:
    return datasets.load("digits", datasets.CATALOGUE["digits"](test=0.0, **settings))


def _text(num_train: int, num_validation: int) -> Dataset:
    """The next character of what Python's own help says of its statements, 64 at a time."""
    from pydoc_data import topics

    settings = datasets.CATALOGUE["text"](path=topics.__file__, test=0.0, vocabulary_size=64)
    data = datasets.load("text", settings)
    train, validation = (
        Part(np.asarray(part.x[:count]), part.y[:count])
        for part, count in ((data.train, num_train), (data.validation, num_validation))
    )
    return replace(data, train=train, validation=validation)


def _generated(shape: tuple[int, ...], num_train: int, num_validation: int) -> Dataset:
    """Normal inputs; the class is the largest of ten linear functions of them."""
    numbers = seeds.generator(0, "data")
    count = num_train + num_validation
    x = numbers.normal(size=(count, *shape)).astype(np.float32)
    y = (x.reshape(count, -1) @ numbers.normal(size=(math.prod(shape), 10))).argmax(axis=1)
    y = y.astype(np.int32)
    return Dataset(
        name="generated",
        task="classification",
        num_outputs=10,
        train=Part(x[:num_train], y[:num_train]),
        validation=Part(x[num_train:], y[num_train:]),
        test=None,
        classes=tuple("0123456789"),
    )


def _mlp(shape: tuple[int, ...], dropout: float = 0.0) -> Any:
    from runner.models.mlp import Mlp, build

    return build(Mlp(dropout=dropout), Signature(shape, (10,), "classification"))


def _cnn(shape: tuple[int, ...], batch_norm: bool = False, dropout: float = 0.0) -> Any:
    from runner.models.cnn import Cnn, build

    settings = Cnn(batch_norm=batch_norm, dropout=dropout)
    return build(settings, Signature(shape, (10,), "classification"))


def _option(name: str, signature: Signature, **settings: Any) -> Any:
    from runner import models

    return models.build(name, models.CATALOGUE[name](**settings), signature)


def _classes(name: str, shape: tuple[int, ...], **settings: Any) -> Any:
    return _option(name, Signature(shape, (10,), "classification"), **settings)


def _causal() -> Any:
    return _option("transformer", Signature((64,), (64, 64), "tokens", vocabulary=64))


def _transformer() -> Any:
    """One encoder block over the eight rows of a digit, each a token."""
    from keras import Input, Model, layers

    inputs = Input((8, 8, 1))
    tokens = layers.Dense(32)(layers.Reshape((8, 8))(inputs))
    attended = layers.MultiHeadAttention(4, 8)(tokens, tokens)
    tokens = layers.LayerNormalization()(tokens + attended)
    hidden = layers.Dense(32)(layers.Dense(64, activation="relu")(tokens))
    tokens = layers.LayerNormalization()(tokens + hidden)
    return Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling1D()(tokens)))


def _recurrent() -> Any:
    from keras import Input, Model, layers

    inputs = Input((8, 8, 1))
    return Model(inputs, layers.Dense(10)(layers.SimpleRNN(32)(layers.Reshape((8, 8))(inputs))))


_SMALL, _MIDDLE, _LARGE = (8, 8, 1), (14, 14, 1), (28, 28, 1)
_FAMILY_SIDES = ("keras", "vectorized", "fit")
# PyTorch's model is written by hand for plain stacks only.
_WITHOUT_TORCH = ("keras", "vectorized", "jax", "fit", "fit tuned", "joblib")

WITHOUT_AND_WITH_DROPOUT = "digits-mlp", "digits-mlp-dropout"
MAX_DROPOUT_SLOWDOWN = 1.5

_ATTENTION_LIMIT = (
    "the arithmetic is the same as that of `fit`, whose overhead is small beside it. Softmax, GELU "
    "and normalizations read and write all scores and activations, forward and backward, and alone "
    "take more than an eighth of the time of `fit`; products of matrices as small as a head's do "
    "not come near the peak."
)

WORKS: dict[str, Work] = {
    "digits-mlp": Work(
        "MLP 64-64-64-10 on digits",
        _digits,
        lambda: _mlp(_SMALL),
        (1, 10, 100, 1000),
        targets=(("fit", 100, 100), ("fit tuned", 100, 40), ("jax", 100, 1.5), ("fit", 1, 5)),
    ),
    "digits-mlp-dropout": Work(
        "MLP 64-64-64-10 on digits, Dropout",
        _digits,
        lambda: _mlp(_SMALL, dropout=0.2),
        (100,),
        own_randomness=True,
        sides=(*_FAMILY_SIDES, "jax", "torch vmap", "torch"),
    ),
    "mnist-mlp": Work(
        "MLP 784-64-64-10 on generated images of MNIST's shape",
        lambda: _generated(_LARGE, 5000, 1000),
        lambda: _mlp(_LARGE),
        (100,),
        learning_rate=0.01,
        targets=(("fit", 100, 10), ("fit tuned", 100, 5), ("jax", 100, 1.2)),
        peak_target=0.55,
    ),
    "cnn8": Work(
        "CNN on digits, 8 x 8",
        _digits,
        lambda: _cnn(_SMALL),
        (10,),
        convolutional=True,
        targets=(("fit", 10, 8),),
    ),
    "cnn8-bn-dropout": Work(
        "CNN on digits, 8 x 8, BatchNormalization and Dropout",
        _digits,
        lambda: _cnn(_SMALL, batch_norm=True, dropout=0.2),
        (10,),
        own_randomness=True,
        convolutional=True,
        sides=_WITHOUT_TORCH,
        targets=(("fit", 10, 5),),
    ),
    "cnn28": Work(
        "CNN on generated images, 28 x 28",
        lambda: _generated(_LARGE, 1000, 200),
        lambda: _cnn(_LARGE),
        (10,),
        learning_rate=0.01,
        convolutional=True,
        targets=(("fit", 10, 5),),
    ),
    "cnn28-bn-dropout": Work(
        "CNN on generated images, 28 x 28, BatchNormalization and Dropout",
        lambda: _generated(_LARGE, 1000, 200),
        lambda: _cnn(_LARGE, batch_norm=True, dropout=0.2),
        (10,),
        learning_rate=0.01,
        own_randomness=True,
        convolutional=True,
        sides=_WITHOUT_TORCH,
        targets=(("fit", 10, 2.5),),
    ),
    "transformer": Work(
        "Transformer encoder on the rows of digits",
        _digits,
        _transformer,
        (10,),
        sides=_WITHOUT_TORCH,
        targets=(("fit", 10, 10),),
    ),
    "rnn": Work(
        "SimpleRNN on the rows of digits",
        _digits,
        _recurrent,
        (10,),
        sides=_WITHOUT_TORCH,
        targets=(("fit", 10, 5),),
    ),
    "resnet20": Work(
        "ResNet-20 on generated images, 14 x 14",
        lambda: _generated(_MIDDLE, 1000, 200),
        lambda: _classes("resnet", _MIDDLE, depth=3),
        (10,),
        learning_rate=0.001,
        convolutional=True,
        sides=_FAMILY_SIDES,
        targets=(("fit", 10, 3),),
        limit="three quarters of the engine's 165 ms of processor time a step are convolutions, by "
        "the kernels of oneDNN that `fit` calls too, at 9 to 104 % of the peak of a core: if all "
        "else took no time, `fit`, with 280 ms, would take 2.1 times that.",
    ),
    "vit": Work(
        "Vision transformer on generated images, 14 x 14, in 49 patches",
        lambda: _generated(_MIDDLE, 1000, 200),
        lambda: _classes("transformer", _MIDDLE),
        (10,),
        learning_rate=0.01,
        sides=_FAMILY_SIDES,
        targets=(("fit", 10, 8),),
        limit=_ATTENTION_LIMIT,
    ),
    "conv1d": Work(
        "Convolutions along digits, pixel by pixel",
        lambda: _digits(as_sequence=True),
        lambda: _classes("conv1d", (64, 1)),
        (10,),
        convolutional=True,
        sides=_FAMILY_SIDES,
    ),
    "lstm64": Work(
        "LSTM on digits, pixel by pixel: 64 steps",
        lambda: _digits(as_sequence=True),
        lambda: _classes("rnn", (64, 1)),
        (10,),
        sides=_FAMILY_SIDES,
        targets=(("fit", 10, 8),),
        limit="with so many steps XLA does not compile the layer, so each step is some small "
        "operations of TensorFlow's for every replica.",
    ),
    "language": Work(
        "Causal transformer on 64 characters of text",
        lambda: _text(1000, 200),
        _causal,
        (10,),
        sides=_FAMILY_SIDES,
        targets=(("fit", 10, 8),),
        limit=_ATTENTION_LIMIT,
    ),
}
