import json
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from runner.report.__main__ import main
from runner.report.schema import SCHEMA, schema_text

Build = Callable[..., Path]


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Returns what the command prints, which is JSON, valid, and nothing else."""
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    jsonschema.validate(found, json.loads(SCHEMA.read_text("utf-8")))
    return found


def test_the_schema_is_that_of_the_code() -> None:
    assert SCHEMA.read_text("utf-8") == schema_text(), "see runner/report/schema.py"
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text()))


def test_the_whole_answer_is_printed_and_kept(
    build: Build, behaviour: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    inits = {
        "glorot_uniform": behaviour(0.95),
        "he_normal": behaviour(0.95),
        "uniform": behaviour(0.7, ends={1: "diverged", 2: "failed", 3: None}),
        "zero": behaviour(learns=False),
    }
    folder = build(inits, seeds=range(8), refused={"identity": "not square"})
    found = told(capsys, str(folder), "--no-figures")
    assert found == json.loads((folder / "report.json").read_text("utf-8"))
    assert (found["kind"], found["schema_version"]) == ("report", 1)
    assert found["commands"][0]["versions"]["keras"] == "3.15.1"
    assert found["headline"] in unescape((folder / "report.html").read_text("utf-8"))
    (cell,) = found["cells"]
    assert (cell["choice"], cell["reference"], cell["is_baseline"]) == (
        *("glorot_uniform", "glorot_uniform"),
        True,
    )
    assert (cell["ties"], cell["unknown"]) == ([], ["he_normal"])
    assert set(cell["avoid"]) == {"uniform", "zero"}
    assert cell["metric"] == "val_accuracy"
    ranking = {row["init"]: row for row in cell["ranking"]}
    uniform = ranking["uniform"]
    assert [
        uniform[f"num_{of}"] for of in ("asked", "finished", "diverged", "failed")
    ] == [8, 5, 1, 1]  # fmt: skip
    assert ranking["zero"]["num_never_learned"] == 8
    pairs = {(row["init_a"], row["init_b"]): row for row in cell["pairs"]}
    assert len(pairs) == 6
    same = pairs["glorot_uniform", "he_normal"]
    assert (same["verdict"], same["decided_at"]) == ("unknown", None)
    assert (same["mean"], same["num_pairs"]) == (0, 8)
    assert pairs["glorot_uniform", "zero"]["verdict"] == "different"
    assert found["cautions"]
    for name in found["files"]:
        assert (folder / name).is_file()
    assert {"comparison.csv", "report.md", "curves.parquet"} <= set(found["files"])


def test_what_is_equivalent_ties(
    build: Build, behaviour: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    inits = {"glorot_uniform": behaviour(0.95), "he_normal": behaviour(0.951)}
    folder = build({**inits, "zero": behaviour(learns=False)}, seeds=range(12))
    design = {"looks": [5, 10], "family": "a", "reference": "glorot_uniform", "margin": 0.02}
    for path in folder.glob("*/configuration.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"design": design}))
    (cell,) = told(capsys, str(folder), "--no-figures")["cells"]
    assert (cell["looks"], cell["look"], cell["margin"]) == ([5, 10], 10, 0.02)
    assert (cell["choice"], cell["ties"], cell["avoid"]) == (
        *("glorot_uniform", ["he_normal"]),
        ["zero"],
    )
    pairs = {(row["init_a"], row["init_b"]): row for row in cell["pairs"]}
    same = pairs["glorot_uniform", "he_normal"]
    assert same["verdict"] == "different_within_margin"
    assert (same["decided_at"], same["num_pairs"]) == (5, 10)
    untested = pairs["he_normal", "zero"]
    assert (untested["is_tested"], untested["verdict"]) == (False, "unknown")


def test_what_does_not_exist_is_null(
    build: Build, behaviour: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = dict.fromkeys(range(2), "failed")
    folder = build({"zero": behaviour(ends=lost)}, seeds=range(2), refused={"ones": "no"})
    (cell,) = told(capsys, str(folder), "--no-figures")["cells"]
    (row,) = cell["ranking"]
    assert (row["rank"], row["mean"], cell["choice"], cell["pairs"]) == (None, None, None, [])


def test_each_setting_has_its_answer(
    build: Build, behaviour: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path, hostile: str
) -> None:
    factors = [{"model.depth": 2}, {"model.depth": 8}]
    folder = build({hostile: behaviour(), "zero": behaviour()}, factors=factors, epochs=1)
    where = "depth > 1"
    output = ("--output", str(tmp_path / "out"))
    found = told(capsys, str(folder), "--no-figures", "--where", where, *output)
    assert found["where"] == [where]
    assert [cell["name"] for cell in found["cells"]] == ["depth=2", "depth=8"]
    assert [row["factors"] for row in found["cells"][1]["ranking"]] == [{"model.depth": 8}] * 2
    assert hostile in {row["init"] for row in found["cells"][0]["ranking"]}


def test_a_difference_has_a_schema_too(
    build: Build, behaviour: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    first = build({"zero": behaviour()}, name="a", epochs=1)
    second = build({"zero": behaviour(ends={0: "failed"})}, name="b", epochs=1, seeds=range(1))
    found = told(capsys, "--diff", str(first), str(second))
    assert found["kind"] == "diff"
    assert found["outcomes"][0]["b"]["mean"] is None
