"""Compares the weight initializers of Keras models, fairly and with error bars."""

import importlib
from importlib import metadata
from types import ModuleType

_PUBLIC = ("initializers", "report")


def version() -> str:
    """Returns the version of the installed package."""
    try:
        return metadata.version("runner")
    except metadata.PackageNotFoundError:
        return "not installed"


def __getattr__(name: str) -> ModuleType:
    """Imports the packages that people use from Python when they are first asked for."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")
