"""The curves of replicates under way, from the events that tell of their epochs."""

from collections.abc import Iterable, Sequence

from runner.events import EpochEnded, Event, ReplicateEnded, Restarted, Resumed
from runner.plan import Key
from runner.records import Curves


class UnderWay(dict[Key, tuple[list[int], Curves]]):
    """Replicate -> steps and curves so far; one that has ended is there no more."""

    def take(self, event: Event) -> None:
        """Notes what an event tells of them."""
        match event:
            case EpochEnded():
                for place, key in enumerate(event.keys):
                    steps, curves = self.setdefault(key, ([], {}))
                    steps.append(event.step)
                    for name, values in event.metrics.items():
                        curves.setdefault(name, []).append(values[place])
            case Resumed():
                self[event.key] = list(event.steps), {k: [*v] for k, v in event.curves.items()}
            case ReplicateEnded():
                self.pop(event.key, None)
            case Restarted():
                self._forget(event.keys)

    def _forget(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self.pop(key, None)


def without(event: EpochEnded, ended: "Sequence[Key] | set[Key]") -> EpochEnded | None:
    """Returns an epoch without some replicates; None if there are no others."""
    kept = [place for place, key in enumerate(event.keys) if key not in ended]
    if len(kept) == len(event.keys):
        return event
    if not kept:
        return None
    metrics = {name: [values[p] for p in kept] for name, values in event.metrics.items()}
    return EpochEnded(tuple(event.keys[p] for p in kept), event.epoch, event.step, metrics)
