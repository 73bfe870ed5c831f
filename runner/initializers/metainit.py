r"""MetaInit: the norms of the kernels are learned, so that the loss is nearly linear at the start.

What is minimized is the gradient quotient (`runner.anatomy.quotient`), by sign descent with
momentum on the norm of each kernel, all at once:

    m <- momentum m - learning_rate sign(dGQ / d|W|),    |W| <- |W| + m.

Every step has another batch of random inputs, independent and standard normal, and of random
targets: those of the batch that step 0 is measured on, drawn with replacement. Inputs that are
whole numbers are drawn from that batch too. The authors draw all classes alike often and call the
model as in evaluation; here normalizations see the batch as in training, and dropout is off. A norm
stays above a thousandth of what it was. The authors keep the last norms. Where the loss is far from
linear, the slopes are mostly noise, and the last norms of a small net may be worse than the first;
here those are kept at which the running mean of the quotient was least.

Reference:
  Dauphin and Schoenholz (2019), "MetaInit: initializing learning by learning to initialize",
    figure 2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from runner import seeds as streams
from runner.anatomy import batches
from runner.anatomy.kernels import UndefinedError
from runner.anatomy.tracing import dissected, intercepted, plainly
from runner.config import FRACTION, POSITIVE, POSITIVE_INTEGER, setting
from runner.imports import told
from runner.initializers.law import Body, KernelLaw, ModelLaw, Probe, rescale

_LEAST_SHARE = 1e-3
_MEMORY = 0.9


@dataclass(frozen=True)
class MetaInit(ModelLaw):
    """`base`, with learned norms; see the module's text.

    Attributes:
      steps: How often all norms are changed.
      learning_rate: By how much.
      momentum: Share of the change before that is added.
    """

    needs_data: ClassVar[bool] = True

    steps: int = setting(POSITIVE_INTEGER, 500)
    learning_rate: float = setting(POSITIVE, 0.1)
    momentum: float = setting(FRACTION, 0.9)

    def laws(self, body: Body) -> Mapping[int, KernelLaw]:
        """Returns none: `base` draws all kernels.

        Raises:
          UndefinedError: The gradient quotient of the model has no derivative.
        """
        if body.probe is not None and body.probe.y.dtype == object:
            raise UndefinedError("it needs targets")
        try:
            body.program(lambda: _program(self, body))
        except Exception as error:  # whatever TensorFlow cannot differentiate three times
            raise UndefinedError(
                f"the gradient quotient cannot be differentiated: {told(error)}"
            ) from error
        return {}

    def adjusted(
        self, body: Body, seeds: Sequence[int], stacked: Sequence[np.ndarray]
    ) -> Sequence[np.ndarray]:
        """Returns the weights, with the norms that were learned.

        Raises:
          UndefinedError: TensorFlow cannot run the model's loops, as of recurrent layers, in one
            of its own.
        """
        import tensorflow as tf

        numbers = [streams.integer(s, "weights", body.kernels[0].position, 1) for s in seeds]
        program = body.program(lambda: _program(self, body))
        try:
            scales = program(stacked, np.array(numbers, np.int64))
        except tf.errors.InvalidArgumentError as error:
            raise UndefinedError(
                f"the gradient quotient cannot be computed: {told(error)}"
            ) from error
        for kernel, scale in zip(body.kernels, scales.T, strict=True):
            rescale(stacked[kernel.position], scale)
        return stacked


def _program(law: MetaInit, body: Body) -> Any:
    """Returns what computes the factors of all kernels, compiled once."""
    import keras
    import tensorflow as tf

    from runner.anatomy.calls import called_with
    from runner.anatomy.quotient import gradient_quotient
    from runner.anatomy.stacked import EachReplicate

    model, probe = body.model, body.probe
    assert probe is not None
    anatomy, _ = dissected(model, batches.first(probe.x, 2), body.kernels)
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    place = {id(variable): number for number, variable in enumerate(variables)}
    places = [place[id(kernel.variable)] for kernel in body.kernels]

    def quotient(values: list[Any], batch: tuple[Any, Any]) -> Any:
        trainable = values[: len(model.trainable_variables)]
        other = values[len(trainable) :]

        def loss() -> Any:
            outputs, penalties = called_with(model, trainable, other, batch[0], training=True)
            return probe.loss(batch[1], outputs) + sum(tf.cast(p, outputs.dtype) for p in penalties)

        with intercepted(anatomy, plainly):
            return gradient_quotient(loss, trainable)

    def compute(trainable: Sequence[Any], other: Sequence[Any], seed: Any) -> Any:
        drawn = [*trainable, *other]
        start = tf.stack([tf.norm(tf.cast(drawn[place], tf.float32)) for place in places])

        def step(number: Any, norms: Any, change: Any, best: Any) -> tuple[Any, Any, Any, Any]:
            with tf.GradientTape() as tape:
                tape.watch(norms)
                shares = tf.math.divide_no_nan(norms, start)
                values = list(drawn)
                for column, place in enumerate(places):
                    values[place] *= tf.cast(shares[column], values[place].dtype)
                found = quotient(values, _batch(probe, tf.stack([seed, number])))
            slopes = tape.gradient(found, norms)
            change = law.momentum * change - law.learning_rate * tf.sign(slopes)
            best = _better(best, found, norms)
            return number + 1, tf.maximum(norms + change, _LEAST_SHARE * start), change, best

        nothing = tf.constant(np.inf, tf.float32)
        first = (tf.zeros([], tf.int64), start, tf.zeros_like(start), (nothing, nothing, start))
        *_, best = tf.while_loop(
            lambda number, *_: number < law.steps, step, first, parallel_iterations=1
        )
        return tf.math.divide_no_nan(best[-1], start)

    with keras.device("cpu"):
        program = EachReplicate(model, compute, tf.float32, given=[tf.int64])
        program.trace()
    return program


def _better(best: tuple[Any, Any, Any], found: Any, norms: Any) -> tuple[Any, Any, Any]:
    """Returns the running mean of the quotients, the least one so far, and the norms there."""
    import tensorflow as tf

    mean, least, kept = best
    is_first = tf.math.is_inf(mean)
    mean = tf.where(is_first, found, _MEMORY * mean + (1 - _MEMORY) * found)
    is_better = mean < least
    return mean, tf.where(is_better, mean, least), tf.where(is_better, norms, kept)


def _batch(probe: Probe, seed: Any) -> tuple[Any, Any]:
    """Returns random inputs and targets, as many as the probe has."""
    import tensorflow as tf

    x, y = tf.nest.map_structure(tf.constant, (probe.x, probe.y))
    of_inputs, of_targets = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    count = batches.count(x)

    def chosen(values: Any, seed: Any) -> Any:
        return tf.gather(values, tf.random.stateless_uniform([count], seed, 0, count, tf.int32))

    def drawn(values: Any, seed: Any) -> Any:
        if not values.dtype.is_floating:
            return chosen(values, seed)
        return tf.random.stateless_normal(values.shape, seed, dtype=values.dtype)

    inputs = (
        drawn(x, of_inputs)
        if tf.is_tensor(x)
        else {
            name: drawn(values, tf.random.experimental.stateless_fold_in(of_inputs, number))
            for number, (name, values) in enumerate(sorted(x.items()))
        }
    )
    return inputs, chosen(y, of_targets)
