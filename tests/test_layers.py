"""Imports point downward, and what must start quickly does not import what is heavy."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import runner

PACKAGE = Path(runner.__file__).parent

# Lowest first. Members of one row do not import each other.
ROWS = [
    {
        "files",
        "given",
        "interruption",
        "labels",
        "machine",
        "masking",
        "seeds",
        "spelling",
        "stores",
        "tasks",
    }
    | {"variables"},
    {"archive", "config", "locks", "terminal", "validation"},
    {"compiled", "design"},
    {"plan", "imports"},
    {"records"},
    {"events", "summary"},
    {"anatomy"},
    {"datasets", "models", "initializers"},
    {"propagation"},
    {"training", "recording", "report"},
    {"execution"},
    {"__main__", "api", "sync"},
]
RANK = {name: rank for rank, row in enumerate(ROWS) for name in row}
MODULES = sorted(PACKAGE.rglob("*.py"))


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Yields the dotted names that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_parts(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imported(path) if name.startswith("runner.")} & set(RANK)


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
        ".__init__"
    )


def test_no_files_import_each_other_in_a_circle():
    """Inside of packages too, and by imports inside of functions too."""
    names = {dotted(path) for path in MODULES}
    graph = {
        dotted(path): {
            name if name in names else name.rpartition(".")[0] for name in imported(path)
        }
        & names
        for path in MODULES
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downward(path):
    own = part(path)
    if own == "__init__":
        return
    wrong = {other for other in imported_parts(path) - {own} if RANK[other] >= RANK[own]}
    assert not wrong, f"{own} imports {wrong}"


def test_every_part_has_a_rank():
    assert {part(path) for path in MODULES} - {"__init__"} <= set(RANK)


@pytest.mark.sampled
@pytest.mark.parametrize(
    "module",
    [
        "runner",
        "runner.api",
        "runner.api.comparing",
        "runner.__main__",
        "hydra_plugins.runner_launcher",
        "runner.execution.finish",
        "runner.execution.backends.ray",
        "runner.report",
        "runner.sync",
        "runner.execution.sync",
    ],
)
def test_starts_without_what_is_heavy(module):
    heavy = ("tensorflow", "keras", "ray")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
