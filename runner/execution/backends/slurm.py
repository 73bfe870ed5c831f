"""Tasks as jobs of a SLURM cluster, whose nodes share the working directory.

submitit writes a job's batch file, and no more: its own way of running a function puts a process
around the worker that answers SIGUSR2 with a requeue and ignores SIGTERM, and it asks `sacct` for
the state of jobs, which needs accounting. A job here is the plain worker; what it tells lies in the
sweep's folder, and one `squeue` from time to time says which jobs there are.

SLURM's commands may take a minute when a cluster is busy. They run in a thread, one at a time.
"""

import getpass
import logging
import math
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shutil import which
from typing import Any

from runner.config import ConfigError, abridged
from runner.events import TaskEnded, TaskEvent
from runner.execution.backends.adoption import (
    Adopted,
    Found,
    adopted,
    find,
    own,
    release,
)
from runner.execution.backends.detaching import Terminal, detached
from runner.execution.backends.frames import Followers, Frame
from runner.execution.backends.settings import Slurm
from runner.execution.backends.supervisor import Supervisor
from runner.execution.backends.task_files import Attempt, log_file, log_tail, write_task
from runner.execution.checkpoints import MemberKey
from runner.execution.plan import Plan, Task

log = logging.getLogger(__name__)

WORKER = (sys.executable, "-u", "-m", "runner.execution.worker")
"""The command of a job, which is given folder, task and attempt."""

# How often the cluster is asked for its jobs; administrators mind who asks more often.
POLL_S = 15.0

# A job may take so many times what was predicted, and at least so long: it has to start, import
# TensorFlow from a network disk and compile.
_TIME_FACTOR = 3.0
_LEAST_MINUTES = 10
# So long before the time limit a worker is told, to end its epoch and write a checkpoint.
_WARNING_S = 120

_COMMAND_S = 120.0
_MOST_SHOWN = 10

# Jobs that have ended, whatever came of them; squeue shows them for some minutes.
_ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
    *("PREEMPTED", "REVOKED", "TIMEOUT"),
}
_WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"}
# A job that is in none of so many lists has ended: one list may be older than the job.
_LISTS = 2

# What sbatch says when the same would work later.
_LATER = ("limit", "timed out", "unable to contact", "temporarily", "connection refused", "busy")

# Of a job that this command itself may run in.
_OUTER = ("SLURM_", "SLURMD_", "SRUN_", "SBATCH_")


class BusyError(Exception):
    """SLURM takes no more jobs now, but will."""


@dataclass(frozen=True)
class Listed:
    """A job in one of SLURM's lists.

    Attributes:
      number: SLURM's own.
      state: Such as `"RUNNING"`.
      node: Where it runs; empty while it waits.
      reason: Why it waits.
    """

    number: str
    state: str
    node: str
    reason: str

    @property
    def text(self) -> str:
        """What the job is doing, for people."""
        if self.state in _WAITING:
            return f"waiting ({self.reason})"
        state = self.state.lower().replace("_", " ")
        if self.state in _ENDED or self.state == "SUSPENDED":
            return f"{state} on {self.node}" if self.node else state
        return f"running on {self.node}"


@dataclass
class _Job:
    """What is known of an attempt's job.

    Attributes:
      name: By which SLURM lists it.
      is_sent: Whether it was submitted.
      number: SLURM's own, as far as that is known.
      text: What it is doing.
      num_missing: The lists in a row that did not have it.
      is_asked: Whether it was asked to end.
      has_told: Whether it has told that it ends.
      is_gone: Whether it has ended.
      is_left: Whether it is known that nothing more comes of it.
    """

    name: str
    is_sent: bool = False
    number: str | None = None
    text: str = "waiting to be submitted"
    num_missing: int = 0
    is_asked: bool = False
    has_told: bool = False
    is_gone: bool = False
    is_left: bool = False


class SlurmBackend:
    """Runs tasks as jobs, and takes up those that an earlier command has left.

    Attributes:
      supervisor: Knows what each task is doing.
    """

    def __init__(self, settings: Slurm, folder: Path) -> None:
        """Submits nothing yet; see `SlurmCluster`."""
        self._cluster = SlurmCluster(settings, folder)
        workers = settings.workers if settings.wait else None
        self.supervisor = Supervisor(self._cluster, settings.retries, workers)

    def run(self, plan: Plan, tasks: Sequence[Task]) -> Iterator[TaskEvent]:
        """Yields what happens in the tasks; see `Supervisor.run`.

        Raises:
          ConfigError: SLURM refuses a job, or another command follows the jobs.
          Detached: The jobs are left; they go on.
          KeyboardInterrupt: Interrupted; checkpoints of what was under way have been written.
        """
        self._cluster.begin(plan, tasks)
        yield from self.supervisor.run(plan, tasks)

    def close(self) -> None:
        """Cancels the jobs, unless they were left."""
        self.supervisor.close()


