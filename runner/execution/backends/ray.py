"""Attempts at tasks as tasks of a Ray cluster, whose nodes need not share anything.

An attempt is a streaming generator that Ray does not retry: one that goes on from a checkpoint
yields less than the first did. What it yields is told in `ray_task`. Ray's own cancellation ends a
stream at once, with what the worker would still tell; so an attempt that is to write a checkpoint
is asked through the cluster's table of keys, which the node looks at every second.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import runner
from runner.config import ConfigError
from runner.events import TaskEnded
from runner.execution.backends import ray_task
from runner.execution.backends.frames import Frame, decode
from runner.execution.backends.settings import Ray
from runner.execution.backends.shipping import copy_modules
from runner.execution.backends.task_files import Attempt, write_task
from runner.execution.identity import source_digest
from runner.execution.plan import NAME as PLAN
from runner.execution.plan import Task, read
from runner.imports import told
from runner.machine import num_cores
from runner.records import ARRIVING
from runner.validation import to_json

log = logging.getLogger(__name__)

WORKER = ("-m", "runner.execution.worker", "--parent")
"""What Python runs on a node, with the sweep's folder, the task and the attempt behind it."""

_ENDING = {signal.SIGHUP, signal.SIGTERM}

_QUIET = {"log_to_driver": False, "logging_level": logging.CRITICAL}

# Objects are small: frames and the plan. Ray's own minimum is 78 MB, its default a third of memory.
_STORE_BYTES = 100 * 2**20

# A cluster answers within milliseconds; Ray itself would try for minutes.
_CONNECT_S = 5.0
_ANSWER_S = 30.0


@dataclass
class _Stream:
    """An attempt under way.

    Attributes:
      attempt: Which one.
      generator: Ray's handle of what it yields.
      state: What it is doing, for people.
      rest: The beginning of a frame whose end has not come.
    """

    attempt: Attempt
    generator: Any
    state: str = "waiting for a free node"
    rest: bytes = b""


