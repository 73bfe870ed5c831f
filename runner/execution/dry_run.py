"""Tells what a sweep would train and about how long, from a few real steps."""

import dataclasses
import time
from collections.abc import Sequence

from rich import get_console
from rich.table import Table

from runner.datasets.dataset import Dataset, Part
from runner.datasets.held import rows_of
from runner.events import EpochEnded
from runner.execution.cohorts import cohort_of, engine
from runner.execution.plan import Task
from runner.execution.planning import cohorts, pairs_of
from runner.execution.preflight import Ready
from runner.plan import Training
from runner.recording.console import found_kernels
from runner.report.names import counted

# Enough batches that their time is measurable, few enough that a large data set answers soon.
_TIMED_BATCHES = 8


def show_plan(ready: Sequence[Ready], tasks: Sequence[Task]) -> None:
    """Prints one row per configuration and the total time that the training will take, about.

    Args:
      ready: What would be trained, or is finished; nothing where all was refused.
      tasks: How it would be divided.
    """
    if not ready:
        get_console().print("No configuration can be trained. Nothing was trained.")
        return
    for _, kernels in found_kernels([item.record for item in ready], []):
        get_console().print(kernels)
    table = Table(title="What would be trained", title_justify="left")
    for column in ("", "init", "factors", "replicates", "parameters", "epochs", "about"):
        table.add_column(column, justify="left" if column in ("init", "factors") else "right")
    total_s = 0.0
    rows = []
    for items in cohorts(ready):
        cohort_s = _cohort_s(items)
        total_s += cohort_s
        count = sum(len(item.replicates) for item in items)
        rows += [(item, cohort_s * len(item.replicates) / count) for item in items]
    rows += [(item, 0.0) for item in ready if not item.replicates]
    for item, seconds in sorted(rows, key=lambda row: row[0].record.index):
        factors = " ".join(f"{key}={value}" for key, value in item.record.factors.items())
        epochs = item.configuration.training.epochs
        counts = (len(item.replicates), item.record.num_parameters, epochs)
        about = _duration(seconds) if item.replicates else "finished"
        row = (item.record.index, item.record.init, factors, *counts, about)
        table.add_row(*map(str, row))
    get_console().print(table)
    if tasks:
        get_console().print(_tasks(tasks))
    if any(item.replicates for item in ready):
        answer = f"Training would take about {_duration(total_s)}. Nothing was trained."
    else:
        answer = "All of it has been trained before: nothing is left to train."
    get_console().print(answer)


def _tasks(tasks: Sequence[Task]) -> str:
    """Returns what one line says of the tasks."""
    largest = max(len(task.keys) for task in tasks)
    memory = max(task.predicted_bytes for task in tasks) / 2**20
    return (
        f"{counted(len(tasks), 'task')} of at most {counted(largest, 'replicate')}, "
        f"{max(memory, 1):.0f} MiB of weights and optimizer state."
    )


def _cohort_s(items: Sequence[Ready]) -> float:
    """Returns about how many seconds a cohort takes, from two epochs on a part of the data.

    The first epoch is not counted as it may pay for compilation, which is counted once.
    """
    cohort = cohort_of(pairs_of(items))
    name = items[0].configuration.engine
    members = cohort.members if name == "vectorized" else cohort.members[:1]
    sample = _shortened(cohort.dataset, cohort.training.batch_size * _TIMED_BATCHES)
    timed = dataclasses.replace(
        cohort,
        dataset=sample,
        members=members,
        training=Training(epochs=2, batch_size=cohort.training.batch_size),
    )
    times = [time.perf_counter()]
    for event in engine(name)(timed):
        if isinstance(event, EpochEnded):
            times.append(time.perf_counter())
    if len(times) < 4:  # all diverged at once, as they will in the real run
        return times[-1] - times[0]
    scale = len(cohort.dataset.train) / len(sample.train) * len(cohort.members) / len(members)
    return times[1] - times[0] + (times[3] - times[2]) * scale * cohort.training.epochs


def _shortened(dataset: Dataset, rows: int) -> Dataset:
    """Returns the first rows of the training part and as large a share of the validation part."""
    train = _first(dataset.train, rows)
    share = len(train) / len(dataset.train)
    validation = _first(dataset.validation, max(round(share * len(dataset.validation)), 1))
    return dataclasses.replace(dataset, train=train, validation=validation, test=None)


def _first(part: Part, count: int) -> Part:
    weight = None if part.weight is None else part.weight[:count]
    return Part(rows_of(part.x, slice(count)), part.y[:count], weight)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
