"""Nets before training: built from settings, drawn for a few seeds, examined."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import pytest

from runner.datasets.dataset import Part
from runner.propagation.settings import Diagnostics
from runner.records import PropagationRecord

SEEDS = 4


@dataclass(frozen=True)
class Examined:
    """A configuration's records, and what they were taken from."""

    records: list[PropagationRecord]
    model: Any
    weights: list[Any]
    settings: dict[str, Any]
    dataset: Any

    def verdict(self, **limits):
        from runner.propagation.judgement import judge

        return judge(self.records, Diagnostics(**limits))

    def advice(self):
        from runner.propagation.advice import advice

        return advice(self.verdict(), self.records, self.settings)


def reshaped(dataset, shape):
    """Returns a data set whose examples have another shape; without a test part."""
    parts = {
        name: Part(part.x.reshape(-1, *shape), part.y)
        for name, part in (("train", dataset.train), ("validation", dataset.validation))
    }
    return dataclasses.replace(dataset, **parts, test=None)


@pytest.fixture(scope="session", name="reshaped")
def _reshaped():
    return reshaped


@pytest.fixture(scope="session")
def digits():
    """Digits as rows of 64 numbers."""
    from runner import datasets

    return reshaped(datasets.load("digits", datasets.CATALOGUE["digits"]()), (64,))


@pytest.fixture(scope="session")
def examine(keras, digits):
    """Returns a function that examines `init` on a model, by settings or ready-made."""
    from runner import models
    from runner.initializers import CATALOGUE, draw
    from runner.plan import Choice
    from runner.propagation.diagnosis import Examination
    from runner.training.objective import Objective

    def run(
        init, model=None, init_settings=None, seeds=SEEDS, dataset=digits, diagnostics=None, **mlp
    ):
        law, given = CATALOGUE[init](**(init_settings or {})), model is not None
        if model is None:
            settings = models.CATALOGUE["mlp"](**mlp)
            model = models.build("mlp", settings, dataset.signature)
        drawer = draw.prepare(draw.Subject(model), Choice(init, law))
        weights = [drawer.draw(seed) for seed in range(seeds)]
        loss = Objective(model, dataset).loss
        examination = Examination(model, dataset, loss, diagnostics or Diagnostics())
        resolved = {
            "init": {"name": init, **vars(law)},
            "model": {} if given else vars(settings),
        }
        return Examined(examination.examine(iter(weights)), model, weights, resolved, dataset)

    return run
