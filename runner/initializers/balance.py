"""Finds the factors of `mean_field`, one layer after the other."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations, product
from typing import Any

import numpy as np
import tensorflow as tf

from runner.anatomy import batches
from runner.anatomy.activations import Activation
from runner.anatomy.calls import called_with
from runner.anatomy.kernels import UndefinedError, Weight
from runner.anatomy.moments import MomentTrace, can_be_followed, products
from runner.anatomy.stacked import Arranged
from runner.anatomy.tracing import dissected, intercepted, linear, signal
from runner.initializers.law import Body

# A mean of an activation below this is the rounding of its integral: the function is odd.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class _Term:
    """A summand of a signal.

    Attributes:
      centred: Positions of the kernels over which its mean is 0, whatever the others are.
      uses: Positions of all kernels that it depends on.
    """

    centred: frozenset[int] = frozenset()
    uses: frozenset[int] = frozenset()

    def is_independent_of(self, other: "_Term") -> bool:
        """Tells whether the mean of their product is 0."""
        return bool(self.centred - other.uses or other.centred - self.uses)


def factors(
    body: Body, squares: Mapping[int, float], biases: Mapping[int, float]
) -> dict[int, float]:
    """Returns the factor of each kernel, by its position.

    Args:
      body: The model and the batch.
      squares: E[W^2] of the kernels as they are drawn first, by their positions.
      biases: E[b^2] of biases, by their positions; others hold what they hold in the model.

    Raises:
      UndefinedError: Theory does not know what enters a kernel.
    """
    model = body.model
    x = tf.nest.map_structure(tf.constant, body.probe.x)  # type: ignore[union-attr]
    if not can_be_followed(model) or not batches.are_floats(x):
        raise UndefinedError("it is defined for models of Keras's layers whose inputs are numbers")
    values = [_squared(place, {**squares, **biases}) for place in body.places]
    anatomy, _ = dissected(model, batches.first(x, 2), body.kernels)
    balance = _Balance(anatomy, num_examples=batches.count(x), kernels=body.kernels)
    with intercepted(anatomy, balance):
        trainable, other = Arranged(model)(values)
        called_with(model, trainable, other, products(x), training=False)
    missing = [kernel for kernel in body.kernels if kernel.position not in balance.factors]
    if missing:
        raise UndefinedError(
            f"theory does not know what enters `{missing[0].path}`"
            f"{balance.unknown and f', which comes after {balance.unknown}'}. init=lsuv measures it"
        )
    return balance.factors


def _squared(place: Weight, known: Mapping[int, float]) -> np.ndarray:
    """Returns the mean squares of a weight's entries; NaN of a kernel that a rule draws."""
    held = place.variable.numpy()
    if place.position in known:
        return np.full_like(held, known[place.position])
    return np.full_like(held, np.nan) if place.is_kernel else np.square(held)


