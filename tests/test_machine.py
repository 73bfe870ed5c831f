"""Cores and memory under limits, read from trees like those of Linux."""

import os

import pytest

from runner import machine


def tree(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "ascii")
    return root


@pytest.fixture
def many_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)


V2 = {"proc/self/cgroup": "0::/box/job\n"}
V1 = {"proc/self/cgroup": "4:cpu,cpuacct:/outside/of/it\n3:memory:/outside/of/it\n"}

CORES = {
    "no groups": ({}, 64),
    "no limit": (V2 | {"sys/fs/cgroup/box/job/cpu.max": "max 100000\n"}, 64),
    "whole cores": (V2 | {"sys/fs/cgroup/box/job/cpu.max": "300000 100000\n"}, 3),
    "a part of a core counts": (V2 | {"sys/fs/cgroup/box/job/cpu.max": "150000 100000\n"}, 2),
    "less than a core": (V2 | {"sys/fs/cgroup/box/job/cpu.max": "10000 100000\n"}, 1),
    "an outer group is tighter": (
        V2
        | {
            "sys/fs/cgroup/box/job/cpu.max": "800000 100000\n",
            "sys/fs/cgroup/box/cpu.max": "200000 100000\n",
        },
        2,
    ),
    "version 1 in a container": (
        V1
        | {
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        4,
    ),
    "version 1 without a limit": (
        V1
        | {
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        64,
    ),
}


@pytest.mark.parametrize(("files", "cores"), CORES.values(), ids=CORES)
def test_cores_follow_the_quota(tmp_path, many_cores, files, cores):
    assert machine.num_cores(tree(tmp_path, files)) == cores
    assert machine.has_fewer_cores(tmp_path) == (cores < 64)


def test_cores_follow_the_affinity(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5}, raising=False)
    files = V2 | {"sys/fs/cgroup/box/job/cpu.max": "800000 100000\n"}
    assert machine.num_cores(tree(tmp_path, files)) == 2
    assert not machine.has_fewer_cores(tmp_path)


MEMINFO = {"proc/meminfo": "MemTotal:  64 kB\nMemAvailable:       8 kB\n"}

MEMORY = {
    "nothing tells": ({}, float("inf")),
    "the machine's": (MEMINFO, 8192),
    "a group's limit less its use": (
        MEMINFO
        | V2
        | {
            "sys/fs/cgroup/box/job/memory.max": "6000\n",
            "sys/fs/cgroup/box/job/memory.current": "1000\n",
        },
        5000,
    ),
    "no limit": (
        MEMINFO
        | V2
        | {
            "sys/fs/cgroup/box/job/memory.max": "max\n",
            "sys/fs/cgroup/box/job/memory.current": "1000\n",
        },
        8192,
    ),
    "version 1": (
        MEMINFO
        | V1
        | {
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "4000\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "5000\n",
        },
        0,
    ),
}


@pytest.mark.parametrize(("files", "amount"), MEMORY.values(), ids=MEMORY)
def test_memory_is_the_least_of_all_limits(tmp_path, files, amount):
    assert machine.available_memory(tree(tmp_path, files)) == amount


def test_this_machine_grants_something():
    assert 1 <= machine.num_cores() <= (os.cpu_count() or 1)
    assert machine.available_memory() > 0


def cache(index, size, cpus):
    folder = f"sys/devices/system/cpu/cpu0/cache/index{index}"
    return {f"{folder}/size": f"{size}\n", f"{folder}/shared_cpu_list": f"{cpus}\n"}


CACHES = {
    "the last level": (cache(0, "32K", "0,8") | cache(2, "1024K", "0,8"), 2**19),
    "shared by few": (cache(2, "1024K", "0") | cache(3, "32768K", "0-1"), 2**24),
    "shared by many": (cache(2, "2048K", "0") | cache(3, "49152K", "0-15,32-47"), 2**21),
    "not told": ({}, machine._CACHE_BYTES),
}


@pytest.mark.parametrize(("files", "amount"), CACHES.values(), ids=CACHES)
def test_a_processor_has_its_share_of_a_cache(tmp_path, files, amount):
    assert machine.cache_bytes(tree(tmp_path, files)) == amount


DRIVERS = {
    "open": (
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.172.08  Release",
        "570.172.08",
    ),
    "closed": (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03  Tue Jun  6",
        "535.54.03",
    ),
    "none": (None, ""),
    "other": ("no version", ""),
}


@pytest.mark.parametrize(("text", "version"), DRIVERS.values(), ids=DRIVERS)
def test_the_driver_of_the_gpus(tmp_path, text, version):
    files = {} if text is None else {"proc/driver/nvidia/version": f"{text}\nGCC version: 12\n"}
    assert machine.gpu_driver(tree(tmp_path, files)) == version
