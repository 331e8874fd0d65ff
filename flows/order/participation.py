"""Taking part in whatever is open below a root: sweeps and trainings that somebody has submitted, here or elsewhere.

    stored plans, the oldest first -> planned again on this machine -> this participant's stretches -> the next plan

The problem: a machine is there to help with a root, not with one manifest. What it helps with may end, fail, or need
inputs that this machine has not; and nobody looks after it.

The rule: a plan is taken up as long as something of it can be done here. One that could not be helped with rests, each
time for longer, until it is submitted anew. The devices are given back while nothing is open.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from flows.order.sweep import SweepOrder
from flows.order.training import TrainingOrder
from nst.errors import Stopped, TransientError, UserError
from tasks.planning.stored import open_plans, prepare_stored
from tasks.planning.sweep import PreparedSweep
from tasks.store.obstacles import check_folders
from tasks.work.workers import DevicePool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from flows.engine import Engine
    from flows.order.summary import Summary
    from tasks.planning.stored import StoredPlan
    from tasks.root import Root
    from tasks.work.workers import OnStep

    AnyOrder = SweepOrder | TrainingOrder

LOOK_EVERY_S: Final = 15.0
"""Seconds between two looks for open plans while there is none that could be helped with."""

_FIRST_REST_S: Final = 30.0
_LONGEST_REST_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to take part in.

    Attributes:
        root: The root.
        devices: Devices to use, one worker each.
        sweep: Name of a manifest, or the beginning of the id of a sweep; "" for everything.
        inputs: Folder that local inputs must lie in, where the root is not on this machine.
        stay: Whether to wait for more when nothing is open.
    """

    root: Root
    devices: tuple[str, ...]
    sweep: str = ""
    inputs: str = ""
    stay: bool = False

    def means(self, stored: StoredPlan) -> bool:
        """Return whether a plan is one of those that are wanted."""
        return not self.sweep or stored.name == self.sweep or stored.identity.startswith(self.sweep)


def take_part(
    wanted: Wanted,
    engine: Engine,
    on_step: OnStep,
    begun: Callable[[AnyOrder], None],
    say: Callable[[str], None],
) -> Iterator[Summary]:
    """Take part in what is open, and yield what became of each plan.

    Args:
        wanted: What to take part in.
        engine: Carries out the effects; with as many threads as there are devices.
        on_step: Called with the progress of batches and trainings.
        begun: Called with each plan that is taken up.
        say: Called with what this machine cannot help with, and why, as often as it is looked at.

    Raises:
        Stopped: The engine was stopped; what is committed is kept.
        UserError: The root is no folder.
        TransientError: The store did not answer; where it stays, it waits and looks again.
    """
    check_folders(wanted.root.store, ("",))
    resting = _Resting()
    while True:
        has_helped = False
        with _Workers(wanted, on_step) as workers:
            for stored, order in _open_orders(wanted, resting, say):
                begun(order)
                summary = _helped(order, engine, workers, say, wanted)
                if summary:
                    yield summary
                if summary and summary.done:
                    has_helped = True
                else:
                    resting.rest(stored)
        if has_helped:
            continue
        if not wanted.stay:
            return
        if engine.stopping.wait(LOOK_EVERY_S):
            raise Stopped("stopped while nothing was open")


def _helped(
    order: AnyOrder, engine: Engine, workers: _Workers, say: Callable[[str], None], wanted: Wanted
) -> Summary | None:
    """Do what can be done of an order; return None, and say why, where this machine is no help."""
    try:
        return order.help(engine, workers)
    except UserError as error:
        say(f"{order.prepared.name}: {error}")
    except TransientError as error:
        if not wanted.stay:
            raise
        say(f"{order.prepared.name}: {error}")
    return None


def _open_orders(
    wanted: Wanted, resting: _Resting, say: Callable[[str], None]
) -> Iterator[tuple[StoredPlan, AnyOrder]]:
    """Yield what is open and can be helped with; each is planned when it is its turn."""
    try:
        found = open_plans(wanted.root.store)
    except TransientError as error:
        if not wanted.stay:
            raise
        say(str(error))
        return
    for stored in filter(wanted.means, found):
        if resting.has(stored):
            continue
        try:
            prepared = prepare_stored(stored, wanted.root, wanted.inputs)
        except (UserError, TransientError) as error:
            if isinstance(error, TransientError) and not wanted.stay:
                raise
            say(f"{stored.name}: {error}")
            resting.rest(stored)
            continue
        if isinstance(prepared, PreparedSweep):
            yield stored, SweepOrder(prepared, wanted.devices)
        else:
            yield stored, TrainingOrder(prepared, wanted.devices)


class _Workers:
    """The device workers, which are started when they are first wanted and serve one order after the other."""

    def __init__(self, wanted: Wanted, on_step: OnStep) -> None:
        self._wanted, self._on_step = wanted, on_step
        self._pool: DevicePool | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.close()

    def __call__(self) -> DevicePool:
        self._pool = self._pool or DevicePool(self._wanted.root, self._wanted.devices, self._on_step)
        return self._pool


class _Resting:
    """Plans that could not be helped with, each for longer than the time before."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, datetime], tuple[float, float]] = {}

    def has(self, stored: StoredPlan) -> bool:
        """Return whether a submission rests."""
        until, _ = self._until.get((stored.key, stored.submitted_at), (float("-inf"), 0.0))
        return time.monotonic() < until

    def rest(self, stored: StoredPlan) -> None:
        """Leave a submission alone for a while."""
        key = stored.key, stored.submitted_at
        _, before = self._until.get(key, (0.0, _FIRST_REST_S / 2))
        pause = min(2 * before, _LONGEST_REST_S)
        self._until[key] = time.monotonic() + pause, pause
