import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from runner import report
from runner.report.errors import ResultsError

Build = Callable[..., Path]
TABLES = {
    *("replicates.csv", "curves.parquet", "movement.csv"),
    *("propagation.parquet", "comparison.csv"),
}
NUMBERS = {
    *("differences.csv", "pairs.csv", "success.csv", "trainability.csv"),
    *("ranks.csv", "rank_pairs.csv"),
}


def test_every_file_of_the_contract_is_there(written: Path) -> None:
    names = {path.name for path in written.iterdir() if path.is_file()}
    assert names == TABLES | NUMBERS | {
        *("sweep.json", "report.json", "report.md", "report.html", "report.tex")
    }
    assert {path.suffix for path in (written / "figures").iterdir()} == {".svg"}


def test_the_tables_are_those_of_load(written: Path) -> None:
    results = report.load(written)
    comparison = pd.read_csv(written / "comparison.csv")
    assert list(comparison.columns) == list(results.comparison.columns)
    pd.testing.assert_frame_equal(comparison, results.comparison, check_dtype=False)
    curves = pd.read_parquet(written / "curves.parquet")
    pd.testing.assert_frame_equal(curves, results.curves, check_dtype=False)
    assert list(curves.columns) == [
        *("configuration", "init", "seed", "weight_seed", "batch_seed"),
        *("epoch", "step", "metric", "value"),
    ]


def test_a_second_time_gives_the_same_bytes(build: Build, behaviour: Any) -> None:
    folder = build({"a": behaviour(), "b": behaviour(0.9)}, epochs=2)

    def contents() -> dict[str, bytes]:
        report.write(folder, figures=False)
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    assert contents() == contents()


@pytest.mark.parametrize("status", ["diverged", "failed", "interrupted", None])
def test_a_sweep_without_results_has_a_report(build: Build, behaviour: Any, status: Any) -> None:
    folder = build({"a": behaviour(ends=dict.fromkeys(range(5), status))}, epochs=2)
    comparison = report.write(folder, figures=False)
    assert comparison.headline == "No replicate has finished: there is nothing to compare."
    for name in TABLES - {"curves.parquet", "propagation.parquet"}:
        assert (folder / name).read_text().startswith("configuration,init")
    assert len(pd.read_parquet(folder / "curves.parquet").columns) == 9


def test_a_sweep_of_refused_configurations_has_a_report(build: Build) -> None:
    folder = build({}, refused={"identity": "`init` must be defined for every kernel."})
    comparison = report.write(folder, figures=False)
    assert comparison.cautions == (
        "1 configuration could not be trained: see Failures for the reasons.",
    )
    assert "must be defined for every kernel" in (folder / "report.md").read_text()


def test_what_a_report_no_longer_makes_is_removed(build: Build, behaviour: Any) -> None:
    folder = build({"a": behaviour()}, factors=[{"model.depth": 2}, {"model.depth": 8}], epochs=2)
    report.write(folder)
    foreign = folder / "figures" / "mine.svg"
    foreign.touch()
    made = json.loads((folder / "report.json").read_text())["files"]
    assert {"trainability.csv", "figures/curves_loss.svg"} <= set(made)
    assert all((folder / name).is_file() for name in made)
    shutil.rmtree(folder / "1")
    report.write(folder, figures=False)
    assert not (folder / "trainability.csv").exists()
    assert list((folder / "figures").iterdir()) == [foreign]


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"files": 3}', '{"files": ["../keep.csv", "0/configuration.json"]}']
)
def test_a_list_of_files_that_is_no_list_removes_nothing(
    build: Build, behaviour: Any, content: str
) -> None:
    folder = build({"a": behaviour()}, epochs=2)
    kept = folder.parent / "keep.csv"
    kept.touch()
    (folder / "report.json").write_text(content)
    report.write(folder, figures=False)
    assert kept.exists()
    assert (folder / "0" / "configuration.json").exists()


def test_nothing_is_written_where_nothing_can_be_read(build: Build, behaviour: Any) -> None:
    folder = build({"a": behaviour()})
    for path in folder.glob("0/replicates/*.json"):
        path.write_text("{")
    with pytest.raises(ResultsError):
        report.write(folder)
    assert {path.name for path in folder.iterdir()} == {"0", "sweep.json"}


def test_tables_and_words_say_over_how_many(written: Path) -> None:
    expected = "4 of 6; 1 failed, 1 diverged"
    assert expected in (written / "report.md").read_text("utf-8")
    assert expected in (written / "report.html").read_text("utf-8")
