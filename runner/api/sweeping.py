"""Runs a sweep in this process, by the same walk as `python -m runner --multirun`."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn

from hydra._internal import hydra as application
from hydra._internal.utils import create_config_search_path
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from runner import given
from runner.api.process import unchanged
from runner.config import ConfigError
from runner.events import End
from runner.execution import current, folders
from runner.execution.composing import CONF, Loader, strictly
from runner.execution.mistakes import one_line
from runner.given import Given
from runner.interruption import Detached, stoppable, take_up
from runner.training.tensorflow import check_backend

# What a command logs is printed by a handler of this process's; its settings of logging would close
# those that are there.
_QUIET = ("hydra/job_logging=none", "hydra/hydra_logging=none")

# A call is told with so many values in a list.
_MAX_TOLD = 40

# The session of Keras and the recorders serve one sweep at a time.
_one_at_a_time = threading.Lock()


@contextmanager
def as_value_errors(wording: Callable[[str], str] = str) -> Iterator[None]:
    """Makes `ValueError`s of mistakes in settings, with the sentence of the command line.

    What an interruption went through is not shown.

    Args:
      wording: Says that sentence in the words of the call.
    """
    try:
        yield
    except ConfigError as error:
        raise ValueError(wording(str(error))) from None
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(wording(one_line(error))) from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt("What had finished is kept.") from None


def sweep(
    lines: Sequence[str],
    lent: Mapping[str, Given],
    command: str,
    logged: AbstractContextManager[None],
) -> Path | None:
    """Trains what the settings ask for; returns the folder, None where nothing was to be trained.

    Args:
      lines: The settings, as they are typed.
      lent: What they name that stands in no module.
      command: What the sweep is told to have been started by.
      logged: Prints what is logged.

    Raises:
      ConfigError: Nothing of it can be trained.
      KeyboardInterrupt: Interrupted; what had finished is kept.
    """
    check_backend()
    with _one_at_a_time, ExitStack() as stack:
        for block in (unchanged(), strictly(), logged, given.lent(lent)):
            stack.enter_context(block)
        folders.register_resolver()
        stack.callback(folders.release)
        if not any(line.startswith("hydra.sweep.dir=") for line in lines):
            folders.claimed()  # Hydra would hide the reason why it cannot be
        with stoppable(ends_process=False), current.called_by(command):
            return _concluded(lines)


def _concluded(lines: Sequence[str]) -> Path | None:
    """Trains; then, whatever happened, concludes the sweep."""
    end: End = "failed"
    sweep = None
    try:
        loader = Loader(create_config_search_path(str(CONF)))
        hydra = application.Hydra(task_name="runner", config_loader=loader)
        try:
            hydra.multirun("config", _never, [*lines, *_QUIET], with_log_configuration=False)
        finally:
            sweep = current.sweep()
        end = "finished"
    except KeyboardInterrupt:
        take_up()
        end = "interrupted"
        raise
    except Detached as work:
        end = "interrupted"
        print(work)
    finally:
        current.conclude(end)
    if sweep is None or sweep.settings.dry_run:
        return None
    if sweep.collector is None and (errors := sweep.refusals()):
        raise ConfigError(" ".join(errors))
    return sweep.folder


def _never(cfg: DictConfig) -> NoReturn:
    raise AssertionError("the launcher trains the jobs itself")


def told(function: str, arguments: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Returns a call as a line of Python, with short words for what has no short text.

    Args:
      function: The function's name.
      arguments: By the names of its parameters.
      settings: The other keywords.
    """
    named = {**arguments, **{key: value for key, value in settings.items() if key.isidentifier()}}
    texts = [f"{name}={_short(value)}" for name, value in named.items() if value is not None]
    if dotted := {key: value for key, value in settings.items() if not key.isidentifier()}:
        texts.append(f"**{_short(dotted)}")
    return f"runner.{function}({', '.join(texts)})"


def _short(value: Any) -> str:
    if isinstance(value, str | int | float | bool | Path):
        return repr(value)
    if isinstance(value, list | tuple) and len(value) <= _MAX_TOLD:
        return f"[{', '.join(map(_short, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {_short(each)}' for key, each in value.items())}}}"
    return str(getattr(value, "__name__", type(value).__name__))
