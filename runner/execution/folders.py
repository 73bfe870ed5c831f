"""The folder of a sweep: `results/<date>/<time>`, never shared by two commands."""

import glob
import logging
import os
import shutil
import sys
from datetime import datetime
from pathlib import Path

from omegaconf import OmegaConf

from runner.config import ConfigError

log = logging.getLogger(__name__)

ROOT = Path("results")

# Workers of a parallel launcher compose their configuration again: they inherit the folder.
_VARIABLE = "RUNNER_RESULTS_FOLDER"


def register_resolver() -> None:
    """Makes `${results_folder:}` stand for a folder of this command alone, claimed on first use."""
    os.environ.pop(_VARIABLE, None)
    OmegaConf.register_new_resolver("results_folder", _resolve, replace=True)


def _resolve() -> str:
    if _VARIABLE not in os.environ:
        try:
            os.environ[_VARIABLE] = str(claim(ROOT))
        except ConfigError as error:
            # OmegaConf would wrap the error, and Hydra would show the traceback of that.
            print(error, file=sys.stderr)
            raise SystemExit(1) from error
    return os.environ[_VARIABLE]


def claim(root: Path, now: datetime | None = None) -> Path:
    """Creates and returns `root/<YYYY-MM-DD>/<HH-MM-SS>`, or with `-2`, `-3`, … if that exists.

    Raises:
      ConfigError: Nothing can be written there.
    """
    try:
        return _claim(root, now or datetime.now())
    except OSError as error:
        raise ConfigError(
            f"`{root}` must be a folder that can be written to. Received: {root.absolute()} "
            f"({error.strerror or error}). Run the command in another folder."
        ) from error


def _claim(root: Path, moment: datetime) -> Path:
    day = root / moment.strftime("%Y-%m-%d")
    day.mkdir(parents=True, exist_ok=True)
    name, attempt = moment.strftime("%H-%M-%S"), 1
    while True:
        folder = day / (name if attempt == 1 else f"{name}-{attempt}")
        try:
            folder.mkdir()
        except FileExistsError:
            attempt += 1
        else:
            return folder


def search(root: Path, pattern: str) -> list[Path]:
    """Returns the files below `root` that match, the newest sweep first.

    Other commands may remove their folders meanwhile: `Path.glob` raises an error then.
    """
    names = glob.iglob(pattern, root_dir=root)  # noqa: PTH207
    return sorted((root / name for name in names), reverse=True)


def release() -> None:
    """Forgets the claimed folder, and removes it if no sweep has left its record there."""
    folder = os.environ.get(_VARIABLE)
    if folder and not Path(folder, "sweep.json").exists():
        discard(Path(folder))
    os.environ.pop(_VARIABLE, None)


def discard(folder: Path) -> None:
    """Removes the folder of a command that leaves no results, if this command claimed it."""
    if os.environ.get(_VARIABLE) == str(folder) and not any(folder.glob("*/replicates/*")):
        shutil.rmtree(folder, ignore_errors=True)


def refuse_used(folder: Path) -> None:
    """Checks that a sweep's folder does not hold the results of another one.

    Raises:
      ConfigError: It does; the two would be mixed.
    """
    if (folder / "sweep.json").exists():
        raise ConfigError.at("hydra.sweep.dir", "a folder without results", str(folder))


def point_latest(folder: Path) -> None:
    """Makes `results/latest` point to `folder`, atomically; does nothing for a folder elsewhere.

    Where that is not possible it is told, and nothing else depends on it.
    """
    try:
        target = folder.resolve().relative_to(ROOT.resolve())
    except ValueError:
        return
    beside = ROOT / f".latest-{os.getpid()}"
    try:
        beside.unlink(missing_ok=True)
        beside.symlink_to(target)
        beside.replace(ROOT / "latest")
    except OSError as error:
        beside.unlink(missing_ok=True)
        log.warning("%s cannot point to %s (%s).", ROOT / "latest", folder, error.strerror)
