"""Runs whole commands, each in an empty folder, and tells what they take."""

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Finished:
    """A command that has ended well.

    Attributes:
      seconds: From its start to its end.
      memory_bytes: The most that it, or a process that it waited for, has held.
      output: What it printed.
    """

    seconds: float
    memory_bytes: float
    output: str


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Finished:
    """Runs a command.

    Args:
      command: The program and its arguments.
      environment: Added to that of this process, without what steers MLflow and Keras.

    Raises:
      SystemExit: It failed.
    """
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "KERAS_"))}
    keep |= {"TF_CPP_MIN_LOG_LEVEL": "3", "COLUMNS": "120", **(environment or {})}
    with tempfile.TemporaryDirectory() as place:
        folder, files = Path(place, "empty"), [Path(place, name) for name in ("out", "err")]
        folder.mkdir()
        with files[0].open("w") as out, files[1].open("w") as err:
            began = time.perf_counter()
            process = subprocess.Popen(command, cwd=folder, env=keep, stdout=out, stderr=err)
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output, errors = (file.read_text("utf-8") for file in files)
    if process.returncode:
        raise SystemExit(f"This failed: {' '.join(command)}\n{output}{errors}")
    return Finished(seconds, usage.ru_maxrss * 1024, output)
