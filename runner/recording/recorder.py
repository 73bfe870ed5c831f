"""What every recorder does with the events of a sweep."""

from abc import ABC, abstractmethod

from runner.events import Event


class Recorder(ABC):
    """Is told what happens, in that order; never calls whoever trains.

    A sweep is planned first, and again with each batch or look. Replicates of its configurations
    run in any interleaving: the first `EpochEnded` or `Resumed` of a key begins one, and one that
    was told of before begins anew with an epoch that is not later than its last. Each ends with its
    `ReplicateRecorded`, configurations end, the sweep ends. All may also come from the records of a
    sweep that has ended, without an epoch on the way.
    """

    @abstractmethod
    def take(self, event: Event) -> None:
        """Records an event, or ignores it if there is no use for it.

        A recorder that cannot write raises, in one line where people can do something about it; the
        caller decides. What had been taken stays, and it can be told of further events: at least of
        the sweep's end.

        Raises:
          DiskError, ConfigError: As of the recorder.
        """
