"""Shows how a sweep is getting on: a live display on a terminal, a calm log elsewhere.

At most a screen stands before the answer: what only explains it is logged as `DETAIL`, which the
console leaves out.
"""

import io
import logging
import platform
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich import get_console
from rich.console import Console, JustifyMethod
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from runner.config import abridged
from runner.events import (
    ConfigurationEnded,
    EpochEnded,
    Event,
    Judged,
    ReplicateRecorded,
    Resumed,
    SweepEnded,
    SweepPlanned,
    TaskStarted,
)
from runner.plan import Key
from runner.propagation.tables import card_table, found_table, layers_table, shortened
from runner.recording.recorder import Recorder
from runner.records import ConfigurationRecord, ReplicateRecord
from runner.terminal import DETAIL, NotebookBar

log = logging.getLogger(__name__)

# Without a live display, a long silence would look like a hang.
_HEARTBEAT_S = 60.0
# With more configurations, only the verdicts are logged; the report has the tables.
_MAX_TABLES = 3
_MAX_ROWS = 24
# A line names no more of them.
_MAX_NAMED = 4


FoundKernels = tuple[str, list[list[str]]]
"""A model, and what was found in it."""


class ConsoleRecorder(Recorder):
    """Counts epochs over all replicates of a sweep and tells how each configuration ended."""

    def __init__(self) -> None:
        self.configurations: dict[int, ConfigurationRecord] = {}
        self.done = 0
        self.num_epochs = 0
        self.num_ended = 0
        self.last_line = time.monotonic()
        self.reached: dict[Key, int] = {}
        self.ended: dict[int, list[ReplicateRecord]] = {}
        self.shown: list[FoundKernels] = []
        self.judged: dict[int, str] = {}
        self.unhealthy: dict[int, Judged] = {}
        self.errors: set[str | None] = set()
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
        self.bar = NotebookBar() if get_console().is_jupyter else None

    def take(self, event: Event) -> None:
        """Shows what people wait for: epochs, verdicts, failures, the ends of configurations."""
        match event:
            case SweepPlanned():
                self._plan(event)
            case TaskStarted(environment={"host": host}) if host != platform.node():
                again = f", attempt {event.attempt}" if event.attempt > 1 else ""
                log.info("Task %s runs on %s%s", event.task, host, again)
            case Judged():
                self._log_verdict(event)
            case Resumed():
                self._count([event.key], max(len(event.steps) - 1, 0))
            case EpochEnded():
                self._warn()
                self._count(event.keys, event.epoch)
                self._show_epoch(event)
            case ReplicateRecorded(record):
                self.ended.setdefault(record.configuration, []).append(record)
                if record.status == "failed":
                    self._log_failure(record)
            case ConfigurationEnded():
                self.num_ended += 1
                if self.num_ended == len(self.configurations):
                    self._warn()
                self._show_end(event)
            case SweepEnded():
                self.progress.stop()
                if self.bar is not None:
                    self.bar.close()

    def _plan(self, event: SweepPlanned) -> None:
        """Opens the display; shows the kernels of models that have not been shown."""
        self.configurations = {record.index: record for record in event.configurations}
        self.num_epochs = self.done + event.num_epochs
        self.progress.update(self.task, total=self.num_epochs)
        for record, table in found_kernels(event.configurations, self.shown):
            paths = [kernel.path for kernel in record.kernels]
            named = abridged(paths, _MAX_NAMED)
            log.info("%s: `init` draws %d kernels: %s.", record.model, len(paths), named)
            log.log(_level(record), "%s", _as_text(table))
        self.progress.start()

    def _log_verdict(self, event: Judged) -> None:
        """Logs the verdict on a configuration; with few of them, the tables behind it too.

        Where more of its replicates are measured later, it is logged again only if it has changed.
        """
        title, former = self._title(event.configuration), self.judged.get(event.configuration)
        self.judged[event.configuration] = event.verdict
        if former == event.verdict:
            return
        record = self.configurations[event.configuration]
        level = _level(record)
        if len(self.configurations) <= _MAX_TABLES and former is None:
            card = _table(f"{title}: initial weights", *card_table(record, event.records))
            count = len(event.records)
            measured = f"{title}: before training, mean of {count} seed{'s' * (count > 1)}"
            layers = _table(measured, *layers_table(event.records))
            log.log(level, "%s\n%s", _as_text(card), _as_text(layers))
        log.log(level, "%s", self._verdict(event, "is"))
        self.unhealthy.pop(event.configuration, None)
        if event.verdict != "healthy" and level == DETAIL:
            self.unhealthy[event.configuration] = event

    def _verdict(self, event: Judged, verb: str) -> str:
        title = self._title(event.configuration)
        return f"{title} {verb} {event.verdict}: {event.reason}. {event.advice}".rstrip()

    def _warn(self) -> None:
        """Warns, in one line, of configurations that look unhealthy and have not been named yet."""
        found, self.unhealthy = list(self.unhealthy.values()), {}
        if not found:
            return
        if len(self.configurations) == 1:
            log.warning("Before training, %s", self._verdict(found[0], "looks"))
            return
        names = [f"{self._title(event.configuration)}: {event.verdict}" for event in found]
        is_by_init = not any(record.factors for record in self.configurations.values())
        log.warning(
            "%d of %d %s look%s unhealthy before training (%s): details in the report.",
            len(found),
            len(self.configurations),
            "initializers" if is_by_init else "configurations",
            "s" if len(found) == 1 else "",
            abridged(names, _MAX_NAMED),
        )

    def _log_failure(self, record: ReplicateRecord) -> None:
        """Logs why a replicate failed; the console shows each reason once."""
        key = Key(record.configuration, record.weight_seed, record.batch_seed)
        level = DETAIL if record.error in self.errors else logging.ERROR
        self.errors.add(record.error)
        log.log(level, "%s failed: %s", self._name(key), record.error)

    def _count(self, keys: Iterable[Key], epoch: int) -> None:
        """Notes how far replicates are; those that begin anew take back what they had counted."""
        for key in keys:
            self.done += epoch - self.reached.get(key, 0)
            self.reached[key] = epoch

    def _show_epoch(self, event: EpochEnded) -> None:
        """Moves the bar; where there is none, says a line from time to time."""
        means = [(name, event.metrics[name][-1]) for name in ("loss", "val_loss")]
        losses = "  ".join(f"{name} {value:.4g}" for name, value in means)
        text = f"{self._name(event.keys[-1])}  epoch {event.epoch}  {losses}"
        self.progress.update(self.task, description=text, completed=self.done)
        if self.bar is not None:
            self.bar.show(self.done, self.num_epochs, f"{self.done} of {self.num_epochs}: {text}")
        elif self.progress.disable and time.monotonic() - self.last_line > _HEARTBEAT_S:
            log.info("%d of %d epochs: %s", self.done, self.num_epochs, text)
            self.last_line = time.monotonic()

    def _show_end(self, event: ConfigurationEnded) -> None:
        """Says one line about a configuration that was trained."""
        records = self.ended.get(event.configuration, [])
        if not records:
            return
        counts = Counter(record.status for record in records).most_common()
        text = ", ".join(f"{count} {status}" for status, count in counts)
        metric = self.configurations[event.configuration].endpoint
        mean = event.endpoint.get("mean")
        score = "" if mean is None else f", {metric} {mean:.4f}"
        seconds = sum(record.wall_time_s for record in records)
        log.info("%s: %s%s (%.1f s)", self._title(event.configuration), text, score, seconds)

    def _title(self, configuration: int) -> str:
        record = self.configurations[configuration]
        factors = [f"{key}={value}" for key, value in record.factors.items()]
        return " ".join([record.init, *factors])

    def _name(self, key: Key) -> str:
        return f"{self._title(key.configuration)} {key.replicate.key.replace('-', ' ')}"


def _level(record: ConfigurationRecord) -> int:
    """Returns the level of what explains a configuration: the answer, if nothing is trained."""
    is_answer = record.settings.get("training", {}).get("name") == "none"
    return logging.INFO if is_answer else DETAIL


def found_kernels(
    configurations: Sequence[ConfigurationRecord], shown: list[FoundKernels]
) -> Iterator[tuple[ConfigurationRecord, Table]]:
    """Yields the kernels of each model in which not all are Keras's own, and adds it to `shown`."""
    for record in configurations:
        titles, rows = found_table(record)
        if rows and (record.model, rows) not in shown:
            shown.append((record.model, rows))
            yield record, _table(f"{record.model}: kernels", titles, rows)


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


def _as_text(table: Table) -> str:
    """Returns the title of a table and its rows, which fit the width of the console."""
    title, table.title = table.title, None
    text = io.StringIO()
    Console(file=text, width=get_console().width, color_system=None).print(table)
    return "\n".join([str(title), *map(str.rstrip, text.getvalue().splitlines())])
