"""What this process may use of the machine: cores and memory, by the limits it runs under; caches.

A container shows the whole machine and grants a share of it, so the control groups are asked too
(cgroup v2: `cpu.max`, `memory.max`; v1: `cpu.cfs_quota_us`, `memory.limit_in_bytes`).
`few_collections` is what it does to need less of them.
"""

import gc
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/")

# The thresholds of the collector's three generations.
_COLLECT_AFTER = (50_000, 10, 10)

# Where nothing tells how much there is of it.
_CACHE_BYTES = 4 * 2**20


# More than any machine has.
_MOST_BYTES = 2**60


@dataclass(frozen=True)
class Room:
    """What training may use; it decides the shape of programs, and so the last bits of numbers.

    Attributes:
      cores: Threads that train at the same time.
      memory_bytes: Of memory.
      cache_bytes: Of a core's cache.
      operation_threads: Of one operation on a CPU; 0 for all cores.
    """

    cores: int
    memory_bytes: int
    cache_bytes: int
    operation_threads: int = 0


def room() -> Room:
    """Returns what this process may use now."""
    return Room(num_cores(), int(min(available_memory(), _MOST_BYTES)), cache_bytes())


@contextmanager
def few_collections() -> Iterator[None]:
    """Spares a process of its own most collections of garbage: here, they find next to none.

    TensorFlow's import alone makes a million objects that stay. Walking through them takes a tenth
    of that time, and two seconds more when the interpreter ends.
    """
    gc.set_threshold(*_COLLECT_AFTER)
    try:
        yield
    finally:
        gc.freeze()


def num_cores(root: Path = _ROOT) -> int:
    """Returns the number of processor cores that this process may use, at least 1.

    Args:
      root: Where `proc` and `sys` lie.
    """
    return max(1, min([_cores_in_sight(), *(math.ceil(quota) for quota in _quotas(root))]))


def has_fewer_cores(root: Path = _ROOT) -> bool:
    """Tells whether this process may use fewer cores than it sees, which is what libraries count.

    Args:
      root: Where `proc` and `sys` lie.
    """
    return num_cores(root) < _cores_in_sight()


def available_memory(root: Path = _ROOT) -> float:
    """Returns the bytes of memory that this process may still take; infinity where nothing tells.

    Args:
      root: Where `proc` and `sys` lie.
    """
    amounts = [limit - used for limit, used in _memory_limits(root)]
    for line in _text(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            amounts.append(int(value.split()[0]) * 1024)  # given in KiB
    return max(min(amounts, default=math.inf), 0)


def cache_bytes(root: Path = _ROOT) -> int:
    """Returns the bytes of cache that a processor has: the largest share that it has of any.

    Args:
      root: Where `sys` lies.
    """
    shares = []
    for cache in (root / "sys/devices/system/cpu/cpu0/cache").glob("index[0-9]*"):
        size = _text(cache / "size").strip()
        sharing = _count(_text(cache / "shared_cpu_list").strip())
        if size.endswith("K") and sharing:
            shares.append(int(size.removesuffix("K")) * 1024 // sharing)
    return max(shares, default=_CACHE_BYTES) or _CACHE_BYTES


def num_gpus(root: Path = _ROOT) -> int:
    """Returns how many GPUs NVIDIA's driver knows, 0 where there is none.

    Args:
      root: Where `proc` lies.
    """
    return len(list((root / "proc/driver/nvidia/gpus").glob("*")))


def gpu_driver(root: Path = _ROOT) -> str:
    """Returns the version of NVIDIA's driver, or `""` where there is none.

    Args:
      root: Where `proc` lies.
    """
    text = _text(root / "proc/driver/nvidia/version")
    found = re.search(r"Kernel Module(?: for \S+)?\s+(\d[\d.]*)", text)
    return found[1] if found else ""


def hardware(root: Path = _ROOT) -> list[str]:
    """Returns what the kernel tells of the kinds of processor and GPU that there are.

    Args:
      root: Where `proc` lies.
    """
    names = ("model name", "flags", "Features", "CPU part", "isa")
    own = [*(root / "proc/driver/nvidia/gpus").glob("*/information"), root / "proc/cpuinfo"]
    lines = [line for file in own for line in _text(file).splitlines()]
    told = {line for line in lines if line.partition(":")[0].strip() in (*names, "Model")}
    return sorted({*told, gpu_driver(root)})


def _count(cpus: str) -> int:
    """Returns how many processors a list of Linux's names, such as 0-3,8."""
    ends = [part.partition("-") for part in cpus.split(",") if part]
    return sum(int(last or first) - int(first) + 1 for first, _, last in ends)


def _cores_in_sight() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    """Yields the cores that each control group around this process grants."""
    for folder in _groups(root, "cpu"):
        pair = _text(folder / "cpu.max").split() or [
            _text(folder / "cpu.cfs_quota_us").strip(),
            _text(folder / "cpu.cfs_period_us").strip(),
        ]
        quota, period = (int(value) if value.isdecimal() else 0 for value in pair)
        if quota and period:  # "max" and -1 mean no limit
            yield quota / period


def _memory_limits(root: Path) -> Iterator[tuple[int, int]]:
    """Yields the limit and the use of each control group around this process, in bytes."""
    for folder in _groups(root, "memory"):
        for limit_name, used_name in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit, used = (_text(folder / name).strip() for name in (limit_name, used_name))
            if limit.isdecimal() and used.isdecimal():
                yield int(limit), int(used)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Yields the folders of the control groups that this process is in, from within outward.

    In a container the paths may be those outside of it; then only the mounted root exists.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mounted = root / "sys/fs/cgroup" / (controller if controllers else "")
        inner = Path(path.lstrip("/"))
        yield from (mounted / folder for folder in (inner, *inner.parents))


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except OSError:
        return ""