class RayCluster:
    """A Ray cluster, which this process joins, or starts on this machine for itself."""

    def __init__(self, settings: Ray, folder: Path, worker: Sequence[str] = WORKER) -> None:
        """Connects to the cluster.

        Args:
          settings: Which cluster, and what a worker needs.
          folder: The sweep's.
          worker: What Python runs on a node.

        Raises:
          ConfigError: There is no Ray here, no such cluster, or none of its nodes is large enough.
        """
        self._settings = settings
        self._folder = folder.resolve()
        self._worker = tuple(worker)
        self._ray = _package()
        self._runner = (source_digest(), str(Path(runner.__file__).parent))
        self._streams: dict[Attempt, _Stream] = {}
        self._endings: dict[Attempt, str] = {}
        self._plan: tuple[tuple[int, int], Any] | None = None
        self._stop = uuid.uuid4().hex
        self._is_own = not self._ray.is_initialized()
        if self._is_own:
            _connect(self._ray, settings)
        try:
            self._check_nodes()
        except BaseException:
            self.close()
            raise
        self._ray.cloudpickle.register_pickle_by_value(ray_task)
        self._remote = self._ray.remote(ray_task.on_node)

    def submit(self, attempt: Attempt, task: Task) -> None:
        """Puts a task in Ray's queue.

        Raises:
          OSError: The plan cannot be read, or the task not be written.
        """
        write_task(self._folder, task)  # a node that finds it there shares the folder
        order = {
            "folder": str(self._folder),
            "working_directory": str(Path.cwd()),
            "task": task.name,
            "attempt": attempt.number,
            "content": to_json(task),
            "runner": self._runner,
            "worker": self._worker,
            "stop": self._name(attempt),
            "files": ARRIVING,
        }
        generator = self._remote.options(
            name=f"runner {task.name}.{attempt.number}",
            num_returns="streaming",
            num_cpus=self._settings.cores,
            num_gpus=self._settings.gpus,
            memory=_bytes(self._settings),
            max_retries=0,
        ).remote(order, self._sent_plan())
        self._streams[attempt] = _Stream(attempt, generator)

    def frames(self, timeout_s: float) -> Iterator[Frame]:
        """Yields what has come since, and waits at most so long for the first."""
        streams = {stream.generator: stream for stream in self._streams.values()}
        if not streams:
            time.sleep(timeout_s)
        while streams:
            ready, _ = self._ray.wait([*streams], num_returns=1, timeout=timeout_s)
            if len(ready) and len(streams) > 1:
                ready, _ = self._ray.wait([*streams], num_returns=len(streams), timeout=0)
            if not ready:
                return
            timeout_s = 0.0
            for generator in ready:
                stream = streams[generator]
                yield from self._next(stream)
                if stream.attempt not in self._streams:
                    del streams[generator]

    def states(self) -> Mapping[Attempt, str]:
        """Returns what attempts are doing that are not known to have ended."""
        return {attempt: stream.state for attempt, stream in self._streams.items()}

    def stop(self, attempt: Attempt, at_once: bool) -> None:
        """Asks an attempt to write a checkpoint and end, or kills it, even one that is frozen."""
        if (stream := self._streams.get(attempt)) is None:
            return
        if at_once or not stream.state.startswith(ray_task.RUNNING):
            self._ray.cancel(stream.generator, force=at_once)
        else:
            ray_task.ask(self._name(attempt))

    def ending(self, attempt: Attempt) -> str:
        """Returns how an attempt that is gone has ended, for people: one line, may be empty."""
        return self._endings.get(attempt, "")

    def close(self) -> None:
        """Kills whatever still runs, and leaves the cluster; one of this command's own ends."""
        for stream in self._streams.values():
            self._ray.cancel(stream.generator, force=True)
        self._streams.clear()
        if self._is_own:
            self._ray.shutdown()

    def _next(self, stream: _Stream) -> Iterator[Frame]:
        """Takes the next item of a stream, which is there, or its end."""
        attempt = stream.attempt
        try:
            kind, value = self._ray.get(next(stream.generator))
        except StopIteration:
            del self._streams[attempt]
        except self._ray.exceptions.RayError as error:
            del self._streams[attempt]
            self._endings[attempt] = told(error)
        else:
            if kind == ray_task.RUNNING:
                stream.state = f"{ray_task.RUNNING} on {value}"
            elif kind == ray_task.REFUSED:
                ended = TaskEnded(attempt.task, "failed", value)
                yield Frame(attempt.task, attempt.number, 0, ended)
            elif kind == ray_task.ENDED:
                self._endings[attempt] = value
            elif kind == ray_task.FILE:
                self._store(*value)
            else:
                yield from self._decoded(stream, value)

    def _decoded(self, stream: _Stream, content: bytes) -> Iterator[Frame]:
        stream.rest += content
        place = 0
        try:
            while (found := decode(stream.rest, place)) is not None:
                frame, place = found
                yield frame
        except ValueError as error:  # it comes over TCP: the worker itself has written that
            self._ray.cancel(stream.generator, force=True)
            del self._streams[stream.attempt]
            self._endings[stream.attempt] = f"its messages are damaged: {error}"
        stream.rest = stream.rest[place:]

    def _store(self, name: str, place: int, content: bytes) -> None:
        """Writes a part of a file; one that cannot be written is told, and missing at the end."""
        path = self._folder / name
        half = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(exist_ok=True)
            if place and half.stat().st_size != place:
                return  # of an earlier part that could not be written
            with half.open("ab" if place else "wb") as file:
                file.write(content)
            if not content:
                half.replace(path)
        except OSError as error:
            log.error("%s cannot be written (%s).", path, error.strerror or error)

    def _name(self, attempt: Attempt) -> bytes:
        """Returns the key by which an attempt is asked to stop."""
        return f"{self._stop}/{attempt.task}/{attempt.number}".encode()

    def _sent_plan(self) -> Any:
        """Returns Ray's reference to the whole plan, which is sent again when it has grown."""
        path = self._folder / PLAN
        about = path.stat()
        version = (about.st_mtime_ns, about.st_size)
        if self._plan is None or self._plan[0] != version:
            self._plan = (version, self._ray.put(to_json(read(self._folder))))
        return self._plan[1]

    def _check_nodes(self) -> None:
        settings = self._settings
        asked = {"CPU": settings.cores, "GPU": settings.gpus, "memory": _bytes(settings) or 0}
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if any(all(node.get(key, 0) >= value for key, value in asked.items()) for node in nodes):
            return
        there = "; ".join(sorted({_described(node) for node in nodes}))
        raise ConfigError(
            f"`execution` must ask for what one node of the Ray cluster has ({there}). "
            f"Received: {_described(asked)}. Change `execution.cores`, `execution.gpus` or "
            f"`execution.memory_gb`, or start such a node first."
        )


