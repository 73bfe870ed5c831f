"""Shows how a sweep is getting on: a live display on a terminal, a calm log elsewhere."""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from rich import get_console
from rich.console import JustifyMethod
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from runner.plan import Replicate
from runner.propagation.tables import (
    card_table,
    found_table,
    layers_table,
    opinion,
    shortened,
)
from runner.recording.recorder import End, Recorder, Summary
from runner.records import (
    ConfigurationRecord,
    PropagationRecord,
    ReplicateRecord,
    SweepRecord,
)

log = logging.getLogger(__name__)

# Without a live display, a long silence would look like a hang.
_HEARTBEAT_S = 60.0
# Of more configurations the verdicts are told only; the report has the tables.
_MAX_TABLES = 3
_MAX_ROWS = 24


FoundKernels = tuple[str, list[list[str]]]
"""A model, and what was found in it."""


class ConsoleRecorder(Recorder):
    """Counts epochs over all replicates of a sweep and tells how each configuration ended."""

    def __init__(self) -> None:
        self.configurations: dict[int, ConfigurationRecord] = {}
        self.done = 0
        self.num_epochs = 0
        self.told = time.monotonic()
        self.ended: dict[int, list[ReplicateRecord]] = {}
        self.shown: list[FoundKernels] = []
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("epochs, left"),
            TimeRemainingColumn(),
        )
        self.progress = Progress(
            *columns,
            console=get_console(),
            transient=True,
            disable=not get_console().is_terminal,
        )
        self.task = self.progress.add_task("starting", total=0)

    def start_sweep(
        self, sweep: SweepRecord, configurations: Sequence[ConfigurationRecord]
    ) -> None:
        """Opens the display."""
        self.extend_sweep(sweep, configurations)
        self.progress.start()

    def extend_sweep(
        self, sweep: SweepRecord, configurations: Sequence[ConfigurationRecord]
    ) -> None:
        """Shows the kernels of models that have not been shown."""
        self.configurations |= {record.index: record for record in configurations}
        show_found_kernels(configurations, self.shown)

    def expect(self, num_epochs: int) -> None:
        """Counts on so many epochs more, of all replicates together, without epoch 0."""
        self.num_epochs += num_epochs
        self.progress.update(self.task, total=self.num_epochs)

    def record_propagation(self, configuration: int, records: Sequence[PropagationRecord]) -> None:
        """Tells the verdict on a configuration; with few of them, the tables behind it too."""
        record = self.configurations[configuration]
        if len(self.configurations) <= _MAX_TABLES:
            title = f"{self._title(configuration)}: initial weights"
            get_console().print(_table(title, *card_table(record, records)))
            title = f"{self._title(configuration)}: before training, mean of {len(records)} seeds"
            get_console().print(_table(title, *layers_table(records)))
        found = opinion(record, records)
        text = f"{self._title(configuration)} is {found.verdict}. {found.advice}".rstrip()
        log.log(logging.INFO if found.verdict.name == "healthy" else logging.WARNING, "%s", text)

    def start_replicate(self, configuration: int, replicate: Replicate) -> None:
        """Shows which replicate is being trained."""
        self.progress.update(self.task, description=self._name(configuration, replicate))

    def record_epoch(
        self,
        configuration: int,
        replicate: Replicate,
        epoch: int,
        step: int,
        metrics: Mapping[str, float],
    ) -> None:
        """Moves the bar; where there is none, says a line from time to time."""
        self.done += epoch > 0
        told = "  ".join(f"{name} {metrics[name]:.4g}" for name in ("loss", "val_loss"))
        text = f"{self._name(configuration, replicate)}  epoch {epoch}  {told}"
        self.progress.update(self.task, description=text, completed=self.done)
        if self.progress.disable and time.monotonic() - self.told > _HEARTBEAT_S:
            log.info("%d of %d epochs: %s", self.done, self.num_epochs, text)
            self.told = time.monotonic()

    def finish_replicate(self, record: ReplicateRecord) -> None:
        """Counts the epochs that a replicate did not need, and tells of those that were lost."""
        self.ended.setdefault(record.configuration, []).append(record)
        replicate = Replicate(record.weight_seed, record.batch_seed)
        if record.status == "failed":
            name = self._name(record.configuration, replicate)
            log.error("%s failed: %s", name, record.error)

    def finish_configuration(
        self, configuration: int, end: End, summary: Summary, endpoint: Mapping[str, float]
    ) -> None:
        """Says one line about a configuration that was trained."""
        records = self.ended.get(configuration, [])
        if not records:
            return
        counts = pd.Series([record.status for record in records]).value_counts()
        text = ", ".join(f"{count} {status}" for status, count in counts.items())
        metric = self.configurations[configuration].endpoint
        mean = endpoint.get("mean", float("nan"))
        score = f", {metric} {mean:.4f}" if mean == mean else ""
        seconds = sum(record.wall_time_s for record in records)
        log.info("%s: %s%s (%.1f s)", self._title(configuration), text, score, seconds)

    def finish_sweep(self, end: End, folder: Path | None) -> None:
        """Closes the display."""
        self.progress.stop()

    def _title(self, configuration: int) -> str:
        record = self.configurations[configuration]
        factors = [f"{key}={value}" for key, value in record.factors.items()]
        return " ".join([record.init, *factors])

    def _name(self, configuration: int, replicate: Replicate) -> str:
        return f"{self._title(configuration)} {replicate.key.replace('-', ' ')}"


def show_found_kernels(
    configurations: Sequence[ConfigurationRecord], shown: list[FoundKernels]
) -> None:
    """Prints the kernels of each model in which not all are Keras's own, and adds it to `shown`."""
    for record in configurations:
        titles, rows = found_table(record)
        if rows and (record.model, rows) not in shown:
            shown.append((record.model, rows))
            get_console().print(_table(f"{record.model}: kernels", titles, rows))


def _table(title: str, titles: Sequence[str], rows: Sequence[list[str]]) -> Table:
    """Returns rows for rich: texts flush left, numbers flush right."""
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    texts = ("layer", "kernel", "shape", "law", "why")
    for name in titles:
        justify: JustifyMethod = "left" if name in texts else "right"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=name not in texts)
    for row in shortened(rows, _MAX_ROWS):
        table.add_row(*row)
    return table
