"""How the vectorized engine divides its work: groups for the memory, programs for the threads."""

import logging
import math
from collections.abc import Iterable
from functools import partial
from typing import Any

from runner.imports import told
from runner.terminal import DETAIL
from runner.training import batches, programs
from runner.training.cohort import Cohort
from runner.training.exhaustion import is_out_of_memory
from runner.training.forms import Form, candidates
from runner.training.memory import Need, need
from runner.training.program import Program

log = logging.getLogger(__name__)

# Epochs in one call of the program at the most.
_MAX_EPOCHS = 16

# What a step costs besides its replicas, in replicas, and how much more these cost in programs of
# twice the width that a cache holds (measured on two cores: 0.3 to 0.4, and 0.07 to 0.1).
_STEP_OVERHEAD = 0.4
_OUT_OF_CACHE = 0.1

# A GPU takes replicas that only fill up a program where a step takes so much longer at the most.
_FILLED_SLOWDOWN = 1.1

# Bytes of the data orders that one call is given, at the most.
_MAX_ORDERS = 16 * 2**20


class Grouping:
    """How a cohort is cut into groups, which are trained one after the other by the same programs.

    Attributes:
      cohort: The cohort.
      need: What one of its replicas takes.
      forms: Those that may still work, the best first.
      num_threads: How many programs run at the same time.
      max_in_step: How many replicas may be in a step at the same time.
      max_in_cache: How many of them a core's cache holds, where that matters.
      size: Of a group; the last one may be smaller.
      groups: The positions in the cohort that are trained together.
      num_orders: How many data orders every program is given.
      max_epochs: How many epochs one call trains at the most.
      is_streamed: Whether the device is given the data a few batches at a time.
    """

    def __init__(self, cohort: Cohort) -> None:
        self.cohort = cohort
        self.need = one = need(cohort.model, cohort.dataset.train.x, cohort.training.batch_size)
        self._made: dict[tuple[str, bool, int], Program] = {}
        self.num_threads, self.max_in_step, self.size = self._room(one)
        self.max_in_cache = self.size if "GPU" in cohort.device else one.max_in_cache(cohort.room)
        count, resume = len(cohort.members), cohort.resume
        self.groups = [
            range(first, min(first + self.size, count)) for first in range(0, count, self.size)
        ]
        self.num_orders = max(len(self.batch_seeds(group)) for group in self.groups)
        if "GPU" in cohort.device:
            self.num_orders = _power_of_two(self.num_orders)
        in_a_call = _MAX_ORDERS // (4 * self.num_orders * len(cohort.dataset.train))
        memory = cohort.room.memory_bytes
        self.is_streamed = batches.is_streamed(cohort.dataset, cohort.device, memory)
        in_a_call = 1 if self.is_streamed else in_a_call
        self.max_epochs = max(min(_MAX_EPOCHS, cohort.training.epochs, in_a_call), 1)
        forms = candidates(
            cohort.model, cohort.optimizer, cohort.device, self.size, cohort.training.epochs
        )
        self.forms = [form for form in forms if not resume or form.name == resume.program["form"]]

    def _room(self, one: Need) -> tuple[int, int, int]:
        """Returns how many programs may run, replicas be in a step, and replicates be in a group.

        A GPU is not asked for its memory: running out of it is an error there, which can be caught.
        """
        count, resume = len(self.cohort.members), self.cohort.resume
        if "GPU" in self.cohort.device:
            return 1, count, resume.program["size"] if resume else count
        room = self.cohort.room
        in_step = one.max_in_step(room)
        num_groups = math.ceil(count / one.max_replicas(room))
        size = resume.program["size"] if resume else math.ceil(count / num_groups)
        return min(room.cores, in_step), in_step, size

    def program(self, form: Form, width: int) -> Program:
        """Returns the program of a form and a width; an earlier sweep may have made it."""
        own = form.name, form.jit, width
        if own not in self._made:
            key = repr((self.cohort.program_key, *own, *self._shapes()))
            make = partial(Program, self.cohort, form, width, self.need.example_bytes, key)
            is_known = self.cohort.program_key is not None
            self._made[own] = programs.kept(key, make) if is_known else make()
        return self._made[own]

    def _shapes(self) -> tuple[Any, ...]:
        """Returns what a program computes by besides settings and model."""
        cohort, settings = self.cohort, self.cohort.optimizer.settings
        is_steady = settings.schedule == "constant" and not settings.warmup
        return (
            cohort.device,
            batches.types(cohort.dataset),
            batches.constants(cohort.dataset.train.x),
            self.is_streamed,
            self.num_orders,
            self.max_epochs,
            self.need.example_bytes,
            1 if is_steady else cohort.num_steps,
            cohort.training.epochs > 0,
        )

    def batch_seeds(self, positions: Iterable[int]) -> list[int]:
        """Returns the seeds of the data orders that these members follow."""
        return sorted({self.cohort.members[position].batch_seed for position in positions})

    def width(self, form: Form) -> int:
        """Returns how many replicas a program takes.

        A GPU compiles for longer than it trains small models. Where replicas that only fill up the
        program cost it next to nothing, few widths serve all sizes, so that programs are shared by
        the looks of a sweep, and found again by later commands.

        A thread's time goes with the replicas that it trains in turn, those that only fill up the
        last program included; with its steps; and with what a core's cache does not hold.
        """
        if self.cohort.resume is not None:
            return int(self.cohort.resume.program["width"])
        possible = max(min(form.max_replicas, self.max_in_step // self.num_threads), 1)
        best = min(possible, math.ceil(self.size / self.num_threads))
        if form.name == "stacked":  # only then are the numbers of all replicas in hand at once
            best = min(best, self.max_in_cache)

        if "GPU" in self.cohort.device and form.name == "stacked" and best == self.size:
            filled = _power_of_two(best)
            limit_s = _FILLED_SLOWDOWN * self.need.gpu_step_s(best, 1)
            return filled if self.need.gpu_step_s(filled, 1) <= limit_s else best

        def cost(width: int) -> float:
            steps = math.ceil(self.size / (self.num_threads * width))
            slowdown = 1 + _OUT_OF_CACHE * max(width - best, 0) / best
            return steps * (width * slowdown + _STEP_OVERHEAD)

        return min(range(math.ceil(best / 2), min(possible, 2 * best) + 1), key=cost)

    def strike(self, error: Exception) -> bool:
        """Takes the best form off the list; returns whether to try another one."""
        if is_out_of_memory(error):
            programs.let_go()
        if len(self.forms) == 1 or is_out_of_memory(error):
            return False
        name = self.forms.pop(0).name
        log.log(DETAIL, "Engine: the program %s does not work here (%s).", name, told(error))
        return True


def _power_of_two(least: int) -> int:
    """Returns the smallest power of two that is not less."""
    return 1 << (least - 1).bit_length()
