"""How the variables of a model are called in records and messages."""

import re
from collections.abc import Iterator
from typing import Any

# What Keras calls a variable that was given no name; it counts them per process.
_UNNAMED = re.compile(r"variable(_\d+)?")


def variable_path(model: Any, variable: Any) -> str:
    """Returns a variable's path without the model's own name, such as `"dense_1/kernel"`.

    Keras puts the name of a `Sequential` before the path, and leaves out that of a functional
    model. A variable without a name is called after its layer's attribute, and one that was made in
    a layer's constructor, where Keras knows no layer yet, stands in that layer.
    """
    path = str(variable.path).removeprefix(f"{model.name}/")
    folder, _, own = path.rpartition("/")
    is_unnamed = _UNNAMED.fullmatch(variable.name) is not None
    if folder and not is_unnamed:
        return path
    for layer in model._flatten_layers():
        for name, held in _attributes(layer):
            if held is variable:
                own = name if is_unnamed else own
                folder = folder or ("" if layer is model else layer.name)
                return f"{folder}/{own}" if folder else own
    return path


def _attributes(layer: Any) -> Iterator[tuple[str, Any]]:
    """Yields the attributes of a layer; in place of its public lists and mappings their items."""
    for name, value in vars(layer).items():
        if name.startswith("_"):  # where Keras has lists of all variables
            yield name, value
        elif isinstance(value, dict):
            yield from ((f"{name}_{key}", item) for key, item in value.items())
        elif isinstance(value, list | tuple):
            yield from ((f"{name}_{index}", item) for index, item in enumerate(value))
        else:
            yield name, value
