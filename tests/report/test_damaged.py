"""A damaged file is named with its reason and left out; the rest is reported."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from runner import archive
from runner.report.__main__ import main
from runner.report.reading import Records, read

Build = Callable[..., Path]
Damage = Callable[[Path], None]


def text(content: bytes) -> Damage:
    return lambda path: path.write_bytes(content) and None


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def instead(make: Callable[[Path], Any]) -> Damage:
    """Returns the damage of something else in the file's place."""

    def replace(path: Path) -> None:
        path.unlink()
        make(path)

    return replace


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10**10)


def changed(**values: Any) -> Damage:
    """Returns the damage of other values; of a nested key by its parts, joined with `__`."""

    def change(path: Path) -> None:
        content = json.loads(path.read_text())
        for key, value in values.items():
            *parents, last = key.split("__")
            inner = content
            for parent in parents:
                inner = inner[parent]
            if value is ...:
                del inner[last]
            else:
                inner[last] = value
        path.write_text(json.dumps(content))

    return change


FILES = {
    "empty": text(b""),
    "cut": cut,
    "not UTF-8": text(b'{"configuration": "\xff\xfe"}'),
    "UTF-16": lambda path: path.write_bytes(path.read_text().encode("utf-16")) and None,
    "a list": text(b"[1, 2]"),
    "a number": text(b"1"),
    "null": text(b"null"),
    "nothing in it": text(b"{}"),
    "zeros": text(bytes(1000)),
    "deep": text(b"[" * 100_000),
    "a long number": text(b'{"configuration": ' + b"9" * 10_000 + b"}"),
    "huge": instead(sparse),
    "a folder": instead(Path.mkdir),
    "a pipe": instead(os.mkfifo),
    "a device": instead(lambda path: path.symlink_to("/dev/zero")),
    "a link to nothing": instead(lambda path: path.symlink_to("nowhere.json")),
    "a link to itself": instead(lambda path: path.symlink_to(path.name)),
}
LOSS = "curves__val_loss"
REPLICATES = {
    "another configuration": changed(configuration=1),
    "no such configuration": changed(configuration=77),
    "a negative configuration": changed(configuration=-1),
    "seeds of another": changed(seed=1, weight_seed=1, batch_seed=1),
    "one seed of another": changed(weight_seed=1),
    "a seed that is not its seeds'": changed(seed=5),
    "a negative seed": changed(seed=-3, weight_seed=-3, batch_seed=-3),
    "a seed as text": changed(weight_seed="3"),
    "a seed as a float": changed(weight_seed=3.0),
    "a seed as a flag": changed(seed=True),
    "an unknown status": changed(status="done"),
    "no status": changed(status=...),
    "no curves": changed(curves={}),
    "curves as a list": changed(curves=[1.0]),
    "a curve as a number": changed(curves__val_loss=1.0),
    "a short curve": changed(curves__val_loss=[1.0, 2.0]),
    "a curve with a text": changed(curves__val_loss=["a", "b", "c"]),
    "a curve with null": changed(curves__val_loss=[1.0, None, 1.0]),
    "NaN": changed(curves__val_loss=[1.0, math.nan, 1.0]),
    "Infinity": changed(curves__val_loss=[1.0, math.inf, 1.0]),
    "a huge number": changed(curves__val_loss=[1.0, 1e300, 1.0]),
    "an accuracy above 1": changed(curves__val_accuracy=[0.1, 1.5, 0.9]),
    "an unknown metric": changed(curves__val_fun=[1.0, 1.0, 1.0]),
    "a missing metric": changed(curves__val_accuracy=...),
    "no steps": changed(steps=[]),
    "negative steps": changed(steps=[-9, 0, 9]),
    "steps that fall": changed(steps=[0, 18, 9]),
    "steps from 1": changed(steps=[1, 2, 3]),
    "steps beyond counting": changed(steps=[0, 9, 10**30]),
    "fewer epochs": changed(
        steps=[0, 9], curves={name: [0.5, 0.5] for name in ("loss", "val_accuracy")}
    ),
    "more epochs": changed(
        status="interrupted", steps=[0, 1, 2, 3], curves={"val_accuracy": [0.5] * 4}
    ),
    "a negative time": changed(wall_time_s=-1.0),
    "a time that is none": changed(wall_time_s=math.nan),
    "a time as text": changed(wall_time_s="1"),
    "diverged and finished": changed(diverged_epoch=1, diverged_step=2),
    "a negative epoch": changed(status="diverged", diverged_epoch=-1),
    "movement as a number": changed(movement={"dense/kernel": 1.0}),
    "movement of three": changed(movement={"dense/kernel": [1.0, 2.0, 3.0]}),
    "a test as text": changed(test={"loss": "low"}),
    "an error as a number": changed(error=1),
    "a measurement as a text": changed(propagation="healthy"),
    "a measurement without layers": changed(propagation={"layers": []}),
}
CONFIGURATIONS = {
    "another number": changed(index=1),
    "a negative number": changed(index=-1),
    "a number as a text": changed(index="0"),
    "no initializer": changed(init=...),
    "an initializer as a number": changed(init=1),
    "factors as a list": changed(factors=[]),
    "a factor as a list": changed(factors={"a": [1]}),
    "settings as a list": changed(settings=[]),
    "a setting that is none": changed(settings__training=3),
    "negative epochs": changed(settings__training__epochs=-1),
    "epochs as a text": changed(settings__training__epochs="many"),
    "a baseline of a report that is none": changed(settings__report="best"),
    "unknown limits": changed(settings__diagnostics={"name": "none at all"}),
    "a number that is none": changed(settings__optimizer={"learning_rate": math.nan}),
    "outputs as a text": changed(dataset__num_outputs="ten"),
    "a loss as a text": changed(dataset__uninformed_loss="high"),
    "kernels as a text": changed(kernels="dense"),
    "a kernel without a shape": changed(kernels=[{"path": "a", "law": "b"}]),
    "a negative shape": changed(kernels=[{"path": "a", "law": "b", "shape": [-1]}]),
    "a target without a value": changed(target=["val_loss"]),
    "an unknown endpoint": changed(endpoint_at="middle"),
    "no replicates": changed(num_replicates=-5),
}
SWEEPS = {
    "a name as a number": changed(name=1),
    "versions as a list": changed(versions=[]),
    "a confidence of 95": changed(confidence=95),
    "no machine": changed(machine=...),
}


