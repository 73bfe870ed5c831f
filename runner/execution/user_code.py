"""Which source is the user's own, as far as a module of theirs uses it.

It is told by where files stand. Python finds a module in a *root*: the folder that holds it, or its
outermost package. The user's are the modules that stand in the same package as the one that a
setting names, in the same root, or below the working directory. A root into which packages have
been installed is shared with libraries: of it, only the package itself counts.

What a module uses is read from its source: all imports, those inside functions too. Nothing is
asked of the objects in it, which may answer with an error.
"""

import ast
import hashlib
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

# Their versions, and the source of the first, stand in the key themselves.
_VERSIONED = ("runner", "keras", "tensorflow")


@dataclass(frozen=True)
class _Source:
    """A module's file.

    Attributes:
      name: By which the module is imported.
      file: Where it stands; resolved.
    """

    name: str
    file: Path

    @property
    def top(self) -> str:
        """Name of the outermost package, or of the module."""
        return self.name.partition(".")[0]

    @property
    def package(self) -> list[str]:
        """Names of the packages that it is in."""
        parts = self.name.split(".")
        return parts if self.file.stem == "__init__" else parts[:-1]

    @property
    def root(self) -> Path:
        """The folder in which Python finds the module or its outermost package."""
        return self.file.parents[min(len(self.package), len(self.file.parents) - 1)]


def user_sources(start: ModuleType) -> Iterator[str]:
    """Yields a digest of the source of a module and of each of the user's that it uses.

    Args:
      start: What a setting names. One without a file, such as that of a notebook, counts by the
        source of its functions and classes.
    """
    first = _of_module(start)
    if first is None:
        yield _digest("\n".join(map(_code, _own(start))).encode())
        names = {_home(value) for value in list(vars(start).values())}
        roots, tops = {Path.cwd().resolve()}, {""}
    else:
        names = {first.name}
        roots, tops = {first.root}, {first.top}
    seen, waiting = set(names), [name for name in names if name]
    while waiting:
        source = _located(waiting.pop())
        if source is None or not _is_users(source, roots, tops):
            continue
        content = source.file.read_bytes()
        yield _digest(content)
        new = _imported(source, content) - seen
        seen |= new
        waiting += new


def _is_users(source: _Source, roots: set[Path], tops: set[str]) -> bool:
    if source.top in _VERSIONED:
        return False
    if source.top in tops:
        return True
    if source.top in sys.stdlib_module_names:
        return False
    is_near = source.root in roots or source.file.is_relative_to(Path.cwd().resolve())
    return is_near and not _holds_installed(source.root)


@cache
def _holds_installed(folder: Path) -> bool:
    """Tells whether an installer has put packages into a folder: it leaves their metadata there."""
    return any(folder.glob("*.dist-info"))


def _of_module(module: ModuleType) -> _Source | None:
    """Returns where a module comes from; None where that is no file."""
    names = vars(module)
    file, spec = names.get("__file__"), names.get("__spec__")
    if not isinstance(file, str) or not Path(file).is_file():
        return None
    # A module that was started has another name than one that is imported.
    name = spec.name if names.get("__name__") == "__main__" and spec else names.get("__name__")
    return _Source(str(name), Path(file).resolve())


def _located(name: str) -> _Source | None:
    """Returns where a module comes from, or would come from if it were imported."""
    if (module := sys.modules.get(name)) is not None:
        return _of_module(module)
    path, origin = None, None
    for part in _with_parents(name):
        spec = PathFinder.find_spec(part, path)
        if spec is None or (part != name and not spec.submodule_search_locations):
            return None
        path, origin = spec.submodule_search_locations, spec.origin
    return _Source(name, Path(origin).resolve()) if origin and Path(origin).is_file() else None


def _imported(source: _Source, content: bytes) -> set[str]:
    """Returns the names of all modules that a file may import, and of the packages around them."""
    names = {source.name}
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):  # it is compiled
        tree = ast.Module([], [])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            outer = source.package[: len(source.package) - node.level + 1] if node.level else []
            base = ".".join([*outer, *([node.module] if node.module else [])])
            names.update([base, *(f"{base}.{alias.name}" for alias in node.names)])
    return {part for name in names for part in _with_parents(name) if part}


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def _own(module: ModuleType) -> list[Any]:
    """Returns the functions and classes that were defined in a module, by name."""
    return [
        value
        for _, value in sorted(vars(module).items())
        if issubclass(type(value), FunctionType | type) and _home(value) == module.__name__
    ]


def _code(value: Any) -> str:
    try:
        return inspect.getsource(value)
    except (OSError, TypeError):  # typed into a plain prompt
        code = getattr(value, "__code__", None)
        return repr((code.co_code, code.co_names, code.co_consts)) if code else ""


def _home(value: Any) -> str:
    """Returns the module that a value is, or comes from; empty where it will not tell."""
    try:
        name = value.__name__ if isinstance(value, ModuleType) else value.__module__
    except Exception:  # whatever a lazy module or a proxy raises
        return ""
    return name if isinstance(name, str) else ""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
