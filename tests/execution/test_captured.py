"""Two definitions have the same digest exactly where they do the same."""

import textwrap
from functools import partial

import numpy as np
import pytest

from runner.execution.captured import captured

BASE = """
    width, table, rates = 8, {"a": [1, 2]}, array([1.0, 2.0])
    def inner(n): return n * width
    class Layer:
        size = 3
        def call(self, x): return x + inner(self.size)
    def build(shape, n, *, scale=1.0):
        def deeper(): return table["a"]
        return Layer, deeper, rates, lambda: scale * n
"""
# A change -> what it replaces, by what.
CHANGES = {
    "a global": ("width, table, rates = 8", "width, table, rates = 9"),
    "a global of a function that is used": ("n * width", "n * width * 2"),
    "inside of a container": ("[1, 2]", "[1, 3]"),
    "inside of an array": ("2.0]", "2.5]"),
    "an attribute of a class": ("size = 3", "size = 4"),
    "a method": ("x + inner", "x - inner"),
    "a default": ("scale=1.0", "scale=2.0"),
    "the code": ("scale * n", "n"),
    "an inner function": ('table["a"]', 'table["b"]'),
}
# What does not matter.
NOTHING = {
    "a comment": ("return n * width", "return n * width  # as wide as that"),
    "blank lines": ("    class Layer:", "\n\n    class Layer:"),
    "another function": ("    class Layer:", "    def unused(): return 5\n    class Layer:"),
}


def defined(source):
    names = {"array": np.array, "__name__": "__main__"}
    exec(textwrap.dedent(source), names)
    return names["build"]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_seen(change):
    assert change[0] in BASE
    assert captured(defined(BASE)) != captured(defined(BASE.replace(*change)))


@pytest.mark.parametrize("change", NOTHING.values(), ids=NOTHING)
def test_what_changes_nothing_is_not(change):
    assert change[0] in BASE
    assert captured(defined(BASE)) == captured(defined(BASE.replace(*change)))


def closure(width):
    return lambda shape, n: width


class Builder:
    def __init__(self, width):
        self.width = width

    def __call__(self, shape, n):
        return self.width

    def build(self, shape, n):
        return self.width


@pytest.mark.parametrize(
    "make",
    [closure, Builder, lambda width: Builder(width).build, lambda width: partial(closure, width)],
    ids=["closure", "object", "method", "partial"],
)
def test_what_is_captured_counts(make):
    assert captured(make(3)) == captured(make(3))
    assert captured(make(3)) != captured(make(4))


def test_a_module_of_the_user_counts_by_what_is_used(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_sizes.py").write_text("width = 3\nother = 1\n")
    build = defined("def build(shape, n):\n    import own_sizes\n    return own_sizes.width\n")
    import own_sizes

    before = captured(build)
    own_sizes.other = 2
    assert captured(build) == before
    own_sizes.width = 4
    assert captured(build) != before


def test_recursion_ends():
    assert captured(defined("def build(s, n):\n    return build(s, n - 1) if n else s\n"))
