import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
import yaml

from runner.config import ConfigError, choose
from runner.initializers import CATALOGUE

CONF = Path(__file__).parents[2] / "conf" / "init"

THE_TEN = (
    "uniform",
    "lecun_uniform",
    "normal",
    "identity",
    "orthogonal",
    "zero",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
)
KERAS_1 = ("keras1/glorot_normal", "keras1/he_normal", "keras1/orthogonal", "keras1/identity")


def test_every_option_has_a_file_and_every_file_an_option():
    files = {path.relative_to(CONF).with_suffix("").as_posix() for path in CONF.rglob("*.yaml")}
    assert files == set(CATALOGUE)
    assert files >= {*THE_TEN, *KERAS_1}


@pytest.mark.parametrize("name", CATALOGUE)
def test_file_tells_every_setting_with_its_default(name):
    node = yaml.safe_load((CONF / f"{name}.yaml").read_text("utf-8"))
    assert node.pop("defaults") == ["/base_init@_here_"]
    assert next(iter(node)) == "name"
    node = yaml.safe_load((CONF.parent / "base_init.yaml").read_text("utf-8")) | node
    assert node.pop("name") == name
    required = {field.name for field in fields(CATALOGUE[name]) if _is_required(field)}
    assert {key for key, value in node.items() if value == "???"} == required
    given = {key: "package.name" if key in required else node[key] for key in node}
    settings = choose(CATALOGUE, {"name": name, **given}, "init")
    assert set(node) == {field.name for field in fields(settings)}
    assert settings == CATALOGUE[name](**dict.fromkeys(required, "package.name"))


def _is_required(field):
    return field.default is field.default_factory is MISSING


def test_settings_come_without_keras():
    program = "import sys, runner.initializers; sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"name": "he"}, r"`init.name` must be one of uniform, .*custom\. Received: 'he'\."),
        (
            {"name": "zero", "scale": 1.0},
            r"`init.scale` is not a setting of init=zero\. .*It has: bias, ",
        ),
        ({"name": "normal", "scale": -0.1}, r"`init.scale` must be a positive .*Received: -0\.1"),
        ({"name": "he_normal", "gain": 0}, r"`init.gain` must be a positive number"),
        ({"name": "variance_scaling", "mode": "fan"}, r"`init.mode` must be one of fan_in, "),
        (
            {"name": "zero", "bias": "none"},
            r"`init.bias` must be a finite number, keep, normal, uniform or trunc",
        ),
        ({"name": "zero", "fallback": "he"}, r"`init.fallback` .* such as glorot_uniform, or null"),
        ({"name": "zero", "fallback": "custom"}, r"`init.fallback` must .* other than custom"),
        ({"name": "zero", "fallback": ["zero"]}, r"`init.fallback` must "),
        ({"name": "custom", "target": "a name"}, r"`init.target` must be a class in keras.initial"),
        ({"name": "zero", "kernels": "*/w"}, r"`init.kernels` must be a list of patterns"),
        ({"name": "zero", "not_kernels": [1]}, r"`init.not_kernels` must be a list of patterns"),
    ],
)
def test_wrong_settings_get_one_clear_line(node, message):
    with pytest.raises(ConfigError, match=message) as caught:
        choose(CATALOGUE, node, "init")
    assert "\n" not in str(caught.value)
