"""One sweep from its jobs to its report. A single run is a sweep of one configuration."""

import logging
import math
import uuid
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich import get_console

from runner import compiled
from runner.config import ConfigError, abridged
from runner.events import End
from runner.execution import environment, folders, looks, reuse, saving, stamping
from runner.execution.backends import settings
from runner.execution.backends.choice import Backend, backend_of
from runner.execution.checkpoints import remove_needless
from runner.execution.collector import Collector
from runner.execution.configure import Job, SweepSettings, sweep_settings
from runner.execution.devices import num_replicates
from runner.execution.diagnostics import Diagnostician, requirement_errors
from runner.execution.dry_run import show_plan
from runner.execution.finish import conclude
from runner.execution.logs import about, logging_for
from runner.execution.plan import NAME as PLAN
from runner.execution.plan import Plan, Task
from runner.execution.planning import Division, grown
from runner.execution.preflight import Preflight, Ready
from runner.interruption import stoppable, take_up
from runner.plan import Tracking
from runner.recording.background import BackgroundRecorder
from runner.recording.console import ConsoleRecorder
from runner.recording.disk import DiskRecorder
from runner.recording.recorder import Recorder
from runner.records import ConfigurationRecord, SweepRecord
from runner.report.names import counted
from runner.report.progress import next_seeds
from runner.training.tensorflow import gpu_description, set_threads, tune

log = logging.getLogger(__name__)

# A line names no more files.
_MAX_NAMED = 4


