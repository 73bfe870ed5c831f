"""What the tests of initializers share."""

import sys

import pytest


@pytest.fixture
def user_module(tmp_path, monkeypatch):
    """A function that writes a module into an otherwise empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"user_code_{abs(hash(str(tmp_path)))}"

    def write(source):
        (tmp_path / f"{name}.py").write_text(source)
        return name

    yield write
    sys.modules.pop(name, None)
