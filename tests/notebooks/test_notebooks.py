"""The example notebooks run from the first cell to the last, and each cell shows its result."""

import ast
import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted(Path(__file__).parent.glob("*.ipynb"))


def show(value):
    """Shows a value as a notebook does; an error in that is one."""
    for name in ("_repr_html_", "_repr_mimebundle_"):
        if hasattr(value, name):
            return getattr(value, name)()
    return repr(value)


def run(source, names):
    """Runs a cell; returns what it shows."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if last is None:
        return None
    return show(eval(compile(ast.Expression(last.value), "cell", "eval"), names))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs(keras, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    cells = json.loads(path.read_text("utf-8"))["cells"]
    names = {"__name__": "__main__"}
    for cell in cells:
        if cell["cell_type"] == "code":
            assert not cell["outputs"]  # they would grow old
            source = "".join(cell["source"])
            shown = run(source, names)
            assert shown or not isinstance(ast.parse(source).body[-1], ast.Expr)
    assert (tmp_path / "results" / "latest" / "report.html").exists()


def test_there_are_some():
    assert len(NOTEBOOKS) == 2
