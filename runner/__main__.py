"""`python -m runner`: Hydra composes the configurations, `runner.execution` trains them."""

import argparse
import errno
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runner.interruption import (
    INTERRUPTED,
    Detached,
    check,
    end_without_traceback,
    stoppable,
    take_up,
)

if __name__ == "__main__":  # before the imports that take long
    end_without_traceback()

import hydra
from hydra._internal import utils as hydra_utils
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

import runner
from runner.config import ConfigError
from runner.execution import current, folders
from runner.execution.composing import CONF, strictly
from runner.execution.mistakes import one_line
from runner.machine import few_collections
from runner.masking import masked
from runner.terminal import tolerate_any_console
from runner.training.tensorflow import check_backend

if TYPE_CHECKING:
    from runner.events import End

# No room, the user's share of it used up, a file too large, nothing to be written to.
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}

# Of commands that have not just finished.
_EXIT_CODES = {"failed": 1, "interrupted": INTERRUPTED}


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def train(cfg: DictConfig) -> float:
    """Trains one configuration; the launcher hands on those of a sweep together.

    Returns:
      The mean of the endpoint over the replicates.
    """
    from runner.execution.configure import Job

    with _told_at_once():
        job = Job.from_hydra(HydraConfig.get(), cfg)
        return current.train([job], is_whole=True)[job.index]


def main() -> None:
    """Runs the command line. Exit codes: 0, 1 (failed), 2 (no such option), 130 (interrupted)."""
    tolerate_any_console()
    options = _options()
    folders.register_resolver()
    try:
        with stoppable(), strictly(), _one_line_errors(), _told_at_once():
            _check(options)
            end = _train_and_conclude()
    except KeyboardInterrupt:
        end = "interrupted"
    except Detached as work:
        end = "finished"
        print(work)
    finally:
        folders.release()
    if end in _EXIT_CODES:
        raise SystemExit(_EXIT_CODES[end])


def _options() -> argparse.Namespace:
    """Returns Hydra's reading of the command line; answers what needs nothing else."""
    parser = hydra_utils.get_args_parser()
    parser.prog = "python -m runner"
    for action in parser._actions:
        if isinstance(action, argparse._VersionAction):
            action.version = f"runner {runner.version()} (Hydra {hydra.__version__})"
    known = [name for action in parser._actions for name in action.option_strings]
    for argument in sys.argv[1:]:
        name, sign, _ = argument.partition("=")
        if sign and re.match(r"--?\w", name) and not any(each.startswith(name) for each in known):
            plain = argument.lstrip("-")
            parser.error(f"a setting has no dashes. Received: {argument}. Write {plain}")
    if parser.parse_known_args()[1]:  # settings on both sides of an option, which Hydra cannot read
        settings = parser.parse_intermixed_args().overrides
        sys.argv[1:] = [*settings, *(text for text in sys.argv[1:] if text not in settings)]
    return parser.parse_args()


def _check(options: argparse.Namespace) -> None:
    """Checks what stands on the command line beside the settings.

    Raises:
      ConfigError: It does not work here.
    """
    if options.experimental_rerun is not None:
        raise ConfigError(
            "--experimental-rerun does not work here. Give the command again: what has finished "
            "is not trained again."
        )
    if options.cfg is None and (
        options.package is not None or (options.resolve and not options.help)
    ):
        raise ConfigError("--package and --resolve are about what --cfg shows: add --cfg job.")
    shows = [name for name in ("cfg", "info", "shell_completion") if getattr(options, name)]
    commands = shows + [name for name in ("run", "multirun") if getattr(options, name)]
    if len(commands) > 1:
        given = " and ".join(f"--{name.replace('_', '-')}" for name in commands)
        raise ConfigError(f"One of {given} must be left out.")
    if not (shows or options.help or options.hydra_help):
        check_backend()
    settings = (text for text in options.overrides if "=" in text)
    keys = Counter(text.partition("=")[0].lstrip("+") for text in settings)
    for key, count in keys.items():
        if count > 1:
            print(f"`{key}` is given {count} times: the last one counts.", file=sys.stderr)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Makes Hydra report every error as `_told_at_once` does.

    Hydra shows a traceback for what it does not expect, and some values of overrides it does not.
    """
    report = hydra_utils.run_and_report

    def guarded(func: Any) -> Any:
        with _told_at_once():
            return func()

    hydra_utils.run_and_report = guarded
    try:
        yield
    finally:
        hydra_utils.run_and_report = report


@contextmanager
def _told_at_once() -> Iterator[None]:
    """Ends the command with what an error says, in one line; with all of it where that is wanted.

    A mistake of the user's is told by itself; for anything else the line says how to see more.
    """
    try:
        yield
    except Exception as error:
        check()
        if os.environ.get("HYDRA_FULL_ERROR", "0") == "1":
            raise
        is_mistake = isinstance(error, ConfigError | HydraException | OmegaConfBaseException)
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            text, is_mistake = folders.unwritten(error), True
        else:
            text = str(error) if isinstance(error, ConfigError) else one_line(error)
        print(masked(text), file=sys.stderr)
        if not is_mistake:
            print("HYDRA_FULL_ERROR=1 in the environment shows all of it.", file=sys.stderr)
        raise SystemExit(1) from error


def _train_and_conclude() -> "End":
    """Trains; then, whatever happened, concludes the sweep that it began. Returns its end."""
    end: End = "failed"
    try:
        train()
        end = "finished"
    except KeyboardInterrupt:
        take_up()
        end = "interrupted"
        raise
    except Detached:
        end = "interrupted"
        raise
    except SystemExit as leaving:  # of a dry run whose sweeper would go by results
        if leaving.code:
            raise
        end = "finished"
    finally:
        end = current.conclude(end)
    return end


if __name__ == "__main__":
    with few_collections():
        main()
