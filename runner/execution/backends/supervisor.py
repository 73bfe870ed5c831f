"""Keeps tasks running on a cluster whose workers may be lost, until all have ended.

A worker is lost when its process or node has gone before its task has ended, or when nothing was
heard of it for too long. The task is tried again, from its checkpoint where there is one. If its
workers are lost again and again, it is cut in halves, and these too, until it is one replicate that
takes its workers along: this one has failed. A worker that was told to end (preemption, a time
limit) is not lost: it has written a checkpoint, and its task goes on.
"""

import dataclasses
import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from runner.config import ConfigError, abridged
from runner.events import (
    End,
    EpochEnded,
    Heartbeat,
    ReplicateEnded,
    Restarted,
    TaskEnded,
    TaskEvent,
    TaskStarted,
)
from runner.execution.backends.frames import Frame
from runner.execution.backends.order import InOrder
from runner.execution.backends.task_files import Attempt
from runner.execution.plan import Plan, Task
from runner.interruption import deferred, is_asked
from runner.plan import Key

log = logging.getLogger(__name__)

HEARTBEAT_S = 60.0
"""A worker of which nothing was heard for so long is lost; it tells that it lives more often."""

START_S = 300.0
"""So long it may be silent before it has begun: libraries come from a slow disk."""

# So often the tasks' status is told, each of so many that run.
_STATUS_S = 30.0
_MAX_TOLD = 8
# So many times in a row may a worker be told to end before an epoch of its task has ended.
_MAX_FRUITLESS = 10

_NOTICE = (
    "Stopping: workers end their epoch and write checkpoints. To stop at once, interrupt again."
)


class Cluster(Protocol):
    """Where attempts at tasks run. No method waits, except `frames` for at most its time."""

    def submit(self, attempt: Attempt, task: Task) -> None:
        """Starts an attempt, or puts it in a queue.

        The task may be a part of a planned one, which the plan does not know: a worker finds what
        it is by `task_files.read_task`, if the cluster has written it there.
        """

    def frames(self, timeout_s: float) -> Iterable[Frame]:
        """Returns what has come since, in any order; it may come again.

        Args:
          timeout_s: How long the first is waited for.
        """

    def states(self) -> Mapping[Attempt, str]:
        """Returns what attempts are doing that are not known to have ended, for people.

        Such as `"waiting"`, or `"running on n2"`: those that run begin with `"running"`. What an
        attempt that is not in there has told comes with the next `frames`, or soon after. Before
        anything was submitted, these are attempts of an earlier command, which go on.
        """

    def stop(self, attempt: Attempt, at_once: bool) -> None:
        """Asks an attempt to write a checkpoint and end, or kills it; one that waits is cancelled.

        Does nothing to one that has ended.
        """

    def ending(self, attempt: Attempt) -> str:
        """Returns how an attempt that is gone has ended, for people: one line, may be empty.

        Such as `"exit code 1; its log ends: MemoryError"`; see `task_files.log_tail`.
        """

    def close(self) -> None:
        """Kills whatever still runs, and frees what the cluster holds."""


@dataclass
class _Job:
    """A planned task, or a part of one that lost its workers.

    Attributes:
      task: What is to be done.
      planned: Name of the task in the plan.
      left: Its replicates that have not ended.
      retries: How often its workers may be lost before something else is done.
      attempts, losses: So far.
      fruitless: Attempts in a row that were told to end before an epoch had ended.
      has_begun: Whether a worker has ever begun it.
    """

    task: Task
    planned: str
    left: set[Key]
    retries: int
    attempts: int = 0
    losses: int = 0
    fruitless: int = 0
    has_begun: bool = False

    @property
    def is_part(self) -> bool:
        return self.task.name != self.planned


@dataclass
class _Try:
    """An attempt that is under way.

    Attributes:
      job: What it is at.
      heard_s: When it was last heard of, by the supervisor's clock.
      gone_s: Since when it is gone, if it is.
      state: What the cluster says that it does.
      has_begun: Whether it has told so.
      epoch: The last one that it has told of.
      is_fruitful: Whether an epoch of training has ended.
      order: Sorts its frames.
    """

    job: _Job
    heard_s: float
    gone_s: float | None = None
    state: str = "waiting"
    has_begun: bool = False
    epoch: int | None = None
    is_fruitful: bool = False
    order: InOrder = field(default_factory=InOrder)


