"""`jax.vmap` and `lax.scan`, written by hand around the model's pure function."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmark.works import BATCH_SIZE, Work, batch_seed, initial_weights
from runner.training.randomness import epoch_order, first_state, seed_generators


class Jax:
    """All replicates in one compiled function, which trains an epoch.

    The model is Keras's on its JAX backend, through `stateless_call`; under `jit` nothing of Keras
    is left of it.
    """

    shuffles = False
    note = "vmap over replicates, scan over steps"

    def __init__(self, work: Work, num_replicates: int) -> None:
        self.work = work
        self.num_replicates = num_replicates
        self.curves: list[np.ndarray] = []

    def start(self) -> None:
        """Compiles, by the first epoch."""
        self.model, data = self.work.model(), self.work.dataset()
        self.num_examples = len(data.train)
        self.data = [jnp.asarray(a) for part in (data.train, data.validation) for a in _both(part)]
        self.seeds = [batch_seed(replicate) for replicate in range(self.num_replicates)]
        self.trainable, self.other = self._first_values()
        mapped = jax.vmap(self._epoch, in_axes=(0, 0, 0, None, None, None, None))
        self.train = jax.jit(mapped, donate_argnums=(0, 1))
        self.advance(1)

    def _first_values(self) -> tuple[list[Any], list[Any]]:
        """Returns the variables, each (replicates, *shape)."""
        drawn = [initial_weights(self.model, r) for r in range(self.num_replicates)]
        place = {id(weight): index for index, weight in enumerate(self.model.weights)}
        generators = {id(g.state): index for index, g in enumerate(seed_generators(self.model))}

        def values(variable: Any) -> Any:
            if id(variable) in place:
                return jnp.stack([weights[place[id(variable)]] for weights in drawn])
            index = generators[id(variable)]
            return jnp.stack([first_state(seed, index) for seed in self.seeds])

        model = self.model
        return (
            [values(variable) for variable in model.trainable_variables],
            [values(variable) for variable in model.non_trainable_variables],
        )

    def advance(self, epochs: int) -> float:
        """Trains all replicates on from where they are."""
        began = time.perf_counter()
        for _ in range(epochs):
            epoch = len(self.curves) + 1
            orders = {s: epoch_order(s, epoch, self.num_examples) for s in set(self.seeds)}
            order = np.stack([orders[seed] for seed in self.seeds])
            self.trainable, self.other, loss, _, _ = self.train(
                self.trainable, self.other, order, *self.data
            )
            self.curves.append(np.asarray(loss))
        return time.perf_counter() - began

    def _epoch(
        self, trainable: Any, other: Any, order: Any, x: Any, y: Any, x_val: Any, y_val: Any
    ) -> tuple[Any, ...]:
        """Trains one replicate for an epoch.

        Returns:
          The variables after it; loss and accuracy, means over the batches' examples; loss and
          accuracy on the validation part.
        """

        def step(carried: Any, rows: Any) -> Any:
            trainable, other = carried
            (loss, (accuracy, other)), gradients = jax.value_and_grad(self._loss, has_aux=True)(
                trainable, other, x[rows], y[rows], True
            )
            rate = self.work.learning_rate
            trainable = [w - rate * g for w, g in zip(trainable, gradients, strict=True)]
            return (trainable, other), (loss, accuracy)

        full = len(order) // BATCH_SIZE * BATCH_SIZE
        carried, sums = jax.lax.scan(step, (trainable, other), order[:full].reshape(-1, BATCH_SIZE))
        totals = [jnp.sum(values) * BATCH_SIZE for values in sums]
        if full < len(order):
            carried, last = step(carried, order[full:])
            rest = len(order) - full
            totals = [total + value * rest for total, value in zip(totals, last, strict=True)]
        loss, accuracy = (total / len(order) for total in totals)
        trainable, other = carried
        val_loss, (val_accuracy, _) = self._loss(trainable, other, x_val, y_val, False)
        return trainable, other, loss, accuracy, (val_loss, val_accuracy)

    def _loss(self, trainable: Any, other: Any, x: Any, y: Any, training: bool) -> Any:
        logits, other = self.model.stateless_call(trainable, other, x, training=training)
        wanted = jax.nn.one_hot(y, logits.shape[-1])
        loss = -jnp.mean(jnp.sum(wanted * jax.nn.log_softmax(logits), axis=-1))
        accuracy = jnp.mean(jnp.argmax(logits, axis=-1) == y)
        return loss, (accuracy, other)

    def losses(self, epochs: int) -> dict[int, list[float]]:
        """Goes on where the training stands."""
        if len(self.curves) < epochs:
            self.advance(epochs - len(self.curves))
        return {r: [float(c[r]) for c in self.curves] for r in range(self.num_replicates)}

    def latest(self) -> dict[int, list[float]]:
        """Returns the losses of all epochs so far."""
        return self.losses(1)


def _both(part: Any) -> tuple[np.ndarray, np.ndarray]:
    return part.x, part.y
