import dataclasses
from pathlib import Path

import yaml

from runner.config import choose
from runner.plan import Report

CONF = Path(__file__).parents[2] / "conf" / "report"


def test_the_option_tells_every_default() -> None:
    node = yaml.safe_load((CONF / "default.yaml").read_text("utf-8"))
    assert next(iter(node)) == "name"
    own = dataclasses.asdict(Report())
    assert node == {"name": "default", **own, "looks": list(own["looks"])}
    assert choose({"default": Report}, node, "report") == Report()