class SlurmCluster:
    """The jobs of a sweep, and those of an earlier command that go on for it."""

    def __init__(
        self,
        settings: Slurm,
        folder: Path,
        command: Sequence[str] = WORKER,
        poll_s: float = POLL_S,
    ) -> None:
        """Finds SLURM's commands.

        Args:
          settings: What jobs ask for.
          folder: The sweep's, which the nodes see under the same name.
          command: Of a job, which is given folder, task and attempt.
          poll_s: Seconds between two lists of all jobs.

        Raises:
          ConfigError: There is no SLURM here, or submitit is not installed.
        """
        self._settings = settings
        self._folder = folder.resolve()
        self._command = command
        self._executor = _executor(self._folder)
        self._poll_s = poll_s
        self._sweep = ""
        self._followers = Followers(self._folder)
        self._adopted: dict[Attempt, Adopted] = {}
        self._jobs: dict[Attempt, _Job] = {}
        self._backlog: list[tuple[Attempt, Task]] = []
        self._error: Exception | None = None
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="slurm")
        self._asking: Future[None] | None = None
        self._next_s = time.monotonic() + poll_s
        self._terminal: Terminal | None = None
        self._is_left = False

    def begin(self, plan: Plan, tasks: Sequence[Task]) -> None:
        """Takes up a round: its tasks that jobs of earlier commands are at.

        Raises:
          ConfigError: Another command follows the jobs of this sweep.
        """
        self._sweep = plan.sweep
        own(self._folder)
        found = [each for task in tasks if (each := adopted(task, plan)) is not None]
        for each in found:
            self._adopted[each.attempt] = each
            name = job_name(each.sweep, each.earlier)
            self._jobs[each.attempt] = _Job(name, is_sent=True, text="running")
        if found:
            self._later(self._ask).result()
            for each in found:  # one that has ended is told of once, so that it is read
                self._jobs[each.attempt].is_gone = False
        if self._settings.wait and self._terminal is None:
            self._terminal = Terminal()

    def submit(self, attempt: Attempt, task: Task) -> None:
        """Puts a job in SLURM's queue."""
        write_task(self._folder, task)
        self._jobs[attempt] = _Job(job_name(self._sweep, attempt))
        self._followers.follow(attempt)
        self._later(self._send, attempt, task)

    def frames(self, timeout_s: float) -> Iterator[Frame]:
        """Yields what has come since, and waits at most so long for the first.

        Raises:
          Detached: The command is to leave its jobs.
        """
        self._raise()
        leaves = self._leaves()
        any_came = False
        for frame in self._come(0.0 if leaves else timeout_s):
            any_came = True
            if isinstance(frame.event, TaskEnded):
                self._jobs[Attempt(frame.task, frame.attempt)].has_told = True
            yield frame
        if leaves and not any_came:
            self._leave()

    def states(self) -> Mapping[Attempt, str]:
        """Returns what the jobs are doing that are not known to have ended."""
        self._raise()
        is_free = self._asking is None or self._asking.done()
        if is_free and time.monotonic() >= self._next_s:
            self._asking = self._later(self._ask)
        damaged = [a for a, each in self._adopted.items() if each.follower.is_damaged]
        for attempt in (*damaged, *self._followers.damaged()):
            if not self._jobs[attempt].is_asked:
                self.stop(attempt, at_once=True)
        for attempt, job in self._jobs.items():
            if job.is_gone and not job.is_left:
                job.is_left = True
                self._followers.leave(attempt)
        return {attempt: job.text for attempt, job in self._jobs.items() if not job.is_gone}

    def stop(self, attempt: Attempt, at_once: bool) -> None:
        """Asks a job to write a checkpoint and end, or kills it; one that waits is cancelled."""
        job = self._jobs.get(attempt)
        if job is not None and not job.is_gone and not self._is_left:
            job.is_asked = True
            self._later(self._end, job, at_once)

    def ending(self, attempt: Attempt) -> str:
        """Returns how a job that is gone has ended."""
        job, each = self._jobs.get(attempt), self._adopted.get(attempt)
        tail = log_tail(each.log_file if each else log_file(self._folder, attempt))
        parts = [f"job {job.number} {job.text}" if job and job.number else ""]
        parts += [f"its log ends: {tail}" if tail else ""]
        return "; ".join(part for part in parts if part)

    def close(self) -> None:
        """Cancels all jobs, unless they were left; those that run may write a checkpoint."""
        if self._terminal is not None:
            self._terminal.close()
        self._pool.shutdown(cancel_futures=True)
        if not self._is_left and (numbers := self._numbers()):
            log.info("Cancelling jobs: %s.", abridged(numbers, _MOST_SHOWN))
            _tell("scancel", *numbers)
        release()

    def _come(self, timeout_s: float) -> Iterator[Frame]:
        any_came = False
        for each in self._adopted.values():
            for frame in each.frames():
                any_came = True
                yield frame
        yield from self._followers.frames(0.0 if any_came else timeout_s)

    def _later(self, work: Callable[..., None], *arguments: Any) -> Future[None]:
        """Lets the thread do something; what that raises is raised by the next call."""

        def guarded() -> None:
            try:
                work(*arguments)
            except Exception as error:
                self._error = error

        return self._pool.submit(guarded)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _leaves(self) -> bool:
        return self._terminal is None or self._terminal.is_left

    def _leave(self) -> None:
        """Ends following, once all that waits was submitted."""
        self._later(lambda: None).result()
        self._raise()
        self._is_left = True
        raise detached(self._numbers(), len(self._backlog))

    def _numbers(self) -> list[str]:
        """Returns SLURM's numbers of the jobs that wait or run."""
        return [
            job.number
            for job in self._jobs.values()
            if job.number and not (job.is_gone or job.has_told)
        ]

    def _send(self, attempt: Attempt, task: Task) -> None:
        """Submits a job; one that SLURM does not take now is tried again later."""
        job = self._jobs[attempt]
        if job.is_asked or self._error is not None:
            job.is_gone = True
            return
        try:
            job.number = _submitted(self._batch_file(job.name, attempt, task))
            job.is_sent, job.text = True, "waiting"
        except BusyError as error:
            if job.text != str(error):
                log.warning("SLURM accepts no more jobs at present (%s). Trying again.", error)
            job.text = str(error)
            self._backlog.append((attempt, task))

    def _batch_file(self, name: str, attempt: Attempt, task: Task) -> str:
        settings, log_path = self._settings, log_file(self._folder, attempt)
        limit = minutes(task, settings)
        options = {"no_requeue": "requeue" not in settings.sbatch, **settings.sbatch}
        self._executor.update_parameters(
            job_name=name,
            time=limit,
            signal_delay_s=min(_WARNING_S, limit * 60 // 4),
            partition=settings.partition,
            account=settings.account,
            setup=list(settings.setup),
            cpus_per_task=settings.cores,
            gpus_per_node=settings.gpus or None,
            mem=settings.memory_gb and f"{math.ceil(settings.memory_gb * 1024)}M",
            wckey=None,
            stderr_to_stdout=True,
            # srun does not take over the cores that sbatch was given.
            srun_args=[f"--cpus-per-task={settings.cores}", f"--output={log_path}"],
            additional_parameters={
                "output": log_path,
                **{key: value for key, value in options.items() if value not in (None, False)},
            },
        )
        command = [*self._command, self._folder, *attempt]
        return self._executor._make_submission_file_text(shlex.join(map(str, command)), "")

    def _ask(self) -> None:
        """Brings what is known of the jobs up to date; submits what could not be before."""
        waiting, self._backlog = self._backlog, []
        for attempt, task in waiting:
            self._send(attempt, task)
        sent = [job for job in list(self._jobs.values()) if job.is_sent and not job.is_gone]
        try:
            listed = jobs()
        except (OSError, subprocess.SubprocessError) as error:
            log.warning("SLURM does not answer (%s). Asking again.", _why(error))
        else:
            for job in sent:
                _update(job, listed.get(job.name))
            for job in sent:
                if job.is_asked and not job.is_gone:  # what it was told may have come too early
                    self._end(job, at_once=False)
        self._next_s = time.monotonic() + self._poll_s

    def _end(self, job: _Job, at_once: bool) -> None:
        if not job.is_sent:
            job.is_gone = True
            self._backlog = [each for each in self._backlog if self._jobs[each[0]] is not job]
        elif job.number is None:
            return
        elif at_once:
            _tell("scancel", "--signal=KILL", f"{job.number}.0")  # without SLURM's grace
            _tell("scancel", job.number)
        else:
            _tell("scancel", "--state=PENDING", job.number)
            _tell("scancel", "--signal=USR2", job.number)


def job_name(sweep: str, attempt: Attempt) -> str:
    """Returns the name of an attempt's job."""
    return f"{sweep}.{attempt.task}.{attempt.number}"


def jobs() -> dict[str, Listed]:
    """Returns this user's jobs by their names, those included that ended just now.

    Raises:
      OSError, subprocess.SubprocessError: SLURM does not answer.
    """
    listed: dict[str, Listed] = {}
    columns = "%A|%T|%N|%r|%j"
    text = _run("squeue", "-h", "-t", "all", "-u", getpass.getuser(), "-o", columns)
    for line in text.splitlines():
        number, state, node, reason, name = line.split("|", 4)
        if name not in listed or listed[name].state in _ENDED:
            listed[name] = Listed(number, state, node, reason)
    return listed


def left(
    root: Path, wanted: Collection[MemberKey], last: Collection[MemberKey] = ()
) -> list[Found]:
    """Returns the tasks that earlier commands have left, of which something is wanted.

    Args:
      root: Folder of the sweeps.
      wanted: The replicates.
      last: Those of them whose last weights are to be kept.

    Raises:
      ConfigError: Another command follows them, or SLURM does not answer.
    """
    listed = cache(jobs)
    try:
        return list(find(root, wanted, lambda sweep: alive(listed(), sweep), last))
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(f"SLURM does not answer: {_why(error)}") from error


def alive(listed: Mapping[str, Listed], sweep: str) -> set[Attempt]:
    """Returns the attempts of a sweep whose jobs wait or run."""
    found = set()
    for name, job in listed.items():
        if name.startswith(f"{sweep}.") and job.state not in _ENDED:
            task, _, number = name.removeprefix(f"{sweep}.").rpartition(".")
            if task and number.isdecimal():
                found.add(Attempt(task, int(number)))
    return found


def minutes(task: Task, settings: Slurm) -> int:
    """Returns the time limit of a task's job."""
    predicted = math.ceil(_TIME_FACTOR * task.predicted_s / 60)
    return settings.time or max(_LEAST_MINUTES, predicted)


def _update(job: _Job, listed: Listed | None) -> None:
    if listed is None:
        job.num_missing += 1
        job.is_gone = job.num_missing >= _LISTS
        return
    job.num_missing = 0
    job.number, job.text = listed.number, listed.text
    job.is_gone = listed.state in _ENDED


def _executor(folder: Path) -> Any:
    """Returns submitit's writer of batch files.

    Raises:
      ConfigError: There is no SLURM here, or submitit is not installed.
    """
    try:
        from submitit import SlurmExecutor
    except ImportError:
        raise ConfigError("`execution=slurm` needs: pip install 'runner[slurm]'.") from None
    if missing := [name for name in ("sbatch", "squeue", "srun", "scancel") if not which(name)]:
        raise ConfigError(
            f"`execution=slurm` needs SLURM's commands. Not found: {', '.join(missing)}."
        )
    return SlurmExecutor(folder)


def _submitted(text: str) -> str:
    """Submits a batch file; returns SLURM's number of the job.

    Raises:
      BusyError: SLURM takes none now.
      ConfigError: It refuses the job.
    """
    try:
        return _run("sbatch", "--parsable", stdin=text).partition(";")[0]
    except (OSError, subprocess.SubprocessError) as error:
        why = _why(error)
        if any(word in why.lower() for word in _LATER):
            raise BusyError(why) from error
        raise ConfigError(f"SLURM refuses a job: {why}") from error


def _tell(*command: str) -> None:
    """Runs a command whose failure changes nothing, such as one on a job that has just ended."""
    try:
        _run(*command)
    except (OSError, subprocess.SubprocessError) as error:
        log.debug("%s: %s", shlex.join(command), _why(error))


def _run(*command: str, stdin: str = "") -> str:
    """Runs one of SLURM's commands, which Ctrl-C does not reach; returns what it prints."""
    return subprocess.run(
        command,
        input=stdin,
        env={
            name: value
            for name, value in os.environ.items()
            if name == "SLURM_CONF" or not name.startswith(_OUTER)
        },
        start_new_session=True,
        capture_output=True,
        text=True,
        check=True,
        timeout=_COMMAND_S,
    ).stdout.strip()


def _why(error: Exception) -> str:
    text = getattr(error, "stderr", None) or str(error)
    return " ".join(text.split()) if isinstance(text, str) else str(error)