def _package() -> Any:
    """Returns Ray, whose messages from all over a cluster go to the log, not to the console.

    Raises:
      ConfigError: It is not installed.
    """
    try:
        import ray
        import ray._private.worker
    except ImportError:
        raise ConfigError("`execution=ray` needs: pip install 'runner[ray]'.") from None
    ray._private.worker.print_to_stdstream = _to_log
    return ray


def _to_log(data: Mapping[str, Any], *_: object, **__: object) -> None:
    for line in data["lines"]:
        log.debug("Ray: %s", line)


def _connect(ray: Any, settings: Ray) -> None:
    """Joins the cluster of the settings or the environment, or starts one on this machine.

    Raises:
      ConfigError: There is no such cluster.
    """
    key = "RAY_ADDRESS" if settings.address is None else "execution.address"
    address = settings.address or os.environ.get("RAY_ADDRESS")
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if not address:
            _start(ray, settings)
        else:
            _join(ray, key, address)
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray's own ends the process in its middle


def _start(ray: Any, settings: Ray) -> None:
    workers = settings.workers or max(1, num_cores() // settings.cores)
    try:
        # What ends a command often goes to all of its processes: the cluster must outlive it. Ray
        # itself sees to SIGINT.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        ray.init(
            address="local",
            num_cpus=workers * settings.cores,
            num_gpus=None if settings.gpus else 0,  # None: what there is
            object_store_memory=_STORE_BYTES,
            include_dashboard=False,
            # Ray would take the network card's address, which may change, or not be reachable.
            _node_ip_address="127.0.0.2" if sys.platform == "linux" else None,
            **_QUIET,
        )
    except Exception as error:
        raise ConfigError(f"Ray does not start on this machine: {told(error)}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def _join(ray: Any, key: str, address: str) -> None:
    if address != "auto" and (why := _unreachable(address)):
        raise ConfigError.at(key, "the address HOST:PORT of a Ray cluster", address, why)
    # `ray job submit` sends an environment of its own, in which this one has the last word.
    os.environ.setdefault("RAY_OVERRIDE_JOB_RUNTIME_ENV", "1")
    with tempfile.TemporaryDirectory(prefix="runner-") as folder:
        copy_modules(Path.cwd(), Path(folder))
        try:
            ray.init(address=address, runtime_env={"working_dir": folder}, **_QUIET)
        except Exception as error:
            rule = "the address of a Ray cluster that this machine belongs to"
            advice = f"Ray: {told(error)}. Has this machine run `ray start --address={address}`?"
            raise ConfigError.at(key, rule, address, advice) from error


def _unreachable(address: str) -> str:
    """Returns why no cluster answers at an address; empty if one does."""
    if "://" in address:
        return "Ray's client (ray://) is not supported: run the command on a node of the cluster."
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except (ValueError, OSError) as error:
        return f"Nothing answers at that address ({error})."
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER_S)
    except subprocess.TimeoutExpired:
        return f"Ray does not answer at that address within {_ANSWER_S:g} s."
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return "" if done.returncode == 0 else f"Ray: {lines[-1] if lines else 'it is not healthy'}."


def _bytes(settings: Ray) -> int | None:
    return None if settings.memory_gb is None else int(settings.memory_gb * 1e9)


def _described(resources: Mapping[str, float]) -> str:
    gigabytes = resources.get("memory", 0) / 1e9
    return (
        f"{resources.get('CPU', 0):g} cores, {resources.get('GPU', 0):g} GPUs, "
        f"{gigabytes:.3g} GB of memory"
    )
