"""The work pool on a Prefect server, and how the sweeps that are open share its workers.

Each run of a deployment is a *part* of a sweep or a training: a participant like any other (`tasks.claims`), placed by
the pool on a worker that has one device. Parts carry the tag of their sweep. The oldest part that runs keeps as many of
them as the sweep is due, and nobody has to be in charge: where it ends, another one is the oldest.

    due to a sweep = workers / sweeps of its priority that have parts, at least one

The rule of sharing: while parts of another sweep wait for a worker, so many of this sweep's parts as there are waiting
end at their next batch: at once where the other priority is higher, else after `SLICE_S`. What they leave is open, and
is taken up again when its turn comes.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from tasks.prefect.deploying import POOL
from tasks.processes import process_of, this_process

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun, State
    from prefect.events.schemas.automations import AutomationCore

    from tasks.processes import Process

PRIORITIES: Final = range(1, 10)
"""Priorities of sweeps; 1 goes first."""

USUAL: Final = 5
"""Priority of what is submitted without one."""

SLICE_S: Final = 300.0
"""How long a part works on while others of its priority wait."""

LOOK_EVERY_S: Final = 10.0
"""Seconds between two looks at the pool."""

FAILED_CELLS: Final = "nst.sweep.failed-cells"
"""Event of a sweep that has ended with cells that failed."""

_AT: Final = "at:"

_ZOMBIES: Final = "nst: runs without a heartbeat have crashed"
_TOLD: Final = "nst: tell of runs that failed or crashed"
_TOLD_OF_CELLS: Final = "nst: tell of sweeps with failed cells"
_BLOCK: Final = "nst-notify"
_ENDS: Final = ("Completed", "Failed", "Cancelled", "Crashed")
_GOING_ON: Final = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING", "PAUSED")


def tag_of(identity: str, root: str) -> str:
    """Return the tag of all parts of a sweep or training below a root: the same may be open below another, too."""
    return f"nst:{identity}:{hashlib.sha256(root.encode()).hexdigest()[:8]}"


def queue_of(priority: int) -> str:
    """Return the name of the work queue of a priority."""
    return f"priority-{priority}"


def prepare_pool(*, heartbeat_s: int, notify: str = "") -> None:
    """Put the work pool, its queues and the automations on the configured server, where they are not there.

    Args:
        heartbeat_s: Seconds between two heartbeats of a flow run; one that misses three of them has crashed.
        notify: Address that failures are told, by a POST of JSON, or as Slack wants it; "" leaves what is there.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    with get_client(sync_client=True) as client:
        with contextlib.suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        there = {queue["name"] for queue in _post(client, f"/work_pools/{POOL}/queues/filter", {"limit": 200})}
        for priority in PRIORITIES:
            if queue_of(priority) not in there:
                _post(client, f"/work_pools/{POOL}/queues", {"name": queue_of(priority), "priority": priority})
        automations = [_zombies(heartbeat_s)]
        if notify:
            automations += _tellers(_notification_block(notify))
        for automation in automations:
            known = client.read_automations_by_name(automation.name)
            if known:
                client.update_automation(known[0].id, automation)
            else:
                client.create_automation(automation)


def _zombies(heartbeat_s: int) -> AutomationCore:
    """Return the automation that marks a run as crashed whose process is gone without a word."""
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

    beat = "prefect.flow-run.heartbeat"
    trigger = EventTrigger(
        posture=Posture.Proactive,
        after={beat},
        expect={beat, *(f"prefect.flow-run.{end}" for end in _ENDS)},
        match={"prefect.resource.id": "prefect.flow-run.*"},
        for_each={"prefect.resource.id"},
        threshold=1,
        within=timedelta(seconds=3 * heartbeat_s),
    )
    message = "The process of the run is gone: it sent no heartbeat for some time."
    crashed = ChangeFlowRunState(name="Crashed", state=StateType.CRASHED, message=message)
    return AutomationCore(name=_ZOMBIES, trigger=trigger, actions=[crashed])


