"""What a node of a Ray cluster does for an attempt; needs nothing of `runner`.

Ray carries this module there as it is. The node's own `runner` may be missing, or be another one:
then the attempt is refused. Else a process of its own trains, as on any other cluster, and its
frames are handed on as the bytes of its file: so whatever breaks there is told from here.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

REFUSED, RUNNING, FRAMES, ENDED = "refused", "running", "frames", "ended"
FILE = "file"
"""What an item says: why not; on which node; what has come; how the process ended; a part of a file
that frames tell of, with its path from the sweep's folder and its place, empty at the end."""

_NAMESPACE = b"runner"

_LOOK_S = 0.2
_STOP_S = 1.0
_CHUNK_BYTES = 1 << 20
_TAIL_BYTES = 16_384

# Prints what `python -m runner...` would find: a digest of its source, as that of
# `identity.source_digest`, and its folder; or nothing.
_FIND = """
import hashlib, importlib.util, pathlib
found = importlib.util.find_spec("runner")
if found is not None and found.origin:
    folder = pathlib.Path(found.origin).resolve().parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(f"{file.relative_to(folder).as_posix()}\\n".encode() + file.read_bytes())
    print(digest.hexdigest(), folder)
"""


def installed(folder: str) -> tuple[str, str]:
    """Returns the digest and the place of the `runner` that a process in a folder would import.

    Both are empty where there is none.
    """
    command = [sys.executable, "-c", _FIND]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    digest, _, place = done.stdout.strip().partition(" ")
    return digest, place


def ask(name: bytes) -> None:
    """Asks an attempt to stop, by a name that its node looks for in the cluster's table of keys."""
    from ray.experimental.internal_kv import _internal_kv_put

    _internal_kv_put(name, b"", namespace=_NAMESPACE)


def _is_asked(name: bytes) -> bool:
    from ray.exceptions import RpcError
    from ray.experimental.internal_kv import _internal_kv_exists

    try:
        return _internal_kv_exists(name, namespace=_NAMESPACE)
    except RpcError:  # the head may be starting again
        return False


def on_node(order: Mapping[str, Any], plan: bytes) -> Iterator[tuple[str, Any]]:
    """Yields what happens to an attempt at a task.

    Args:
      order: What `RayCluster.submit` says of it.
      plan: The content of the sweep's plan, for a node that does not see the sweep's folder.
    """
    node = socket.gethostname()
    shared = Path(order["folder"], "tasks", order["task"], "task.json")
    is_shared = shared.is_file() and shared.read_bytes() == order["content"]
    there = is_shared and Path(order["working_directory"]).is_dir()
    working = order["working_directory"] if there else os.getcwd()  # noqa: PTH109
    if why := _objection(order["runner"], installed(working), node):
        yield REFUSED, why
        return
    yield RUNNING, node
    scratch = None if is_shared else Path(tempfile.mkdtemp(prefix="runner-"))
    try:
        if scratch is not None:
            place = scratch / "tasks" / order["task"] / "task.json"
            place.parent.mkdir(parents=True)
            place.write_bytes(order["content"])
            (scratch / "plan.json").write_bytes(plan)
        folder = scratch or Path(order["folder"])
        yield from _process(order, folder, working, sends_files=scratch is not None)
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def _objection(wanted: tuple[str, str], found: tuple[str, str], node: str) -> str:
    if wanted[0] == found[0]:
        return ""
    if not found[0]:
        return f"{node} has no runner for {sys.executable}: install the same there as here."
    return (
        f"{node} has another runner ({found[0][:16]} in {found[1]}) than the command "
        f"({wanted[0][:16]} in {wanted[1]}): install the same on all nodes."
    )


def _process(
    order: Mapping[str, Any], folder: Path, working: str, sends_files: bool
) -> Iterator[tuple[str, Any]]:
    """Runs the worker's process; yields its frames, its files, and how it ended."""
    number = str(order["attempt"])
    files = folder / "tasks" / order["task"]
    log, frames = files / f"{number}.log", files / f"{number}.frames"
    command = [sys.executable, "-u", *order["worker"], str(folder), order["task"], number]
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # Ray's processes leave signals out
    with (
        log.open("ab") as output,
        subprocess.Popen(
            command,
            cwd=working,
            stdin=subprocess.PIPE,  # the worker ends when it does
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            files = folder / order["files"] if sends_files else None
            yield from _followed(process, frames, order["stop"], files)
        finally:
            process.kill()
    yield ENDED, _ending(process.returncode, log)


def _followed(
    process: subprocess.Popen, frames: Path, stop: bytes, files: Path | None
) -> Iterator[tuple[str, Any]]:
    """Yields what a process writes until it ends, and asks it to end when this one is asked to."""
    is_told, look_s, place = False, time.monotonic() + _STOP_S, 0
    while True:
        has_ended = process.poll() is not None
        while content := _content(frames, place):
            place += len(content)
            if files is not None:  # what these frames tell of was written before them
                yield from _sent(files)
            yield FRAMES, content
        if has_ended:
            return
        time.sleep(_LOOK_S)
        if not is_told and time.monotonic() >= look_s:
            look_s = time.monotonic() + _STOP_S
            if is_told := _is_asked(stop):
                process.send_signal(signal.SIGUSR2)


def _sent(folder: Path) -> Iterator[tuple[str, Any]]:
    """Yields the files of a folder, whole ones only, and removes them."""
    for path in sorted(folder.glob("[!.]*")):
        name, place = f"{folder.name}/{path.name}", 0
        while content := _content(path, place):
            yield FILE, (name, place, content)
            place += len(content)
        yield FILE, (name, place, b"")
        path.unlink()


def _content(path: Path, place: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(place)
            return file.read(_CHUNK_BYTES)
    except FileNotFoundError:
        return b""


def _ending(code: int, log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        text = file.read().decode("utf-8", "replace")
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    how = f"exit code {code}" if code >= 0 else f"ended by {signal.Signals(-code).name}"
    return f"{how}; its log ends: {' | '.join(lines[-5:])}" if lines else how