class Supervisor:
    """Runs tasks on a cluster; every planned task ends once, and every replicate once."""

    def __init__(
        self,
        cluster: Cluster,
        retries: int,
        workers: int | None = None,
        heartbeat_s: float = HEARTBEAT_S,
        start_s: float = START_S,
        linger_s: float = 5.0,
        poll_s: float = 0.5,
    ) -> None:
        """Runs nothing yet.

        Args:
          cluster: Where tasks run. It is closed with the supervisor.
          retries: How often a task whose worker was lost is tried again.
          workers: How many attempts may be submitted at the same time; None for all.
          heartbeat_s: How long a worker may be silent.
          start_s: How long before it has begun.
          linger_s: How long what a worker has told may come after it has gone.
          poll_s: How often the cluster is looked at.
        """
        self._cluster = cluster
        self._retries = retries
        self._workers = workers
        self._heartbeat_s, self._start_s = heartbeat_s, start_s
        self._linger_s, self._poll_s = linger_s, poll_s
        self._epochs: dict[int, int] = {}
        self._waiting: deque[_Job] = deque()
        self._tries: dict[Attempt, _Try] = {}
        self._parts: dict[str, int] = {}  # of a planned task, that have not ended
        self._failed: dict[str, str | None] = {}
        self._ends: dict[str, TaskEnded] = {}
        self._any_has_begun = False
        self._is_stopping = False
        self._now_s, self._looked_s = 0.0, time.monotonic()
        self._told_s = 0.0

    def close(self) -> None:
        """Closes the cluster."""
        self._cluster.close()

    def run(self, plan: Plan, tasks: Sequence[Task]) -> Iterator[TaskEvent]:
        """Yields what happens in tasks until all of them have ended.

        Heartbeats are left out. Before a later attempt begins, a `Restarted` takes back what was
        told of the replicates that have not ended. A part of a task that was cut bears its name and
        a number, as in `"3.0"`, and its end is not told: every planned task has one end. Of a
        replicate that has ended a later attempt may tell again; of its end it does not.

        Args:
          plan: Of the sweep.
          tasks: Those of the plan that are to be run now.

        Raises:
          ConfigError: No worker can be started at all.
          ConflictError: Two workers run the same attempt.
          KeyboardInterrupt: Interrupted; the workers have written checkpoints, unless it was twice.
        """
        settings = {planned.index: planned.settings for planned in plan.configurations}
        self._epochs = {
            index: int(values.get("training", {}).get("epochs", 0))
            for index, values in settings.items()
        }
        self._is_stopping = False
        self._begin(tasks)
        try:
            with deferred(_NOTICE):
                while self._waiting or self._tries:
                    if is_asked() and not self._is_stopping:
                        self._stop_all()
                    self._submit()
                    yield from self._look()
                    self._tell_status()
                for name in [name for name in self._parts if name not in self._ends]:
                    self._ends[name] = TaskEnded(name, "interrupted")
                    yield self._ends[name]
        finally:
            for attempt in self._tries:
                self._cluster.stop(attempt, at_once=True)
            self._tries, self._waiting = {}, deque()
        if self._is_stopping:
            raise KeyboardInterrupt

    def status(self) -> dict[str, str]:
        """Returns what each task, or part of one, is doing, for people.

        Such as `"running on n2, epoch 12 of 50, lost once"`, or `"finished"`.
        """
        shown = {each.job.task.name: self._told(each.job, each) for each in self._tries.values()}
        shown |= {job.task.name: self._told(job, None) for job in self._waiting}
        return shown | {name: ended.end for name, ended in self._ends.items()}

    def overview(self) -> str:
        """Returns one line on all tasks: `"3 of 12 tasks ended, 4 running, 5 waiting"`."""
        running = sum(each.state.startswith("running") for each in self._tries.values())
        waiting = len(self._tries) + len(self._waiting) - running
        ended = f"{len(self._ends)} of {len(self._parts)} tasks ended"
        return f"{ended}, {running} running, {waiting} waiting"

    def _tell_status(self) -> None:
        """Says two lines from time to time: on all tasks, and on each of those that run."""
        if self._now_s - self._told_s < _STATUS_S:
            return
        self._told_s = self._now_s
        log.info("%s.", self.overview())
        running = [(each.job, each) for each in self._tries.values() if each.has_begun]
        shown = [f"{job.task.name}: {self._told(job, each)}" for job, each in running]
        if shown:
            log.info("%s", abridged(shown, _MAX_TOLD, separator="; "))

    def _told(self, job: _Job, attempt: _Try | None) -> str:
        parts = [attempt.state if attempt else "waiting"]
        if attempt is not None and attempt.epoch is not None:
            total = self._epochs.get(job.task.keys[0].configuration, 0)
            parts.append(f"epoch {attempt.epoch} of {total}")
        if job.losses:
            parts.append(f"lost {_times(job.losses)}")
        return ", ".join(parts)

    def _begin(self, tasks: Sequence[Task]) -> None:
        """Takes up the tasks, with the attempts at them that an earlier command has left."""
        jobs = {task.name: _Job(task, task.name, set(task.keys), self._retries) for task in tasks}
        self._parts, self._failed, self._ends = dict.fromkeys(jobs, 1), {}, {}
        adopted: dict[str, Attempt] = {}
        for attempt, state in sorted(self._cluster.states().items()):
            former = adopted.get(attempt.task)
            if former is not None or attempt.task not in jobs:
                self._cluster.stop(former or attempt, at_once=True)
                self._tries.pop(former or attempt, None)
            if attempt.task in jobs:
                adopted[attempt.task] = attempt
                job = jobs[attempt.task]
                job.attempts = attempt.number
                self._tries[attempt] = _Try(job, self._now_s, state=state)
        self._waiting = deque(job for name, job in jobs.items() if name not in adopted)

    def _submit(self) -> None:
        while self._waiting and (self._workers is None or len(self._tries) < self._workers):
            job = self._waiting.popleft()
            job.attempts += 1
            attempt = Attempt(job.task.name, job.attempts)
            self._tries[attempt] = _Try(job, self._now_s)
            self._cluster.submit(attempt, job.task)

    def _stop_all(self) -> None:
        self._is_stopping = True
        self._waiting.clear()
        for attempt in self._tries:
            self._cluster.stop(attempt, at_once=False)

    def _look(self) -> Iterator[TaskEvent]:
        """Takes what has come, then looks for what has not."""
        # The states come first: what is gone by then tells no more than the frames after them.
        states = self._cluster.states()
        for attempt, each in self._tries.items():
            each.state = states.get(attempt, each.state)
        for frame in self._cluster.frames(self._poll_s):
            yield from self._receive(frame)
        self._advance()
        for attempt, each in list(self._tries.items()):
            if attempt in states:
                each.gone_s = None
            elif each.gone_s is None:
                each.gone_s = self._now_s
            if (reason := self._is_lost(each)) is not None:
                yield from self._lose(attempt, each, reason)

    def _advance(self) -> None:
        """Sets the clock. Time in which this process was stopped or busy counts little."""
        now_s = time.monotonic()
        self._now_s += min(now_s - self._looked_s, self._heartbeat_s / 4)
        self._looked_s = now_s

    def _is_lost(self, each: _Try) -> str | None:
        """Returns why an attempt is lost, or None."""
        if each.gone_s is not None:
            since_s = max(each.gone_s, each.heard_s)
            return "its process ended" if self._now_s - since_s >= self._linger_s else None
        if not each.state.startswith("running"):
            each.heard_s = self._now_s  # it waits
            return None
        limit_s = self._heartbeat_s if each.has_begun else self._start_s
        silent_s = self._now_s - each.heard_s
        return f"no sign of life for {silent_s:.0f} s" if silent_s > limit_s else None

    def _receive(self, frame: Frame) -> Iterator[TaskEvent]:
        attempt = Attempt(frame.task, frame.attempt)
        if (each := self._tries.get(attempt)) is None:
            return  # it was given up, or has ended
        each.heard_s = self._now_s
        for event in each.order.take(frame):
            yield from self._take(attempt, each, event)

    def _take(self, attempt: Attempt, each: _Try, event: TaskEvent) -> Iterator[TaskEvent]:
        job = each.job
        match event:
            case Heartbeat():
                return
            case TaskEnded():
                yield from self._end(attempt, each, event)
                return
            case TaskStarted():
                each.has_begun = job.has_begun = self._any_has_begun = True
                if attempt.number > 1 or job.is_part:
                    yield Restarted(tuple(key for key in job.task.keys if key in job.left))
            case ReplicateEnded():
                if event.key not in job.left or event.status == "interrupted":
                    return
                job.left.remove(event.key)
                each.is_fruitful = True
            case EpochEnded():
                each.epoch = event.epoch
                each.is_fruitful |= event.epoch > 0
        yield event

    def _end(self, attempt: Attempt, each: _Try, event: TaskEnded) -> Iterator[TaskEvent]:
        """Goes on after an attempt has told its end."""
        job = each.job
        del self._tries[attempt]
        if event.end == "failed":
            yield from self._fail(job, event.error or "The worker refused it.")
        elif not job.left:
            yield from self._finish(job)
        elif self._is_stopping:
            return
        elif event.end == "finished":
            lacking = len(job.left)
            log.warning("Task %s ended without a result for %d replicates.", job.task.name, lacking)
            self._split(job, 1)
        else:
            job.fruitless = 0 if each.is_fruitful else job.fruitless + 1
            if job.fruitless < _MAX_FRUITLESS:
                self._waiting.appendleft(job)
                return
            reason = f"stopped {_times(_MAX_FRUITLESS)} in a row before an epoch had ended"
            yield from self._fail(job, f"Its workers were {reason}: give them more time.")

    def _lose(self, attempt: Attempt, each: _Try, reason: str) -> Iterator[TaskEvent]:
        """Goes on after the worker of an attempt was lost."""
        job = each.job
        del self._tries[attempt]
        self._cluster.stop(attempt, at_once=True)
        if not job.left:
            yield from self._finish(job)
            return
        if self._is_stopping:
            return
        job.losses += 1
        ending = self._cluster.ending(attempt)
        why = (f"{reason}; {ending}" if ending else reason).rstrip(".")
        log.warning("Task %s lost its worker %s (%s).", job.task.name, _times(job.losses), why)
        if job.losses <= job.retries:
            self._waiting.appendleft(job)
        elif not self._any_has_begun:
            raise ConfigError(f"No worker could be started: {why}.")
        elif job.has_begun and len(job.left) > 1:
            log.warning(
                "Task %s is split in two, to find the replicate that ends its workers.",
                job.task.name,
            )
            self._split(job, 2)
        else:
            yield from self._fail(job, f"Its worker was lost {_times(job.losses)}: {why}.")

    def _split(self, job: _Job, count: int) -> None:
        """Puts what is left of a job into so many new ones, without a checkpoint."""
        left = [key for key in job.task.keys if key in job.left]
        size = -(-len(left) // count)
        parts = []
        for number in range(count):
            keys = left[number * size : (number + 1) * size]
            name = f"{job.task.name}.{number}"
            task = dataclasses.replace(job.task, name=name, keys=tuple(keys), checkpoint=None)
            retries = self._retries if len(keys) == 1 else 0
            parts.append(_Job(task, job.planned, set(keys), retries, has_begun=True))
        self._parts[job.planned] += count - 1
        self._waiting.extendleft(reversed(parts))

    def _fail(self, job: _Job, error: str) -> Iterator[TaskEvent]:
        for key in job.task.keys:
            if key in job.left:
                yield ReplicateEnded(key, "failed", error=error)
        job.left.clear()
        yield from self._finish(job, "failed", error)

    def _finish(
        self, job: _Job, end: End = "finished", error: str | None = None
    ) -> Iterator[TaskEvent]:
        """Ends a job, and its planned task with the last part."""
        name = job.planned
        if end == "failed":
            self._failed[name] = error
        self._parts[name] -= 1
        if not self._parts[name]:
            failed = name in self._failed
            ended = TaskEnded(name, "failed" if failed else "finished", self._failed.get(name))
            self._ends[name] = ended
            yield ended


def _times(count: int) -> str:
    """Returns how often, in words: once, twice, 3 times."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
