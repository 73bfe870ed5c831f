"""A worker that makes up its events: `made_up_worker.py FOLDER TASK ATTEMPT`, without TensorFlow.

It goes on where its checkpoint is, as a real one does, and ends its epoch when it is told to.
"""

import json
import signal
import sys
import time
from pathlib import Path

from runner.events import EpochEnded, Heartbeat, ReplicateEnded, TaskEnded, TaskStarted
from runner.execution.backends.frames import FrameWriter
from runner.execution.backends.task_files import Attempt, read_task
from runner.execution.checkpoints import path_of

PACE = "pace.json"


def value(key, epoch):
    """The loss that a replicate has after an epoch."""
    return 1.0 / (1 + epoch + key.weight_seed)


def pace(folder):
    """How many epochs there are, and how long one takes; that may change meanwhile."""
    return json.loads((folder / PACE).read_text())


def main(folder, name, number):
    told = []
    for each in (signal.SIGUSR2, signal.SIGTERM):
        signal.signal(each, lambda *_: told.append(True))
    task = read_task(folder, name)
    num_epochs, _ = pace(folder)
    writer = FrameWriter(folder, Attempt(name, number))
    writer.write(TaskStarted(name, number))
    path = path_of(folder, name)
    path.parent.mkdir(exist_ok=True)
    first = json.loads(path.read_text()) if path.exists() else 0
    for epoch in range(first, num_epochs):
        until_s = time.monotonic() + pace(folder)[1]
        while time.monotonic() < until_s:
            time.sleep(0.02)
        metrics = {"loss": [value(key, epoch) for key in task.keys]}
        writer.write(EpochEnded(task.keys, epoch, epoch, metrics))
        writer.write(Heartbeat(name))
        path.write_text(json.dumps(epoch + 1))
        if told and epoch + 1 < num_epochs:
            writer.write(TaskEnded(name, "interrupted"))
            writer.close()
            return 75
    for key in task.keys:
        writer.write(ReplicateEnded(key, "finished"))
    writer.write(TaskEnded(name))
    writer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
