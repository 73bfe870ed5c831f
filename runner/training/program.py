"""One compiled program that trains several replicas of a model side by side.

The state of a chunk of replicas is a `State` of stacked tensors, and every function here is pure:
state in, state out. So chunks share one compiled program, run on threads of their own, and a call
that fails leaves nothing behind.

Trainable and non-trainable variables are kept two-dimensional, (replica, size): then any Keras
optimizer that works element by element works on all replicas at once. In the form `single` they
keep their natural shapes.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from runner.training import optimizers
from runner.training.cohort import Cohort
from runner.training.forms import Form
from runner.training.objective import loss_function, metric
from runner.training.pure import PureOptimizer

# Examples per evaluation step of all replicas together: bounds the memory of the activations.
_EVALUATION_ROWS = 8192


class State(NamedTuple):
    """Everything that training changes in a chunk of replicas.

    Attributes:
      trainable, other: The model's variables, each (replicas, size).
      optimizer: Keras's optimizer variables.
      alive: Whether a replica is still trained, shape (replicas,); the others are frozen.
    """

    trainable: list[Any]
    other: list[Any]
    optimizer: list[Any]
    alive: Any


class Constants(NamedTuple):
    """What stays as it is for a chunk.

    Attributes:
      order_of: Which row of the orders a replica follows, shape (replicas,), int32.
      rates: Learning rates, shape (replicas, 1).
    """

    order_of: Any
    rates: Any


class Epoch(NamedTuple):
    """What an epoch of training yields.

    Attributes:
      loss, metric: Of every step, shape (steps, replicas).
      bad_step: The first step of the epoch whose loss was lost, counted from 0; -1 if none was.
    """

    loss: Any
    metric: Any
    bad_step: Any


class _Rates(keras.optimizers.schedules.LearningRateSchedule):
    """Each replica's own learning rate: one course over the steps, times the rate at its start."""

    def __init__(self, course: Any) -> None:
        self.course = course
        self.start: Any = 1.0

    def __call__(self, step: Any) -> Any:
        return self.start * (self.course(step) if callable(self.course) else self.course)


