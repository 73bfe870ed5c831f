"""One sweep from its jobs to its report. A single run is a sweep of one configuration."""

import logging
import math
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich import get_console

from runner import report
from runner.execution import environment, folders
from runner.execution.configure import Job, SweepSettings, sweep_settings
from runner.execution.dry_run import show_plan
from runner.execution.preflight import Ready, prepare
from runner.execution.stream import Stream
from runner.plan import Tracking
from runner.recording.console import ConsoleRecorder
from runner.recording.disk import DiskRecorder
from runner.recording.mlflow import MlflowRecorder
from runner.recording.mlflow_store import ui_command
from runner.recording.recorder import End, Recorder
from runner.records import ConfigurationRecord

log = logging.getLogger(__name__)

INTERRUPTED = 130


@dataclass(frozen=True)
class Result:
    """What became of a job.

    Attributes:
      value: Mean of its endpoint over the finished replicates; NaN where there is none.
      error: Why it, or one of its replicates, failed; None if nothing did.
    """

    value: float
    error: str | None = None


def run(jobs: Sequence[Job]) -> dict[int, Result]:
    """Checks, trains, records and compares; returns the result of each job by its number.

    Raises:
      ConfigError: Nothing could be trained for a reason that all jobs share.
      SystemExit: Interrupted; what had finished is kept and reported.
    """
    settings = sweep_settings(jobs)
    folder = jobs[0].folder
    ready, refused = prepare(jobs)
    _tell_refused(refused, len(jobs))
    errors = {record.index: record.error for record in refused}
    if settings.dry_run or not ready:
        if settings.dry_run:
            show_plan(ready)
        folders.discard(folder)
        return {job.index: Result(math.nan, errors.get(job.index)) for job in jobs}
    records = sorted([*(item.record for item in ready), *refused], key=lambda r: r.index)
    sweep = environment.sweep_record(folder.resolve(), settings.report.confidence)
    stream = Stream(_recorders(folder, settings, ready), sweep, records)
    log.info("%s -> %s", _summary(ready), folder)
    stream.open()
    folders.point_latest(folder)
    end = _train_and_report(ready, stream, {job.index: job.log_file for job in jobs}, settings)
    if end == "interrupted":
        raise SystemExit(INTERRUPTED)
    errors |= stream.failures()
    values = {index: stream.endpoint(index).get("mean", math.nan) for index in stream.closed}
    return {job.index: Result(values[job.index], errors.get(job.index)) for job in jobs}


def _train_and_report(
    ready: Sequence[Ready], stream: Stream, log_files: Mapping[int, Path], settings: SweepSettings
) -> End:
    """Trains all and reports what there is, however it ended; returns how it ended."""
    folder = ready[0].configuration.folder.parent
    end: End = "failed"  # until it has come to an end
    try:
        for items in _cohorts(ready):
            with _logging_to([log_files[item.record.index] for item in items]):
                _train(items, stream)
        end = "failed" if stream.failures() else "finished"
    except KeyboardInterrupt:
        log.warning("Interrupted. What has finished is kept.")
        end = "interrupted"
    finally:
        stream.stop(end)
        comparison = report.write(folder, figures=settings.report.figures)
        stream.close(end, folder)
        get_console().print(comparison)
        _tell_where(folder, stream.recorders)
    return end


def _train(items: Sequence[Ready], stream: Stream) -> None:
    """Trains one cohort: configurations that differ only in their initializers."""
    from runner.training import reference
    from runner.training.cohort import Cohort, Member

    first = items[0]
    keys = [(item.record.index, replicate) for item in items for replicate in item.replicates]
    members = [
        Member(partial(item.drawer.draw, replicate.weight_seed), replicate.batch_seed)
        for item in items
        for replicate in item.replicates
    ]
    cohort = Cohort(
        model=first.model,
        dataset=first.dataset,
        optimizer=first.configuration.optimizer,
        training=first.configuration.training,
        device=first.device,
        members=members,
    )
    stream.consume(keys, reference.train(cohort))


def _summary(ready: Sequence[Ready]) -> str:
    """Returns one line about what is trained."""
    count = len(ready)
    replicates = sum(len(item.replicates) for item in ready)
    c = ready[0].configuration
    what = ", ".join(
        choices.pop() if len(choices) == 1 else f"{len(choices)} {group}s"
        for group in ("dataset", "model", "optimizer")
        if (choices := {getattr(item.configuration, group).label for item in ready})
    )
    return (
        f"Training {count} configuration{'s' * (count > 1)}, {replicates} replicates, "
        f"{c.training.epochs} epochs each: {what}"
    )


def _tell_refused(refused: Sequence[ConfigurationRecord], num_jobs: int) -> None:
    if refused and num_jobs > 1:
        log.error("%d of %d configurations cannot be trained:", len(refused), num_jobs)
    for record in refused:
        name = f"{record.index} {record.init}: " if num_jobs > 1 else ""
        log.error("%s%s", name, record.error)


def _tell_where(folder: Path, recorders: Sequence[Recorder]) -> None:
    log.info("Report: %s", folder / "report.html")
    for recorder in recorders:
        if isinstance(recorder, MlflowRecorder) and not recorder.lost:
            command = ui_command(recorder.uri)
            if command.startswith("mlflow") and shutil.which("mlflow") is None:
                command = f"{os.path.relpath(Path(sys.executable).parent)}/{command}"
            log.info("Curves: %s", command)
            if recorder.curves_url:
                log.info("        %s", recorder.curves_url)


def _cohorts(ready: Sequence[Ready]) -> list[list[Ready]]:
    """Groups the configurations that differ only in their initializers."""
    groups: dict[str, list[Ready]] = {}
    for item in ready:
        c = item.configuration
        key = repr((c.dataset, c.model, c.optimizer, c.training, item.device))
        groups.setdefault(key, []).append(item)
    return list(groups.values())


def _recorders(folder: Path, settings: SweepSettings, ready: Sequence[Ready]) -> list[Recorder]:
    """Returns the recorders in the order in which they hear of things: the disk first."""
    epochs = sum(i.configuration.training.epochs * len(i.configuration.replicates) for i in ready)
    recorders: list[Recorder] = [DiskRecorder(folder)]
    if isinstance(settings.tracking, Tracking):
        recorders.append(MlflowRecorder(settings.tracking))
    return [*recorders, ConsoleRecorder(epochs)]


@contextmanager
def _logging_to(files: Sequence[Path]) -> Iterator[None]:
    """Sends what is logged inside the block to the logs of these jobs too."""
    root = logging.getLogger()
    present = {Path(h.baseFilename) for h in root.handlers if isinstance(h, logging.FileHandler)}
    handlers = [
        logging.FileHandler(file, encoding="utf-8")
        for file in files
        if file.resolve() not in present
    ]
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