@dataclass
class _Balance(MomentTrace):
    """Scales each kernel when it is reached.

    Attributes:
      kernels: Those to scale.
      factors: Of those that were reached, by their positions.
      unknown: The first layer whose output theory does not know.
    """

    kernels: Sequence[Weight] = ()
    factors: dict[int, float] = field(default_factory=dict)
    unknown: str = ""
    _terms: dict[int, tuple[Any, list[_Term]]] = field(default_factory=dict)
    _is_known: bool = False

    def __call__(
        self, operation: Any, call: Callable[..., Any], args: tuple[Any, ...], kwargs: Any
    ) -> Any:
        given = [self._terms_of(one) for one in tf.nest.flatten(args) if tf.is_tensor(one)]
        terms = list(chain.from_iterable(given))
        kind = self.anatomy.kinds[id(operation)]
        self._is_known = _moves(operation) or (_adds(operation, args) and _are_independent(given))
        if kind == "normalization" and all(term.centred for term in terms):
            self._is_known, call = True, self._normalizing(operation, call)
        result = super().__call__(operation, call, args, kwargs)
        made = signal(result)
        if kind == "activation":
            self._file(made, _activated(self.anatomy.activations[id(operation)], terms))
        elif kind != "kernel" and made is not None:
            self._file(made, terms)
        if not self.unknown and made is not None and np.isnan(np.sum(made)):
            self.unknown = f"`{operation.name}` ({type(operation).__name__})"
        return result

    def passed(self, kind: str, result: Any) -> Any:
        if not self._is_known:
            return super().passed(kind, result)
        self._gap = True
        return result

    def _kernel(
        self, operation: Any, call: Callable[..., Any], args: tuple[Any, ...], kwargs: Any
    ) -> Any:
        variables = {id(variable) for variable in operation.variables}
        kernels = [kernel for kernel in self.kernels if id(kernel.variable) in variables]
        new = [kernel for kernel in kernels if kernel.position not in self.factors]
        with linear(operation):
            self._scale(new, lambda: call(*args, **kwargs))
        result = super()._kernel(operation, call, args, kwargs)
        place = self.places[-1]
        own = frozenset(kernel.position for kernel in kernels)
        uses = own.union(*(term.uses for term in self._terms_of(args[0])))
        terms = [_Term(own, uses)]
        self._file(place.before, terms)
        if place.after is not None:
            self._file(place.after, _activated(place.activation, terms))
        return result

    def _scale(self, kernels: Sequence[Weight], call: Callable[[], Any]) -> None:
        """Gives kernels of one layer the factor with which its output has E[z^2] = 1."""
        drawn = [kernel.variable.value for kernel in kernels]
        moment = self._mean_square(call())
        for kernel, squares in zip(kernels, drawn, strict=True):
            kernel.variable.assign(tf.zeros_like(squares))
        of_bias = self._mean_square(call())
        room = (1 - of_bias) / (moment - of_bias) if moment > of_bias else 0.0
        for kernel, squares in zip(kernels, drawn, strict=True):
            square = room ** (1 / len(kernels)) if room > 0 else np.nan
            kernel.variable.assign(squares * square)
            if room > 0:
                self.factors[kernel.position] = math.sqrt(square)

    def _mean_square(self, moments: Any) -> float:
        return float(np.mean(np.asarray(moments, float)[: self.num_examples]))

    def _normalizing(self, operation: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        """Returns what a normalization makes of the second moments of a signal of mean 0."""
        from keras import layers

        def normalized(moments: Any, *args: Any, **kwargs: Any) -> Any:
            values = np.asarray(moments, float)
            lengths, covariances = np.split(values, [self.num_examples])
            if isinstance(operation, layers.BatchNormalization):
                axes = tuple(range(values.ndim - 1))
                shared = np.mean(covariances, axes) if len(covariances) else 0.0
                lengths, covariances = np.maximum(lengths - shared, 0), covariances - shared
                scale = np.mean(lengths, axes) + operation.epsilon
                joined = np.concatenate([lengths, covariances]) / scale
            else:
                scale = np.mean(lengths, -1, keepdims=True) + operation.epsilon
                first, second = self.of_pairs(scale)
                joined = np.concatenate([lengths / scale, covariances / np.sqrt(first * second)])
            made = tf.constant(joined, moments.dtype)
            return made if operation.gamma is None else made * operation.gamma.value

        known = isinstance(operation, layers.BatchNormalization) or (
            isinstance(operation, layers.LayerNormalization) and operation.axis in (-1, [-1], (-1,))
        )
        return normalized if known else lambda *args, **kwargs: call(*args, **kwargs) * np.nan

    def _terms_of(self, tensor: Any) -> list[_Term]:
        """Returns the summands of a signal; of one that was never seen, the worst."""
        seen = self._terms.get(id(tensor))
        if seen is not None:
            return seen[1]
        return self._file(tensor, [_Term(uses=frozenset(self.factors))])

    def _file(self, tensor: Any, terms: list[_Term]) -> list[_Term]:
        self._terms[id(tensor)] = tensor, terms  # as long as it is held, its id is its own
        return terms


def _activated(activation: Activation | None, terms: list[_Term]) -> list[_Term]:
    """Returns the summands of activations: an odd function keeps a mean of 0."""
    is_odd = activation is not None and abs(float(activation.mean(1.0))) < _ROUNDING
    if is_odd and len(terms) == 1:
        return terms
    return [_Term(uses=frozenset().union(*(term.uses for term in terms)))]


def _are_independent(given: Sequence[Sequence[_Term]]) -> bool:
    """Tells whether the mean of the product of each two signals is 0."""
    return all(
        one.is_independent_of(other)
        for some, others in combinations(given, 2)
        for one, other in product(some, others)
    )


def _adds(operation: Any, args: Any) -> bool:
    """Tells whether an operation is the sum of signals of one shape."""
    given = tf.nest.flatten(args)
    alike = all(tf.is_tensor(one) and one.shape == given[0].shape for one in given)
    return type(operation).__name__ == "Add" and len(given) > 1 and alike


def _moves(operation: Any) -> bool:
    """Tells whether a layer does nothing but move numbers, or put zeros between them."""
    from keras import layers

    names = ["Concatenate", *(f"{k}{n}D" for k in ("ZeroPadding", "Cropping") for n in (1, 2, 3))]
    return isinstance(operation, tuple(getattr(layers, name) for name in names))
