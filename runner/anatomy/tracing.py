"""Watches the calls of a model's layers, in the order in which they happen.

While a model is called inside `intercepted`, every layer and activation that counts is run by a
handler in place of its own `call`. That works for Sequential, functional, nested and subclassed
models alike, and a layer that is called twice is seen twice.

A handler that is a `Trace` sorts the calls into *places*, the rows of every table:

- a layer with a kernel opens a place: what enters its activation is the place's `before`. A
  normalization between kernel and activation belongs to the place, and `before` is what it puts
  out;
- the activation, built in or a layer of its own, closes it with `after`;
- what only reshapes or drops out, or hands on what it is given, is no place;
- all else (pooling, sums, recurrent layers, attention, embeddings) is a place with `after` alone;
  of several results (a recurrent layer's states) it is the first.

Layers that draw random numbers are called as in evaluation, so that none of them drops out or adds
noise; the layers around them and beside them keep the `training` that the model gives them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from runner.anatomy.activations import Activation
from runner.anatomy.calls import called
from runner.anatomy.elementwise import activation_of
from runner.anatomy.kernels import Weight, weights

Handler = Callable[[Any, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


@dataclass
class Place:
    """One row: a layer's call.

    Attributes:
      layer: The Keras layer or operation.
      given: What enters the layer, shape (batch, ...), or None where that is no tensor of numbers.
      kernels: Kernels of the layer; empty at its second call.
      activation: What is between `before` and `after`, if it acts on each element by itself.
      before: Pre-activations, shape (batch, ..., units), or None.
      after: Activations, shape (batch, ..., units), or None where there is no activation.
    """

    layer: Any
    given: Any = None
    kernels: Sequence[Weight] = ()
    activation: Activation | None = None
    before: Any = None
    after: Any = None

    @property
    def signal(self) -> Any:
        """What the place puts out."""
        return self.before if self.after is None else self.after


@dataclass
class Anatomy:
    """What is watched in a model.

    Attributes:
      model: A built `keras.Model`.
      operations: Those whose calls are handled.
      kinds: See `kind_of`, by the `id` of the operation.
      kernels: Of each layer that has any, by its `id`.
      activations: What each activation computes, if it is elementwise, by the `id` of the operation
        or of the layer that it is built into.
    """

    model: Any
    operations: list[Any]
    kinds: dict[int, str]
    kernels: dict[int, list[Weight]]
    activations: dict[int, Activation | None]

    def path(self, place: Place) -> str:
        """Returns the name of a place's layer without the model's."""
        path = getattr(place.layer, "path", None) or place.layer.name
        return path.removeprefix(f"{self.model.name}/")


def anatomy(
    model: Any, kernels: Sequence[Weight] | None = None, composites: bool = True
) -> Anatomy:
    """Finds what is to be watched.

    Args:
      model: A built `keras.Model`.
      kernels: What its initializer draws; without them, what Keras calls kernels.
      composites: Whether to look into layers that consist of layers. Such a layer may call them
        inside a loop, where what they compute cannot be had; then it has to be taken as a whole.
    """
    operations = list({id(o): o for o in _operations(model, composites)}.values())
    owned: dict[int, list[Weight]] = {}
    for weight in weights(model) if kernels is None else kernels:
        if weight.is_kernel and weight.variable.trainable:
            owned.setdefault(id(weight.layer), []).append(weight)
    inside = {
        id(operation): [
            weight
            for layer in _inside(operation, composites)
            for weight in owned.get(id(layer), [])
        ]
        for operation in operations
    }
    kinds = {id(operation): kind_of(operation) for operation in operations}
    functions = {"kernel": lambda layer: layer.activation, "activation": lambda layer: layer}
    activations = {
        id(operation): activation_of(functions[kinds[id(operation)]](operation))
        for operation in operations
        if kinds[id(operation)] in functions
    }
    return Anatomy(model, operations, kinds, inside, activations)


def _operations(layer: Any, composites: bool) -> Iterator[Any]:
    """Yields the innermost layers and the operations that are activations."""
    import keras

    if not isinstance(layer, keras.Layer):
        yield layer
        return
    is_model, inner = isinstance(layer, keras.Model), _children(layer)
    whole = (keras.layers.RNN, keras.layers.Wrapper, *_separable())
    if not inner or isinstance(layer, whole) or not (is_model or composites):
        if not isinstance(layer, keras.layers.InputLayer):
            yield layer
        return
    for child in inner:
        yield from _operations(child, composites)
    if not is_model:
        yield layer


def _children(layer: Any) -> list[Any]:
    """Returns what a layer consists of; of a functional model also its plain operations."""
    return list(getattr(layer, "operations", None) or layer._layers)


def _inside(operation: Any, composites: bool) -> list[Any]:
    """Returns the layers whose kernels belong to an operation that is taken as a whole."""
    import keras

    if not isinstance(operation, keras.Layer):
        return []
    if not composites or isinstance(operation, keras.layers.RNN | keras.layers.Wrapper):
        return list(operation._flatten_layers())
    return [operation]


def _separable() -> tuple[type, ...]:
    """Returns the layers whose output is an activation of something linear in the kernel."""
    from keras import layers

    kinds = ["Dense", "EinsumDense"]
    kinds += [f"Conv{n}D" for n in (1, 2, 3)] + [f"Conv{n}DTranspose" for n in (1, 2, 3)]
    kinds += [f"{kind}Conv{n}D" for kind in ("Depthwise", "Separable") for n in (1, 2)]
    return tuple(getattr(layers, kind) for kind in kinds)


@contextmanager
def intercepted(anatomy: Anatomy, handler: Handler) -> Iterator[None]:
    """Lets `handler(operation, call, args, kwargs)` stand for every call inside the block."""
    random = [layer for layer in anatomy.model._flatten_layers() if _draws(layer)]
    for layer in random:
        object.__setattr__(layer, "call", _as_in_evaluation(layer))
    for operation in anatomy.operations:
        object.__setattr__(operation, "call", _through(handler, operation))
    try:
        yield
    finally:
        for changed in {id(one): one for one in [*random, *anatomy.operations]}.values():
            object.__delattr__(changed, "call")


def plainly(operation: Any, call: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> Any:
    """Runs a call as it is: a handler that only has dropout off."""
    return call(*args, **kwargs)


def _through(handler: Handler, operation: Any) -> Callable[..., Any]:
    call = operation.call
    return lambda *args, **kwargs: handler(operation, call, args, kwargs)


def _as_in_evaluation(layer: Any) -> Callable[..., Any]:
    call = layer.call
    training = {"training": False} if layer._call_has_training_arg else {}

    def called(*args: Any, **kwargs: Any) -> Any:
        return call(*args, **(kwargs | training))

    return called


def _draws(layer: Any) -> bool:
    """Tells whether a layer itself, or a cell that it runs, draws random numbers.

    Not one that may hand `training` on to a batch normalization: that would change more than a few
    masks do.
    """
    import keras

    inside = layer._flatten_layers()
    if any(isinstance(one, keras.layers.BatchNormalization) for one in inside):
        return False
    drawing = inside if isinstance(layer, keras.layers.RNN) else [layer]
    return any(one._seed_generators for one in drawing)


@dataclass
class Trace:
    """A handler that collects the places of one call of a model.

    Attributes:
      anatomy: Of the model.
      watch: Gets what a place holds before it is used further, and returns it.
      places: In the order of the calls.
    """

    anatomy: Anatomy
    watch: Callable[[Any], Any] = lambda tensor: tensor
    places: list[Place] = field(default_factory=list)
    _open: dict[int, Place] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)

    def __call__(
        self, operation: Any, call: Callable[..., Any], args: tuple[Any, ...], kwargs: Any
    ) -> Any:
        """Runs a call and files what it gives."""
        kind = self.anatomy.kinds[id(operation)]
        given = _given(args, kwargs)
        if kind == "kernel":
            return self._kernel(operation, call, args, kwargs)
        if kind == "activation":
            return self._activation(operation, call, given, args, kwargs)
        result = self.passed(kind, call(*args, **kwargs))
        if kind == "normalization" and id(given) in self._open:
            place = self._open.pop(id(given))
            place.before = self.watch(result)
            self._open[id(result)] = place
        elif kind in ("normalization", "other") and (made := signal(result)) is not None:
            place = self._place(operation, given)
            place.after = self.watch(made)
        return result

    def activated(self, place: Place, function: Callable[[Any], Any]) -> Any:
        """Returns the activations of a place, given what computes them from `place.before`."""
        return function(place.before)

    def passed(self, kind: str, result: Any) -> Any:
        """Returns what an operation that is neither kernel nor activation puts out."""
        return result

    def _place(self, operation: Any, given: Any) -> Place:
        kernels = self.anatomy.kernels[id(operation)]
        if id(operation) in self._seen:
            kernels = []
        self._seen.add(id(operation))
        self.places.append(Place(operation, signal(given), kernels))
        return self.places[-1]

    def _kernel(
        self, operation: Any, call: Callable[..., Any], args: tuple[Any, ...], kwargs: Any
    ) -> Any:
        activation = operation.activation
        with linear(operation):
            before = call(*args, **kwargs)
        place = self._place(operation, _given(args, kwargs))
        place.before = before = self.watch(before)
        if is_linear(activation):
            self._open[id(before)] = place
            return before
        place.activation = self.anatomy.activations[id(operation)]
        place.after = self.watch(self.activated(place, activation))
        return place.after

    def _activation(
        self,
        operation: Any,
        call: Callable[..., Any],
        given: Any,
        args: tuple[Any, ...],
        kwargs: Any,
    ) -> Any:
        place = self._open.pop(id(given), None)
        if place is None:
            place = self._place(operation, given)
            place.before = self.watch(given)
        place.activation = self.anatomy.activations[id(operation)]
        place.after = self.watch(self.activated(place, lambda _: call(*args, **kwargs)))
        return place.after


def kind_of(operation: Any) -> str:
    """Returns what an operation is for the tables.

    Returns:
      `"kernel"`, `"activation"`, `"normalization"`, `"silent"` (it moves numbers or drops them),
      `"operation"` (a plain function, such as a sum) or `"other"` (any other layer).
    """
    import keras
    from keras import layers

    if isinstance(operation, _separable()):
        return "kernel"
    if isinstance(operation, normalizations()):
        return "normalization"
    silent = (
        *("Flatten", "Reshape", "Permute", "RepeatVector", "Masking", "Identity", "Dropout"),
        *("SpatialDropout1D", "SpatialDropout2D", "GaussianNoise", "GaussianDropout"),
    )
    if isinstance(operation, tuple(getattr(layers, name) for name in silent)):
        return "silent"
    acts = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU)
    if isinstance(operation, layers.Activation) and is_linear(operation.activation):
        return "silent"
    if isinstance(operation, (*acts, layers.Softmax)) or type(operation).__name__ == "Maxout":
        return "activation"
    if isinstance(operation, keras.Layer):
        return "other"
    return "operation" if activation_of(operation) is None else "activation"


def normalizations() -> tuple[type, ...]:
    from keras import layers

    names = ("Batch", "Layer", "Group", "Unit", "RMS")
    return tuple(getattr(layers, f"{name}Normalization") for name in names)


def is_linear(activation: Any) -> bool:
    """Tells whether an activation function is the identity."""
    import keras

    return activation is None or activation is keras.activations.linear


@contextmanager
def linear(layer: Any) -> Iterator[None]:
    """Takes a layer's activation away inside the block."""
    activation = layer.activation
    object.__setattr__(layer, "activation", None)  # past Keras, which would track the change
    try:
        yield
    finally:
        object.__setattr__(layer, "activation", activation)


