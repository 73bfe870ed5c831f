"""The user's own classes and functions, by import path, and how their errors are told."""

import difflib
import importlib
import re
import sys
import sysconfig
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from runner import given
from runner.config import ConfigError

# Enough for a message of Keras, little enough for a line.
_MESSAGE_LIMIT = 300


def import_object(path: str, key: str) -> Any:
    """Imports what `path` names, or returns what was handed over under that name.

    The working directory joins the end of the search path if it is not in it, so that a user's own
    file is found however the program was started.

    Args:
      path: Module and name, such as `"package.module.name"`.
      key: The setting that `path` comes from, for the messages, such as `"init.target"`.

    Raises:
      ConfigError: There is no such module or it has no such name, or importing it raises.
    """
    if (found := given.find(path)) is not None:
        return found.value
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
    name = target.removeprefix(f"{module}.")
    if "." in name:
        return import_object(target, key)
    home = importlib.import_module(module)
    classes = {
        name: value
        for name, value in vars(home).items()
        if isinstance(value, type) and issubclass(value, getattr(home, base))
    }
    if name in classes:
        return classes[name]
    if target != name and hasattr(home, name):
        return getattr(home, name)
    close = difflib.get_close_matches(name, classes) or sorted(classes)
    rule = f"a class in {module} or an import path"
    raise ConfigError.at(key, rule, name, f"Try {', '.join(close)}.")


def _is_users(file: Path) -> bool:
    """Tells whether a source file is the user's own: not Python's, not installed, and not ours."""
    ours = Path(__file__).resolve().parent
    python = (Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))
    return (
        not file.name.startswith(("<", "__autograph_generated"))
        and not {"site-packages", "dist-packages"} & set(file.parts)
        and not any(file.is_relative_to(x) for x in (ours, ours.parent / "hydra_plugins", *python))
    )


def told(error: BaseException) -> str:
    """Returns an exception as one short line: type, message, and where in the user's own files.

    What TensorFlow and Keras wrap around a message (tracebacks, arguments, names of nodes) is left
    out. An exception that another one was raised from is told with it. Where no file of the user's
    is to blame, the layer is named whose call failed, as far as it is known.
    """
    root, seen = error, {id(error)}
    while (cause := root.__cause__) is not None and id(cause) not in seen:
        root = cause
        seen.add(id(root))
    outer, inner = _Told.of(error), _Told.of(root)
    lines = [outer.line] if inner.line in outer.line else [outer.line, inner.line]
    place = inner.place or outer.place
    place = f" ({place})" if place else ""
    limit = (_MESSAGE_LIMIT - len(place)) // len(lines)
    return "; caused by ".join(_cut(line, limit) for line in lines) + place


@dataclass(frozen=True)
class _Told:
    """What there is to say of one exception."""

    kind: str
    message: str
    place: str

    @property
    def line(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else self.kind

    @classmethod
    def of(cls, error: BaseException) -> "_Told":
        """Returns what there is to say, without what is around it."""
        kind, text = type(error).__name__, str(error)
        frames = [(f.filename, f.lineno or 0) for f in traceback.extract_tb(error.__traceback__)]
        frames += [(name, int(line)) for _, name, line in _FRAME.findall(text)]
        place = next((_at(*frame) for frame in reversed(frames) if _is_users(Path(frame[0]))), "")
        text = _FRAME.sub("", text)
        if found := _AUTOGRAPH.match(text):  # the type too may be another one than the user's
            kind, text = found[1], found[2]
        if found := _CALLED.match(text):
            place, text = place or f"in {found[1]}", found[2]
        if not place and (found := _NODE.search(text)):
            place = f"in {found[1]}"
        for pattern, instead in _AROUND.items():
            text = pattern.sub(instead, text)
        return cls(kind, " ".join(text.split()), place)


# A line of a traceback that is part of a message, and the source that may follow.
_FRAME = re.compile(r'^( *)File "([^"\n]+)", line (\d+)[^\n]*\n(?:\1 +\S[^\n]*\n)?', re.MULTILINE)

_AUTOGRAPH = re.compile(r"\s*in user code:\s*([\w.]+): (.*)", re.DOTALL)

# Keras, around what the innermost layer raised.
_CALLED = re.compile(
    r".*Exception encountered when calling (\S+?)\(\)\.\s*\x1b\[1m(.*?)\x1b\[0m", re.DOTALL
)

_NODE = re.compile(r"\{\{node ([^}]*)\}\}")

# What TensorFlow and Keras have around a message, and what is to stand there.
_AROUND = {
    re.compile(r"Could not automatically infer .*?Error encountered:", re.DOTALL): "",
    re.compile(r"'\{\{node [^}]*\}\} = (\w+)[^']*'"): r"\1",
    re.compile(r"\[\[(?:\{\{[^}]*\}\})+\]\]"): "",
    re.compile(r"\{\{(?:function_)?node [^}]*\}\}"): "",
    re.compile(r"\[Op:[^\]]*\](?: name:)?"): "",
    re.compile(r"Graph execution error:"): "",
    re.compile(r"Detected at node \S+ defined at \(most recent call last\):"): "",
    re.compile(r"<stack traces unavailable>"): "",
    re.compile(r"(?:Stack trace for op definition|Traceback \(most recent call last\)):"): "",
    re.compile(r"\x1b\[\d*m"): "",
}


def _at(file: str, line: int) -> str:
    """Returns a line of a file, by the path from the working directory where it lies in there."""
    path = Path(file)
    inside = path.is_relative_to(Path.cwd())
    return f"{path.relative_to(Path.cwd()) if inside else path}:{line}"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


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
