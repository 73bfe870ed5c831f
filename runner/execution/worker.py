"""`python -m runner.execution.worker FOLDER TASK ATTEMPT`: one attempt at a task, for a supervisor.

A worker prepares the task's configurations from the plan, checks that it has what the plan was made
with, trains, and tells what happens. It writes no results and talks to nobody else.

SIGTERM, SIGUSR2 and SIGINT ask it to end: after the epoch, with a checkpoint; at once while there
is nothing to keep. The work is done in a thread of its own, so that a signal is heard, and a sign
of life given, while TensorFlow is busy for minutes.
"""

import argparse
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from runner import compiled
from runner.config import ConfigError
from runner.events import End, Heartbeat, Logged, TaskEnded, TaskEvent, TaskStarted
from runner.execution import environment, plan
from runner.execution.backends.frames import FrameWriter
from runner.execution.backends.task_files import Attempt, read_task
from runner.execution.configure import Job
from runner.execution.logs import subject
from runner.execution.plan import Plan, Planned, Task
from runner.imports import told
from runner.interruption import ask, is_asked, take_up
from runner.machine import few_collections
from runner.masking import masked
from runner.terminal import DETAIL, MaskingFormatter
from runner.training.tensorflow import INTRA_OP, set_threads, start, tune

log = logging.getLogger(__name__)

HEARTBEAT_EVERY_S = 10.0
"""So often a worker tells that it lives, whatever it does."""

EXIT_CODES: dict[End, int] = {"finished": 0, "failed": 1, "interrupted": 75}
"""75 is EX_TEMPFAIL of sysexits.h: try again."""
UNWRITTEN = 74
"""Exit code where the disk did not take all that was to be told: EX_IOERR."""

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR2") if hasattr(signal, name)
]

# How often the thread that waits for the work looks whether it is to end.
_LOOK_S = 0.2
# A worker whose parent has gone ends after so long, wherever it is.
_ORPHAN_S = 60.0
# Tracing and compiling go deeper than the stack of a thread is on some systems.
_STACK_BYTES = 64 * 2**20


class RefusedError(Exception):
    """This worker is not one that the plan can be carried out by."""


def work(plan: Plan, task: Task, attempt: int, folder: Path | None) -> Iterator[TaskEvent]:
    """Yields what happens in an attempt at a task: a sign of life first, its end last.

    In the main thread of a process it takes over the signals that ask it to end.

    Args:
      plan: Of the sweep.
      task: One of the plan, or a part of one.
      attempt: Counted from 1.
      folder: The sweep's, where checkpoints are; None if the next attempt could not see them.
    """
    queue: SimpleQueue[Any] = SimpleQueue()
    in_training = threading.Event()
    events = _work(plan, task, attempt, folder, queue, in_training)
    has_begun = False
    end = TaskEnded(task.name)
    with asked_by_signals():
        try:
            for event in with_heartbeats(task.name, events, queue, in_training.is_set):
                has_begun = has_begun or isinstance(event, TaskStarted)
                yield event
        except KeyboardInterrupt:
            end = TaskEnded(task.name, "interrupted")
        except (ConfigError, RefusedError) as error:
            end = TaskEnded(task.name, "failed", masked(str(error)))
        except Exception as error:
            log.exception("The worker raised.")
            end = TaskEnded(task.name, "failed", masked(told(error)))
        if not has_begun:
            yield TaskStarted(task.name, attempt, _described())
        yield end
    take_up()


