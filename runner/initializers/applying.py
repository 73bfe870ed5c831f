"""Gives a Keras model of one's own the initial weights that a sweep would give it."""

from functools import partial
from typing import Any

import numpy as np

from runner.config import ConfigError, choose
from runner.initializers import draw
from runner.initializers.law import CATALOGUE, Probe, node_of
from runner.labels import read
from runner.plan import Choice


def apply(model: Any, init: str, seed: int = 0, x: Any = None, y: Any = None) -> Any:
    """Draws all weights of a model anew, in place, as `python -m runner init=...` does.

    What no initializer is known for, such as the weights of layers of your own that are no kernels,
    keeps the values that it holds.

    Args:
      model: A built `keras.Model`; for initializers that look at a loss, a compiled one.
      init: An initializer as tables print it: `"fixup"`, `"normal(scale=0.01)"`.
      seed: Of the replicate, a non-negative integer.
      x, y: A batch of training data, for initializers that look at data; `x` also tells the shape
        of an example where the model does not.

    Returns:
      The model.

    Raises:
      ConfigError: There is no such initializer, or it is not defined for this model; the message
        is one sentence.

    Example:
      >>> import keras, runner                                              # doctest: +SKIP
      >>> model = keras.applications.ResNet50(weights=None)                 # doctest: +SKIP
      >>> runner.initializers.apply(model, "zero_gamma", seed=3)            # doctest: +SKIP
    """
    if not model.built:
        raise ConfigError(
            f"`model` must be built. Received: {model.name}, which has no weights yet."
        )
    shape = tuple(x.shape[1:]) if hasattr(x, "shape") else None

    def probe() -> Probe:
        if x is None:
            raise ConfigError(f"`x` must be a batch of training data: {init} looks at it.")
        return Probe(np.asarray(x), np.asarray(y), partial(_loss, model))

    drawer = draw.prepare(draw.Subject(model, shape, probe=probe), _choice(init))
    for variable, values in zip(model.weights, drawer.draw(seed), strict=True):
        variable.assign(values)
    return model


def _choice(label: str) -> Choice:
    """Returns the initializer that a label tells."""
    try:
        name, settings = read(label)
    except ValueError as error:
        rule = "an initializer such as normal(scale=0.01)"
        raise ConfigError.at("init", rule, label, str(error)) from error
    node = node_of(name, settings)
    return Choice(node["name"], choose(CATALOGUE, node, "init"))


def _loss(model: Any, targets: Any, outputs: Any) -> Any:
    """Returns the loss that a model was compiled with."""
    return model.compute_loss(y=targets, y_pred=outputs)
