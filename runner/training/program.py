"""One compiled program that trains several replicas of a model side by side.

The state of a chunk of replicas is a `State` of stacked tensors, and every function here is pure:
state in, state out. So chunks share one compiled program, run on threads of their own, and a call
that fails leaves nothing behind.

Trainable and non-trainable variables are kept two-dimensional, (replica, size): then any Keras
optimizer that works element by element works on all replicas at once. In the form `single` they
keep their natural shapes.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common import global_state  # names have no public place

from runner import compiled
from runner.anatomy.calls import called
from runner.config import ConfigError
from runner.training import optimizers
from runner.training.batches import Batch, as_seen
from runner.training.calls import Call, stem_from, steps_unrolled
from runner.training.cohort import Cohort
from runner.training.convolutions import replicas_grouped
from runner.training.draws import drawn_alike
from runner.training.forms import Form, recurrent_layers
from runner.training.normalization import kernels_fused, normalizing_layers
from runner.training.objective import Objective, sums_dtype
from runner.training.programs import building
from runner.training.pure import PureOptimizer, stand_in
from runner.training.randomness import seed_generators
from runner.training.stopping import Criterion, criterion

# Batches that are evaluated at once. Without gradients, activations are let go as soon as the next
# layer has used them: so an evaluation takes no more memory than a step, whatever the model and
# however many replicas there are.
_EVALUATION_BATCHES = 2

# Activations that may be evaluated at once in any case, in bytes: fewer blocks are quicker, and a
# part that is one block needs no second one, of another size, to be compiled for the rest.
_EVALUATION_BYTES = 64 * 2**20


class State(NamedTuple):
    """Everything that training changes in a chunk of replicas.

    Attributes:
      trainable, other: The model's variables, each (replicas, size).
      optimizer: Keras's optimizer variables.
      alive: Whether a replica is still trained, shape (replicas,); the others are frozen.
      best: With early stopping, the variables that each replica would end with: those of its best
        epoch; else nothing.
      progress: With early stopping, the best signed sum so far, (replicas,), float64, and the
        epochs since then, (replicas,), int32; else nothing.
    """

    trainable: list[Any]
    other: list[Any]
    optimizer: list[Any]
    alive: Any
    best: list[Any]
    progress: list[Any]


class Constants(NamedTuple):
    """What stays as it is for a chunk.

    Attributes:
      order_of: Which row of the orders a replica follows, shape (replicas,), int32.
      rates: Learning rates, shape (replicas, 1).
    """

    order_of: Any
    rates: Any


class Epochs(NamedTuple):
    """What a call of the training function yields; rows of epochs not trained mean nothing.

    Attributes:
      loss: Of every step, shape (epochs, steps, replicas).
      metrics: Sums over the examples of every step, (epochs, steps, replicas, metrics).
      bad_step: The first step of the epoch whose loss was lost, counted from 0; -1 if none was;
        (epochs, replicas).
      val_loss: Sum over the validation part after each epoch, (epochs, replicas).
      val_metrics: The same of the metrics, (epochs, replicas, metrics).
      alive: Whether the replica is trained on after the epoch, (epochs, replicas).
      stopped: Whether early stopping ended it with the epoch, (epochs, replicas).
    """

    loss: Any
    metrics: Any
    bad_step: Any
    val_loss: Any
    val_metrics: Any
    alive: Any
    stopped: Any


class _Rates(keras.optimizers.schedules.LearningRateSchedule):
    """Each replica's own learning rate: one course over the steps, times the rate at its start."""

    def __init__(self, course: Any) -> None:
        self.course = course
        self.start: Any = tf.constant(1.0)

    def __call__(self, step: Any) -> Any:
        if not callable(self.course):
            return self.start * self.course
        return self.start * tf.cast(self.course(step), self.start.dtype)  # Keras's are float32