class Program:
    """The functions of one program shape: `num_replicas` replicas of a cohort's model.

    Attributes:
      num_traces: How often TensorFlow has traced the training of an epoch.
    """

    def __init__(self, cohort: Cohort, form: Form, num_replicas: int) -> None:
        self.cohort = cohort
        self.form = form
        self.num_replicas = num_replicas
        self.num_traces = 0
        self._trainable = list(cohort.model.trainable_variables)
        self._other = list(cohort.model.non_trainable_variables)
        self._loss = loss_function(cohort.model, cohort.dataset.task)
        course = dataclasses.replace(cohort.optimizer.settings, learning_rate=1.0)
        self._rates = _Rates(optimizers.learning_rate(course, cohort.num_steps))
        optimizer = optimizers.make(
            cohort.optimizer.name, cohort.optimizer.settings, cohort.num_steps, self._rates
        )
        shapes = [self._stored_shape(variable) for variable in self._trainable]
        self._optimizer = PureOptimizer(optimizer, shapes, [v.dtype for v in self._trainable])
        self.train = tf.function(self._train, jit_compile=form.jit)
        self.evaluate = tf.function(self._evaluate, jit_compile=form.jit)

    def state(self, trainable: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> State:
        """Returns the state before training.

        Args:
          trainable, other: Values of the model's variables, each (replicas, *shape).
        """
        return State(
            trainable=[
                self._stored(*pair) for pair in zip(self._trainable, trainable, strict=True)
            ],
            other=[self._stored(*pair) for pair in zip(self._other, other, strict=True)],
            optimizer=[tf.constant(value) for value in self._optimizer.variables],
            alive=tf.ones(self.num_replicas, tf.bool),
        )

    def trainable_values(self, state: State, replica: int) -> list[np.ndarray]:
        """Returns the trainable variables of one replica, in their natural shapes."""
        values = (value if self._single else value[replica] for value in state.trainable)
        return [
            np.reshape(value, variable.shape)
            for value, variable in zip(values, self._trainable, strict=True)
        ]

    @property
    def _single(self) -> bool:
        return self.form.name == "single"

    def _stored_shape(self, variable: Any) -> tuple[int, ...]:
        if self._single:
            return tuple(variable.shape)
        return self.num_replicas, int(np.prod(variable.shape, dtype=int))

    def _stored(self, variable: Any, values: np.ndarray) -> Any:
        return tf.constant(np.reshape(values, self._stored_shape(variable)), variable.dtype)

    def _train(
        self, state: State, constants: Constants, x: Any, y: Any, orders: Any
    ) -> tuple[State, Epoch]:
        """Trains one epoch.

        Args:
          state: Before it.
          constants: Of the chunk.
          x, y: The training part.
          orders: Orders of the examples, shape (orders, examples), int32.
        """
        self.num_traces += 1  # runs while tracing only
        self._rates.start = constants.rates[0, 0] if self._single else constants.rates
        size = self.cohort.training.batch_size
        num_examples = orders.shape[1]
        full, rest = divmod(num_examples, size)
        steps = full + (rest > 0)
        loss, measured = (tf.TensorArray(self._dtype, steps) for _ in range(2))
        bad_step = tf.fill([self.num_replicas], -1)

        def one_step(step: Any, rows: Any, carried: Any) -> Any:
            state, bad_step, loss, measured = carried
            state, step_loss, step_metric = self._step(state, constants, x, y, rows)
            ok = tf.math.is_finite(step_loss)
            ok &= step_loss <= tf.cast(self.cohort.training.divergence_limit, self._dtype)
            bad_step = tf.where(state.alive & ~ok, step, bad_step)
            state = state._replace(alive=state.alive & ok)
            return state, bad_step, loss.write(step, step_loss), measured.write(step, step_metric)

        def body(step: Any, *carried: Any) -> Any:
            rows = tf.slice(orders, [0, step * size], [orders.shape[0], size])
            return (step + 1, *one_step(step, rows, carried))

        carried = (state, bad_step, loss, measured)
        if full:
            carried = tf.while_loop(
                lambda step, *_: step < full, body, (0, *carried), maximum_iterations=full
            )[1:]
        if rest:
            carried = one_step(full, orders[:, full * size :], carried)
        state, bad_step, loss, measured = carried
        return state, Epoch(loss.stack(), measured.stack(), bad_step)

    def _step(
        self, state: State, constants: Constants, x: Any, y: Any, rows: Any
    ) -> tuple[State, Any, Any]:
        """Returns the state after one update, and loss and metric before it, (replicas,) each."""
        by_order = tf.gather(x, rows), tf.gather(y, rows)
        batches = [tf.gather(part, constants.order_of) for part in by_order]
        gradients, other, loss, measured = self._for_each(
            self._gradients, (state.trainable, state.other, *batches)
        )
        trainable, optimizer = self._optimizer.apply(state.trainable, state.optimizer, gradients)
        new = state._replace(
            trainable=self._where(state.alive, trainable, state.trainable),
            other=self._where(state.alive, other, state.other),
            optimizer=self._where(state.alive, optimizer, state.optimizer),
        )
        return new, loss, measured

    def _where(self, alive: Any, new: Sequence[Any], old: Sequence[Any]) -> list[Any]:
        """Returns the new values of the replicas that are alive, and the old ones of the others.

        What has no replica axis (the optimizer's count of steps) is the same for all.
        """
        stacked = self.num_replicas
        return [
            tf.where(alive[:, None], after, before)
            if before.shape.rank == 2 and before.shape[0] == stacked and not self._single
            else after
            for after, before in zip(new, old, strict=True)
        ]

    def _evaluate(self, state: State, x: Any, y: Any) -> tuple[Any, Any]:
        """Returns the sums of loss and metric over all examples, (replicas,) each, float64."""
        rows = min(max(_EVALUATION_ROWS // self.num_replicas, 64), x.shape[0])
        full, rest = divmod(x.shape[0], rows)

        def block(first: Any, count: int) -> Any:
            part = [
                tf.slice(array, [first] + [0] * (array.shape.rank - 1), [count, *array.shape[1:]])
                for array in (x, y)
            ]
            loss, measured = self._for_each(
                lambda trainable, other: self._measure(trainable, other, *part),
                (state.trainable, state.other),
            )
            loss, measured = (tf.cast(v, tf.float64) * count for v in (loss, measured))
            if self.cohort.dataset.task == "classification":
                measured = tf.round(measured)  # a number of examples, exactly
            return [loss, measured]

        total = [tf.zeros(self.num_replicas, tf.float64)] * 2

        def body(index: Any, *total: Any) -> Any:
            parts = block(index * rows, rows)
            return (index + 1, *(t + p for t, p in zip(total, parts, strict=True)))

        total = tf.while_loop(
            lambda index, *_: index < full, body, (0, *total), maximum_iterations=full
        )[1:]
        if rest:
            total = [t + p for t, p in zip(total, block(full * rows, rest), strict=True)]
        loss, measured = total
        return loss, measured

    @property
    def _dtype(self) -> Any:
        return tf.as_dtype(self._trainable[0].dtype)

    def _for_each(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Applies a function of one replica to all, and stacks what it returns."""
        if self.form.name == "stacked":
            return tf.vectorized_map(lambda one: function(*one), arguments)
        if self.form.name == "unrolled":
            results = [
                function(*tf.nest.map_structure(lambda values, r=replica: values[r], arguments))
                for replica in range(self.num_replicas)
            ]
            return tf.nest.map_structure(lambda *values: tf.stack(values), *results)
        return self._for_one(function, arguments)

    def _for_one(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """As `_for_each` in the form `single`: variables have no replica axis, batches do."""
        trainable, other, *batches = arguments
        result = function(trainable, other, *(batch[0] for batch in batches))
        *variables, loss, measured = result
        return *variables, loss[None], measured[None]

    def _gradients(self, trainable: list[Any], other: list[Any], x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(trainable)
            loss, measured, other = self._forward(trainable, other, x, y, training=True)
        gradients = tape.gradient(loss, trainable, unconnected_gradients="zero")
        return gradients, other, loss, measured

    def _measure(self, trainable: list[Any], other: list[Any], x: Any, y: Any) -> Any:
        loss, measured, _ = self._forward(trainable, other, x, y, training=False)
        return loss, measured

    def _forward(
        self, trainable: list[Any], other: list[Any], x: Any, y: Any, training: bool
    ) -> tuple[Any, Any, list[Any]]:
        """Returns loss and metric of one replica on a batch, and its other variables after it."""
        natural = [
            [tf.reshape(value, variable.shape) for value, variable in zip(*pair, strict=True)]
            for pair in ((trainable, self._trainable), (other, self._other))
        ]
        outputs, new_other, penalties = self.cohort.model.stateless_call(
            *natural, x, training=training, return_losses=True
        )
        loss = self._loss(y, outputs) + sum(tf.cast(p, outputs.dtype) for p in penalties)
        flat = [tf.reshape(new, old.shape) for new, old in zip(new_other, other, strict=True)]
        measured = metric(self.cohort.dataset.task, y, outputs)
        return tf.cast(loss, self._dtype), tf.cast(measured, self._dtype), flat
