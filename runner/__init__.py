"""Compares the weight initializers of Keras models, fairly and with error bars.

From Python: `compare` trains and compares, `inspect` looks at a model before any training, `load`
reads results, `initializers.apply` gives a model its initial weights.
"""

import importlib
from importlib import metadata
from typing import Any

_PACKAGES = ("initializers", "report")
_FUNCTIONS = ("compare", "inspect", "load")


def version() -> str:
    """Returns the version of the installed package."""
    try:
        return metadata.version("runner")
    except metadata.PackageNotFoundError:
        return "not installed"


def __getattr__(name: str) -> Any:
    """Imports what people use from Python when it is first asked for."""
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(f"{__name__}.api"), name)
    if name not in _PACKAGES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_FUNCTIONS, *_PACKAGES])
