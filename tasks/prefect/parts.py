"""The parts of the sweeps that are open: how they share the workers of the pool.

Each run of a deployment is a *part* of a sweep or a training: a participant like any other (`tasks.claims`), placed by
the pool on a worker that has one device. Parts carry the tag of their sweep. The oldest part that runs keeps as many of
them as the sweep is due, and nobody has to be in charge: where it ends, another one is the oldest.

    due to a sweep = places of the pool / sweeps of its priority that have parts, at least one,
                     and no more than it has cells to do, or a training models

The rule of sharing: while parts of another sweep wait for a worker, so many of this sweep's parts as there are waiting
end at their next batch: at once where the other priority is higher, else after `SLICE_S`. What they leave is open, and
is taken up again when its turn comes.
"""

from __future__ import annotations

import contextlib
import logging
import math
import socket
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

from nst.errors import TransientError
from tasks.prefect.client import asked, refusals
from tasks.prefect.deploying import TAG
from tasks.prefect.pool import (
    GOING_ON,
    cancel_runs,
    create_part,
    is_alive,
    last_of,
    newest_of,
    places_of_pool,
    priority_of,
    runs_of_pool,
    state_of,
    tag_of,
    tag_of_run,
    workers_of_pool,
)
from tasks.prefect.provisioning import USUAL
from tasks.processes import process_of, this_process

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prefect.client.schemas.objects import FlowRun, State

    from tasks.prefect.pool import Whole
    from tasks.processes import Process

log = logging.getLogger("nst.prefect")

SLICE_S: Final = 300.0
"""How long a part works on while others of its priority wait."""

LOOK_EVERY_S: Final = 10.0
"""Seconds between two looks at the pool."""

