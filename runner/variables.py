"""How the variables of a model are called in records and messages."""

import re
from collections.abc import Iterator
from typing import Any

# What Keras calls a variable that was given no name; it counts them per process.
_UNNAMED = re.compile(r"variable(_\d+)?")


def variable_path(model: Any, variable: Any) -> str:
    """Returns a variable's path without the model's own name, such as `"dense_1/kernel"`.

    Keras puts the name of a `Sequential` before the path, and leaves out that of a functional
    model. A variable without a name is called after its layer's attribute.
    """
    path = str(variable.path).removeprefix(f"{model.name}/")
    if not _UNNAMED.fullmatch(variable.name):
        return path
    names = (
        name
        for layer in model._flatten_layers()
        for name, held in _attributes(layer)
        if held is variable
    )
    folder, slash, own = path.rpartition("/")
    return f"{folder}{slash}{next(names, own)}"


def _attributes(layer: Any) -> Iterator[tuple[str, Any]]:
    """Yields the public attributes of a layer, and what is in its lists and mappings."""
    for name, value in vars(layer).items():
        if name.startswith("_"):
            continue
        if isinstance(value, dict):
            yield from ((f"{name}_{key}", item) for key, item in value.items())
        elif isinstance(value, list | tuple):
            yield from ((f"{name}_{index}", item) for index, item in enumerate(value))
        else:
            yield name, value
