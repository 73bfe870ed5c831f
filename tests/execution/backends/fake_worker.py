"""The worker itself with a training that is made up, and an accident that `accidents.json` names.

python fake_worker.py [--parent] FOLDER TASK ATTEMPT
"""

import json
import logging
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

from runner.events import ReplicateEnded
from runner.execution import worker
from runner.interruption import is_asked
from tests.execution.backends.made_up import EPOCHS, epoch

folder, name, attempt = sys.argv[-3:]
accident = json.loads(Path(folder, "accidents.json").read_text()).get(f"{name} {attempt}")


class UnpicklableError(Exception):
    """Holds what no process can send to another."""

    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


def happen(keys):
    """Lets the accident happen, after the first epoch."""
    match accident:
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "raises":
            raise UnpicklableError("nothing\nhelps")
        case "disk":
            resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY))
        case "busy":
            time.sleep(0.5)
        case "warns":
            logging.getLogger("keras").warning("a password: %s", "sqlite://me:secret@host")
            logging.getLogger("keras").info("not told")
            logging.getLogger("runner.training").info("told")
        case "waits":
            while not is_asked():
                time.sleep(0.01)
            raise KeyboardInterrupt


def run_task(task, ready, diagnostician, folder):
    for number in range(EPOCHS + 1):
        yield epoch(task.keys, number)
        if number == 1:
            happen(task.keys)
    for key in task.keys:
        yield ReplicateEnded(key, "finished", 0.5)


def prepared(plan, task):
    if accident == "prepares":
        print("still preparing", flush=True)
        time.sleep(600)
    return {}


worker._prepared = prepared
worker.HEARTBEAT_EVERY_S = 0.1
worker.with_heartbeats.__defaults__ = (0.1,)
worker.FrameWriter.close.__defaults__ = (0.1,)
sys.modules["runner.execution.ahead"] = MagicMock()  # there are no programs to prepare
sys.modules["runner.execution.running"] = SimpleNamespace(run_task=run_task)
sys.modules["runner.execution.diagnostics"] = SimpleNamespace(Diagnostician=object)

worker.main()
