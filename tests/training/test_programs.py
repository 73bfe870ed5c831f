"""Programs outlive the sweep that they were made for, and nothing else of it does."""

import dataclasses
import gc
import weakref
from collections import OrderedDict

import numpy as np
import pytest

from runner.datasets.held import Held
from runner.datasets.scaling import Scaling
from runner.plan import EarlyStopping, Training
from tests.training.cohorts import BATCH, cohort, dataset, member, mlp, run


@dataclasses.dataclass
class Sized:
    """What is kept, for all that its keeper knows."""

    num_bytes: int


@pytest.fixture
def programs(keras, monkeypatch):
    """The module, which keeps nothing yet."""
    from runner.training import programs

    monkeypatch.setattr(programs, "_kept", OrderedDict())
    monkeypatch.setattr(programs, "_held", weakref.WeakValueDictionary())
    return programs


def with_inputs(change):
    """Returns the data set with other inputs in every part."""
    data = dataset()
    parts = {name: getattr(data, name) for name in ("train", "validation", "test")}
    changed = {name: dataclasses.replace(p, x=change(p.x)) for name, p in parts.items() if p}
    return dataclasses.replace(data, **changed)


def work(keras, seeds=(0, 1, 2), data=None, key="key", rate=0.05, epochs=2, **settings):
    """Returns a cohort whose model was built anew."""
    keras.utils.clear_session(free_memory=False)  # names of layers start from the first again
    model = mlp(keras, dropout=True)
    members = [member(model, seed, rate) for seed in seeds]
    made = cohort(model, members, "adam", data=data, **settings)
    stopping = Training(epochs=epochs, batch_size=BATCH, early_stopping=EarlyStopping(patience=1))
    return dataclasses.replace(made, program_key=key, training=stopping)


def numbers_of(result):
    """Returns curves and ends without the time that they took."""
    curves, ends = result
    return curves, {place: dataclasses.replace(end, wall_time_s=0.0) for place, end in ends.items()}


@pytest.mark.slow
def test_the_next_cohort_of_the_same_shapes_takes_the_program_and_gets_the_same_bits(
    keras, engines, programs
):
    train, first = engines["vectorized"], work(keras)
    inputs = weakref.ref(first.dataset.train.x)
    run(train, first)
    del first
    gc.collect()
    assert inputs() is None
    (program,) = programs._kept.values()
    other = {"seeds": (4, 5, 6), "data": with_inputs(lambda x: 0.1 - x), "rate": 0.2}
    again = run(train, work(keras, **other))
    assert list(programs._kept.values()) == [program]
    assert program.num_traces == 1
    alone = run(train, work(keras, **other, key=None))
    assert numbers_of(again) == numbers_of(alone)


def held(scale):
    return with_inputs(
        lambda x: Held(np.ones(x.shape, np.uint8), Scaling(np.zeros(()), np.array(scale)))
    )


FEWER = dataclasses.replace(dataset(), train=dataset().validation)

APART = {
    "other settings": ({}, {"key": "another"}),
    "fewer examples": ({}, {"data": FEWER}),
    "bytes that are scaled otherwise": ({"data": held(0.5)}, {"data": held(0.25)}),
    "other types": ({"data": held(0.5)}, {}),
    "fewer data orders": ({}, {"seeds": (0, 3, 6)}),
    "more epochs in a call": ({}, {"epochs": 3}),
    "longer schedule": (
        {"epochs": 40, "schedule": "cosine"},
        {"epochs": 50, "schedule": "cosine"},
    ),
}
TOGETHER = {
    "other examples": ({}, {"data": with_inputs(lambda x: x + 1)}),
    "longer training": ({"epochs": 40}, {"epochs": 50}),
}


def test_programs_are_told_apart_by_shapes(keras, programs, monkeypatch):
    from runner.training import grouping

    made = []
    monkeypatch.setattr(grouping, "Program", lambda *of: made.append(of) or Sized(num_bytes=0))

    def num_made(pair):
        made.clear()
        programs.let_go()
        for settings in pair:
            divided = grouping.Grouping(work(keras, **settings))
            form = divided.forms[0]
            divided.program(form, divided.width(form))
        return len(made)

    found = {name: num_made(pair) for name, pair in {**APART, **TOGETHER}.items()}
    assert found == {**dict.fromkeys(APART, 2), **dict.fromkeys(TOGETHER, 1)}


@pytest.mark.parametrize(
    ("limit", "left"), [({}, "abc"), ({"_MAX_PROGRAMS": 2}, "bc"), ({"_MAX_BYTES": 9}, "c")]
)
def test_few_are_kept_and_little_memory(limit, left, programs, monkeypatch):
    for name, value in limit.items():
        monkeypatch.setattr(programs, name, value)
    for name in "abc":
        programs.kept(name, lambda: Sized(num_bytes=5))
    assert "".join(programs._kept) == left


def test_what_is_taken_stays_longest(programs, monkeypatch):
    monkeypatch.setattr(programs, "_MAX_PROGRAMS", 2)
    for name in "abac":
        programs.kept(name, lambda: Sized(num_bytes=1))
    assert "".join(programs._kept) == "ac"


def test_where_memory_runs_out_none_is_kept(keras, programs):
    from runner.training.grouping import Grouping

    programs.kept("a", lambda: Sized(num_bytes=1))
    assert not Grouping(work(keras)).strike(MemoryError())
    assert not programs._kept