@pytest.fixture
def folder(build: Build, behaviour: Any) -> Path:
    """Results of two initializers."""
    return build({"he_normal": behaviour(), "zero": behaviour()}, seeds=range(4), epochs=2)


@pytest.fixture
def seen(caplog: pytest.LogCaptureFixture) -> Callable[[Path], tuple[Records, list[str]]]:
    """Returns a function that reads a folder; it gives the records and what is warned of."""

    def look(folder: Path) -> tuple[Records, list[str]]:
        caplog.clear()
        return read(folder), [record.getMessage() for record in caplog.records]

    return look


@pytest.fixture
def told(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> Callable[[Path], tuple[int, list[str]]]:
    """Returns a function that reports on a folder; it gives the exit code and what is warned of."""

    def report(folder: Path) -> tuple[int, list[str]]:
        caplog.clear()
        code = main(["--no-figures", str(folder)])
        errors = capsys.readouterr().err.splitlines()
        return code, [*(record.getMessage() for record in caplog.records), *errors]

    return report


Seen = Callable[[Path], tuple[Records, list[str]]]
Told = Callable[[Path], tuple[int, list[str]]]


@pytest.mark.parametrize("name", [*FILES, *REPLICATES])
def test_a_damaged_replicate_is_named_and_left_out(name: str, folder: Path, seen: Seen) -> None:
    path = folder / "0/replicates/seed-3.json"
    (FILES | REPLICATES)[name](path)
    records, (line,) = seen(folder)
    assert line.startswith(f"{path}: cannot be read as a record (")
    assert "\n" not in line
    found = [(record.configuration, record.seed) for record in records.replicates]
    assert found == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (1, 3)]
    assert records.num_damaged == 1


