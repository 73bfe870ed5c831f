"""Which source counts as the user's own, for the layouts that people keep their code in."""

import importlib
import sys
from types import ModuleType

import pytest

from runner.execution.user_code import user_sources

LAZY = """
import types

class Lazy(types.ModuleType):
    def __getattribute__(self, name):
        raise AttributeError(f"`{name}` is not available.")

class Proxy:
    @property
    def __class__(self):
        raise RuntimeError("no context")

    def __getattr__(self, name):
        raise RuntimeError("no context")

lazy, proxy = Lazy("lazy"), Proxy()
"""

# Files below a folder, what of it is on Python's search path, the module that a setting names, and
# the files that count.
LAYOUTS = {
    "beside": ({"net.py": "import parts", "parts.py": ""}, ["."], "net", ["net.py", "parts.py"]),
    "not used": ({"net.py": "", "other.py": ""}, ["."], "net", ["net.py"]),
    "inside a function": (
        {"net.py": "def build():\n    from parts import layer", "parts.py": "layer = 1"},
        ["."],
        "net",
        ["net.py", "parts.py"],
    ),
    "through another": (
        {"net.py": "from a import x", "a.py": "from b import x", "b.py": "x = 1"},
        ["."],
        "net",
        ["net.py", "a.py", "b.py"],
    ),
    "a library elsewhere": (
        {"cwd/net.py": "import library", "elsewhere/library.py": LAZY},
        ["cwd", "elsewhere"],
        "net",
        ["cwd/net.py"],
    ),
    "its lazy objects": (
        {
            "net.py": "from library import *\nfrom library import lazy, proxy",
            "lib/library.py": LAZY,
        },
        [".", "lib"],
        "net",
        ["net.py", "lib/library.py"],
    ),
    "a package": (
        {
            "pkg/__init__.py": "from . import first",
            "pkg/first.py": "",
            "pkg/sub/__init__.py": "",
            "pkg/sub/net.py": "from ..parts import x\nfrom . import more",
            "pkg/sub/more.py": "",
            "pkg/parts.py": "x = 1",
            "pkg/unused.py": "",
        },
        ["."],
        "pkg.sub.net",
        [f"pkg/{n}.py" for n in ("__init__", "first", "parts")]
        + [f"pkg/sub/{n}.py" for n in ("__init__", "net", "more")],
    ),
    "a package outside of the working directory": (
        {"src/pkg/__init__.py": "", "src/pkg/net.py": "import beside", "src/beside.py": ""},
        ["src"],
        "pkg.net",
        ["src/pkg/__init__.py", "src/pkg/net.py", "src/beside.py"],
    ),
    "a namespace package": (
        {"spread/net.py": "from spread import parts", "spread/parts.py": ""},
        ["."],
        "spread.net",
        ["spread/net.py", "spread/parts.py"],
    ),
    "installed beside libraries": (
        {
            "site/pkg/__init__.py": "",
            "site/pkg/net.py": "import library\nfrom .parts import x",
            "site/pkg/parts.py": "x = 1",
            "site/library.py": "",
            "site/library-1.0.dist-info/METADATA": "",
        },
        ["site"],
        "pkg.net",
        ["site/pkg/__init__.py", "site/pkg/net.py", "site/pkg/parts.py"],
    ),
    "an environment in the working directory": (
        {
            "cwd/net.py": "import library",
            "cwd/env/library.py": "",
            "cwd/env/library-1.0.dist-info/METADATA": "",
        },
        ["cwd", "cwd/env"],
        "net",
        ["cwd/net.py"],
    ),
    "another folder of the user's": (
        {"cwd/net.py": "import parts", "cwd/lib/parts.py": ""},
        ["cwd", "cwd/lib"],
        "net",
        ["cwd/net.py", "cwd/lib/parts.py"],
    ),
    "versioned libraries": ({"net.py": "import keras, json"}, ["."], "net", ["net.py"]),
}


@pytest.fixture
def load(tmp_path, monkeypatch):
    """A function that writes a layout and imports a module of it."""
    known = set(sys.modules)

    def loaded(files, paths, name):
        for file, text in files.items():
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).write_text(f"# {file}\n{text}\n")
        for path in paths:
            monkeypatch.syspath_prepend(tmp_path / path)
        folder = tmp_path / "cwd"
        monkeypatch.chdir(folder if folder.is_dir() else tmp_path)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield loaded
    for name in set(sys.modules) - known:
        del sys.modules[name]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_users_own_files_count(layout, load, tmp_path):
    files, paths, name, expected = LAYOUTS[layout]
    before = sorted(user_sources(load(files, paths, name)))
    changed = []
    for file in (file for file in files if file.endswith(".py")):
        text = (tmp_path / file).read_text()
        (tmp_path / file).write_text(text + "# new\n")
        if sorted(user_sources(sys.modules[name])) != before:
            changed.append(file)
        (tmp_path / file).write_text(text)
    assert sorted(changed) == sorted(expected)
    assert sorted(user_sources(sys.modules[name])) == before


def test_of_keras_the_version_is_enough(keras):
    assert list(user_sources(keras.initializers)) == []


def test_what_is_not_imported_yet_counts_as_later(load):
    files = {"net.py": "def build():\n    import parts", "parts.py": ""}
    module = load(files, ["."], "net")
    before = sorted(user_sources(module))
    module.build()
    assert sorted(user_sources(module)) == before
    assert len(before) == 2


def test_a_notebook_counts_by_what_was_defined_in_it(load):
    load({"parts.py": ""}, ["."], "parts")

    def notebook(number):
        module = ModuleType("__main__")
        source = f"import parts\ndef build():\n    return {number}\nclass Layer:\n    pass\n"
        exec(source, vars(module))
        return sorted(user_sources(module))

    assert notebook(1) == notebook(1) != notebook(2)
    assert len(notebook(1)) == 2
