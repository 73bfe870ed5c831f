import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.report.__main__ import main

Build = Callable[..., Path]

# What takes seconds to import and no report needs.
HEAVY = ("tensorflow", "keras", "mlflow", "sklearn", "jax", "torch", "hydra", "altair")


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
    assert "Avoid zero (never learns)." in done.stdout
    assert (folder / "figures/curves_loss.svg").is_file()


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


def test_several_folders_are_one_comparison(
    build: Build,
    behaviour: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    first = build({"he_uniform": behaviour()}, name="first", epochs=1)
    second = build({"zero": behaviour(learns=False)}, name="second", epochs=1)
    monkeypatch.chdir(tmp_path)
    assert main(["--no-figures", str(first), str(second)]) == 0
    assert "2 initializers on digits" in capsys.readouterr().out
    assert (tmp_path / "results/report/report.html").is_file()
    assert not (first / "report.html").exists()


def test_a_missing_folder_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--no-figures", str(tmp_path / "missing")]) == 1
    error = capsys.readouterr().err
    assert error == f"Error: {tmp_path / 'missing'}: there is no such folder.\n"


def test_a_part_is_written_elsewhere(
    build: Build, behaviour: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    factors = [{"model.depth": 2}, {"model.depth": 8}]
    folder = build({"he_uniform": behaviour(), "zero": behaviour()}, factors=factors, epochs=1)
    output = tmp_path / "part"
    options = [
        "--where",
        'init.str.startswith("he_")',
        "--where",
        "depth > 2",
        "--output",
        str(output),
    ]
    assert main(["--no-figures", str(folder), *options]) == 0
    assert "he_uniform on digits" in capsys.readouterr().out
    told = (output / "report.md").read_text()
    assert 'Only where (init.str.startswith("he\\_")) and (depth \\> 2)' in told
    assert not (folder / "report.html").exists()


def test_a_verdict_over_survivors_is_called_that_in_every_form(
    build: Build, behaviour: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lossy = behaviour(0.97, ends=dict.fromkeys((1, 2, 3), "diverged"))
    folder = build({"glorot_uniform": behaviour(), "he_normal": lossy}, seeds=range(8), epochs=1)
    options = ["--where", "status == 'finished'", "--output", str(tmp_path)]
    assert main(["--no-figures", str(folder), *options]) == 0
    console, page, text, paper = (
        capsys.readouterr().out,
        *((tmp_path / f"report.{kind}").read_text() for kind in ("html", "md", "tex")),
    )
    for told in (console, page, text):
        assert "Picked by outcome: 3 replicates that ended otherwise are left out" in told
    for told in (console, page, text, paper):
        assert re.search("Only where status == .+finished", told)


def test_configurations_are_compared_within_what_is_named(
    build: Build, behaviour: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    factors = [{"model.depth": 2}, {"model.depth": 8}]
    folder = build({"he_uniform": behaviour(), "zero": behaviour()}, factors=factors, epochs=1)
    command = ["--no-figures", str(folder), "--output", str(tmp_path / "by"), "--by", "init"]
    assert main(command) == 0
    assert "in either setting" in " ".join(capsys.readouterr().out.split())


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--where", "init"], "--where init: it is no condition"),
        (["--where", "width == 3"], "--where width == 3: nothing is left. width is: 64."),
        (["--where", "width == wide"], "--where width == wide: name 'wide' is not defined"),
        (["--where", "init=he_*"], "--where init=he_*: invalid syntax. It takes the query syntax"),
        (["--by", "depth"], "--by: there is no 'depth' here. There are: init."),
        (["--mlflow", "runner", "--tracking-uri", "sqlite:///no.db"], "no.db: there is no such"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    build: Build, behaviour: Any, capsys: pytest.CaptureFixture[str], options: Any, message: str
) -> None:
    folder = build({"he_uniform": behaviour()}, epochs=1)
    assert main([str(folder), *options]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"Error: {message}")
    assert error.count("\n") == 1


@pytest.mark.sampled
@pytest.mark.parametrize("name", ["curves.parquet", "report.html", "comparison.csv", "figures"])
def test_a_file_that_cannot_be_written_is_named(
    build: Build, behaviour: Any, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    folder = build({"a": behaviour()}, epochs=1)
    if name == "figures":
        (folder / name).touch()
    else:
        (folder / name / "full").mkdir(parents=True)
    assert main([str(folder)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("Error: ")
    assert f"{folder / name}" in error
