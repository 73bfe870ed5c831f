"""Compares the weight initializers of Keras models, fairly and with error bars."""

from importlib import metadata


def version() -> str:
    """Returns the version of the installed package."""
    try:
        return metadata.version("runner")
    except metadata.PackageNotFoundError:
        return "not installed"
