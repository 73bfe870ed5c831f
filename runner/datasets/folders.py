"""Folders of files: a folder for each class, if the user likes in folders for each part.

    animals/cat/1.png            animals/train/cat/1.png
    animals/dog/2.png            animals/test/dog/2.png

The parts are called train, test and val, or nearly so. Hidden files are not there.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runner.config import ConfigError, abridged, shown
from runner.datasets.files import WIDE, expanded, reading

_PARTS = {
    "train": ("train", "training", "trainset"),
    "test": ("test", "testing", "testset"),
    "validation": ("val", "valid", "validation", "dev"),
}
_NAMED = 3


@dataclass(frozen=True)
class Files:
    """The files of one part: their paths, and the names of their classes, shape (n,)."""

    paths: tuple[Path, ...]
    classes: np.ndarray


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes:
      train: Examples that are not of an official part.
      test, validation: The official parts, or None.
      notes: What was left out, as sentences.
    """

    train: Files
    test: Files | None
    validation: Files | None
    notes: tuple[str, ...]


def existing_place(path: str | None, what: str) -> Path:
    """Returns the file or folder that `dataset.path` names.

    Raises:
      ConfigError: It is not given, or not there.
    """
    if path is None:
        raise ConfigError(f"`dataset.path` is missing: it must name {what}.")
    place = expanded(path)
    with reading(place, what):
        exists = place.exists()
    if not exists:
        where = "" if place.is_absolute() else f" in {shown(str(Path.cwd()), WIDE)}"
        raise ConfigError(
            f"`dataset.path` must name {what}. Received: {shown(path, WIDE)}. There is no such "
            f"file or folder{where}."
        )
    return place


def subfolders(root: Path) -> list[Path]:
    """Returns the folders in a folder, in the order of their names."""
    return sorted(place for place in root.iterdir() if place.is_dir() and _is_shown(place))


def files(root: Path, fits: Callable[[Path], bool]) -> tuple[list[Path], list[Path]]:
    """Returns the files in a folder and all below it that fit, and all others, sorted."""
    there = sorted(_files(root))
    return [path for path in there if fits(path)], [path for path in there if not fits(path)]


def class_folders(root: Path, fits: Callable[[Path], bool], what: str, kind: str) -> Found:
    """Returns the files in the folders of classes.

    Args:
      root: The folder.
      fits: Whether a file is an example.
      what: Completes "`dataset.path` must name ...".
      kind: What the examples are, in the plural, such as `"images"`.

    Raises:
      ConfigError: There are no folders, or no examples in them.
    """
    with reading(root, what):
        folders = _part_folders(root, what) or {"train": root}
        parts, notes = {}, []
        for part, folder in folders.items():
            parts[part], told = _classes(folder, fits, what, kind)
            notes += told
        if len(folders) > 1 or folders["train"] != root:
            others = [place for place in subfolders(root) if place not in folders.values()]
            notes += _left_out([place.name for place in others], "folders beside those of parts")
    notes += _absent(parts)
    return Found(
        parts["train"],
        parts.get("test"),
        parts.get("validation"),
        tuple(f"{root.name}: {note}" for note in notes),
    )


def _part_folders(root: Path, what: str) -> dict[str, Path]:
    """Returns the folder of each part; none where the folders are those of classes."""
    found = {}
    for part, names in _PARTS.items():
        places = [place for place in subfolders(root) if place.name.lower() in names]
        if len(places) > 1:
            raise _refuse(root, what, f"several folders for the {part} part: {_names(places)}")
        if places:
            found[part] = places[0]
    if found and "train" not in found and len(found) == len(subfolders(root)):
        raise _refuse(root, what, f"the folders {_names(list(found.values()))}, but not train")
    return found if "train" in found else {}


def _classes(
    root: Path, fits: Callable[[Path], bool], what: str, kind: str
) -> tuple[Files, list[str]]:
    """Returns the files of one part, and what was left out."""
    paths: list[Path] = []
    classes: list[str] = []
    empty, others = [], [path for path in root.iterdir() if path.is_file() and _is_shown(path)]
    for folder in subfolders(root):
        fitting, rest = files(folder, fits)
        others += rest
        if not fitting:
            empty.append(folder.name)
        paths += fitting
        classes += [folder.name] * len(fitting)
    if not paths:
        num_folders = len(subfolders(root))
        received = "no folder" if not num_folders else f"no {kind} in {num_folders} folders"
        raise _refuse(root, what, f"{received} and {len(others)} files")
    notes = _left_out(empty, f"folders without {kind}")
    notes += _left_out([path.name for path in others], f"files that are no {kind} of a class")
    return Files(tuple(paths), np.array(classes)), notes


def _absent(parts: dict[str, Files]) -> list[str]:
    """Returns a sentence on classes of the training part that another part lacks."""
    told = []
    for part, found in parts.items():
        if len(missing := np.setdiff1d(parts["train"].classes, found.classes)):
            named = abridged([shown(str(name)) for name in missing], _NAMED)
            told.append(f"The {part} part has no example of class {named}.")
    return told


def _left_out(names: Sequence[str], what: str) -> list[str]:
    if not names:
        return []
    return [f"Left out, {what}: {abridged([shown(name) for name in names], _NAMED)}."]


def _files(root: Path) -> Iterator[Path]:
    for place in root.rglob("*"):
        inside = place.relative_to(root).parts
        if place.is_file() and not any(name.startswith(".") for name in inside):
            yield place


def _is_shown(place: Path) -> bool:
    return not place.name.startswith(".") and place.name != "__MACOSX"


def _names(places: Sequence[Path]) -> str:
    return " and ".join(shown(place.name) for place in places)


def _refuse(root: Path, what: str, received: str) -> ConfigError:
    return ConfigError(
        f"`dataset.path` must name {what}. Received: {shown(str(root), WIDE)}, with {received}."
    )