class _Function:
    """TensorFlow's function of a method, which has the same name in every command."""

    def __init__(self, work: Callable[..., Any], jit: bool, name: str) -> None:
        self._name = name

        @wraps(work)
        def trace(*arguments: Any) -> Any:
            with building:
                return work(*arguments)

        self._traced = tf.function(trace, autograph=False, jit_compile=jit)

    def __call__(self, *arguments: Any) -> Any:
        """Returns what the method returns; the first time it is traced and compiled."""
        with compiled.named_alike(self._name):
            return self._traced(*arguments)

    def trace(self, *arguments: Any) -> Any:
        """Traces the method for such arguments, unless it has been; returns what it has become."""
        with compiled.named_alike(self._name):
            return self._traced.get_concrete_function(*arguments)


class Program:
    """The functions of one program shape: `num_replicas` replicas of a cohort's model.

    Attributes:
      name: What tells it from others, in every command.
      form: How it is built.
      num_replicas: How many replicas of the model it has.
      objective: What is minimized and measured.
      criterion: What early stopping looks at, if it is on.
      num_traces: How often TensorFlow has traced the training.
    """

    def __init__(
        self,
        cohort: Cohort,
        form: Form,
        num_replicas: int,
        example_bytes: float,
        name: str = "",
    ) -> None:
        """Prepares the functions; they are traced when they are called first.

        Args:
          cohort: The first one that is trained; neither its data nor its members are kept.
          form: How the program is built.
          num_replicas: How many replicas of the model it has.
          example_bytes: Of all activations of one example in one replica.
          name: As the attribute.
        """
        self.name = name
        self._model, self._training, self._device = cohort.model, cohort.training, cohort.device
        self._steps_per_epoch = cohort.steps_per_epoch
        self._num_train = len(cohort.dataset.train)
        self._num_validation = len(cohort.dataset.validation)
        self._max_evaluated = max(
            _EVALUATION_BATCHES * cohort.training.batch_size,
            int(_EVALUATION_BYTES / (num_replicas * example_bytes)),
        )
        self.form = form
        self.num_replicas = num_replicas
        self.num_traces = 0
        self._trainable = list(cohort.model.trainable_variables)
        self._other = list(cohort.model.non_trainable_variables)
        self._as_seen = as_seen(cohort.dataset.train.x)
        self._recurrent = recurrent_layers(cohort.model) if form.jit else []
        composed = not form.jit and "CPU" in cohort.device
        self._normalizing = normalizing_layers(cohort.model) if composed else []
        self.objective = Objective(cohort.model, cohort.dataset)
        self.criterion = criterion(cohort, self.objective.answers)
        course = dataclasses.replace(cohort.optimizer.settings, learning_rate=1.0)
        self._rates = _Rates(optimizers.learning_rate(course, cohort.num_steps))
        stand_ins = [
            stand_in(variable, self._stored_shape(variable), self._constraint(variable))
            for variable in self._trainable
        ]
        self._optimizer = PureOptimizer(self._keras_optimizer(cohort), stand_ins)
        self._held = [*self._trainable, *self._other, *stand_ins]
        self.train = self._function(self._train)
        # Each part has another shape to compile for, which takes a GPU longer than its few calls.
        self.evaluate = self._function(self._evaluate, jit=form.jit and "CPU" in cohort.device)
        self.train_block = self._function(self._train_block)
        self.measure_block = self._function(self._measure_block)
        self.end_epoch = self._function(self._end_epoch)

    def _function(self, work: Callable[..., Any], jit: bool | None = None) -> "_Function":
        jit = self.form.jit if jit is None else jit
        return _Function(work, jit, f"{self.name} {work.__name__}")

    @property
    def num_bytes(self) -> int:
        """Bytes of all variables that it holds, whose values mean nothing."""
        states = [stored.nbytes for stored in self._optimizer.variables]
        own = [v.value.shape.num_elements() * v.value.dtype.size for v in self._held]
        return sum(states) + sum(own)

    def state(self, trainable: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> State:
        """Returns the state before training.

        Args:
          trainable, other: Values of the model's variables, each (replicas, *shape).
        """
        stored = [self._stored(*pair) for pair in zip(self._trainable, trainable, strict=True)]
        others = [self._stored(*pair) for pair in zip(self._other, other, strict=True)]
        is_watched, size = self.criterion is not None, self.num_replicas
        return State(
            trainable=stored,
            other=others,
            optimizer=[tf.constant(value) for value in self._optimizer.variables],
            alive=tf.ones(size, tf.bool),
            best=[*stored, *others] if is_watched else [],
            progress=(
                [tf.fill([size], tf.constant(np.inf, tf.float64)), tf.zeros(size, tf.int32)]
                if is_watched
                else []
            ),
        )

    def trainable_values(self, state: State, replica: int) -> list[np.ndarray]:
        """Returns the trainable variables of one replica, in their natural shapes."""
        return self._values(self._trainable, state.trainable, replica)

    def weights(self, state: State, replica: int) -> list[np.ndarray]:
        """Returns all of `model.weights` of one replica, in their natural shapes."""
        variables = [*self._trainable, *self._other]
        values = self._values(variables, [*state.trainable, *state.other], replica)
        of = {id(variable): value for variable, value in zip(variables, values, strict=True)}
        return [of[id(weight)] for weight in self._model.weights]

    def _values(
        self, variables: Sequence[Any], stored: Sequence[Any], replica: int
    ) -> list[np.ndarray]:
        values = (value if self._single else value[replica] for value in stored)
        return [
            np.reshape(value, variable.shape)
            for value, variable in zip(values, variables, strict=True)
        ]

    def finalize(self, state: State) -> State:
        """Returns the state at the end of the training, or of that of replicas that stopped."""
        if self.criterion is not None:
            count = len(self._trainable)
            return state._replace(trainable=state.best[:count], other=state.best[count:])
        return state._replace(trainable=self._optimizer.finalized(state.trainable, state.optimizer))

    def _keras_optimizer(self, cohort: Cohort) -> Any:
        """Returns a fresh optimizer; what a custom one is given is what Keras would give it."""
        name, settings = cohort.optimizer.name, cohort.optimizer.settings
        rates: Any = self._rates
        if not settings.mixes_rates:
            (rate,) = {member.learning_rate for member in cohort.members}
            settings, rates = dataclasses.replace(settings, learning_rate=rate), None
        with _named_anew():
            optimizer = optimizers.make(name, settings, cohort.num_steps, rates)
        return optimizers.as_compiled(optimizer, cohort.model)

    def _constraint(self, variable: Any) -> Callable[[Any], Any] | None:
        """Returns the variable's constraint for the shape in which replicas are stored."""
        if variable.constraint is None or self._single:
            return variable.constraint

        def one(value: Any) -> Any:
            constrained = variable.constraint(tf.reshape(value, variable.shape))
            return tf.reshape(constrained, value.shape)

        return lambda stored: self._for_each(one, (tf.convert_to_tensor(stored),))

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
        self,
        state: State,
        constants: Constants,
        train: Batch,
        validation: Batch,
        orders: Any,
        num_epochs: Any,
    ) -> tuple[State, Epochs]:
        """Trains some epochs, and evaluates the validation part after each.

        Args:
          state: Before them.
          constants: Of the chunk.
          train, validation: All examples of these parts.
          orders: Orders of the examples, shape (epochs, orders, examples), int32.
          num_epochs: How many of these epochs to train, a scalar tensor: calls for a few epochs
            and for many share one compiled program.
        """
        self.num_traces += 1  # runs while tracing only
        self._rates.start = constants.rates[0, 0] if self._single else constants.rates
        max_epochs, steps = orders.shape[0], self._steps_per_epoch
        sizes = [max_epochs * steps] * 2 + [max_epochs] * 5
        sums = [sums_dtype(self._dtype), tf.int32, tf.float64, tf.float64]
        dtypes = [self._dtype, *sums, tf.bool, tf.bool]
        one, all_metrics = [self.num_replicas], [self.num_replicas, len(self.objective.answers)]
        shapes = [one, all_metrics, one, one, all_metrics, one, one]
        kept = Epochs(
            *(
                tf.TensorArray(dtype, size, clear_after_read=False, element_shape=shape)
                for dtype, size, shape in zip(dtypes, sizes, shapes, strict=True)
            )
        )

        def body(epoch: Any, state: State, kept: Epochs) -> tuple[Any, State, Epochs]:
            state, bad_step, kept = self._epoch(state, constants, train, orders, epoch, kept)
            val_loss, val_metrics = self._evaluate(state, *validation)
            state, stopped = self._ended(epoch, state, kept, val_loss, val_metrics)
            kept = kept._replace(
                bad_step=kept.bad_step.write(epoch, bad_step),
                val_loss=kept.val_loss.write(epoch, val_loss),
                val_metrics=kept.val_metrics.write(epoch, val_metrics),
                alive=kept.alive.write(epoch, state.alive),
                stopped=kept.stopped.write(epoch, stopped),
            )
            return epoch + 1, state, kept

        _, state, kept = tf.while_loop(
            lambda epoch, state, _: (epoch < num_epochs) & tf.reduce_any(state.alive),
            body,
            (0, state, kept),
            maximum_iterations=max_epochs,
        )
        loss, measured, *others = (array.stack() for array in kept)
        by_epoch = [
            tf.reshape(values, [max_epochs, steps, *values.shape[1:]])
            for values in (loss, measured)
        ]
        return state, Epochs(*by_epoch, *others)

    def _ended(
        self, epoch: Any, state: State, kept: Epochs, val_loss: Any, val_metrics: Any
    ) -> tuple[State, Any]:
        """Returns the state after what is looked at at the end of an epoch, and who stopped."""
        limit = self._training.divergence_limit * self._num_validation
        state = state._replace(alive=state.alive & (val_loss <= limit))
        if self.criterion is None:
            return state, tf.zeros(self.num_replicas, tf.bool)
        total = self._total(epoch, kept, val_loss, val_metrics)
        return self._watched(state, total, self.criterion)

    def _train_block(
        self, state: State, constants: Constants, batches: Batch, num_steps: Any
    ) -> tuple[State, Any, Any, Any]:
        """Trains some steps of an epoch on batches that are given.

        Args:
          state: Before them.
          constants: Of the chunk.
          batches: Inputs, targets and maybe weights, (steps, orders, batch, ...) each.
          num_steps: How many of these steps to train, a scalar tensor.

        Returns:
          The state after them; the first of them whose loss was lost, or -1; losses and metrics.
        """
        self.num_traces += 1  # runs while tracing only
        self._rates.start = constants.rates[0, 0] if self._single else constants.rates
        steps, one = batches[1].shape[0], [self.num_replicas]
        loss = tf.TensorArray(self._dtype, steps, element_shape=one)
        shape = [*one, len(self.objective.answers)]
        measured = tf.TensorArray(sums_dtype(self._dtype), steps, element_shape=shape)

        def body(step: Any, *carried: Any) -> Any:
            by_order = _gathered(batches, step)
            return step + 1, *self._one_step(step, step, by_order, constants, carried)

        _, state, bad_step, loss, measured = tf.while_loop(
            lambda step, *_: step < num_steps,
            body,
            (0, state, tf.fill(one, -1), loss, measured),
            maximum_iterations=steps,
        )
        return state, bad_step, loss.stack(), measured.stack()

    def _end_epoch(
        self, state: State, loss: Any, measured: Any, val_loss: Any, val_metrics: Any
    ) -> tuple[State, Any]:
        """As `_ended`, of an epoch whose losses and metrics are given, (steps, ...)."""
        names = {"loss": loss, "metrics": measured}
        arrays = {
            name: tf.TensorArray(
                values.dtype, values.shape[0], False, False, element_shape=values.shape[1:]
            ).unstack(values)
            for name, values in names.items()
        }
        kept = Epochs(**arrays, **dict.fromkeys(set(Epochs._fields) - set(names)))
        return self._ended(0, state, kept, val_loss, val_metrics)

    def _total(self, epoch: Any, kept: Epochs, val_loss: Any, val_metrics: Any) -> Any:
        """Returns the sum that early stopping looks at, (replicas,), float64."""
        assert self.criterion is not None, "early stopping that is on"
        is_loss = self.criterion.plain == "loss"
        column = None if is_loss else list(self.objective.answers).index(self.criterion.plain)
        if self.criterion.is_validation:
            return val_loss if column is None else val_metrics[:, column]
        steps, size = self._steps_per_epoch, self._training.batch_size
        rows = epoch * steps + tf.range(steps)
        if column is not None:
            metrics = tf.cast(kept.metrics.gather(rows), tf.float64)
            return tf.reduce_sum(metrics[:, :, column], axis=0)
        count = self._num_train
        sizes = np.diff([*range(0, count, size), count]).astype(float)
        return tf.reduce_sum(tf.cast(kept.loss.gather(rows), tf.float64) * sizes[:, None], axis=0)

    def _watched(self, state: State, total: Any, of: Criterion) -> tuple[State, Any]:
        """Returns the state after early stopping has looked at an epoch, and who stopped."""
        least, wait = state.progress
        total = of.sign * total
        better = state.alive & (total < least - of.delta)
        wait = tf.where(better, 0, wait + 1)
        least = tf.where(better, total, least)
        ends = [*self._optimizer.finalized(state.trainable, state.optimizer), *state.other]
        chosen = better[0] if self._single else better[:, None]
        best = [tf.where(chosen, *pair) for pair in zip(ends, state.best, strict=True)]
        stopped = state.alive & (wait >= of.patience)
        alive = state.alive & ~stopped
        return state._replace(alive=alive, best=best, progress=[least, wait]), stopped

    def _epoch(
        self,
        state: State,
        constants: Constants,
        train: Batch,
        orders: Any,
        epoch: Any,
        kept: Epochs,
    ) -> tuple[State, Any, Epochs]:
        """Trains one epoch; returns the state, the first bad steps, and `kept` with its steps."""
        size, num_examples = self._training.batch_size, orders.shape[2]
        full, rest = divmod(num_examples, size)
        first = epoch * self._steps_per_epoch

        def one_step(step: Any, num_rows: int, carried: Any) -> Any:
            rows = tf.slice(orders, [epoch, 0, step * size], [1, orders.shape[1], num_rows])[0]
            by_order = _gathered(train, rows)
            return self._one_step(step, first + step, by_order, constants, carried)

        carried = (state, tf.fill([self.num_replicas], -1), kept.loss, kept.metrics)
        if full:
            carried = tf.while_loop(
                lambda step, *_: step < full,
                lambda step, *carried: (step + 1, *one_step(step, size, carried)),
                (0, *carried),
                maximum_iterations=full,
            )[1:]
        if rest:
            carried = one_step(full, rest, carried)
        state, bad_step, loss, measured = carried
        return state, bad_step, kept._replace(loss=loss, metrics=measured)

    def _one_step(
        self, step: Any, place: Any, by_order: Sequence[Any], constants: Constants, carried: Any
    ) -> Any:
        """Trains one step; returns state, first bad steps, losses and metrics with its own.

        Args:
          step: Its number, from 0.
          place: Where its losses and metrics are written to.
          by_order: A batch: inputs, targets and maybe weights, (orders, batch, ...) each.
          constants: Of the chunk.
          carried: State, first bad steps, losses and metrics.
        """
        state, bad_step, loss, measured = carried
        state, step_loss, step_metric = self._step(state, constants, by_order)
        ok = tf.math.is_finite(step_loss)
        ok &= step_loss <= tf.cast(self._training.divergence_limit, self._dtype)
        bad_step = tf.where(state.alive & ~ok, step, bad_step)
        state = state._replace(alive=state.alive & ok)
        return state, bad_step, loss.write(place, step_loss), measured.write(place, step_metric)

    def _step(
        self, state: State, constants: Constants, by_order: Sequence[Any]
    ) -> tuple[State, Any, Any]:
        """Returns the state after one update, and before it the loss and the metrics' sums."""
        x, *others = by_order
        batches = _gathered((self._as_seen(x), *others), constants.order_of)
        gradients, assigned, other, loss, measured = self._for_each(
            self._whole(partial(self._gradients, state.optimizer)),
            (state.trainable, state.other, *batches),
        )
        trainable = [assigned.get(i, value) for i, value in enumerate(state.trainable)]
        trainable, optimizer = self._optimizer.apply(
            trainable, state.optimizer, [gradients.get(i) for i in range(len(trainable))]
        )
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

    def _evaluate(self, state: State, x: Any, y: Any, *weight: Any) -> tuple[Any, Any]:
        """Returns the sums over all examples, float64.

        They are of the loss, (replicas,), and of the metrics, (replicas, metrics).
        """
        rows = self.block_size(y.shape[0])
        full, rest = divmod(y.shape[0], rows)

        def block(first: Any, count: int) -> Any:
            def rows_of(array: Any) -> Any:
                others = array.shape[1:]
                return tf.slice(array, [first, *[0] * len(others)], [count, *others])

            part = tf.nest.map_structure(rows_of, (x, y, *weight))
            return self._measure_block(state, *part)

        shapes = [self.num_replicas], [self.num_replicas, len(self.objective.answers)]
        total = [tf.zeros(shape, tf.float64) for shape in shapes]

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

    def block_size(self, num_examples: int) -> int:
        """Returns how many of the examples of a part are evaluated together."""
        return _block_size(num_examples, self._max_evaluated)

    def _measure_block(self, state: State, x: Any, y: Any, *weight: Any) -> list[Any]:
        """Returns the sums over a block of examples, as `_evaluate`."""
        x, count = self._as_seen(x), y.shape[0]
        loss, measured = self._for_each(
            self._whole(lambda trainable, other: self._measure(trainable, other, x, y, *weight)),
            (state.trainable, state.other),
        )
        return [tf.cast(loss, tf.float64) * count, tf.cast(measured, tf.float64)]

    @property
    def _dtype(self) -> Any:
        return tf.as_dtype(self._trainable[0].dtype)

    def _whole(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a function of one replica as one that is compiled by itself, if not by XLA.

        Within the graph of a loop TensorFlow misses kernels of oneDNN: it looks for a pooling
        before its gradient, and a loop has no beginning. All replicas share the function.
        """
        if self.form.jit:
            return function
        attributes = {"_noinline": True}
        return tf.function(function, autograph=False, experimental_attributes=attributes)

    def _for_each(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Applies a function of one replica to all, and stacks what it returns."""
        if self.form.name == "stacked":
            with replicas_grouped():
                return tf.vectorized_map(lambda one: function(*one), arguments)
        if self.form.name == "unrolled":
            apart = zip(*map(tf.unstack, tf.nest.flatten(arguments)), strict=True)
            results = [function(*tf.nest.pack_sequence_as(arguments, one)) for one in apart]
            return tf.nest.map_structure(lambda *values: tf.stack(values), *results)
        return self._for_one(function, arguments)

    def _for_one(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """As `_for_each` in the form `single`: variables have no replica axis, batches do."""
        trainable, other, *batches = arguments
        result = function(trainable, other, *tf.nest.map_structure(lambda b: b[0], batches))
        *variables, loss, measured = result
        return *variables, loss[None], measured[None]

    def _gradients(
        self, optimizer: list[Any], trainable: list[Any], other: list[Any], *batch: Any
    ) -> Any:
        """Returns what a batch says of one replica.

        Returns:
          The gradients of those trainable variables that have one and the values of those that the
          model itself has assigned to, both by position; the other variables after the call; the
          loss; the metrics' sums.
        """
        with tf.GradientTape() as tape:
            tape.watch(trainable)
            call = self._call(trainable, other, tape)
            loss, measured = self._forward(call, *batch, training=True)
            scaled = self._optimizer.scale_loss(loss, optimizer)
        assigned = [call.assigned.get(id(variable), []) for variable in self._trainable]
        values = [[value, *later] for value, later in zip(trainable, assigned, strict=True)]
        gradients = {
            position: tf.add_n(found)
            for position, parts in enumerate(tape.gradient(scaled, values))
            if (found := [part for part in parts if part is not None])
        }
        last = {position: later[-1] for position, later in enumerate(assigned) if later}
        return gradients, last, self._flat(call, other), loss, measured

    def _measure(self, trainable: list[Any], other: list[Any], *batch: Any) -> Any:
        call = self._call(trainable, other)
        states = [generator.state for generator in seed_generators(self._model)]
        before = [call.get_current_value(state) for state in states]
        result = self._forward(call, *batch, training=False)
        if call.changed - {id(state) for state in states} or stem_from(result, before):
            raise ConfigError(
                "The model must not change its variables or use random numbers while it is "
                "evaluated, because engine=vectorized would lose that. Set engine=keras."
            )
        return result

    def _call(self, trainable: list[Any], other: list[Any], tape: Any = None) -> Call:
        variables, values = [*self._trainable, *self._other], [*trainable, *other]
        mapping = [(v, tf.reshape(t, v.shape)) for v, t in zip(variables, values, strict=True)]
        pairs = zip(self._trainable, trainable, strict=True)
        return Call(mapping, {id(variable): value.shape for variable, value in pairs}, tape)

    def _flat(self, call: Call, other: list[Any]) -> list[Any]:
        """Returns the other variables after a call, as they are stored."""
        after = [call.get_current_value(variable) for variable in self._other]
        return [tf.reshape(new, old.shape) for new, old in zip(after, other, strict=True)]

    def _forward(
        self, call: Call, x: Any, y: Any, weight: Any = None, *, training: bool
    ) -> tuple[Any, Any]:
        """Returns the loss of one replica on a batch, and the sums of its metrics."""
        drawn = drawn_alike(self.form.jit, self._device, has_other_forms=True)
        with call, drawn, steps_unrolled(self._recurrent), kernels_fused(self._normalizing):
            outputs = called(self._model, x, training)
            penalties = self._model.losses
        outputs = tf.cast(outputs, self._dtype)  # a layer may compute in less
        loss = self.objective.loss(y, outputs, weight)
        loss += sum(tf.reduce_sum(tf.cast(penalty, loss.dtype)) for penalty in penalties)
        sums = tf.cast(self.objective.sums(y, outputs), self._dtype)
        return tf.cast(loss, self._dtype), sums


@contextmanager
def _named_anew() -> Iterator[None]:
    """Lets Keras count the names that it makes up from the first again: they stand in the graph."""
    counters = "object_name_uids"
    former = global_state.get_global_attribute(counters)
    global_state.set_global_attribute(counters, None)
    try:
        yield
    finally:
        global_state.set_global_attribute(counters, former)


def _gathered(nest: Any, rows: Any) -> Any:
    return tf.nest.map_structure(lambda values: tf.gather(values, rows), nest)


def _block_size(num_examples: int, limit: int) -> int:
    """Returns how many examples to look at together: a divisor of all, if one is near the limit.

    A rest would have to be compiled apart.
    """
    largest = min(limit, num_examples)
    divisors = (size for size in range(largest, largest // 4, -1) if num_examples % size == 0)
    return next(divisors, largest)
