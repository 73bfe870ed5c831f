"""A worker that does what its task is called: `told_worker.py FOLDER TASK ATTEMPT`.

`count-N` tells N epochs; `wait-…` lives until it is asked to stop; `crash-…` is killed.
"""

import os
import signal
import sys
import time
from pathlib import Path

from runner.events import CheckpointWritten, EpochEnded, Heartbeat, Logged, TaskEnded, TaskStarted
from runner.execution.backends.frames import Frame, encode
from runner.execution.backends.task_files import Attempt, frames_file, read_task
from runner.execution.plan import read


def main(folder, name, number):
    asked = []
    signal.signal(signal.SIGUSR2, lambda *_: asked.append(True))
    task, plan = read_task(folder, name), read(folder)
    with frames_file(folder, Attempt(name, number)).open("ab", buffering=0) as file:
        events = told(task, plan, folder, asked)
        for count, event in enumerate(events):
            file.write(encode(Frame(name, number, count, event)))
    return 75 if asked else 0


def told(task, plan, folder, asked):
    what, _, count = task.name.partition("-")
    yield TaskStarted(task.name, 1, {"sweep": plan.sweep, "folder": str(folder)})
    yield Logged(30, str(os.getpid()))
    if what == "crash":
        print("MemoryError: too much", file=sys.stderr)
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "wait":
        while not asked:
            time.sleep(0.05)
        yield CheckpointWritten(task.name, 1)
        yield TaskEnded(task.name, "interrupted")
        return
    for epoch in range(int(count)):
        yield EpochEnded(task.keys, epoch, epoch, {"loss": [1 / (3 + epoch)] * len(task.keys)})
        yield Heartbeat(task.name)
    yield TaskEnded(task.name)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
