"""Batch normalization where XLA does not compile: by TensorFlow's fused kernels instead.

Keras composes the layer of a dozen passes over the activations, which nothing fuses without XLA:
more time than the convolution before it. TensorFlow has kernels that normalize, and that compute
the gradients, in one pass each. They are given Keras's own moments: those that they would compute
themselves are several times less exact.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import tensorflow as tf

# Below, and where an example has no positions over which the moments are taken, Keras's way is as
# quick, or quicker.
_MIN_ELEMENTS = 2**15


def normalizing_layers(model: Any) -> list[Any]:
    """Returns the layers of a model that `kernels_fused` can speed up."""
    return [
        layer
        for layer in model._flatten_layers()
        if type(layer) is keras.layers.BatchNormalization
        and layer.trainable
        and not layer.synchronized
        and not layer.renorm
    ]


@contextmanager
def kernels_fused(layers: Sequence[Any]) -> Iterator[None]:
    """Lets layers normalize batches by the fused kernels meanwhile, where these can do it."""
    try:
        for layer in layers:
            layer.call = partial(_call, layer)
        yield
    finally:
        for layer in layers:
            del layer.call


def _call(layer: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
    """Does what `keras.layers.BatchNormalization.call` does."""
    if not training or mask is not None or not _is_worth_it(inputs, layer.axis):
        return type(layer).call(layer, inputs, training=training, mask=mask)
    mean, variance = keras.ops.moments(inputs, axes=list(range(inputs.shape.rank - 1)))
    for moving, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        moving.assign(moving * layer.momentum + value * (1.0 - layer.momentum))
    scale = tf.convert_to_tensor(layer.gamma) if layer.scale else tf.ones_like(mean)
    offset = tf.convert_to_tensor(layer.beta) if layer.center else tf.zeros_like(mean)
    images = tf.reshape(inputs, [-1, 1, 1, inputs.shape[-1]])
    normalize = _with_gradient(mean, variance, layer.epsilon)
    return tf.reshape(normalize(images, scale, offset), inputs.shape)


def _is_worth_it(inputs: Any, axis: int) -> bool:
    """Tells whether the kernels can normalize this batch, and are quicker than Keras."""
    shape = inputs.shape
    possible = inputs.dtype == tf.float32 and axis in (-1, shape.rank - 1)
    return possible and shape.rank > 2 and (shape.num_elements() or 0) >= _MIN_ELEMENTS


def _with_gradient(mean: Any, variance: Any, epsilon: float) -> Any:
    """Returns a function that normalizes a batch by these, its own moments.

    The gradient of the batch takes into account that the moments depend on it.
    """

    @tf.custom_gradient
    def normalize(x: Any, scale: Any, offset: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            x_gradient, scale_gradient, offset_gradient, _, _ = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=upstream,
                x=x,
                scale=scale,
                reserve_space_1=mean,
                reserve_space_2=variance,
                reserve_space_3=[],
                epsilon=epsilon,
                is_training=True,
            )
            return x_gradient, scale_gradient, offset_gradient

        normalized, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=scale,
            offset=offset,
            mean=mean,
            variance=variance,
            epsilon=epsilon,
            is_training=False,
        )
        return normalized, gradient

    return normalize
