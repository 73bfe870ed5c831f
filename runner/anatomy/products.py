"""Which of a layer's own matrices are used in a product: followed through the graph of a call.

The operations are read in their order. A weight is *carried* by what is made from it alone: by a
cast, a transpose, a slice, a stack, a scaled or otherwise changed matrix. Where a product (or a
convolution) takes something that carries a weight on one side and something that depends on the
data on the other, the weight is a factor of that product. A product of two weights carries both.

What is no product: a gate or a scale (elementwise, nothing is summed over), a table that rows are
looked up in, and a weight that is handed to one of Keras's layers, which takes it as its input.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.anatomy.graphs import SHAPES, bodies, is_given, traced

Axes = tuple[frozenset[int], ...]
"""For each axis of a tensor the axes of the weight that lie along it."""

FanAxes = tuple[tuple[int, ...], tuple[int, ...]]
"""Axes of a weight that a product sums over, and those that appear in its result."""

_Side = tuple[int, list[int] | None, list[int]]
"""Place of a factor among the inputs of a product, and its axes that are summed over and made."""

_SAME = {
    *("Identity", "IdentityN", "StopGradient", "PreventGradient", "Snapshot", "EnsureShape"),
    *("CheckNumerics", "Cast", "Neg", "Pad", "PadV2", "MirrorPad", "Reverse", "ReverseV2", "Roll"),
    *("Slice", "SplitV", "Tile", "MatrixBandPart", "ReadVariableOp"),
}
_RESHAPING = {"Reshape", "ExpandDims", "Squeeze"}
_SUMS = {"Add", "AddV2", "Sub", "AddN", "Select", "SelectV2", "BiasAdd"}
_SCALINGS = {"Mul", "RealDiv", "Div", "DivNoNan"}
_BY_SHAPE = {  # the place of the filter, and of what it is applied to
    **dict.fromkeys(("Conv2D", "Conv3D", "Conv", "DepthwiseConv2dNative"), (1, 0)),
    **dict.fromkeys(("Conv2DBackpropInput", "Conv2DBackpropInputV2"), (1, 2)),
    **dict.fromkeys(("Conv3DBackpropInput", "Conv3DBackpropInputV2"), (1, 2)),
    **dict.fromkeys(("DepthwiseConv2dNativeBackpropInput",), (1, 2)),
}
_TRANSPOSING = {
    **dict.fromkeys(("MatMul", "SparseMatMul"), ("transpose_a", "transpose_b")),
    **dict.fromkeys(("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), ("adj_x", "adj_y")),
    "SparseTensorDenseMatMul": ("adjoint_a", "adjoint_b"),
}
PRODUCTS = {*_BY_SHAPE, *_TRANSPOSING, "Einsum"}
"""Operations that sum products, of a kernel or of anything else."""


@dataclass(frozen=True)
class _Carried:
    """A weight inside a tensor.

    Attributes:
      axes: Where its axes lie, or None where that is not known.
      is_bent: Whether it went through a function that is not linear.
    """

    axes: Axes | None
    is_bent: bool = False


@dataclass(frozen=True)
class _Value:
    """What is known of a tensor.

    Attributes:
      is_data: Whether it depends on the batch.
      carried: Position of a weight -> how it is in there; empty where `is_data`.
      spread: As `carried`, of weights that the data has been multiplied with, spread along axes
        that it does not have: summed up, that is a product.
    """

    is_data: bool = False
    carried: Mapping[int, _Carried] = field(default_factory=dict)
    spread: Mapping[int, Axes] = field(default_factory=dict)


def factors(model: Any, positions: Collection[int], x: Any) -> dict[int, FanAxes | None]:
    """Returns which of some weights are factors of a product.

    Args:
      model: A built `keras.Model`.
      positions: Of the weights in question, in `model.weights`.
      x: `keras.KerasTensor` of a batch, shape (None, ...).

    Returns:
      Position -> axes that the first such product sums over and makes, or None where they cannot be
      told or are those of a convolution, which Keras finds by the shape.
    """
    call = traced(model, x)
    reader = _Reader()
    known = {id(tensor): _Value(is_data=True) for tensor in call.batch}
    for tensor, position in call.held:
        if position in positions:
            rank = len(model.weights[position].shape)
            axes = tuple(frozenset([axis]) for axis in range(rank))
            known[id(tensor)] = _Value(carried={position: _Carried(axes)})
    reader.read(call.graph, known)
    return {
        place: reader.found[place]
        for place in sorted(reader.found)
        if place not in reader.looked_up
    }


class _Reader:
    """Reads graphs.

    Attributes:
      found: Position of each weight that is a factor -> see `factors`.
      looked_up: Positions of weights whose rows are chosen by the data.
    """

    def __init__(self) -> None:
        self.found: dict[int, FanAxes | None] = {}
        self.looked_up: set[int] = set()

    def read(self, graph: Any, known: dict[int, _Value]) -> list[_Value]:
        """Follows all operations of a graph; returns what is known of its outputs.

        Args:
          graph: A `FuncGraph`.
          known: What is known of its inputs, by the `id` of the tensor.
        """
        for operation in graph.get_operations():
            if all(id(output) in known for output in operation.outputs):
                continue
            inputs = [known.get(id(tensor), _Value()) for tensor in operation.inputs]
            values = self._outputs(operation, inputs)
            known.update((id(o), v) for o, v in zip(operation.outputs, values, strict=True))
        return [known.get(id(tensor), _Value()) for tensor in graph.outputs]

    def _outputs(self, operation: Any, inputs: list[_Value]) -> list[_Value]:
        kind, count = operation.type, len(operation.outputs)
        is_data = any(value.is_data for value in inputs)
        if is_given(operation):
            return [_Value(is_data=True)] * count
        if kind in SHAPES:
            return [_Value()] * count
        if kind == "IdentityN":
            return inputs
        if called := list(bodies(operation)):
            return self._called(operation, called, inputs)
        is_lookup = "Gather" in kind or kind.startswith("SparseSegment")
        if is_lookup and any(value.is_data for value in inputs[1:]):
            self.looked_up.update(inputs[0].carried)
        if kind in PRODUCTS:
            self._product(operation, inputs, is_data)
            carried = {p: _Carried(None, c.is_bent) for v in inputs for p, c in v.carried.items()}
        elif kind in ("Sum", "Mean") and inputs[0].spread:
            self._summed(operation, inputs[0].spread)
            carried = {}
        else:
            carried = _carried(operation, inputs)
        if is_data:
            return [_Value(is_data=True, spread=_spread(operation, inputs))] * count
        return [_Value(carried=carried)] * count

    def _called(self, operation: Any, graphs: list[Any], inputs: list[_Value]) -> list[_Value]:
        """Reads the functions that an operation calls; a loop until nothing more is learned."""
        is_loop = operation.type.endswith("While")
        given = inputs[1:] if operation.type.endswith(("If", "Case")) else inputs
        while True:
            results = [
                self.read(body, dict(zip(map(id, body.inputs), given, strict=True)))
                for body in graphs
            ]
            outputs = [_joined(values) for values in zip(*results, strict=True)]
            if not is_loop:
                return outputs
            after = [_joined(pair) for pair in zip(given, outputs, strict=True)]
            if after == given:
                return after
            given = after

    def _product(self, operation: Any, inputs: list[_Value], is_data: bool) -> None:
        if not is_data:
            return
        for side, summed, made in sides(operation):
            for position, carried in inputs[side].carried.items():
                if summed is None:
                    self._find(position, None)
                elif summed:
                    self._find(position, _fan_axes(carried.axes, summed, made))

    def _summed(self, operation: Any, spread: Mapping[int, Axes]) -> None:
        import tensorflow as tf

        over = tf.get_static_value(operation.inputs[1])
        if over is None:
            return
        rank = len(operation.inputs[0].shape)
        summed = {int(axis) % rank for axis in over.ravel()}
        for position, axes in spread.items():
            if any(axes[axis] for axis in summed):
                made = [axis for axis in range(rank) if axis not in summed]
                self._find(position, _fan_axes(axes, sorted(summed), made))

    def _find(self, position: int, axes: FanAxes | None) -> None:
        if axes is None or axes[0]:  # it is no sum where that is over an axis of size one
            self.found.setdefault(position, axes)


def _joined(values: Iterable[_Value]) -> _Value:
    """Returns what holds of a tensor that is one of several."""
    values = list(values)
    if any(value.is_data for value in values):
        return _Value(is_data=True)
    carried: dict[int, _Carried] = {}
    for value in values:
        for position, one in value.carried.items():
            other = carried.setdefault(position, one)
            if other != one:
                carried[position] = _Carried(None, other.is_bent or one.is_bent)
    return _Value(carried=carried)


def sides(operation: Any) -> list[_Side]:
    """Returns for each factor its place among the inputs, and its axes that are summed and made.

    None for the summed axes of a convolution.
    """
    kind = operation.type
    if kind in _BY_SHAPE:
        return [(side, None, []) for side in _BY_SHAPE[kind]]
    if kind == "Einsum":
        return _einsum_sides(operation.get_attr("equation").decode())
    sides: list[_Side] = []
    first = 2 if kind == "SparseTensorDenseMatMul" else 0
    for side, name in enumerate(_TRANSPOSING[kind]):
        place = first + side
        rank = len(operation.inputs[place].shape)
        is_flipped = bool(operation.get_attr(name)) != (side == 1)
        summed, made = (rank - 2, rank - 1) if is_flipped else (rank - 1, rank - 2)
        sides.append((place, [summed], [made]))
    return sides if first == 0 else sides[1:]


def _einsum_sides(equation: str) -> list[_Side]:
    terms, result = equation.split("->")
    operands = terms.split(",")
    if any("..." in term and not term.startswith("...") for term in operands):
        return [(side, None, []) for side in range(len(operands))]
    sides: list[_Side] = []
    for side, term in enumerate(operands):
        letters = term.replace("...", "")
        others = "".join(operands[:side] + operands[side + 1 :])
        # Counted from the end, as an ellipsis stands for any number of axes.
        axes = {letter: place - len(letters) for place, letter in enumerate(letters)}
        summed = [
            axis for letter, axis in axes.items() if letter in others and letter not in result
        ]
        made = [axis for letter, axis in axes.items() if letter in result and letter not in others]
        sides.append((side, summed, made))
    return sides


def _fan_axes(axes: Axes | None, summed: Iterable[int], made: Iterable[int]) -> FanAxes | None:
    """Returns the axes of a weight that lie along axes of a factor; None if they overlap."""
    if axes is None:
        return None
    inputs = frozenset[int]().union(*(axes[axis] for axis in summed))
    outputs = frozenset[int]().union(*(axes[axis] for axis in made))
    if inputs & outputs:
        return None
    return tuple(sorted(inputs)), tuple(sorted(outputs))


def _spread(operation: Any, inputs: list[_Value]) -> dict[int, Axes]:
    """Returns the weights that a multiplication spreads the data along."""
    if operation.type in ("Identity", "Cast", "Neg"):
        return dict(inputs[0].spread)
    if operation.type != "Mul" or all(value.is_data for value in inputs):
        return {}
    data, weight = (0, 1) if inputs[0].is_data else (1, 0)
    shapes = [operation.inputs[place].shape for place in (data, weight)]
    rank = len(operation.outputs[0].shape)
    sizes, own = ([1] * (rank - len(shape)) + shape.as_list() for shape in shapes)
    if all(mine == 1 or size != 1 for size, mine in zip(sizes, own, strict=True)):
        return {}
    found = {}
    for position, carried in inputs[weight].carried.items():
        if carried.axes is not None:
            found[position] = _widened(carried.axes, rank)
    return found


def _widened(axes: Axes, rank: int) -> Axes:
    return (frozenset[int](),) * (rank - len(axes)) + axes


def _carried(operation: Any, inputs: list[_Value]) -> dict[int, _Carried]:
    """Returns what the result of an operation that is no product carries."""
    kind = operation.type
    result = operation.outputs[0].shape if operation.outputs else None
    held = [(place, value.carried) for place, value in enumerate(inputs) if value.carried]
    if not held or result is None or result.rank is None:
        return {}
    if kind in _SCALINGS:
        held = _unscaled(operation, held)
    is_linear = kind in {*_SAME, *_RESHAPING, *_SUMS, *_SCALINGS, *_MOVING}
    if not is_linear and (len(held) > 1 or operation.inputs[held[0][0]].shape != result):
        return {}
    found: dict[int, _Carried] = {}
    for place, carried in held:
        for position, one in carried.items():
            axes = None if one.axes is None else _moved(operation, place, one.axes)
            if position in found and found[position].axes != axes:
                axes = None
            found[position] = _Carried(axes, one.is_bent or not is_linear)
    return found


def _unscaled(operation: Any, held: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """Returns the factors of an elementwise product without its gates.

    A gate is smaller than what it scales, or has gone through a function where that has not.
    """
    if operation.type != "Mul":
        return [entry for entry in held if entry[0] == 0]

    def rank(entry: tuple[int, Any]) -> tuple[bool, int]:
        place, carried = entry
        is_straight = not all(one.is_bent for one in carried.values())
        return is_straight, operation.inputs[place].shape.num_elements() or 0

    largest = max(map(rank, held))
    return [entry for entry in held if rank(entry) == largest]


def _moved(operation: Any, place: int, axes: Axes) -> Axes | None:
    """Returns where the axes of a weight lie in the result of an operation."""
    kind = operation.type
    given, result = operation.inputs[place].shape, operation.outputs[0].shape
    if kind in _MOVING:
        moved = _MOVING[kind](operation, axes)
    elif kind in _RESHAPING:
        moved = _regrouped(axes, given.as_list(), result.as_list())
    else:
        moved = _widened(axes, result.rank)
    return moved if moved is not None and len(moved) == result.rank else None


def _regrouped(axes: Axes, old: list[int | None], new: list[int | None]) -> Axes | None:
    """Returns the axes after a reshape: those that are merged or split stand for each other."""
    moved = [frozenset[int]()] * len(new)
    olds = [(size or 0, axes[place]) for place, size in enumerate(old) if size != 1]
    news = [(size or 0, place) for place, size in enumerate(new) if size != 1]
    if not all(size for size, _ in (*olds, *news)):
        return None
    while olds and news:
        (left, inside), (right, place) = olds.pop(0), news.pop(0)
        places = [place]
        while left != right:
            if left < right and olds:
                size, more = olds.pop(0)
                left, inside = left * size, inside | more
            elif news:
                size, place = news.pop(0)
                right *= size
                places.append(place)
            else:
                return None
        for place in places:
            moved[place] = inside
    return tuple(moved)


def _transposed(operation: Any, axes: Axes) -> Axes | None:
    order = _static(operation, 1)
    return None if order is None else tuple(axes[int(axis)] for axis in order)


def _sliced(operation: Any, axes: Axes) -> Axes | None:
    """Returns the axes that indexing leaves; see `tf.strided_slice` for the masks."""
    begin = operation.inputs[1].shape.num_elements()
    masks = {
        name: operation.get_attr(f"{name}_mask") for name in ("ellipsis", "new_axis", "shrink_axis")
    }
    consumed = sum(not (masks["new_axis"] | masks["ellipsis"]) >> i & 1 for i in range(begin))
    left, moved = list(axes), []
    for i in range(begin):
        if masks["ellipsis"] >> i & 1:
            count = len(axes) - consumed
            moved += left[:count]
            left = left[count:]
        elif masks["new_axis"] >> i & 1:
            moved.append(frozenset())
        else:
            axis = left.pop(0)
            moved += [] if masks["shrink_axis"] >> i & 1 else [axis]
    return tuple([*moved, *left])


def _chosen(operation: Any, axes: Axes) -> Axes | None:
    """Returns the axes after rows were chosen by fixed indices."""
    axis, rank = _static(operation, 2), operation.inputs[1].shape.rank
    if axis is None or rank is None or rank > 1 or operation.inputs[0].shape.rank is None:
        return None
    place = int(axis) % len(axes)
    return (*axes[:place], *([axes[place]] * rank), *axes[place + 1 :])


def _stacked(operation: Any, axes: Axes) -> Axes:
    place = operation.get_attr("axis") % (len(axes) + 1)
    return (*axes[:place], frozenset(), *axes[place:])


def _unstacked(operation: Any, axes: Axes) -> Axes:
    place = operation.get_attr("axis") % len(axes)
    return (*axes[:place], *axes[place + 1 :])


_MOVING: Mapping[str, Any] = {
    "Transpose": _transposed,
    "ConjugateTranspose": _transposed,
    "StridedSlice": _sliced,
    "GatherV2": _chosen,
    "Pack": _stacked,
    "Unpack": _unstacked,
    "Split": lambda operation, axes: axes,
    "ConcatV2": lambda operation, axes: axes,
    "BroadcastTo": lambda operation, axes: _widened(axes, operation.outputs[0].shape.rank),
}


def _static(operation: Any, place: int) -> Any:
    """Returns the value of an input that is fixed, as an array; None of others."""
    import tensorflow as tf

    return tf.get_static_value(operation.inputs[place])
