"""What a name that does not exist may have been meant to be."""

import difflib
import re
from collections.abc import Iterable

# Found by trying common slips: below these, suggestions are of other words.
_LIKE_WORD, _LIKE_NAME = 0.7, 0.6
# Names that are this close to the best one are suggested beside it.
_TIE = 0.05
# Shorter beginnings and initials are those of too many words.
_SHORTEST = 2
_ABBREVIATIONS = {"lr": "learning_rate"}


def closest(name: str, known: Iterable[str]) -> list[str]:
    """Returns the one or two of `known` that `name` resembles most, the best first.

    The last parts of dotted names count most, so that `lr`, `epochs` and `optimiser` lead to
    `optimizer.learning_rate`, `training.epochs` and `optimizer`.
    """
    scores = sorted((-_likeness(name, other), other) for other in set(known) - {name})
    if not scores or -scores[0][0] < _LIKE_NAME:
        return []
    return [other for score, other in scores[:2] if score - scores[0][0] <= _TIE]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns the question, with a blank before it, or an empty text if nothing is alike."""
    found = closest(name, known)
    return f" Did you mean {' or '.join(f'`{other}`' for other in found)}?" if found else ""


def _likeness(name: str, other: str) -> float:
    """Returns a number from 0 to 1: four fifths from the last parts, one from those before."""
    *above, last = re.split(r"[./]", name.lower())
    *above_other, last_other = re.split(r"[./]", other.lower())
    same = _alike(last, last_other)
    shared = 1.0 if above == above_other else 0.0 if above else 0.5
    return 0.8 * same + 0.2 * shared if same else 0.0


def _alike(name: str, other: str) -> float:
    name = _ABBREVIATIONS.get(name, name)
    if name == other:
        return 1.0
    if f"{name}s" == other or f"{other}s" == name:
        return 0.97
    ratio = difflib.SequenceMatcher(None, name, other).ratio()
    scores = [ratio**2 if ratio >= _LIKE_WORD else 0.0]
    words, words_of_other = name.split("_"), other.split("_")
    if min(len(name), len(other)) >= _SHORTEST:
        scores.append(0.9 * (name == "".join(word[:1] for word in words_of_other)))
        scores.append(0.85 * (name.startswith(other) or other.startswith(name)))
        scores.append(0.8 * (name in words_of_other or other in words))
    return max(scores)
