"""Taking part in whatever is open below a root: sweeps and trainings that somebody has submitted, here or elsewhere.

    stored plans, the oldest first -> planned again on this machine -> this participant's stretches -> the next plan

The problem: a machine is there to help with a root, not with one manifest. What it helps with may end, fail, or need
inputs that this machine has not; and nobody looks after it.

The rule: a plan is taken up as long as something of it can be done here. One that could not be helped with rests, each
time for longer, until it is submitted anew. The devices are given back while nothing is open.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self

from flows.order.sweep import SweepOrder
from flows.order.training import TrainingOrder
from nst.errors import InputError, LeftAlone, TransientError, UserError, Withdrawn
from tasks.events import event
from tasks.planning.hindrances import note_hindrance, overcome_hindrance
from tasks.planning.plan_files import open_plans, read_plans
from tasks.planning.stored import prepare_stored
from tasks.planning.sweep import PreparedSweep
from tasks.status import sweep_statuses
from tasks.store.obstacles import check_folders
from tasks.store.opening import locate
from tasks.work.workers import DevicePool

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from flows.engine import Engine
    from flows.order.summary import Summary
    from nst.errors import NstError
    from tasks.planning.plan_files import StoredPlan, UnreadablePlan
    from tasks.root import Root
    from tasks.work.workers import OnStep

    AnyOrder = SweepOrder | TrainingOrder
    LeaveOut = Callable[[NstError, StoredPlan | None], None]

LOOK_EVERY_S: Final = 15.0
"""Seconds between two looks for open plans while there is none that could be helped with."""

_FIRST_REST_S: Final = 30.0
_LONGEST_REST_S: Final = 600.0

_NAMED: Final = 5
"""Open plans that a message names."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to take part in.

    Attributes:
        root: The root.
        devices: Devices to use, one worker each.
        sweep: Name of a manifest, or the beginning of the id of a sweep; "" for everything.
        inputs: Folder that local inputs must lie in, where the root is not on this machine.
        stay: Whether to wait for more when nothing is open.
        is_enough: Whether this participant has done its share: it then leaves what is open to others.
    """

    root: Root
    devices: tuple[str, ...]
    sweep: str = ""
    inputs: str = ""
    stay: bool = False
    is_enough: Callable[[], bool] = field(default=lambda: False)

    def means(self, stored: StoredPlan) -> bool:
        """Return whether a plan is one of those that are wanted."""
        return not self.sweep or stored.answers_to(self.sweep)


class Audience(Protocol):
    """Hears what a participant does; its methods are called from one thread."""

    def begun(self, order: AnyOrder) -> None:
        """Hear of a plan that is taken up."""

    def step(self, key: str, step: int, steps: int) -> None:
        """Hear of the progress of a batch or a training; from any thread."""

    def left_out(self, name: str, error: NstError) -> None:
        """Hear what this machine cannot help with, and why, as often as it is looked at."""

    def idle(self) -> None:
        """Hear that there is nothing to help with, and that it waits for more; once each time."""


def take_part(wanted: Wanted, engine: Engine, audience: Audience) -> Iterator[Summary]:
    """Take part in what is open, and yield what became of each plan.

    Args:
        wanted: What to take part in.
        engine: Carries out the effects; with as many threads as there are devices.
        audience: Hears what happens meanwhile.

    Raises:
        Stopped: The engine was stopped; what is committed is kept.
        UserError: The root is no folder or refuses to be read, or there is no folder of inputs.
        TransientError: The store did not answer; where it stays, it waits and looks again.
    """
    check_folders(wanted.root.store, ("",))
    if wanted.inputs and (folder := locate(wanted.inputs)).is_local and not Path(folder.path).is_dir():
        raise InputError(f"{wanted.inputs} is no folder", hint="--inputs names the folder that local inputs lie in")
    resting = _Resting()
    has_looked = is_idle = False
    while True:
        tried, has_helped = yield from _round(wanted, engine, audience, resting, has_looked=has_looked)
        has_looked, is_idle = True, is_idle and not tried
        if wanted.is_enough() or not (has_helped or wanted.stay):
            return
        if has_helped:
            continue
        if not is_idle:
            is_idle = True
            event("idle")
            audience.idle()
        if engine.stopping.wait(LOOK_EVERY_S):
            raise LeftAlone("stopped while nothing was open")


def _round(
    wanted: Wanted, engine: Engine, audience: Audience, resting: _Resting, *, has_looked: bool
) -> Generator[Summary, None, tuple[bool, bool]]:
    """Take part once in each plan that is open; return whether there was any, and whether anything of one was done."""
    leave_out = partial(_leave_out, wanted, audience)
    tried = has_helped = False
    with _Workers(wanted, audience.step) as workers:
        for stored, order in _open_orders(wanted, resting, leave_out, has_looked=has_looked):
            if wanted.is_enough():
                break
            tried = True
            audience.begun(order)
            summary = _helped(stored, partial(order.help, engine, workers, wanted.is_enough), leave_out)
            workers.renew()
            if summary:
                yield summary
            if summary and summary.done:
                has_helped = True
            else:
                resting.rest(stored)
    return tried, has_helped


def nothing_open(wanted: Wanted, where: str) -> str:
    """Return a line about a root at which there was nothing to take part in: what else is there, and what has failed.

    Args:
        wanted: What there was nothing of.
        where: The root as the user wrote it.

    Raises:
        InputError: Nothing like what is wanted was ever there: the name or the root is another one.
    """
    root = wanted.root
    plans = open_plans(root.store)
    statuses = sweep_statuses(root)
    trained = root.catalog.read("models", ["name"])["name"].to_pylist()
    if not (plans or statuses or trained):
        hint = "submit a manifest with nst submit, or name another root"
        raise InputError(f"nothing was ever submitted to {where}", hint=hint)
    names = {*trained, *(status.name for status in statuses)}
    open_now = ", ".join(f"{plan.name} ({plan.identity[:8]})" for plan in plans[:_NAMED]) or "nothing"
    is_known = wanted.sweep in names or any(status.sweep_id.startswith(wanted.sweep) for status in statuses)
    if not is_known:
        raise InputError(f"nothing named {wanted.sweep!r} was submitted to {where}", hint=f"open there: {open_now}")
    failed = [f"{status.name} ({status.sweep_id[:8]})" for status in statuses if status.failed and not status.is_open]
    again = f"; {', '.join(failed[:_NAMED])} had failures, and is tried again when it is submitted again"
    if wanted.sweep:
        return f"{wanted.sweep} is not open below {where}; open there: {open_now}"
    return f"nothing is open below {where}{again if failed else ''}"


def _helped(stored: StoredPlan, help_with: Callable[[], Summary], leave_out: LeaveOut) -> Summary | None:
    """Do what can be done of an order; return None, and say why, where this machine is no help."""
    try:
        return help_with()
    except (Withdrawn, UserError, TransientError) as error:
        leave_out(error, stored)
    return None


def _open_orders(
    wanted: Wanted, resting: _Resting, leave_out: LeaveOut, *, has_looked: bool
) -> Iterator[tuple[StoredPlan, AnyOrder]]:
    """Yield what is open and can be helped with; each is planned when it is its turn."""
    try:
        found, unreadable = read_plans(wanted.root.store)
    except (UserError, TransientError) as error:
        # A root that refuses at the first look is a wrong one; later, credentials are being renewed.
        if isinstance(error, UserError) and not (wanted.stay and has_looked):
            raise
        leave_out(error, None)
        return
    for plan in unreadable:
        if not wanted.sweep and not resting.has(plan):
            leave_out(
                InputError(
                    f"{plan.key} {plan.what}",
                    hint="submit its manifest anew; `nst repair` removes what no version can read",
                ),
                None,
            )
            resting.rest(plan)
    for stored in filter(wanted.means, found):
        if resting.has(stored):
            continue
        try:
            prepared = prepare_stored(stored, wanted.root, wanted.inputs)
        except (UserError, TransientError) as error:
            leave_out(error, stored)
            resting.rest(stored)
            continue
        overcome_hindrance(wanted.root.store, stored.identity)
        if isinstance(prepared, PreparedSweep):
            yield stored, SweepOrder(prepared, wanted.devices)
        else:
            yield stored, TrainingOrder(prepared, wanted.devices)


def _leave_out(wanted: Wanted, audience: Audience, error: NstError, stored: StoredPlan | None) -> None:
    """Tell why a plan, or for the moment the whole root, is left out; whoever does not stay is ended by its store.

    Below the root it is told, too: who waits for the plan does not read the logs of all machines.
    """
    if isinstance(error, TransientError) and not wanted.stay:
        raise error
    if stored and isinstance(error, UserError):
        note_hindrance(wanted.root.store, stored.identity, error)
    about = {"sweep": stored.identity} if stored and stored.sweep else {}
    name = stored.name if stored else wanted.root.uri
    event("left_out", **about, name=name, error=str(error))
    audience.left_out(name, error)


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

    def renew(self) -> None:
        """Forget workers that were stopped, as those are that worked at what was withdrawn."""
        if self._pool and self._pool.is_closed:
            self._pool = None

    def __call__(self) -> DevicePool:
        self._pool = self._pool or DevicePool(self._wanted.root, self._wanted.devices, self._on_step)
        return self._pool


class _Resting:
    """Plans that could not be helped with, each for longer than the time before, as long as they stay as they are."""

    def __init__(self) -> None:
        self._rests: dict[str, tuple[StoredPlan | UnreadablePlan, float, float]] = {}

    def has(self, plan: StoredPlan | UnreadablePlan) -> bool:
        """Return whether a plan rests."""
        rest = self._rests.get(plan.key)
        return rest is not None and rest[0] == plan and time.monotonic() < rest[1]

    def rest(self, plan: StoredPlan | UnreadablePlan) -> None:
        """Leave a plan alone for a while."""
        before, _, pause = self._rests.get(plan.key, (None, 0.0, 0.0))
        pause = min(2 * pause, _LONGEST_REST_S) if before == plan else _FIRST_REST_S
        self._rests[plan.key] = plan, time.monotonic() + pause, pause
