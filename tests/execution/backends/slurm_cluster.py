"""A real SLURM of two nodes on this machine: no root, no systemd, no accounting; loopback only."""

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

DEADLINE_S = 60.0
NODES = ("n1", "n2")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel")

# Debian keeps the daemons where only root's PATH leads.
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

# Jobs of `main` are preempted by those of `urgent`, with a grace that lets them write checkpoints.
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldLogFile={folder}/controller.log
SlurmdLogFile={folder}/%n.log
SlurmctldPidFile={folder}/controller.pid
SlurmdPidFile={folder}/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
SlurmctldParameters=preempt_send_user_signal
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmdTimeout=10
KillWait=5
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=60
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=2 PreemptMode=OFF
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=4000"


@dataclass
class Slurm:
    """A cluster that runs.

    Attributes:
      folder: Its files.
      environment: Of the commands that are to reach it.
      nodes: Name of a node -> the process of its `slurmd`.
    """

    folder: Path
    environment: Mapping[str, str]
    nodes: dict[str, subprocess.Popen] = field(default_factory=dict)

    def ask(self, *command: str) -> str:
        """Runs one of SLURM's commands and returns what it prints."""
        return subprocess.run(
            command,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=DEADLINE_S,
        ).stdout.strip()

    def jobs(self) -> dict[str, tuple[str, str, str]]:
        """Returns name -> (number, state, node) of all jobs that have not ended."""
        lines = self.ask("squeue", "-h", "-o", "%j|%A|%T|%N").splitlines()
        return {name: (*about,) for name, *about in (line.split("|") for line in lines)}  # type: ignore[misc]

    def start(self, node: str) -> None:
        """Starts a node, again if it was lost, and waits until jobs can run there."""
        self.nodes[node] = _process(self, "slurmd", "-D", "-N", node)
        wait_for(lambda: self.ask("sinfo", "-h", "-n", node, "-p", "main", "-o", "%t") == "idle")

    def lose(self, node: str) -> None:
        """Takes a node away at once, with all that runs there."""
        self.nodes[node].kill()
        self.nodes[node].wait()
        _end(_of_node(self.folder, node))

    def mend(self) -> None:
        """Ends all jobs, and starts the nodes that were lost."""
        self.ask("scancel", f"--user={getpass.getuser()}")
        _end([pid for node in NODES for pid in _of_node(self.folder, node)])
        for node, process in self.nodes.items():
            if process.poll() is not None:
                self.start(node)
        wait_for(lambda: not self.jobs())


@contextmanager
def slurm_cluster() -> Iterator[Slurm]:
    """Starts a cluster, and ends it and all of its jobs with the block."""
    with tempfile.TemporaryDirectory(prefix="slurm-") as name, ExitStack() as ending:
        folder = Path(name)
        slurm = Slurm(folder, {**os.environ, "PATH": PATH, "SLURM_CONF": f"{folder}/slurm.conf"})
        host, (*ports, first, second) = socket.gethostname().partition(".")[0], _free_ports(4)
        nodes = "\n".join(
            NODE.format(name=node, host=host, port=port)
            for node, port in zip(NODES, (first, second), strict=True)
        )
        text = CONFIGURATION.format(
            host=host, user=getpass.getuser(), folder=folder, ports=ports, nodes=nodes
        )
        (folder / "slurm.conf").write_text(text)
        (folder / "state").mkdir()
        (folder / "munge.key").write_bytes(secrets.token_bytes(128))
        (folder / "munge.key").chmod(0o400)
        files = {"socket": "socket", "key-file": "key", "log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={folder}/munge.{end}" for option, end in files.items()]
        pid_file = f"--pid-file={folder}/munge.pid"
        ending.callback(_close, slurm)
        _start(slurm, ending, "munged", "--foreground", "--force", pid_file, *options)
        wait_for((folder / "munge.socket").exists)
        _start(slurm, ending, "slurmctld", "-D")
        wait_for(lambda: _answers(slurm))
        for node in NODES:
            slurm.start(node)
        yield slurm


def is_installed() -> bool:
    """Tells whether this machine has all that a cluster needs."""
    return all(shutil.which(program, path=PATH) for program in PROGRAMS)


def wait_for(holds: Callable[[], object], within_s: float = DEADLINE_S) -> None:
    """Waits until something holds.

    Raises:
      TimeoutError: It does not in time.
    """
    until_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > until_s:
            raise TimeoutError(f"it does not hold after {within_s:.0f} s")
        time.sleep(0.1)


def _start(slurm: Slurm, ending: ExitStack, *command: str) -> None:
    process = _process(slurm, *command)
    ending.callback(process.wait)
    ending.callback(process.kill)


def _process(slurm: Slurm, *command: str) -> subprocess.Popen:
    with (slurm.folder / f"{command[0]}.out").open("a") as output:
        return subprocess.Popen(
            [shutil.which(command[0], path=PATH) or command[0], *command[1:]],
            env=slurm.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _answers(slurm: Slurm) -> bool:
    try:
        slurm.jobs()
    except subprocess.CalledProcessError:
        return False
    return True


def _close(slurm: Slurm) -> None:
    for node in slurm.nodes:
        slurm.lose(node)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _of_node(folder: Path, node: str) -> list[int]:
    """Returns the processes of a node's jobs, those first that oversee them and have no node."""
    wanted = f"SLURM_CONF={folder}/slurm.conf"
    found, parents = [], []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            about = (path / "environ").read_bytes().decode(errors="replace").split("\0")
            if wanted in about and f"SLURMD_NODENAME={node}" in about:
                found.append(int(path.name))
                parents.append(int((path / "stat").read_text().rpartition(")")[2].split()[1]))
    overseers = {pid for pid in parents if _is_overseer(pid)}
    return [*overseers, *(pid for pid in found if pid != os.getpid())]


def _is_overseer(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"slurmstepd")
    return False


def _end(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
