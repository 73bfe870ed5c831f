"""Models: shapes without a choice of weights.

An option of the group `model` is a module with a dataclass of settings and a function
`build(settings, signature)` that returns a Keras model. Which weights the model
starts with is decided elsewhere: whatever Keras put into it while it was built is overwritten or,
where no law applies (normalization, embeddings), is the same in every build.
"""

import math
from collections.abc import Callable
from typing import Any

from runner.config import ConfigError, shown
from runner.models import (
    applications,
    autoencoder,
    cnn,
    conv1d,
    custom,
    mlp,
    resnet,
    rnn,
    transformer,
    unet,
)
from runner.models.output import check, num_units, outputs_logits
from runner.models.randomness import BUILD_SEED, fixed_randomness
from runner.tasks import Signature

__all__ = [
    "CATALOGUE",
    "CONVOLUTIONAL",
    "build",
    "check",
    "num_parameters",
    "num_units",
    "outputs_logits",
]

CATALOGUE: dict[str, type] = {
    "mlp": mlp.Mlp,
    "cnn": cnn.Cnn,
    "conv1d": conv1d.Conv1d,
    "resnet": resnet.Resnet,
    "unet": unet.Unet,
    "autoencoder": autoencoder.Autoencoder,
    "applications": applications.Applications,
    "rnn": rnn.Rnn,
    "transformer": transformer.Transformer,
    "custom": custom.Custom,
}

CONVOLUTIONAL = ("cnn", "conv1d", "resnet", "unet", "applications")
"""Options whose time goes into convolutions."""

_BUILDERS: dict[str, Callable[..., Any]] = {
    "mlp": mlp.build,
    "cnn": cnn.build,
    "conv1d": conv1d.build,
    "resnet": resnet.build,
    "unet": unet.build,
    "autoencoder": autoencoder.build,
    "applications": applications.build,
    "rnn": rnn.build,
    "transformer": transformer.build,
    "custom": custom.build,
}


def build(
    name: str,
    settings: Any,
    signature: Signature,
    seed: int = BUILD_SEED,
) -> Any:
    """Builds a model and checks that it fits the task.

    Two builds from the same arguments have the same weights and the same states of their random
    number generators, whatever was built or drawn before in the process. The names that Keras
    invents for unnamed layers are the exception: it counts them per process.

    Args:
      name: A key of `CATALOGUE`.
      settings: An instance of `CATALOGUE[name]`.
      signature: What the model is for.
      seed: Of what the model draws for itself, in [0, 2**32).

    Returns:
      A `keras.Model` with weights, one input of shape `(batch, *signature.inputs)` and one output
      of shape `(batch, *signature.outputs)`, for two classes maybe `(batch, 1)`. Nothing that it
      may be compiled with is used.

    Raises:
      ConfigError: The settings do not fit the data, or the user's model cannot be used.
    """
    if name != "custom" and not isinstance(signature.inputs, tuple):
        raise ConfigError(
            f"`model` must be custom for data with several inputs. Received: {name}, and the "
            f"inputs {shown(list(signature.inputs))}."
        )
    with fixed_randomness(seed):
        seeded = {"seed": seed} if name == "custom" else {}
        model = _BUILDERS[name](settings, signature, **seeded)
        num_inputs = 1 if isinstance(signature.inputs, tuple) else len(signature.inputs)
        check(model, signature.outputs, signature.task, num_inputs=num_inputs)
    return model


def num_parameters(model: Any) -> int:
    """Returns the number of trainable parameters."""
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)