class Sweep:
    """A sweep, whose jobs come at once or in batches: one folder, one plan, one report.

    Attributes:
      jobs: Those that have come so far.
      folder: Where its results are.
      settings: What is the same in all jobs.
      collector: None until something can be trained.
    """

    def __init__(self, jobs: Sequence[Job], call: str | None = None) -> None:
        """Prepares the sweep whose first batch these jobs are.

        Args:
          jobs: The batch.
          call: The Python call that asks for it; None for the command line.

        Raises:
          ConfigError: A setting of the sweep breaks its rule, or its folder has been used.
        """
        self.jobs: list[Job] = []
        self._call = call
        self.folder = jobs[0].folder
        self.settings = sweep_settings(jobs)
        self.collector: Collector | None = None
        folders.refuse_used(self.folder)
        execution = self.settings.execution
        self._is_elsewhere = not isinstance(execution, settings.Local)
        if execution.cores and not self._is_elsewhere:
            set_threads(execution.cores)
        compiled.use(self.settings.compilation_cache)
        finished = None if self.settings.rerun else partial(reuse.ended, folders.ROOT)
        self._preflight = Preflight(_num_gpus(execution), self._is_elsewhere, finished)
        self._ready: dict[int, Ready] = {}
        self._diagnostician = Diagnostician()
        self._id = uuid.uuid4().hex
        self._plan: Plan | None = None
        self._backend: Backend | None = None
        self._mlflow = _mlflow(self.settings)

    def train(self, jobs: Sequence[Job], is_whole: bool) -> dict[int, float]:
        """Checks, trains and records a batch.

        Args:
          jobs: The batch.
          is_whole: Whether it is the whole sweep.

        Returns:
          Number of a job -> mean of its endpoint over the finished replicates; NaN without any.

        Raises:
          ConfigError: Nothing of it can be trained, for a reason that all jobs share.
          KeyboardInterrupt: Interrupted; what had finished is kept.
        """
        settings = sweep_settings([*self.jobs[:1], *jobs])
        if settings.auto and not is_whole:
            raise ConfigError(
                "`seeds=auto` needs all configurations at once: how many seeds one gets depends on "
                "the others. Received: a sweeper that launches them in batches. Give a number."
            )
        self.jobs += jobs
        with stoppable(), logging_for(self.jobs):
            try:
                self._train(jobs, is_whole)
            except KeyboardInterrupt:
                take_up()
                raise
        ended = self.collector.endpoints if self.collector else {}
        return {job.index: ended.get(job.index, {}).get("mean", math.nan) for job in jobs}

    def conclude(self, end: End) -> End:
        """Reports on all batches and ends every recorder.

        Args:
          end: How the sweep ended as far as the caller knows.

        Returns:
          How it ended: `"failed"` also if a configuration did, or something could not be written.
        """
        if self._backend is not None:
            self._backend.close()
        if self.collector is None:
            for each in self._mlflow:
                each.close()
            return "failed" if end == "finished" and self._preflight.has_refused else end
        failures = self.collector.failures()
        if end == "finished" and failures:
            end = "failed"
        with logging_for(self.jobs):
            figures, shows = self.settings.report.figures, self._call is None
            written = conclude(self.collector, self.folder, figures, end, shows)
            if end == "interrupted":
                return end
            if lost := saving.missing(self._ready.values(), self.collector.records(), self.folder):
                written = False
                names = abridged([str(path) for path in lost], _MAX_NAMED)
                log.error("Weights are missing: %s. The reasons stand above.", names)
            elif not written:
                log.error("Not everything could be written; the reasons stand above.")
            trained = (item for index, item in self._ready.items() if index not in failures)
            errors = requirement_errors(trained, self.collector.propagation)
            for index, error in errors.items():
                with about([index]):
                    log.error("%s", error)
        return "failed" if errors or not written else end

    def refusals(self) -> list[str]:
        """Returns why configurations cannot be trained, each reason once."""
        errors = [record.error for record in self._preflight.records() if record.error]
        return list(dict.fromkeys(errors))

    def _train(self, jobs: Sequence[Job], is_whole: bool) -> None:
        settings = self.settings
        ready, refused = self._preflight.check(jobs)
        self._preflight.check_baseline(settings.report.baseline, is_whole)
        ready = self._settled(ready)
        num_compared = self._family(()).comparisons
        ready = stamping.stamped(ready, self._family(ready), settings.report)
        self._preflight.keep(ready)
        if settings.auto:
            looks.tell_beginning(ready, num_compared)
        self._round(ready, refused)
        if settings.auto and settings.dry_run and ready:
            get_console().print(looks.bounds(ready, num_compared))
        if self.collector is not None and self.collector.growing:
            self._go_on(self.collector, num_compared > 0)

    def _settled(self, ready: Sequence[Ready]) -> list[Ready]:
        """Returns what is to be trained, with what need not be."""
        root = None if self.settings.rerun else folders.ROOT
        return reuse.settled(list(self._ready.values()), ready, root)

    def _family(self, ready: Sequence[Ready]) -> stamping.Family:
        """Returns the comparisons of all configurations so far.

        Args:
          ready: New ones with the designs that they take over, whose comparisons are not counted;
            none to count all.
        """
        name, baseline = environment.sweep_name(self.folder), self.settings.report.baseline
        records = {record.index: record for record in self._preflight.records()}
        records |= {item.record.index: item.record for item in ready}
        return stamping.family(name, list(records.values()), baseline)

    def _go_on(self, collector: Collector, is_compared: bool) -> None:
        """Trains further seeds, look by look, until no comparison needs any."""
        while collector.growing:
            items = [self._ready[index] for index in sorted(collector.growing)]
            wanted = {}
            if is_compared and collector.sweep is not None:
                configurations = list(collector.configurations.values())
                wanted = next_seeds(collector.sweep, configurations, collector.records())
            more = looks.grown(items, wanted)
            if is_compared:
                looks.tell_look(items, more)
            collector.settle(collector.growing.difference(item.record.index for item in more))
            if more:
                more = self._settled(more)
                self._preflight.keep(more)
                self._round(more)
        if is_compared:
            looks.tell_saved(list(collector.configurations.values()))

    def _round(self, ready: Sequence[Ready], refused: Sequence[ConfigurationRecord] = ()) -> None:
        """Trains what is to be trained of these configurations, and records it."""
        settings, is_first = self.settings, not self._ready
        plan = self._grown(ready, refused)
        tasks = plan.tasks[len(self._plan.tasks) if self._plan else 0 :]
        saving.check_room(ready, self.folder)
        if settings.dry_run:
            show_plan(ready, tasks)
        if settings.dry_run or not (ready or self._ready):
            return
        if tasks and self._backend is None:  # before anything is recorded: it may not be there
            execution = settings.execution
            uses_gpu = any("GPU" in item.device for item in ready)
            if uses_gpu and not self._is_elsewhere:
                tune(_predicted_s(ready, tasks))
            self._backend = backend_of(
                execution, self.folder, self._ready, self._diagnostician, uses_gpu
            )
        if ready and (is_first or not settings.auto):
            log.info("%s -> %s", _summary(ready), self.folder)
        self._ready |= {item.record.index: item for item in ready}
        remove_needless(folders.ROOT)
        events = self._backend.run(plan, tasks) if self._backend else ()
        collector, sweep = self._collecting(ready)
        self._keep(plan)
        for item in ready:
            saving.provide(item, self.folder, item.reused)
            collector.replay(self._diagnostician.renewed(item))
        for event in events:
            collector.take(event)
        for item in ready:
            if item.shared:
                found = reuse.from_sweep(item, collector.records(), sweep)
                collector.replay(self._diagnostician.renewed(found))
        for item in ready:
            ended = collector.ended[item.record.index].values()
            saving.provide(item, self.folder, ended, self._homes(item))

    def _homes(self, item: Ready) -> list[Path]:
        """Returns the folders of the other configurations with the same key."""
        same = (i for i, r in self._ready.items() if r.record.identity == item.record.identity)
        return [self.folder / str(index) for index in same if index != item.record.index]

    def _grown(self, ready: Sequence[Ready], refused: Sequence[ConfigurationRecord]) -> Plan:
        """Returns the plan with a round."""
        plan = self._plan or Plan(self._id, environment.required(), is_elsewhere=self._is_elsewhere)
        threads = self._preflight.operation_threads
        division = Division(self.settings.execution, self.settings.rerun, threads)
        return grown(plan, ready, refused, division)

    def _keep(self, plan: Plan) -> None:
        """Writes the plan; this process does not need it, so training goes on without."""
        self._plan = plan
        if not (self.folder / "sweep.json").exists():
            return  # told by whoever wrote that
        try:
            plan.write(self.folder)
        except OSError as error:
            path = self.folder / PLAN
            log.warning("%s cannot be written (%s). Training goes on.", path, error.strerror)

    def _collecting(self, ready: Sequence[Ready]) -> tuple[Collector, SweepRecord]:
        """Tells the recorders of a round; returns the collector and the sweep's record."""
        collector = self.collector or Collector(self._recorders())
        sweep = collector.sweep or self._sweep_record(ready)
        reused = (record for item in ready for record in item.reused)
        sweep = reuse.with_mixed_versions(sweep, reused, folders.ROOT)
        growing = [item.record.index for item in ready] if self.settings.auto else ()
        collector.plan(sweep, self._preflight.records(), _num_epochs(ready), growing)
        if self.collector is None:
            self.collector = collector
            folders.point_latest(self.folder)
        return collector, sweep

    def _sweep_record(self, ready: Sequence[Ready]) -> SweepRecord:
        devices = set() if self._is_elsewhere else {item.device for item in ready}
        gpus = filter(None, map(gpu_description, sorted(devices)))
        confidence = self.settings.report.confidence
        return environment.sweep_record(self.folder, confidence, self._id, gpus, self._call)

    def _recorders(self) -> list[Recorder]:
        """Returns all recorders, the disk first."""
        for each in self._mlflow:
            each.connect()
        disk = DiskRecorder(self.folder, elsewhere=bool(self._mlflow))
        return [disk, *self._mlflow, ConsoleRecorder()]


def _num_gpus(execution: settings.Execution) -> int | None:
    """Returns how many GPUs tasks have elsewhere, or share here at most; None for all there are."""
    if not isinstance(execution, settings.Local):
        return execution.gpus
    given = [each for each in (execution.gpus, execution.workers) if each is not None]
    return min(given, default=None)


def _predicted_s(ready: Sequence[Ready], tasks: Sequence[Task]) -> float:
    """Returns about how long all training will take, further seeds included."""
    now = sum(len(item.configuration.replicates) for item in ready)
    at_last = sum(num_replicates(item.configuration) for item in ready)
    return sum(task.predicted_s for task in tasks) * at_last / now


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


def _num_epochs(ready: Sequence[Ready]) -> int:
    """Returns the epochs of all replicates together."""
    return sum(item.configuration.training.epochs * len(item.replicates) for item in ready)


def _mlflow(settings: SweepSettings) -> list[BackgroundRecorder]:
    """Returns the recorder, which gets ready; none where nothing is to be tracked.

    Raises:
      ConfigError: There cannot be such a store.
    """
    tracking = settings.tracking
    if settings.dry_run or not isinstance(tracking, Tracking):
        return []
    return [BackgroundRecorder(tracking)]
