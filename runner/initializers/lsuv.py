r"""LSUV: kernels are rescaled layer by layer until what each layer puts out has the variance 1.

    W <- W / sqrt(Var(W x + b))    until |Var - 1| < tolerance, at most `iterations` times,

in the order in which the layers are called, so that each is given what those before it put out
after they were rescaled. The variance is that of the layer's output before its activation, over
examples, positions and units, on the batch that step 0 is measured on; normalizations see it as in
training, dropout is off. The report of step 0 shows it as `preactivation_variance`, except where a
normalization follows: that is measured behind it.

- A layer with several kernels (a separable convolution, a layer of the user's own): each takes the
  same share of the factor. Attention consists of layers, which are rescaled one by one.
- A layer of the user's own: what it puts out, since where its activation is cannot be known. If it
  consists of layers with kernels, they are rescaled, and matrices beside them stay as `base` draws
  them.
- A recurrent layer: its kernel on inputs, so that what the inputs add to the gates has the variance
  1. What the layer puts out is bounded by its activations. The recurrent kernel stays as `base`
  draws it, and so do kernels whose inputs are not seen from outside: of stacked cells, of
  convolutional recurrent layers and of the model itself.
- A layer that is called again: at its first call.

Reference:
  Mishkin and Matas (2016), "All you need is a good init", algorithm 1.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np

from runner.anatomy import batches
from runner.anatomy.kernels import UndefinedError, Weight
from runner.anatomy.tracing import Anatomy, dissected, intercepted, kind_of, linear, signal
from runner.config import POSITIVE, POSITIVE_INTEGER, setting
from runner.initializers.law import KERNEL_LAW, Body, ModelLaw, rescale

Call = Callable[[], Any]


@dataclass(frozen=True)
class Lsuv(ModelLaw):
    """`base`, then rescaled to unit variance; see the module's text.

    Attributes:
      tolerance: Largest |variance - 1|.
      iterations: How often a kernel is rescaled at most.
    """

    needs_data: ClassVar[bool] = True
    is_tried: ClassVar[bool] = True

    base: str = setting(KERNEL_LAW, "orthogonal")
    tolerance: float = setting(POSITIVE, 0.1)
    iterations: int = setting(POSITIVE_INTEGER, 10)

    def adjusted(
        self, body: Body, seeds: Sequence[int], stacked: Sequence[np.ndarray]
    ) -> Sequence[np.ndarray]:
        """Returns the weights, rescaled.

        Raises:
          UndefinedError: A layer's output does not vary, or not as its kernel is scaled.
        """
        scales, variances = body.program(lambda: _program(self, body))(stacked)
        if (variances < 0).all():  # marks what was not reached
            raise UndefinedError("no kernel of it makes the output of a layer")
        for kernel, scale, variance in zip(body.kernels, scales.T, variances.T, strict=True):
            self._check(kernel, variance)
            rescale(stacked[kernel.position], scale)
        return stacked

    def _check(self, kernel: Weight, variances: np.ndarray) -> None:
        """Raises where a kernel could not be rescaled."""
        for variance in variances:
            if variance < 0 or abs(variance - 1) < self.tolerance:
                continue
            times = f" after {self.iterations} steps" if 0 < variance < np.inf else ""
            raise UndefinedError(
                f"what `{kernel.path}` makes of the batch must get the variance 1, and has "
                f"{variance:.3g}{times}. Let another initializer draw it, for example "
                f"init.rules=[{{path: {kernel.path}, init: {self.base}}}]"
            )


def _program(law: Lsuv, body: Body) -> Any:
    """Returns what computes factors and variances of all kernels, compiled once."""
    import tensorflow as tf

    from runner.anatomy.calls import called_with
    from runner.anatomy.stacked import EachReplicate

    assert body.probe is not None
    model, x = body.model, tf.nest.map_structure(tf.constant, body.probe.x)
    anatomy, _ = dissected(model, batches.first(x, 2), body.kernels)

    def compute(trainable: Sequence[Any], other: Sequence[Any]) -> tuple[Any, Any]:
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        drawn = {id(v): value for v, value in zip(variables, [*trainable, *other], strict=True)}
        scaling = _Scaling(law, model, _owned(anatomy, body.kernels), drawn)
        with intercepted(anatomy, scaling):
            called_with(model, trainable, other, batches.tensors(x), training=True)
        missing = (tf.ones([], tf.float64), -tf.ones([], tf.float64))
        found = [scaling.found.get(kernel.position, missing) for kernel in body.kernels]
        scales, variances = zip(*found, strict=True)
        return tf.stack(scales), tf.stack(variances)

    return EachReplicate(model, compute, (tf.float64, tf.float64))


def _owned(anatomy: Anatomy, kernels: Sequence[Weight]) -> dict[int, list[Weight]]:
    """Returns the kernels of each operation that is not around another such, by its `id`."""
    owned: dict[int, list[Weight]] = {}
    for operation in anatomy.operations:  # those inside come before those around them
        variables = {id(variable) for variable in getattr(operation, "variables", ())}
        found = [kernel for kernel in kernels if id(kernel.variable) in variables]
        taken = {kernel.position for others in owned.values() for kernel in others}
        if found and taken.isdisjoint(kernel.position for kernel in found):
            owned[id(operation)] = found
    return owned


@dataclass
class _Scaling:
    """A handler that rescales kernels when their layer is called first.

    Attributes:
      law: Its settings.
      model: What is called.
      owned: Kernels to rescale, by the `id` of their operation.
      drawn: What they were drawn as, by the `id` of their variable.
      found: Position of a kernel -> its factor, and the variance that was reached; float64.
    """

    law: Lsuv
    model: Any
    owned: Mapping[int, Sequence[Weight]]
    drawn: Mapping[int, Any]
    found: dict[int, tuple[Any, Any]] = field(default_factory=dict)

    def __call__(
        self, operation: Any, call: Callable[..., Any], args: tuple[Any, ...], kwargs: Any
    ) -> Any:
        """Calls a layer with the kernels that it is to have."""
        kernels = self.owned.get(id(operation), ())
        new = [kernel for kernel in kernels if kernel.position not in self.found]
        for group, output in _groups(operation, new, lambda: call(*args, **kwargs), args):
            self._rescale(group, output)
        return call(*args, **kwargs)

    def _rescale(self, kernels: Sequence[Weight], output: Call) -> None:
        import tensorflow as tf

        share = 1 / len(kernels)

        def set_to(scale: Any) -> None:
            for kernel in kernels:
                value = self.drawn[id(kernel.variable)]
                kernel.variable.assign(value * tf.cast(scale, value.dtype))

        def is_open(count: Any, scale: Any, variance: Any) -> Any:
            is_off = tf.abs(variance - 1) >= self.law.tolerance
            return is_off & (variance > 0) & tf.math.is_finite(variance)

        def step(count: Any, scale: Any, variance: Any) -> tuple[Any, Any, Any]:
            scale = scale * variance ** (-share / 2)
            with self._trial():
                set_to(scale)
                return count + 1, scale, _variance(output())

        if signal(first := output()) is None:
            return
        start = (0, tf.ones([], tf.float64), _variance(first))
        _, scale, variance = tf.while_loop(
            is_open, step, start, maximum_iterations=self.law.iterations
        )
        set_to(scale)
        self.found |= {kernel.position: (scale, variance) for kernel in kernels}

    @contextmanager
    def _trial(self) -> Iterator[None]:
        """Forgets, after the block, what variables are set to inside of it."""
        import keras

        with keras.StatelessScope([(v, v.value) for v in self.model.variables]):
            yield


def _groups(
    operation: Any, kernels: Sequence[Weight], call: Call, given: Sequence[Any]
) -> list[tuple[Sequence[Weight], Call]]:
    """Returns the kernels that have a factor in common, and what makes the output that they set."""
    from keras import layers

    if not kernels:
        return []
    inside = operation._flatten_layers()
    recurrent = [layer for layer in inside if isinstance(layer, layers.RNN)]
    if recurrent:
        cells = {id(layer.cell) for layer in recurrent}
        return [
            ([kernel], partial(_added, given[0], kernel))
            for kernel in kernels
            if id(kernel.layer) in cells and kernel.name == "kernel" and len(kernel.shape) == 2
        ]
    is_around = isinstance(operation, layers.Wrapper)
    inner = operation.layer if is_around else operation
    is_separable = kind_of(inner) == "kernel"
    return [(kernels, partial(_before_activation, inner, call) if is_separable else call)]


def _added(inputs: Any, kernel: Weight) -> Any:
    """Returns what inputs, shape (..., features), add to the gates of a recurrent layer."""
    import tensorflow as tf

    return tf.tensordot(inputs, tf.cast(kernel.variable.value, inputs.dtype), 1)


def _before_activation(layer: Any, call: Call) -> Any:
    with linear(layer):
        return call()


def _variance(output: Any) -> Any:
    """Returns the variance of a layer's output, float64."""
    import tensorflow as tf

    values = tf.cast(signal(output), tf.float64)
    return tf.reduce_mean(tf.square(values - tf.reduce_mean(values)))