@contextmanager
def asked_by_signals() -> Iterator[None]:
    """Makes the signals that end a worker ask for that; does nothing outside of the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.signal(number, lambda *_: ask()) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def with_heartbeats(
    task: str,
    events: Iterator[TaskEvent],
    queue: "SimpleQueue[Any]",
    saves: Callable[[], bool],
    every_s: float = HEARTBEAT_EVERY_S,
) -> Iterator[TaskEvent]:
    """Yields what `events` yields, from another thread, and signs of life meanwhile.

    The thread goes on with the next event when this one has been taken: what was told is safe
    before a checkpoint follows that leaves it out.

    Args:
      task: Its name.
      events: Run in the thread.
      queue: What is put in there by anybody is yielded too.
      saves: Whether an interruption has to wait until `events` raises it, with a checkpoint.
      every_s: How often to tell that the worker lives.

    Raises:
      KeyboardInterrupt: Interrupted.
      Exception: What `events` raised.
    """
    turns: SimpleQueue[bool] = SimpleQueue()
    turns.put(True)
    former = threading.stack_size(_STACK_BYTES)
    thread = threading.Thread(target=_drive, args=(events, turns, queue), name="work", daemon=True)
    thread.start()
    threading.stack_size(former)
    due_s = 0.0
    try:
        while True:
            if is_asked() and not saves():
                raise KeyboardInterrupt
            if time.monotonic() >= due_s:
                due_s = time.monotonic() + every_s
                yield Heartbeat(task)
            try:
                item = queue.get(timeout=max(0.0, min(_LOOK_S, due_s - time.monotonic())))
            except Empty:
                continue
            if isinstance(item, _Turn):
                if item.event is None:
                    break
                yield item.event
                turns.put(True)
            else:
                yield item
        if item.error is not None:
            raise item.error
    finally:
        turns.put(False)


class _Turn:
    """What came of going on: an event, or the end and the error that it came by."""

    def __init__(self, event: TaskEvent | None, error: BaseException | None = None) -> None:
        self.event = event
        self.error = error


def _drive(
    events: Iterator[TaskEvent], turns: "SimpleQueue[bool]", queue: "SimpleQueue[Any]"
) -> None:
    error: BaseException | None = None
    try:
        while turns.get():
            if (event := next(events, None)) is None:
                break
            queue.put(_Turn(event))
    except BaseException as raised:
        error = raised
    queue.put(_Turn(None, error))


def _work(
    plan: Plan,
    task: Task,
    attempt: int,
    folder: Path | None,
    queue: "SimpleQueue[Any]",
    in_training: threading.Event,
) -> Iterator[TaskEvent]:
    """Yields what happens, but for signs of life and the end.

    Raises:
      ConfigError, RefusedError: The task cannot be trained here.
      KeyboardInterrupt: Interrupted.
    """
    if reason := unfit(plan.environment, environment.required()):
        raise RefusedError(reason)
    if any(str(c.settings.get("device")).startswith("gpu") for c in plan.configurations):
        tune(task.predicted_s)
    compiled.use(all(c.settings.get("compilation_cache", True) for c in plan.configurations))
    set_threads(task.room.cores)
    start(task.room.operation_threads)
    from runner.execution.ahead import Ahead
    from runner.execution.diagnostics import Diagnostician
    from runner.execution.running import run_task

    ready = _prepared(plan, task)
    ahead = Ahead(ready, folder)
    ahead.add([task])
    devices = sorted({item.device.strip("/") for item in ready.values()})
    yield TaskStarted(task.name, attempt, _described() | {"device": ", ".join(devices)})
    in_training.set()
    try:
        with _forwarding(queue):
            yield from run_task(task, ready, Diagnostician(), folder)
    finally:
        ahead.close()


def unfit(wanted: Mapping[str, str], own: Mapping[str, str]) -> str:
    """Returns what a worker has otherwise than its plan; empty if there is nothing."""
    differing = [name for name, value in wanted.items() if own.get(name, "none") != value]
    if not differing:
        return ""
    here = ", ".join(f"{name} {own.get(name, 'none')}" for name in differing)
    there = ", ".join(f"{name} {wanted[name]}" for name in differing)
    return (
        f"A worker must have the same software as the command. On this worker: {here}; in the "
        f"plan: {there}. Use the same environment on every machine."
    )


def _prepared(plan: Plan, task: Task) -> dict[int, Any]:
    """Returns the task's configurations, ready to be trained, by their numbers.

    Raises:
      ConfigError: One cannot be prepared here.
      RefusedError: One is not that of the plan.
    """
    from runner.execution.preflight import Preflight

    numbers = {key.configuration for key in task.keys}
    planned = {each.index: each for each in plan.configurations if each.index in numbers}
    jobs = [Job(index, Path(), each.settings, Path()) for index, each in planned.items()]
    ready, refused = Preflight(is_elsewhere=plan.is_elsewhere).check(jobs)
    if refused:
        raise ConfigError(f"On this worker: {refused[0].error}")
    for item in ready:
        if reason := _differs(planned[item.record.index], item):
            raise RefusedError(reason)
    return {item.record.index: item for item in ready}


def _differs(planned: Planned, item: Any) -> str:
    """Returns why what was prepared is not what was planned; empty if it is."""
    if item.record.identity == planned.identity:
        return ""
    found = item.dataset.fingerprint
    if planned.data and found != planned.data:
        return (
            f"The data on this worker are not those of the plan: fingerprint {found[:16]} here, "
            f"{planned.data[:16]} in the plan ({item.record.dataset['name']}). "
            f"Every machine must have the same files."
        )
    return (
        f"Configuration {planned.index} differs on this worker from the plan: key "
        f"{item.record.identity[:16]} here, {planned.identity[:16]} in the plan. Check its model, "
        f"your own code and the kind of device ({item.device.strip('/')} here)."
    )


def _described() -> dict[str, str]:
    threads = os.environ.get(INTRA_OP, "all")
    return environment.required() | environment.machine() | {"threads": threads}


@contextmanager
def _forwarding(queue: "SimpleQueue[Any]") -> Iterator[None]:
    """Puts into the queue what is logged in the block, as far as a person should see it."""
    own = logging.getLogger("runner")
    handler, level = _Forwarding(queue), own.level
    logging.getLogger().addHandler(handler)
    own.setLevel(min(DETAIL, own.getEffectiveLevel()))
    try:
        yield
    finally:
        own.setLevel(level)
        logging.getLogger().removeHandler(handler)


class _Forwarding(logging.Handler):
    """Makes log lines events: warnings of anybody, and what else our own loggers tell people."""

    def __init__(self, queue: "SimpleQueue[Any]") -> None:
        super().__init__(DETAIL)
        self._queue = queue

    def emit(self, record: logging.LogRecord) -> None:
        """Puts a line into the queue."""
        if record.levelno < logging.WARNING and record.name.partition(".")[0] != "runner":
            return
        try:
            text = " ".join(masked(record.getMessage()).split())
            self._queue.put(Logged(record.levelno, text, subject()))
        except Exception:
            self.handleError(record)


def run(folder: Path, attempt: Attempt) -> int:
    """Runs an attempt in this process and tells its events in its file; returns the exit code."""
    try:
        made = plan.read(folder)
        task = read_task(folder, attempt.task)
        writer = FrameWriter(folder, attempt)
    except (OSError, ValueError) as error:
        log.error("Attempt %d at task %s cannot begin: %s", attempt.number, attempt.task, error)
        return EXIT_CODES["failed"]
    end: End = "failed"
    for event in work(made, task, attempt.number, folder):
        writer.write(event)
        if isinstance(event, TaskEnded):
            end = event.end
            log.info("Task %s: %s%s", task.name, end, f": {event.error}" if event.error else "")
    if not writer.close():
        reason = writer.error and writer.error.strerror
        log.error("Not all events could be written to the disk (%s).", reason)
        return UNWRITTEN
    return EXIT_CODES[end]


def _end_with_parent() -> None:
    """Waits until standard input ends, which is when the parent has gone; then ends."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_ORPHAN_S)
    os._exit(EXIT_CODES["interrupted"])


def main() -> None:
    """Runs one attempt. Exit codes: 0, 1 (refused), 74 (not all could be told), 75 (to go on)."""
    os.environ["MPLBACKEND"] = "agg"  # that of a notebook may not be installed here
    parser = argparse.ArgumentParser(prog="python -m runner.execution.worker")
    parser.add_argument("folder", type=Path, help="folder of the sweep")
    parser.add_argument("task", help="name of the task in the plan")
    parser.add_argument("attempt", type=int, help="number of the attempt, from 1")
    parser.add_argument("--parent", action="store_true", help="end when standard input ends")
    options = parser.parse_args()
    handler = logging.StreamHandler()
    handler.setFormatter(MaskingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    with asked_by_signals():
        if options.parent:
            threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
        code = run(options.folder, Attempt(options.task, options.attempt))
        compiled.end()
        # The thread that works may be in the middle of something: nobody waits for that.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    with few_collections():
        main()
