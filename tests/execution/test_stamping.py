"""The design of a comparison: counted, stamped before training, and kept by who reuses seeds."""

import dataclasses
import json
from pathlib import Path

import pytest

from runner.archive import pack
from runner.design import Design
from runner.execution.stamping import family
from runner.recording.disk import DiskRecorder
from runner.records import ConfigurationRecord, read_configurations, read_sweep
from runner.report.reading import read_packed

QUIET = (
    *("dataset=iris", "model.width=4", "training.epochs=1", "report.figures=false"),
    *("engine=keras", "tracking=none", "diagnostics=none"),
)


def sweep(*cells):
    """Returns records: of each cell its initializers, its depth and its data."""
    rows = [(init, depth, data) for inits, depth, data in cells for init in inits.split()]
    return [
        ConfigurationRecord(
            *(index, init, {"model.depth": depth}, {}),
            dataset={"fingerprint": data},
            endpoint="val_accuracy",
        )
        for index, (init, depth, data) in enumerate(rows)
    ]


TEN = "a b c d e f g h i glorot_uniform"
# Configurations, `report.baseline`, the reference, the number of comparisons.
FAMILIES = {
    "one": (sweep(("zero", 1, "x")), None, None, 0),
    "the default alone": (sweep(("glorot_uniform", 1, "x")), None, None, 0),
    "with the default": (sweep((TEN, 1, "x")), None, "glorot_uniform", 9),
    "without": (sweep(("a b c", 1, "x")), None, None, 3),
    "with a named one": (sweep((TEN, 1, "x")), "a", "a", 9),
    "cells": (
        sweep(*((TEN, depth, "x") for depth in (1, 2, 3))),
        *(None, "glorot_uniform", 27),
    ),
    "a cell that lacks the reference": (
        sweep((TEN, 1, "x"), ("a b c", 2, "x")),
        *(None, "glorot_uniform", 9 + 3),
    ),
    "other data": (sweep(("a b", 1, "x"), ("a b", 1, "y")), None, None, 2),
    "one initializer": (sweep(*(("glorot_uniform", d, "x") for d in range(4))), None, None, 6),
    "one that others train": (sweep(("a", 1, "x")), "he_normal", "he_normal", 0),
}


def test_what_an_earlier_sweep_compares_is_not_counted_again():
    earlier = Design((5, 10), "earlier")
    records = [
        dataclasses.replace(record, design=None if record.init in "ab" else earlier)
        for record in sweep((TEN, 1, "x"))
    ]
    assert family("s", records, None).comparisons == 2  # a and b, each with the default
    assert family("s", records, "i").comparisons == 2  # each with i
    without = [record for record in records if record.init != "glorot_uniform"]
    assert family("s", without, None).comparisons == 1 + 2 * 7  # with each other, with c to i


@pytest.mark.parametrize("case", FAMILIES)
def test_comparisons_are_counted(case):
    records, baseline, reference, comparisons = FAMILIES[case]
    refused = ConfigurationRecord(99, "zero", {}, {}, error="no")
    found = family("s", [*records, refused], baseline)
    assert (found.reference, found.comparisons) == (reference, comparisons)


def designs(done):
    return {record.init: record.design for record in read_configurations(done.folder)}


def test_the_design_is_on_disk_before_the_first_replicate(command, keras, monkeypatch):
    take, seen = DiskRecorder.take, []

    def watch(recorder, event):
        for path in Path("results").glob("[0-9]*/*/*/configuration.json"):
            number = len(list(path.parent.glob("replicates/*")))
            seen.append((number, json.loads(path.read_text())["design"]))
        take(recorder, event)

    monkeypatch.setattr(DiskRecorder, "take", watch)
    done = command("--multirun", *QUIET, "init=zero,glorot_uniform", "seeds=1")
    assert done.code == 0
    first = next(design for number, design in seen if number == 0)
    assert all(design == first for _, design in seen)
    name = read_sweep(done.folder).name
    assert set(designs(done).values()) == {
        Design((5, 10, 20, 40), name, "glorot_uniform", 0.005, 1)
    }
    packed = Path("records.zip")
    packed.write_bytes(pack(done.folder))
    assert list(read_packed(packed).configurations) == read_configurations(done.folder)


# What is asked for -> looks, margin and grid.
ASKED = {
    ("report.looks=[12]", "report.margin=0"): ((12,), None, None),
    ("report.looks=any", "report.margin=0.01"): (None, 0.01, None),
    ("report.metric=val_loss",): ((5, 10, 20, 40), None, None),
    ("weight_seeds=[0,1]", "batch_seeds=[0]", "report.looks=any"): ((2,), 0.005, (2, 1)),
}


@pytest.mark.sampled
@pytest.mark.parametrize("asked", ASKED)
def test_the_settings_are_in_the_design(command, keras, asked):
    done = command(*QUIET, "seeds=1", *asked)
    (design,) = designs(done).values()
    assert (design.looks, design.margin, design.grid) == ASKED[asked]


@pytest.mark.slow
def test_the_first_design_stands(command, keras):
    first = command("--multirun", *QUIET, "init=zero,ones", "seeds=1", "report.looks=[4]")
    began = designs(first)
    name = read_sweep(first.folder).name
    assert "another design" not in first.output
    more = ("--multirun", *QUIET, "init=zero,ones,he_normal", "seeds=2", "report.looks=any")
    later = command(*more)
    assert (
        "2 configurations began with another design, fixed before training, and it stands: looks "
        f"at 4 seeds, margin 0.005, all pairs ({name}). rerun=true begins anew."
    ) in later.output
    kept = designs(later)
    assert {init: kept[init] for init in began} == began
    assert kept["he_normal"].family == read_sweep(later.folder).name
    assert kept["he_normal"].comparisons == 2  # with each of the two
    anew = command(*more, "rerun=true")
    assert {design.looks for design in designs(anew).values()} == {None}
    # Of several, that of the sweep that started first: of `zero` one seed is of each.
    third = command(*QUIET, "init=zero", "seeds=3", "report.looks=[4]")
    assert designs(third)["zero"].looks is None
    assert "began with another design" in third.output


@pytest.mark.slow
def test_records_without_a_stamp_get_this_commands(command, keras):
    first = command(*QUIET, "seeds=1")
    path = first.folder.resolve() / "0" / "configuration.json"
    record = json.loads(path.read_text())
    del record["design"]
    path.write_text(json.dumps(record))
    later = command(*QUIET, "seeds=2", "report.looks=[7]")
    assert "already finished" in later.output
    assert designs(later)["glorot_uniform"].looks == (7,)
