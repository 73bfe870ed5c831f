"""Tells what a sweep would train and about how long, from a few real steps."""

import dataclasses
import time
from collections.abc import Sequence
from functools import partial

from rich import get_console
from rich.table import Table

from runner.datasets.dataset import Dataset, Part
from runner.execution.preflight import Ready
from runner.plan import Training

# Enough batches that their time is measurable, few enough that a large data set answers soon.
_TIMED_BATCHES = 8


def show_plan(ready: Sequence[Ready]) -> None:
    """Prints one row per configuration and the total time that the training will take, about."""
    table = Table(title="What would be trained", title_justify="left")
    for column in ("", "init", "factors", "replicates", "parameters", "epochs", "about"):
        table.add_column(column, justify="left" if column in ("init", "factors") else "right")
    timings: dict[str, float] = {}
    total_s = 0.0
    for item in ready:
        c = item.configuration
        shape = repr((c.dataset, c.model, c.optimizer.name, c.training, item.device))
        if shape not in timings:
            timings[shape] = _replicate_s(item)
        seconds = timings[shape] * len(item.replicates)
        total_s += seconds
        factors = " ".join(f"{key}={value}" for key, value in item.record.factors.items())
        counts = (len(item.replicates), item.record.num_parameters, c.training.epochs)
        row = (item.record.index, item.record.init, factors, *counts, _duration(seconds))
        table.add_row(*map(str, row))
    get_console().print(table)
    get_console().print(f"Training would take about {_duration(total_s)}. Nothing was trained.")


def _replicate_s(item: Ready) -> float:
    """Returns about how many seconds one replicate takes, from two short epochs.

    The first epoch pays for compilation; the second, scaled to the data set's size, is the rate.
    """
    from runner.training import reference
    from runner.training.cohort import Cohort, Member

    c = item.configuration
    rows = c.training.batch_size * _TIMED_BATCHES
    sample = _shortened(item.dataset, rows)
    member = Member(partial(item.drawer.draw, item.replicates[0].weight_seed), 0)
    timed = Training(epochs=2, batch_size=c.training.batch_size)
    cohort = Cohort(item.model, sample, c.optimizer, timed, item.device, [member])
    times = [time.perf_counter() for _ in reference.train(cohort)]
    if len(times) < 3:  # it diverged at once, as it will in the real run
        return 0.0
    scale = len(item.dataset.train.x) / len(sample.train.x)
    return (times[-2] - times[-3]) * scale * max(c.training.epochs, 1)


def _shortened(dataset: Dataset, rows: int) -> Dataset:
    """Returns the first rows of the training part and as large a share of the validation part."""
    train = Part(dataset.train.x[:rows], dataset.train.y[:rows])
    share = len(train.x) / len(dataset.train.x)
    count = max(round(share * len(dataset.validation.x)), 1)
    validation = Part(dataset.validation.x[:count], dataset.validation.y[:count])
    return dataclasses.replace(dataset, train=train, validation=validation, test=None)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
