import sys

import pytest

from runner.config import ConfigError
from runner.imports import import_object


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory that is not on the search path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    return tmp_path


def test_finds_an_installed_name():
    import collections

    assert import_object("collections.OrderedDict", "key") is collections.OrderedDict


def test_finds_a_file_in_the_working_directory(folder):
    (folder / "found_in_folder.py").write_text("answer = 42\n")
    assert import_object("found_in_folder.answer", "key") == 42


def test_finds_a_file_that_appears_after_a_failed_try(folder):
    with pytest.raises(ConfigError):
        import_object("late_file.answer", "key")
    (folder / "late_file.py").write_text("answer = 42\n")
    assert import_object("late_file.answer", "key") == 42


def test_does_not_repeat_the_working_directory(folder):
    import_object("math.pi", "key")
    import_object("math.pi", "key")
    assert sys.path.count(str(folder)) == 1


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("no_such_module.name", "no_such_module"),
        ("no_such_package.module.name", "no_such_package"),
        ("collections.no_such_part.name", r"collections\.no_such_part"),
        ("math.pi.name", r"math\.pi"),
    ],
)
def test_tells_which_module_is_missing(path, missing):
    with pytest.raises(ConfigError, match=rf"^`init.target` .*no module `{missing}`\. Put its "):
        import_object(path, "init.target")


def test_tells_which_name_is_missing_and_what_it_may_be():
    with pytest.raises(ConfigError, match=r"`OrderedDct`\. Did you mean collections.OrderedDict"):
        import_object("collections.OrderedDct", "key")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("import not_installed_anywhere\n", "ModuleNotFoundError: No module named 'not_inst"),
        ("raise RuntimeError('first\\nsecond')\n", "RuntimeError: first second"),
        ("def f(:\n", r"SyntaxError: invalid syntax \(raises_\d+.py, line 1\)"),
        ("raise SystemExit('bye')\n", "SystemExit: bye"),
    ],
)
def test_tells_in_one_line_what_an_import_raised(folder, source, text):
    name = f"raises_{abs(hash(source))}"
    (folder / f"{name}.py").write_text(source)
    with pytest.raises(ConfigError, match=rf"importing `{name}` raised {text}") as caught:
        import_object(f"{name}.anything", "key")
    assert "\n" not in str(caught.value)
