"""`python -m runner`: Hydra composes the configurations, `runner.execution` trains them."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.interruption import INTERRUPTED, check, end_without_traceback, stoppable, take_up

if __name__ == "__main__":  # before the imports that take long
    end_without_traceback()

import hydra
from hydra._internal import utils as hydra_utils
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import MISSING, DictConfig

from runner.execution import apart, folders
from runner.machine import few_collections
from runner.masking import masked
from runner.terminal import tolerate_any_console

if TYPE_CHECKING:
    from runner.recording.recorder import End

_PACKAGE = Path(__file__).resolve().parent
# An installed wheel carries the folder inside the package, a checkout has it beside it.
_CONF = _PACKAGE / "_conf" if (_PACKAGE / "_conf").is_dir() else _PACKAGE.parent / "conf"

# No room, the user's share of it used up, a file too large, nothing to be written to.
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}

# Of commands that have not just finished.
_EXIT_CODES = {"failed": 1, "interrupted": INTERRUPTED}


@dataclass
class Schema:
    """The top level of the configuration; each group's settings are checked by its own code."""

    dataset: Any = MISSING
    model: Any = MISSING
    init: Any = MISSING
    optimizer: Any = MISSING
    training: Any = MISSING
    diagnostics: Any = MISSING
    engine: Any = MISSING
    tracking: Any = MISSING
    report: Any = MISSING
    seeds: Any = MISSING
    weight_seeds: Any = None
    batch_seeds: Any = None
    device: str = MISSING
    rerun: bool = MISSING
    dry_run: bool = MISSING


@hydra.main(version_base="1.3", config_path=str(_CONF), config_name="config")
def train(cfg: DictConfig) -> float | None:
    """Trains one configuration: all there is, or a job that a stock launcher runs.

    The launcher `cohort` does not come here: it takes the jobs of a sweep together.

    Returns:
      The mean of the endpoint over the replicates, for Hydra's optimizing sweepers.
    """
    from runner.config import ConfigError
    from runner.execution.configure import Job
    from runner.execution.sweep import run, run_apart

    job = Job.from_hydra(HydraConfig.get(), cfg)
    tolerate_any_console()  # in the processes of a parallel launcher too
    if HydraConfig.get().mode == RunMode.RUN:
        result = run([job])[job.index]
        if result.error:
            raise SystemExit(1)  # the reason has been told; Hydra would tell it again
        return result.value
    result = run_apart([job])[job.index]
    if result.error:
        raise ConfigError(result.error)
    return result.value


def main() -> None:
    """Runs the command line. Exit codes: 0, 1 (something failed), 130 (interrupted)."""
    tolerate_any_console()
    folders.register_resolver()
    ConfigStore.instance().store(name="base_config", node=Schema)
    try:
        with stoppable(), _one_line_errors():
            end = _train_and_finish()
    except KeyboardInterrupt:
        end = "interrupted"
    finally:
        folders.release()
    if end in _EXIT_CODES:
        raise SystemExit(_EXIT_CODES[end])


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Makes Hydra report every error in one line, as it does its own, unless asked for all of it.

    Hydra shows a traceback for what it does not expect, and some values of overrides it does not.
    """
    report = hydra_utils.run_and_report

    def guarded(func: Any) -> Any:
        return report(partial(_in_one_line, func))

    hydra_utils.run_and_report = guarded
    try:
        yield
    finally:
        hydra_utils.run_and_report = report


def _in_one_line(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except CompactHydraException as error:
        check()  # it may come from an interruption that a library caught
        error.args = (masked(str(error)),)
        raise
    except Exception as error:
        check()
        if os.environ.get("HYDRA_FULL_ERROR", "0") == "1":
            raise
        told = f"{type(error).__name__}: {error}"
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            told = folders.unwritten(error)
        text = masked(" ".join(told.split()))
        raise CompactHydraException(text) from error


def _train_and_finish() -> "End":
    """Trains; then, whatever happened, finishes a sweep whose jobs could not. Returns its end."""
    end: End = "failed"
    try:
        train()
        end = "finished"
    except KeyboardInterrupt:
        take_up()
        end = "interrupted"
        raise
    finally:
        if folder := apart.take():
            from runner.execution.finish import finish

            try:
                end = _in_one_line(partial(finish, folder, end))
            except CompactHydraException as error:
                print(error, file=sys.stderr)
                end = "failed"
    return end


if __name__ == "__main__":
    with few_collections():
        main()
