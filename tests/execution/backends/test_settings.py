"""The files of the group `execution` and their dataclasses say the same."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from runner.config import ConfigError, choose
from runner.execution.backends.settings import CATALOGUE

CONF = Path(__file__).parents[3] / "conf" / "execution"


def test_there_is_one_file_for_each_option():
    assert {path.stem for path in CONF.iterdir()} == {*CATALOGUE}


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_file_tells_every_default(name):
    node = yaml.safe_load((CONF / f"{name}.yaml").read_text("utf-8"))
    spec = CATALOGUE[name]
    assert next(iter(node)) == "name"
    assert [*node] == ["name", *(field.name for field in dataclasses.fields(spec))]
    assert choose(CATALOGUE, node, "execution") == spec()


@pytest.mark.parametrize(
    ("name", "key", "value", "rule"),
    [
        ("local", "workers", 0, "a positive integer, or null"),
        ("local", "gpus", -1, "a non-negative integer, or null"),
        ("ray", "memory_gb", 0, "a positive number, or null"),
        ("slurm", "sbatch", "qos=low", "a mapping"),
        ("slurm", "wait", "yes", "true or false"),
        ("slurm", "task_s", "long", "a positive number"),
    ],
)
def test_a_value_that_breaks_its_rule_is_refused(name, key, value, rule):
    with pytest.raises(ConfigError, match=rf"`execution\.{key}` must be {rule}"):
        choose(CATALOGUE, {"name": name, key: value}, "execution")
