"""The names of Keras's activations, known without importing Keras."""

import difflib

from runner.config import ConfigError

# All of `keras.activations` that map a tensor to one of the same shape without further arguments:
# `glu` halves the width, `threshold` needs two arguments.
ACTIVATIONS = (
    "celu",
    "elu",
    "exponential",
    "gelu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
)


def check_activation(name: str) -> None:
    """Checks the setting `model.activation`.

    Raises:
      ConfigError: It is no name in `ACTIVATIONS`. The message lists the closest ones, or all.
    """
    if name in ACTIVATIONS:
        return
    close = difflib.get_close_matches(name.lower(), ACTIVATIONS, n=4, cutoff=0.5)
    advice = f"Close to it: {', '.join(close)}." if close else f"Use {', '.join(ACTIVATIONS)}."
    rule = "the name of a Keras activation that keeps the shape"
    raise ConfigError.at("model.activation", rule, name, advice)
