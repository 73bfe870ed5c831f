"""The user's own classes and functions, by import path."""

import difflib
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from runner.config import ConfigError

# Enough for a message of Keras or for the place of a syntax error, little enough for a line.
_MESSAGE_LIMIT = 300


def import_object(path: str, key: str) -> Any:
    """Imports what `path` names.

    The working directory joins the end of the search path if it is not in it, so that a user's own
    file is found however the program was started.

    Args:
      path: Module and name, such as `"package.module.name"`.
      key: The setting that `path` comes from, for the messages, such as `"init.target"`.

    Raises:
      ConfigError: There is no such module or it has no such name, or importing it raises.
    """
    module_name, _, name = path.rpartition(".")
    module = _import_module(module_name, path, key)
    try:
        return getattr(module, name)
    except AttributeError:
        close = difflib.get_close_matches(name, dir(module), n=1)
        hint = f" Did you mean {module_name}.{close[0]}?" if close else ""
        raise ConfigError(
            f"`{key}` must name something in its module. Received: {path}; "
            f"{_origin(module)} has no `{name}`.{hint}"
        ) from None


def import_target(target: str, key: str, module: str, base: str) -> Any:
    """Returns what a setting names: a class of Keras by its bare name, or anything by import path.

    Args:
      target: As `runner.config.target_in` accepts it.
      key: The setting, for the messages.
      module: Where Keras has the classes, such as `"keras.initializers"`.
      base: Name of their base class in there.

    Raises:
      ConfigError: There is no such class, or nothing at the path.
    """
    if "." in target:
        return import_object(target, key)
    home = importlib.import_module(module)
    classes = {
        name: value
        for name, value in vars(home).items()
        if isinstance(value, type) and issubclass(value, getattr(home, base))
    }
    if target not in classes:
        close = difflib.get_close_matches(target, classes) or sorted(classes)
        rule = f"a class in {module} or an import path"
        raise ConfigError.at(key, rule, target, f"Try {', '.join(close)}.")
    return classes[target]


def told(error: BaseException) -> str:
    """Returns the type and text of an exception as one short line."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= _MESSAGE_LIMIT else text[: _MESSAGE_LIMIT - 1] + "…"


def _import_module(name: str, path: str, key: str) -> ModuleType:
    directory = str(Path.cwd())
    if directory not in sys.path:
        sys.path.append(directory)
    importlib.invalidate_caches()  # the file may be younger than the last look into its folder
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and _is_part(error.name, name):
            raise ConfigError(
                f"`{key}` must be the import path of an existing module and a name in it. "
                f"Received: {path}; there is no module `{error.name}`. "
                f"Put its file into {directory}, or install it."
            ) from None
        raise ConfigError(
            f"`{key}` must name a module that can be imported. Received: {path}; "
            f"importing `{name}` raised {told(error)}"
        ) from error


def _is_part(missing: str | None, name: str) -> bool:
    """Tells whether the missing module is the wanted one or one of its packages."""
    return missing is not None and f"{name}.".startswith(f"{missing}.")


def _origin(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or module.__name__
