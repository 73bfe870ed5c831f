import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.report.__main__ import main

Build = Callable[..., Path]

# What takes seconds to import and no report needs.
HEAVY = ("tensorflow", "keras", "mlflow", "sklearn", "jax", "torch")


def test_a_report_is_written_without_tensorflow(build: Build, behaviour: Any) -> None:
    folder = build({"he_normal": behaviour(), "zero": behaviour(learns=False)}, epochs=2)
    program = (
        "import sys; from runner.report.__main__ import main; code = main(sys.argv[1:]);"
        f"found = set({HEAVY!r}) & set(sys.modules); sys.exit(code or ', '.join(found) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "he_normal has the highest mean" in done.stdout
    assert (folder / "figures/curves_loss.png").is_file()


def test_importing_the_package_imports_nothing_heavy() -> None:
    late = {*HEAVY, "pandas", "altair", "rich", "scipy"}
    program = f"import sys, runner.report; print(*({late!r} & {{*sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_the_default_is_the_latest_sweep(
    build: Build, behaviour: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    build({"he_uniform": behaviour()}, name="results/latest", epochs=1)
    monkeypatch.chdir(tmp_path)
    assert main(["--no-figures"]) == 0
    assert (tmp_path / "results/latest/report.html").is_file()


def test_several_folders_are_written_whatever_fails(
    build: Build, behaviour: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    good = build({"he_uniform": behaviour()}, name="good", epochs=1)
    assert main(["--no-figures", str(tmp_path / "missing"), str(good)]) == 1
    captured = capsys.readouterr()
    assert captured.err == f"Error: {tmp_path / 'missing'}: there is no such folder.\n"
    assert str(good / "report.html") in captured.out.replace("\n", "")


def test_an_error_is_one_line_without_a_traceback(
    build: Build, behaviour: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = build({"a": behaviour()}, epochs=1)
    (folder / "0/replicates/seed-3.json").write_text('{"configuration": 0,')
    assert main([str(folder)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"Error: {folder}/0/replicates/seed-3.json: cannot be read")