def _given(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Returns the first argument of a call."""
    return args[0] if args else next(iter(kwargs.values()), None)


def signal(value: Any) -> Any:
    """Returns the first tensor of numbers with a batch axis among what a layer takes or makes."""
    import keras

    return next(filter(_is_signal, keras.tree.flatten(value)), None)


def _is_signal(value: Any) -> bool:
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    return getattr(dtype, "is_floating", False) and shape is not None and len(shape) > 1


def dissected(
    model: Any, x: Any, kernels: Sequence[Weight] | None = None
) -> tuple[Anatomy, list[Place]]:
    """Returns what of a model can be watched, and its places in the order of their calls.

    Args:
      model: A built `keras.Model`.
      x: A few examples, shape (examples, ...).
      kernels: As for `anatomy`.
    """
    import tensorflow as tf

    for composites in (True, False):
        found = anatomy(model, kernels, composites)
        trace = Trace(found)
        try:
            with intercepted(found, trace):
                call = partial(_call, model, trace)
                tf.function(call, autograph=False).get_concrete_function(x)
            _silence(found, trace)
            return found, trace.places
        except Exception:  # layers of layers may do anything with them; taken as a whole they work
            if not composites:
                raise
    raise AssertionError


def _call(model: Any, trace: Trace, x: Any) -> None:
    """Calls a model in a graph.

    Raises:
      ValueError: What a layer makes stays inside of a loop.
    """
    import tensorflow as tf

    called(model, x, training=True)
    graph = tf.compat.v1.get_default_graph()
    if any(place.signal.graph is not graph for place in trace.places):
        raise ValueError("A layer is called inside a loop.")


def _silence(found: Anatomy, trace: Trace) -> None:
    """Takes out the layers that hand on what they are given, such as an augmentation, now off."""
    changing = {id(place.layer) for place in trace.places if place.signal is not place.given}
    for place in trace.places:
        if id(place.layer) not in changing:
            found.kinds[id(place.layer)] = "silent"
    trace.places = [place for place in trace.places if id(place.layer) in changing]
