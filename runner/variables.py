"""How the variables of a model are called in records and messages."""

from typing import Any


def variable_path(model: Any, variable: Any) -> str:
    """Returns a variable's path without the model's own name, such as `"dense_1/kernel"`.

    Keras puts the name of a `Sequential` before the path, and leaves out that of a functional
    model.
    """
    return variable.path.removeprefix(f"{model.name}/")
