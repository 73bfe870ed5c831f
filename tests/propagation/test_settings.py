from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from runner.config import ConfigError, choose
from runner.propagation.settings import CATALOGUE

CONF = Path(__file__).parents[2] / "conf" / "diagnostics"


def test_every_option_has_a_file_and_every_file_an_option():
    assert {path.stem for path in CONF.glob("*.yaml")} == set(CATALOGUE)


@pytest.mark.parametrize("name", CATALOGUE)
def test_file_tells_every_setting_with_its_default(name):
    node = yaml.safe_load((CONF / f"{name}.yaml").read_text("utf-8"))
    settings = choose(CATALOGUE, node, "diagnostics")
    assert settings == CATALOGUE[name]()
    assert set(node) - {"name"} == {field.name for field in fields(settings)}


def test_require_names_a_verdict():
    with pytest.raises(ConfigError, match=r"`diagnostics.require` must be one of healthy, .*null"):
        choose(CATALOGUE, {"name": "standard", "require": "fine"}, "diagnostics")