@pytest.mark.parametrize("name", [*FILES, *CONFIGURATIONS])
def test_a_damaged_configuration_takes_its_replicates_along(
    name: str, folder: Path, seen: Seen
) -> None:
    (FILES | CONFIGURATIONS)[name](folder / "0/configuration.json")
    records, (line,) = seen(folder)
    assert line.startswith(f"{folder}/0/configuration.json: ")
    assert line.endswith("Its replicates are left out with it.")
    assert [record.init for record in records.configurations] == ["zero"]
    assert len(records.replicates) == 4


@pytest.mark.parametrize("name", [*FILES, *SWEEPS])
def test_what_is_left_goes_on_without_the_record_of_the_command(
    name: str, folder: Path, seen: Seen
) -> None:
    (FILES | SWEEPS)[name](folder / "sweep.json")
    records, (line,) = seen(folder)
    assert line.startswith(f"{folder}/sweep.json: cannot be read as a record (")
    assert len(records.replicates) == 8


def test_a_report_on_damaged_records_tells_of_them(folder: Path, told: Told) -> None:
    cut(folder / "sweep.json")
    cut(folder / "0/replicates/seed-3.json")
    code, lines = told(folder)
    assert (code, len(lines)) == (0, 2)
    assert len(pd.read_csv(folder / "replicates.csv").dropna(subset="final_loss")) == 7
    assert "1 damaged file is left out" in (folder / "report.md").read_text()


def test_a_missing_configuration_is_told_once(folder: Path, seen: Seen) -> None:
    (folder / "0/configuration.json").unlink()
    _, (line,) = seen(folder)
    assert line.startswith(f"{folder}/0/configuration.json: is missing.")


def test_many_damaged_files_do_not_flood_the_console(build: Build, behaviour: Any, seen: Seen):
    folder = build({"zero": behaviour()}, seeds=range(40), epochs=1)
    for seed in range(30):
        cut(folder / f"0/replicates/seed-{seed}.json")
    _, lines = seen(folder)
    assert len(lines) == 21
    assert lines[-1] == "10 more files are left out."


@pytest.mark.parametrize("pattern", ["*/replicates/*.json", "*/configuration.json"])
def test_where_nothing_can_be_read_there_is_no_report(
    pattern: str, folder: Path, told: Told
) -> None:
    for path in folder.glob(pattern):
        cut(path)
    code, lines = told(folder)
    assert code == 1
    assert lines[-1] == f"Error: {folder}: none of its records can be read."
    assert not (folder / "report.md").exists()


def test_unknown_keys_of_a_newer_version_are_passed_over(folder: Path, seen: Seen) -> None:
    for name in ("sweep.json", "0/configuration.json", "0/replicates/seed-0.json"):
        changed(hue="blue")(folder / name)
    assert seen(folder)[1] == []


def test_files_within_an_archive_are_named_by_it(folder: Path, tmp_path: Path, seen: Seen) -> None:
    cut(folder / "0/replicates/seed-3.json")
    packed = tmp_path / "packed" / archive.NAME
    packed.parent.mkdir()
    packed.write_bytes(archive.pack(folder))
    _, (line,) = seen(packed.parent)
    assert line.startswith(f"{packed}: 0/replicates/seed-3.json: cannot be read as a record (")


def test_tables_and_pages_are_not_read(folder: Path, told: Told) -> None:
    assert told(folder)[0] == 0
    for path in folder.glob("*.*"):
        if path.name != "sweep.json":
            path.write_bytes(b"\xff")
    assert told(folder) == (0, [])
    assert len(pd.read_parquet(folder / "curves.parquet")) == 8 * 3 * 4