_AT: Final = "at:"


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A part that waits for a worker.

    Attributes:
        name: Name of its run.
        page: Address of its page, "" if it is not known.
        workers: Number of workers that are there now.
    """

    name: str
    page: str
    workers: int


def hand_over(whole: Whole, submitted: str, priority: int = USUAL) -> HandedOver:
    """Put a part of a sweep or training into the pool, unless one runs or waits there.

    Args:
        whole: The sweep or training; its plan is stored.
        submitted: Tells this submission from an earlier one of the same.
        priority: One of `PRIORITIES`.
    """
    from prefect.utilities.urls import url_for

    with asked() as client:
        there = [run for run in runs_of_pool(client, GOING_ON, whole.tag) if is_alive(run)]
        going_on = [run for run in there if state_of(run) != "CANCELLING"]  # of a submission that was cancelled
        # Of what has ended, as by a crash, another part is made; two who submit at once make the same one.
        newest = newest_of(client, whole.tag)
        key = f"{whole.tag}-{submitted}-{newest.id if newest else ''}"
        number = len(runs_of_pool(client, None, whole.tag)) + 1
        run = going_on[0] if going_on else create_part(client, whole, priority, number, key)
        return HandedOver(run.name, url_for(run) or "", len(workers_of_pool(client)))


def has_parts(identity: str, root: str) -> bool:
    """Return whether a part of a sweep or training below a root runs or waits."""
    with asked() as client:
        return any(map(is_alive, runs_of_pool(client, GOING_ON, tag_of(identity, root))))


@dataclass(frozen=True, slots=True)
class Lost:
    """The last part of a sweep or training, which has no other one.

    Attributes:
        run: Id of its run.
        priority: Its priority.
        seconds: How long it ran.
    """

    run: str
    priority: int
    seconds: float


def lost_part(identity: str, root: str) -> Lost | None:
    """Return the last part of a sweep or training below a root.

    None if a part of it is alive, or if it was never handed over.
    """
    tag = tag_of(identity, root)
    with asked() as client:
        going_on = runs_of_pool(client, GOING_ON, tag)
        if any(map(is_alive, going_on)):
            return None
        last = going_on[-1] if going_on else last_of(client, tag)
        if last is None:
            return None
        return Lost(str(last.id), priority_of(last), last.total_run_time.total_seconds())


def newest_cancelled(identity: str, root: str) -> datetime | None:
    """Return when the newest part of a sweep or training below a root was made of those that were cancelled, if any."""
    with asked() as client:
        found = runs_of_pool(client, ("CANCELLED", "CANCELLING"), tag_of(identity, root))
        return max((run.created for run in found if run.created), default=None)


def close_gone() -> int:
    """Mark the parts as crashed whose processes ran on this machine and are gone; return their number.

    While a server is away, nobody tells it of an end, and nobody waits for a heartbeat.
    """
    from prefect.states import Crashed

    gone: State[Any] = Crashed(message="The process of the run is gone.")
    number = 0
    with asked() as client:
        for run in runs_of_pool(client, ("RUNNING", "CANCELLING")):
            at = next((tag for tag in run.tags if tag.startswith(_AT)), "")
            host, pid, started = at.removeprefix(_AT).split(" ") if at.count(" ") == 2 else ("", "0", "")
            if host == socket.gethostname() and process_of(int(pid)).started != started:
                client.set_flow_run_state(run.id, gone, force=True)
                number += 1
    return number


def _at(process: Process) -> str:
    """Return the tag of a part that says in which process it runs."""
    return f"{_AT}{socket.gethostname()} {process.pid} {process.started}"


def cancel_parts(identity: str, root: str) -> int:
    """Cancel all parts of a sweep or training below a root, those that wait and those that run; return their number."""
    with asked() as client:
        return cancel_runs(client, runs_of_pool(client, GOING_ON, tag_of(identity, root)))


class Parts:
    """Keeps the parts of a sweep as many as it is due, and says when one of them is to leave. Of one flow run.

    A context manager. What the server does not answer is left as it is.

    Args:
        whole: What it is a part of.
        flow_run: The flow run that this part is.
        most: How many parts can have something to do; more are not made. May be set later.
    """

    def __init__(self, whole: Whole, flow_run: FlowRun, most: float = math.inf) -> None:
        from prefect.client.orchestration import get_client

        self.most = most
        self._client = get_client(sync_client=True)
        self._me, self._began = flow_run.id, time.monotonic()
        self._priority = priority_of(flow_run)
        self._whole, self._tag = whole, whole.tag
        self._ended = threading.Event()
        self._enough = False
        self._thread = threading.Thread(target=self._keep_up, daemon=True, name="parts")

    def __enter__(self) -> Self:
        self._client.__enter__()
        with _unless_away():
            self._client.update_flow_run(self._me, tags=[TAG, self._tag, _at(this_process())])
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(timeout=LOOK_EVERY_S)
        self._client.__exit__(None, None, None)

    def is_enough(self) -> bool:
        """Return whether this part is to leave what it has not begun to others; cheap."""
        return self._enough

    def all_done(self) -> None:
        """Cancel the parts that wait: nothing is left for them."""
        with _unless_away():
            cancel_runs(self._client, runs_of_pool(self._client, ("SCHEDULED",), self._tag))

    def speaks(self) -> bool:
        """Return whether this is the part of all that run now which tells of the sweep: the oldest."""
        with _unless_away():
            running = runs_of_pool(self._client, ("RUNNING",), self._tag)
            return not running or running[0].id == self._me
        return True

    def _keep_up(self) -> None:
        while not self._ended.is_set():
            with _unless_away():
                self._look()
            self._ended.wait(LOOK_EVERY_S)

    def _look(self) -> None:
        there = runs_of_pool(self._client, GOING_ON)
        mine = [run for run in there if self._tag in run.tags]
        running = [run for run in mine if state_of(run) == "RUNNING"]
        peers = {tag_of_run(run) for run in there if priority_of(run) == self._priority}
        due = max(1, min(self.most, places_of_pool(self._client) // max(1, len(peers - {""}))))
        if self._should_leave(there, running):
            if len(mine) - 1 < due:
                self._create(len(mine) + 1, f"{self._me}-after")
            self._enough = True  # not before its place is sure: what nobody has a part of would be forgotten
        elif running and running[0].id == self._me:
            for number in range(len(mine), int(due)):
                self._create(number + 1, f"{self._me}-{len(mine)}-{number}-{int(time.time() // LOOK_EVERY_S)}")

    def _create(self, number: int, key: str) -> None:
        create_part(self._client, self._whole, self._priority, number, key)

    def _should_leave(self, there: Iterable[FlowRun], running: list[FlowRun]) -> bool:
        now = datetime.now(UTC)
        waiting = [
            priority_of(run)
            for run in there
            if self._tag not in run.tags
            and state_of(run) == "SCHEDULED"
            and run.next_scheduled_start_time
            and run.next_scheduled_start_time <= now
        ]
        has_had_its_time = time.monotonic() - self._began >= SLICE_S
        before_me = sum(one < self._priority or (one == self._priority and has_had_its_time) for one in waiting)
        youngest = [run.id for run in reversed(running)]
        return self._me in youngest and youngest.index(self._me) < before_me


@contextlib.contextmanager
def _unless_away() -> Iterator[None]:
    """Leave the rest of the context out where the server does not answer: the sweep goes on without it."""
    try:
        with refusals():
            yield
    except TransientError as error:
        log.debug("%s", error)
