"""A digest of a function and of everything that it uses, wherever it was defined.

A function of a notebook has no file, and a module's file may have changed since it was imported: so
what counts is what would run. That is the compiled code of the function, of every function and
class that it names, and the values that it captures: defaults, closures, globals. Libraries count
by their names. Comments do not count.
"""

import dis
import hashlib
import importlib
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

_VERSIONED = ("runner", "keras", "tensorflow", "numpy")
_PLAIN = (str, bytes, int, float, complex, type(None), type(Ellipsis))


def captured(value: Any) -> str:
    """Returns a digest of a function, or of anything that can be called, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in _Walk().parts(value):
        digest.update(part if isinstance(part, bytes) else f"{part}\n".encode())
    return digest.hexdigest()


class _Walk:
    """One look at everything that a value leads to; what comes again is not looked at again."""

    def __init__(self) -> None:
        self._seen: dict[int, Any] = {}

    def parts(self, value: Any) -> Iterator[str | bytes]:
        """Yields what tells a value from others of its kind."""
        if isinstance(value, _PLAIN):
            yield f"{type(value).__name__} {value!r}"
            return
        if id(value) in self._seen:
            yield f"again {list(self._seen).index(id(value))}"
            return
        self._seen[id(value)] = value  # kept, so that nothing else gets its id
        if isinstance(value, CodeType):
            yield from self._code(value)
        elif isinstance(value, ModuleType):
            yield f"module {value.__name__}"
        elif isinstance(value, FunctionType | type) and _is_library(value):
            yield f"{value.__module__}.{value.__qualname__}"
        elif isinstance(value, FunctionType):
            yield from self._function(value)
        elif isinstance(value, type):
            yield from self._each(value.__qualname__, value.__bases__)
            yield from self._named(_own(value))
        elif isinstance(value, MethodType):
            yield from self._each("method", (value.__func__, value.__self__))
        elif isinstance(value, partial):
            yield from self._each("partial", (value.func, value.args, value.keywords))
        elif isinstance(value, property | staticmethod | classmethod):
            functions = [getattr(value, name, None) for name in ("fget", "fset", "__func__")]
            yield from self._each(type(value).__name__, functions)
        else:
            yield from self._value(value)

    def _each(self, kind: str, values: Iterable[Any]) -> Iterator[str | bytes]:
        yield kind
        for value in values:
            yield from self.parts(value)
        yield "end"

    def _named(self, values: Mapping[str, Any]) -> Iterator[str | bytes]:
        for name in sorted(values):
            yield name
            yield from self.parts(values[name])

    def _code(self, code: CodeType) -> Iterator[str | bytes]:
        yield code.co_code
        yield f"{code.co_names} {code.co_varnames} {code.co_freevars} {code.co_flags}"
        yield from self._each("constants", code.co_consts)

    def _function(self, function: FunctionType) -> Iterator[str | bytes]:
        yield f"function {function.__qualname__}"
        yield from self.parts(function.__code__)
        yield from self._each("defaults", function.__defaults__ or ())
        yield from self._named(function.__kwdefaults__ or {})
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            try:
                content = cell.cell_contents
            except ValueError:  # not assigned yet
                continue
            yield name
            yield from self.parts(content)
        names = set(_names(function.__code__))
        yield from self._named(
            {n: function.__globals__[n] for n in names & {*function.__globals__}}
        )
        for module in self._modules(function, names):
            there = vars(module)
            yield from self._named({name: there[name] for name in names & {*there}})

    def _modules(self, function: FunctionType, names: set[str]) -> list[ModuleType]:
        """Returns the user's own modules that a function uses, those that it imports too."""
        found: list[Any] = [function.__globals__.get(name) for name in sorted(names)]
        found += [_module(name) for name in _imports(function.__code__)]
        found += [
            sys.modules.get(f"{each.__name__}.{n}")
            for each in found
            if _is_module(each)
            for n in names
        ]
        return [each for each in found if _is_module(each) and not _is_library(each)]

    def _value(self, value: Any) -> Iterator[str | bytes]:
        """Yields what tells any other value from others."""
        import numpy as np

        if isinstance(value, list | tuple):
            yield from self._each(type(value).__name__, value)
        elif isinstance(value, set | frozenset):
            yield from self._each(type(value).__name__, sorted(value, key=repr))
        elif isinstance(value, Mapping):
            for key in value:
                yield from self._each("entry", (key, value[key]))
        elif isinstance(value, np.ndarray) and value.dtype != object:
            yield f"array {value.dtype} {value.shape}"
            yield np.ascontiguousarray(value).tobytes()
        elif hasattr(value, "get_config"):
            yield from self._configured(value)
        else:
            yield from self._object(value)

    def _configured(self, value: Any) -> Iterator[str | bytes]:
        """Yields what Keras knows of a layer, a model, an initializer."""
        yield from self.parts(type(value))
        try:
            yield from self._each("config", [value.get_config()])
            yield from self._each("weights", value.get_weights() if _has_weights(value) else [])
        except Exception:  # whatever a user's `get_config` raises
            yield "no config"

    def _object(self, value: Any) -> Iterator[str | bytes]:
        import joblib

        yield from self.parts(type(value))
        if hasattr(value, "__dict__") and not _is_library(type(value)):
            yield from self._named({str(name): each for name, each in vars(value).items()})
            return
        try:
            yield str(joblib.hash(value))
        except Exception:  # it cannot be pickled
            yield "no value"


def _names(code: CodeType) -> Iterator[str]:
    """Yields the names that code, and what is defined in it, looks up."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _imports(code: CodeType) -> Iterator[str]:
    """Yields the modules that code, and what is defined in it, imports by their whole names."""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _imports(constant)


def _module(name: str) -> ModuleType | None:
    top = name.partition(".")[0]
    if not name or top in _VERSIONED or top in sys.stdlib_module_names:
        return None
    try:
        return importlib.import_module(name)  # it is about to be imported anyway
    except Exception:
        return None


def _is_module(value: Any) -> bool:
    return isinstance(value, ModuleType)


def _has_weights(value: Any) -> bool:
    return callable(getattr(value, "get_weights", None))


def _own(kind: type) -> dict[str, Any]:
    """Returns what a class defines, without what Python puts there."""
    hidden = {"__dict__", "__weakref__", "__module__", "__annotations__", "__doc__"}
    hidden |= {"__static_attributes__", "__firstlineno__", "__abstractmethods__", "_abc_impl"}
    return {name: value for name, value in vars(kind).items() if name not in hidden}


def _is_library(value: Any) -> bool:
    """Tells whether a function, class or module is Python's own or was installed."""
    name = value.__name__ if isinstance(value, ModuleType) else value.__module__
    return not isinstance(name, str) or _is_installed(name)


@cache
def _is_installed(name: str) -> bool:
    top = name.partition(".")[0]
    if top == "__main__":
        return False
    if top in _VERSIONED or top in sys.stdlib_module_names:
        return True
    file = getattr(sys.modules.get(name), "__file__", None)
    if not isinstance(file, str):
        return name not in sys.modules  # made up by a library
    places = {Path(sysconfig.get_path(key)).resolve() for key in ("purelib", "platlib")}
    path = Path(file).resolve()
    return any(path.is_relative_to(place) for place in places) or "site-packages" in path.parts