def _tellers(block_id: UUID) -> list[AutomationCore]:
    """Return the automations that tell of runs that failed or crashed, and of sweeps with failed cells."""
    from prefect.events.actions import SendNotification
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

    ended_badly = EventTrigger(
        posture=Posture.Reactive,
        expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
        match={"prefect.resource.id": "prefect.flow-run.*"},
        threshold=1,
        within=timedelta(0),
    )
    subject = "nst: {{ flow_run.name }} is {{ flow_run.state.name }}"
    tell = SendNotification(block_document_id=block_id, subject=subject, body="{{ flow_run.state.message }}")
    has_failures = EventTrigger(posture=Posture.Reactive, expect={FAILED_CELLS}, threshold=1, within=timedelta(0))
    subject = "nst: {{ event.payload.name }} has ended with {{ event.payload.failed }} failed cells"
    tell_of_cells = SendNotification(block_document_id=block_id, subject=subject, body="{{ event.payload.reason }}")
    return [
        AutomationCore(name=_TOLD, trigger=ended_badly, actions=[tell]),
        AutomationCore(name=_TOLD_OF_CELLS, trigger=has_failures, actions=[tell_of_cells]),
    ]


def _notification_block(address: str) -> UUID:
    """Keep the address on the server, as a block of Prefect, and return the block's id."""
    from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook
    from pydantic import SecretStr

    block: Any
    if "hooks.slack" in address:
        block = SlackWebhook(url=SecretStr(address))
    else:
        said = {"subject": "{{subject}}", "body": "{{body}}", "text": "{{subject}}\n{{body}}"}
        block = CustomWebhookNotificationBlock(name="nst", url=address, method="POST", json_data=said)
    found: UUID = block.save(f"{_BLOCK}-{type(block).__name__.lower()}", overwrite=True)
    return found


def has_deployments() -> bool:
    """Return whether the configured server has the deployment of sweeps."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client, contextlib.suppress(ObjectNotFound):
        client.read_deployment_by_name("sweep/sweep")
        return True
    return False


@dataclass(frozen=True, slots=True)
class Whole:
    """What parts are parts of.

    Attributes:
        kind: `sweep` or `train`, the name of the flow and of its deployment.
        name: Name of the manifest.
        identity: Id of the sweep, or of the training.
        root: URI of the root, where its plan is stored.
    """

    kind: str
    name: str
    identity: str
    root: str

    @property
    def tag(self) -> str:
        """The tag of all its parts."""
        return tag_of(self.identity, self.root)


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
    """Put the first part of a sweep or training into the pool; to do so again for the same submission changes nothing.

    Args:
        whole: The sweep or training; its plan is stored.
        submitted: Tells this submission from an earlier one of the same.
        priority: One of `PRIORITIES`.
    """
    from prefect.client.orchestration import get_client
    from prefect.utilities.urls import url_for

    with get_client(sync_client=True) as client:
        run = _create(client, whole, priority, 1, f"{whole.identity}-{submitted}")
        return HandedOver(run.name, url_for(run) or "", len(_workers(client)))


def has_parts(identity: str, root: str) -> bool:
    """Return whether a part of a sweep or training below a root runs or waits."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return bool(_runs(client, _GOING_ON, tag_of(identity, root)))


def close_gone() -> int:
    """Mark the parts as crashed whose processes ran on this machine and are gone; return their number.

    While a server is away, nobody tells it of an end, and nobody waits for a heartbeat.
    """
    from prefect.client.orchestration import get_client
    from prefect.states import Crashed

    gone: State[Any] = Crashed(message="The process of the run is gone.")
    number = 0
    with get_client(sync_client=True) as client:
        for run in _runs(client, ("RUNNING", "CANCELLING")):
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
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return _cancel(client, _runs(client, _GOING_ON, tag_of(identity, root)))


