"""One sweep from its jobs to its report. A single run is a sweep of one configuration."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from runner.execution import environment, folders, reuse
from runner.execution.configure import Job, SweepSettings, sweep_settings
from runner.execution.diagnostics import unmet
from runner.execution.dry_run import show_plan
from runner.execution.finish import conclude
from runner.execution.logs import about, logging_for
from runner.execution.preflight import Ready, check_baseline, prepare
from runner.execution.stream import Stream
from runner.execution.work import train_all
from runner.interruption import stoppable, take_up
from runner.plan import Tracking
from runner.recording.beside import Beside
from runner.recording.console import ConsoleRecorder
from runner.recording.disk import DiskError, DiskRecorder
from runner.recording.mlflow import MlflowRecorder
from runner.recording.recorder import End
from runner.records import ConfigurationRecord, read_sweep
from runner.report.names import counted
from runner.training.tensorflow import gpu_description

log = logging.getLogger(__name__)


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
      KeyboardInterrupt: Interrupted; what had finished is kept and reported.
    """
    settings = sweep_settings(jobs)
    folders.refuse_used(jobs[0].folder)
    with stoppable(), logging_for(jobs):
        return _run(jobs, settings)


def _run(jobs: Sequence[Job], settings: SweepSettings) -> dict[int, Result]:
    folder = jobs[0].folder
    ready, refused = prepare(jobs)
    _tell_refused(refused, len(jobs))
    check_baseline(settings.report.baseline, ready, refused, is_whole=True)
    if not settings.rerun:
        ready = reuse.from_disk(ready, folders.ROOT)
    if settings.dry_run:
        show_plan(ready)
    if settings.dry_run or not ready:
        return _untrained(jobs, refused)
    mlflow = _mlflow(settings)
    if mlflow and not settings.rerun:
        ready = reuse.from_mlflow(ready, mlflow)
    reuse.tell(ready)
    ready = reuse.with_shared(ready)
    gpus = filter(None, map(gpu_description, sorted({item.device for item in ready})))
    sweep = environment.sweep_record(folder.resolve(), settings.report.confidence, gpus)
    reused = (record for item in ready for record in item.reused)
    sweep = reuse.with_mixed_versions(sweep, reused, folders.ROOT, mlflow)
    console = ConsoleRecorder(_num_epochs(ready))
    recorders = [
        DiskRecorder(folder, elsewhere=mlflow is not None),
        *([Beside(mlflow)] if mlflow else []),
        console,
    ]  # the disk first
    records = sorted([*(item.record for item in ready), *refused], key=lambda r: r.index)
    stream = Stream(recorders, sweep, records)
    log.info("%s -> %s", _summary(ready), folder)
    stream.open()
    ending = partial(conclude, stream, folder, settings.report.figures)
    return _train(ready, jobs, stream, settings.rerun, ending)


def run_apart(jobs: Sequence[Job]) -> dict[int, Result]:
    """Checks and trains some jobs of a sweep whose other jobs are run apart from them.

    They leave their records on disk; `runner.execution.finish` makes the rest of all of them.

    Raises:
      ConfigError: A setting of the sweep breaks its rule.
      KeyboardInterrupt: Interrupted; what had finished is kept.
    """
    settings = sweep_settings(jobs)
    with stoppable(), logging_for(jobs):
        return _run_apart(jobs, settings)


def _run_apart(jobs: Sequence[Job], settings: SweepSettings) -> dict[int, Result]:
    folder = jobs[0].folder
    ready, refused = prepare(jobs)
    _tell_refused(refused, len(jobs))
    check_baseline(settings.report.baseline, ready, refused, is_whole=False)
    if not settings.rerun:
        ready = reuse.from_disk(ready, folders.ROOT)
    if settings.dry_run:
        show_plan(ready)
        return _untrained(jobs, refused)
    records = sorted([*(item.record for item in ready), *refused], key=lambda r: r.index)
    console = ConsoleRecorder(_num_epochs(ready), apart=True)
    stream = Stream([DiskRecorder(folder), console], read_sweep(folder), records)
    reuse.tell(ready)
    ready = reuse.with_shared(ready)
    stream.open()
    return _train(ready, jobs, stream, settings.rerun, partial(_close, stream))


def _untrained(jobs: Sequence[Job], refused: Sequence[ConfigurationRecord]) -> dict[int, Result]:
    errors = {record.index: record.error for record in refused}
    return {job.index: Result(math.nan, errors.get(job.index)) for job in jobs}


def _train(
    ready: Sequence[Ready],
    jobs: Sequence[Job],
    stream: Stream,
    rerun: bool,
    ending: Callable[[End], bool],
) -> dict[int, Result]:
    """Trains all, calls `ending` with how it ended, and returns the result of each job."""
    end: End = "failed"  # until it has come to an end
    try:
        folders.point_latest(jobs[0].folder)
        train_all(ready, stream, jobs[0].folder, rerun)
        end = "failed" if stream.failures() else "finished"
    except KeyboardInterrupt:
        take_up()
        end = "interrupted"
        raise
    finally:
        written = ending(end)
    if not written:
        raise DiskError("Not everything could be written; the reasons stand above.")
    values = {job.index: stream.endpoints[job.index].get("mean", math.nan) for job in jobs}
    failures = stream.failures()
    errors = unmet((item for item in ready if item.record.index not in failures), stream.measured)
    for index, error in errors.items():
        with about([index]):
            log.error("%s", error)
    errors |= failures
    return {index: Result(value, errors.get(index)) for index, value in values.items()}


def _summary(ready: Sequence[Ready]) -> str:
    """Returns one line about what is trained."""
    pending = [item for item in ready if item.replicates]
    if not pending:
        return "Nothing is left to train"
    count = len(pending)
    replicates = sum(len(item.replicates) for item in pending)
    c = pending[0].configuration
    what = ", ".join(
        choices.pop() if len(choices) == 1 else f"{len(choices)} {group}s"
        for group in ("dataset", "model", "optimizer")
        if (choices := {getattr(item.configuration, group).label for item in ready})
    )
    return (
        f"Training {counted(count, 'configuration')}, {counted(replicates, 'replicate')}, "
        f"{counted(c.training.epochs, 'epoch')} each: {what}"
    )


def _tell_refused(refused: Sequence[ConfigurationRecord], num_jobs: int) -> None:
    if refused and num_jobs > 1:
        log.error("%d of %d configurations cannot be trained:", len(refused), num_jobs)
    for record in refused:
        name = f"{record.index} {record.init}: " if num_jobs > 1 else ""
        with about([record.index]):
            log.error("%s%s", name, record.error)


def _close(stream: Stream, end: End) -> bool:
    stream.stop(end)
    stream.close(end, None)
    return all(item.is_whole for item in stream.recorders if isinstance(item, DiskRecorder))


def _num_epochs(ready: Sequence[Ready]) -> int:
    """Returns the epochs of all replicates together."""
    return sum(item.configuration.training.epochs * len(item.replicates) for item in ready)


def _mlflow(settings: SweepSettings) -> MlflowRecorder | None:
    """Returns the recorder with its store open; None where nothing is to be tracked.

    Raises:
      ConfigError: The store cannot be used, but is required.
    """
    if not isinstance(settings.tracking, Tracking):
        return None
    recorder = MlflowRecorder(settings.tracking)
    recorder.connect()
    return recorder
