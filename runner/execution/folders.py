"""The folder of a sweep: `results/<date>/<time>`, never shared by two commands."""

import contextlib
import glob
import logging
import os
import re
import shutil
import sys
import time
from datetime import datetime
from pathlib import Path

from omegaconf import OmegaConf

from runner.config import ConfigError
from runner.files import lock, remove_halves, unused

log = logging.getLogger(__name__)

ROOT = Path("results")

# The folder that this command has claimed, if it has.
_claimed: Path | None = None

# Descriptors of claimed folders: while they are open, the folders are in use.
_in_use: dict[Path, int] = {}

_CLAIMED = re.compile(r"\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d(-\d+)?")
# What a command has in its folder before it has trained anything.
_EARLY = re.compile(
    r"\.sweep\.json\.[0-9a-f]{8}|multirun\.yaml|.+\.log|(\d+/)?\.hydra/\w+\.yaml|\d+/.+\.log"
)
# A link is renamed at once; one so old is what a killed command has left.
_LINK_S = 60.0


def register_resolver() -> None:
    """Makes `${results_folder:}` stand for a folder of this command alone, claimed on first use."""
    global _claimed
    _claimed = None
    OmegaConf.register_new_resolver("results_folder", _resolve, replace=True)


def _resolve() -> str:
    try:
        return str(claimed())
    except ConfigError as error:
        # OmegaConf would wrap the error, and Hydra would show the traceback of that.
        print(error, file=sys.stderr)
        raise SystemExit(1) from error


def claimed() -> Path:
    """Returns the folder of this command, which is claimed when it is first asked for.

    Raises:
      ConfigError: Nothing can be written there.
    """
    global _claimed
    if _claimed is None:
        _claimed = claim(ROOT)
        remove_left(ROOT)
    return _claimed


def claim(root: Path, now: datetime | None = None) -> Path:
    """Creates and returns `root/<YYYY-MM-DD>/<HH-MM-SS>`, or with `-2`, `-3`, … if that exists.

    It is in use until it is released, or this process ends.

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
    name, attempt = moment.strftime("%H-%M-%S"), 1
    while True:
        folder = day / (name if attempt == 1 else f"{name}-{attempt}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not folder.is_dir():
                raise
            attempt += 1
        else:
            if _use(folder):
                return folder


def _use(folder: Path) -> bool:
    """Marks a folder as in use; returns whether it is still there.

    Another command may have taken it for one that was left, before it was marked.
    """
    if sys.platform == "win32":
        return True
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        lock(descriptor)
        if not os.path.samestat(folder.stat(), os.fstat(descriptor)):
            os.close(descriptor)
            return False
    except FileNotFoundError:
        return False
    _in_use[folder] = descriptor
    return True


def remove_left(root: Path) -> None:
    """Removes what killed commands have left: folders without results, and halves of files.

    Whatever a living command holds stays.
    """
    for folder in search(root, "[0-9]*/*/"):
        if _is_early(folder, root):
            with unused(folder) as is_left:
                if is_left and _is_early(folder, root):
                    _remove(folder)
    for inner in ("", "*/", "*/replicates/", "*/weights/", "figures/", "checkpoints/", "arriving/"):
        for place in {half.parent for half in search(root, f"[0-9]*/*/{inner}.*.????????")}:
            remove_halves(place)
    for link in root.glob(".latest-*"):
        with contextlib.suppress(OSError):
            if time.time() - link.lstat().st_mtime > _LINK_S:
                link.unlink()


def _is_early(folder: Path, root: Path) -> bool:
    """Tells whether a folder is that of a command which has not begun to record anything."""
    if not _CLAIMED.fullmatch(folder.relative_to(root).as_posix()):
        return False
    if (folder / "sweep.json").exists():
        return False
    found = [path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()]
    return all(_EARLY.fullmatch(path.relative_to(folder).as_posix()) for path in found)


def search(root: Path, pattern: str) -> list[Path]:
    """Returns the files below `root` that match, the newest sweep first.

    Other commands may remove their folders meanwhile: `Path.glob` raises an error then.
    """
    names = glob.iglob(pattern, root_dir=root)  # noqa: PTH207
    return sorted((root / name for name in names), reverse=True)


def unwritten(error: OSError) -> str:
    """Returns what to tell of a file that cannot be written, or read, before anything is trained.

    An error while writing names no file: the results folder is told then.
    """
    place = error.filename or _claimed or ROOT
    reason = error.strerror or error
    return f"{place}: {reason}. Nothing was trained. Repair that and repeat the command."


def release() -> None:
    """Forgets the claimed folder, and removes it if no sweep has left its record there."""
    global _claimed
    folder, _claimed = _claimed, None
    if folder is None:
        return
    if not (folder / "sweep.json").exists() and not any(folder.glob("*/replicates/*")):
        _remove(folder)
    if (descriptor := _in_use.pop(folder, None)) is not None:
        os.close(descriptor)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # there are others of that day
        folder.parent.rmdir()


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