class Parts:
    """Keeps the parts of a sweep as many as it is due, and says when one of them is to leave. Of one flow run.

    A context manager. What the server does not answer is left as it is.

    Args:
        whole: What it is a part of.
        flow_run: The flow run that this part is.
    """

    def __init__(self, whole: Whole, flow_run: FlowRun) -> None:
        from prefect.client.orchestration import get_client

        self._client = get_client(sync_client=True)
        self._me, self._began = flow_run.id, time.monotonic()
        self._priority = _priority(flow_run)
        self._whole, self._tag = whole, whole.tag
        self._ended = threading.Event()
        self._enough = False
        self._thread = threading.Thread(target=self._keep_up, daemon=True, name="parts")

    def __enter__(self) -> Self:
        self._client.__enter__()
        with contextlib.suppress(Exception):
            self._client.update_flow_run(self._me, tags=[self._tag, _at(this_process())])
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
        with contextlib.suppress(Exception):
            _cancel(self._client, _runs(self._client, ("SCHEDULED",), self._tag))

    def is_last(self) -> bool:
        """Return whether no other part of the same runs, as far as the server says."""
        with contextlib.suppress(Exception):
            return all(run.id == self._me for run in _runs(self._client, ("RUNNING",), self._tag))
        return True

    def _keep_up(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(Exception):  # a server that is away costs nothing but the looks at it
                self._look()
            self._ended.wait(LOOK_EVERY_S)

    def _look(self) -> None:
        there = _runs(self._client, _GOING_ON)
        mine = [run for run in there if self._tag in run.tags]
        running = [run for run in mine if run.state_type and run.state_type.value == "RUNNING"]
        peers = {_tag(run) for run in there if _priority(run) == self._priority}
        due = max(1, len(_workers(self._client)) // max(1, len(peers - {""})))
        if self._should_leave(there, running):
            self._enough = True
            if len(mine) - 1 < due:
                self._create(len(mine) + 1, f"{self._me}-after")
        elif running and running[0].id == self._me:
            for number in range(len(mine), due):
                self._create(number + 1, f"{self._me}-{len(mine)}-{number}-{int(time.time() // LOOK_EVERY_S)}")

    def _create(self, number: int, key: str) -> None:
        _create(self._client, self._whole, self._priority, number, key)

    def _should_leave(self, there: Iterable[FlowRun], running: list[FlowRun]) -> bool:
        now = datetime.now(UTC)
        waiting = [
            _priority(run)
            for run in there
            if self._tag not in run.tags
            and run.state_type
            and run.state_type.value == "SCHEDULED"
            and run.next_scheduled_start_time
            and run.next_scheduled_start_time <= now
        ]
        has_had_its_time = time.monotonic() - self._began >= SLICE_S
        before_me = sum(one < self._priority or (one == self._priority and has_had_its_time) for one in waiting)
        youngest = [run.id for run in reversed(running)]
        return self._me in youngest and youngest.index(self._me) < before_me


def _create(client: SyncPrefectClient, whole: Whole, priority: int, number: int, key: str) -> FlowRun:
    """Put a part into the pool; one of the same key is not made twice."""
    deployment = client.read_deployment_by_name(f"{whole.kind}/{whole.kind}")
    return client.create_flow_run_from_deployment(
        deployment.id,
        parameters={"plan": whole.identity, "root": whole.root},
        name=f"{whole.name} {whole.identity[:8]} part {number}",
        tags=[whole.tag],
        idempotency_key=key,
        work_queue_name=queue_of(priority),
    )


def _runs(client: SyncPrefectClient, states: Iterable[str], tag: str = "") -> list[FlowRun]:
    """Return the runs of the pool in these states, the oldest first; those with a tag alone, if one is named."""
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
        FlowRunFilterTags,
        WorkPoolFilter,
        WorkPoolFilterName,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.client.schemas.sorting import FlowRunSort

    wanted = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType(state) for state in states]))
    return client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=wanted, tags=FlowRunFilterTags(all_=[tag]) if tag else None),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL])),
        sort=FlowRunSort.START_TIME_ASC,
        limit=200,
    )


def _workers(client: SyncPrefectClient) -> list[str]:
    """Return the names of the workers of the pool that are there now."""
    workers = client.read_workers_for_work_pool(POOL, limit=200)
    return [worker.name for worker in workers if worker.status.value == "ONLINE"]


def _cancel(client: SyncPrefectClient, runs: Iterable[FlowRun]) -> int:
    from prefect.client.schemas.objects import State, StateType
    from prefect.states import Cancelled

    number = 0
    for run in runs:
        waits = run.state_type is StateType.SCHEDULED
        state = Cancelled() if waits else State(type=StateType.CANCELLING)
        client.set_flow_run_state(run.id, state)
        number += 1
    return number


def _tag(run: FlowRun) -> str:
    return next((tag for tag in run.tags if tag.startswith("nst:")), "")


def _priority(run: FlowRun) -> int:
    number = (run.work_queue_name or "").removeprefix("priority-")
    return int(number) if number.isdecimal() else USUAL


def _post(client: SyncPrefectClient, path: str, body: object) -> Any:
    """Return the answer to a request that the synchronous client has no method for."""
    response = client._client.post(path, json=body)  # noqa: SLF001
    response.raise_for_status()
    return response.json()
