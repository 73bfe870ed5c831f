"""The plan: a value on disk that grows in rounds, and tasks that give the same numbers."""

import dataclasses

import pandas as pd
import pytest
from omegaconf import OmegaConf

from runner.execution import plan as plans
from runner.execution.plan import Plan, Planned, Task
from runner.machine import Room
from runner.plan import Key
from runner.validation import to_json

ROOM = Room(cores=2, memory_bytes=2**30, cache_bytes=2**20)
PLAN = Plan(
    sweep="x",
    environment={"python": "3"},
    configurations=(
        Planned(0, {"seeds": 2}, "a", reused=(Key(0, 5, 5),)),
        Planned(1, {}, error="no"),
    ),
    tasks=(
        Task("0", 0, (Key(0, 0, 0),), ROOM),
        Task("1", 1, (Key(0, 1, 1),), ROOM, "a.npz", predicted_s=1.5, predicted_bytes=8),
    ),
)
QUICK = (
    "dataset=iris",
    "training.epochs=3",
    "model.width=4",
    "tracking=none",
    "report.figures=false",
)


def test_a_plan_is_read_as_it_was_written(tmp_path):
    PLAN.write(tmp_path)
    assert plans.read(tmp_path) == PLAN


def test_passwords_come_from_where_hydra_keeps_them(tmp_path):
    settings = {"model": {"name": "custom", "arguments": {"password": "hunter2"}}, "seeds": 2}
    plan = Plan("x", configurations=(Planned(0, settings),))
    hydra = tmp_path / "0" / ".hydra"
    hydra.mkdir(parents=True)
    OmegaConf.save(OmegaConf.create(settings), hydra / "config.yaml")
    plan.write(tmp_path)
    assert "hunter2" not in (tmp_path / plans.NAME).read_text()
    assert plans.read(tmp_path) == plan


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 99}, "`version`"),
        ({"tasks": (PLAN.tasks[0], PLAN.tasks[0])}, "a name is there twice"),
        ({"tasks": (PLAN.tasks[0], dataclasses.replace(PLAN.tasks[0], name="7"))}, "replicate"),
        ({"tasks": (Task("0", 0, (Key(9, 0, 0),), ROOM),)}, "no such configuration"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(changes, reason):
    with pytest.raises(ValueError, match=reason):
        plans.parsed(to_json(dataclasses.replace(PLAN, **changes)))


def keys_of(plan):
    return sorted(key for task in plan.tasks for key in task.keys)


@pytest.mark.slow
def test_each_batch_adds_a_round_and_changes_no_task(command, keras, monkeypatch):
    written = []
    write = Plan.write

    def watch(plan, folder):
        write(plan, folder)
        written.append(plans.read(folder))

    monkeypatch.setattr(Plan, "write", watch)
    done = command(
        *("--multirun", "init=zero,he_normal,ones", "hydra.sweeper.max_batch_size=2", "seeds=2"),
        *QUICK,
    )
    assert done.code == 0
    first, second = written
    assert second.tasks[: len(first.tasks)] == first.tasks
    assert second.configurations[:2] == first.configurations
    assert [task.round for task in second.tasks] == [0, 1]
    assert keys_of(second) == [Key(c, seed, seed) for c in range(3) for seed in range(2)]
    assert plans.read(done.folder) == second


@pytest.mark.slow
def test_small_tasks_give_the_numbers_of_a_large_one(command, keras):
    sweep = ("--multirun", "init=he_normal,glorot_normal", "seeds=3", "rerun=true", *QUICK)
    curves = []
    for task_s, num_tasks in (("1000", 1), ("1e-9", 6)):
        done = command(*sweep, f"execution.task_s={task_s}")
        assert done.code == 0, done.output
        assert len(plans.read(done.folder).tasks) == num_tasks
        curves.append(pd.read_parquet(done.folder / "curves.parquet"))
    keys = ["configuration", "seed", "epoch", "metric"]
    one, many = (frame.sort_values(keys).reset_index(drop=True) for frame in curves)
    assert many[keys].equals(one[keys])
    assert many["value"].to_numpy() == pytest.approx(one["value"].to_numpy(), rel=1e-5, abs=1e-6)
