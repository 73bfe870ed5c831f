"""What the docstrings show works, and the types of a user's file are complete."""

import ast
import doctest
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import runner
from runner import api

USER = """\
import numpy as np

import runner


def build(input_shape: tuple[int, ...], num_outputs: int) -> object:
    return None


x, y = np.zeros((3, 2)), np.zeros(3)
result = runner.compare(build, x, y, init=["keep"], seeds="auto", **{"model.depth": [2, 8]})
reveal_type(result.verdict)
reveal_type(runner.inspect("mlp", x, y, init="zero").advice)
reveal_type(runner.load("results/latest").replicates)
result.reprot("report.html")
"""


@pytest.mark.slow
def test_examples_of_docstrings(keras, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(60, 3))
    names = {"x": x, "y": (x[:, 0] > 0).astype(int)}
    finder = doctest.DocTestFinder()
    out: list[str] = []
    results = [
        doctest.DocTestRunner().run(test, out=out.append)
        for function in (api.compare, api.inspect, api.load)
        for test in finder.find(function, globs=names)
    ]
    assert sum(each.attempted for each in results) > 5
    assert not [text for text in out if "Failed example" in text], "".join(out)


@pytest.mark.slow
def test_types_of_a_users_file(tmp_path):
    (tmp_path / "own.py").write_text(USER)
    command = [sys.executable, "-m", "mypy", "--follow-imports=silent", "own.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    lines = [line.partition(": ")[2] for line in done.stdout.splitlines()]
    shown = [line for line in lines if line.startswith("note: Revealed")]
    assert [line.rpartition('"')[0].rpartition(" is ")[2] for line in shown] == [
        '"str',
        '"str',
        '"pandas.core.frame.DataFrame',
    ], done.stdout
    errors = [line for line in lines if line.startswith("error")]
    assert len(errors) == 1, done.stdout
    assert '"Results" has no attribute "reprot"' in errors[0]


def test_type_checkers_see_the_arguments_that_there_are():
    stub = ast.parse(Path(runner.__file__).with_suffix(".pyi").read_text("utf-8"))
    told = {node.name: node.args for node in stub.body if isinstance(node, ast.FunctionDef)}
    for name in api.__all__:
        parameters = inspect.signature(getattr(api, name)).parameters.values()
        args = told[name]
        named = [each.arg for each in (*args.args, *args.kwonlyargs)]
        assert named == [
            p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ]
