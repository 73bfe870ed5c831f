"""What a sweep ran with: the command, the versions, the machine."""

import platform
import re
import shlex
import sys
from collections.abc import Iterable
from datetime import datetime
from importlib import metadata
from pathlib import Path

from runner.execution.identity import source_digest
from runner.machine import num_cores
from runner.masking import masked_override
from runner.records import SweepRecord

_LIBRARIES = ("runner", "tensorflow", "keras", "numpy", "hydra-core", "mlflow")


def sweep_record(
    folder: Path,
    confidence: float,
    sweep_id: str,
    gpus: Iterable[str] = (),
    call: str | None = None,
) -> SweepRecord:
    """Returns the record of the command that this process runs, or of a call of Python's.

    Args:
      folder: The sweep's folder.
      confidence: Level of the report's intervals.
      sweep_id: What tells it from all others.
      gpus: What is to be told of each GPU that is used.
      call: The call, as a line of Python; None for the command.
    """
    typed = shlex.join(["python", "-m", "runner", *map(masked_override, sys.argv[1:])])
    return SweepRecord(
        name=sweep_name(folder),
        command=typed if call is None else call,
        started=datetime.now().astimezone().isoformat(timespec="seconds"),
        versions={"python": platform.python_version()}
        | {library: _version(library) for library in _LIBRARIES},
        machine="; ".join([_machine(), *gpus]),
        confidence=confidence,
        id=sweep_id,
    )


def sweep_name(folder: Path) -> str:
    """Returns what a sweep is called after its folder: the last two parts are date and time."""
    return "/".join(folder.resolve().parts[-2:])


def required() -> dict[str, str]:
    """Returns what the plan of a sweep and all its workers must have in common, by name."""
    versions = {library: _version(library) for library in ("tensorflow", "keras", "numpy")}
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python, **versions, "runner": source_digest()[:16]}


def machine() -> dict[str, str]:
    """Returns what else there is to say of where this process runs, by name."""
    return {
        "host": platform.node(),
        "processor": _processor().strip(", ") or platform.processor() or platform.machine(),
        "cores": str(num_cores()),
    }


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"


def _machine() -> str:
    cores = num_cores()
    unit = "core" if cores == 1 else "cores"
    return f"{platform.system()} {platform.machine()}, {cores} {unit}{_processor()}"


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", path.read_text(), re.M) if path.exists() else None
    return f", {found[1].strip()}" if found else ""
