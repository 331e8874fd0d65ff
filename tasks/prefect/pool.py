"""The work pool as the parts of sweeps see it: which parts run or wait in it, and how many it can carry out at a time.

a part = a flow run with the tag of its sweep, in the queue of its priority
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from tasks.prefect.deploying import POOL, TAG
from tasks.prefect.provisioning import USUAL, queue_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun
    from prefect.client.schemas.sorting import FlowRunSort

GOING_ON: Final = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING", "PAUSED")
"""States of a part that runs or waits."""

ENDED: Final = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")

BEGINS_WITHIN_S: Final = 900.0
"""How long a part may be between its worker and its first step, as while a pod waits for its image."""


def tag_of(identity: str, root: str) -> str:
    """Return the tag of all parts of a sweep or training below a root: the same may be open below another, too."""
    return f"{TAG}:{identity}:{hashlib.sha256(root.encode()).hexdigest()[:8]}"


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


def create_part(client: SyncPrefectClient, whole: Whole, priority: int, number: int, key: str) -> FlowRun:
    """Put a part into the pool; one of the same key is not made twice."""
    deployment = client.read_deployment_by_name(f"{whole.kind}/{whole.kind}")
    return client.create_flow_run_from_deployment(
        deployment.id,
        parameters={"plan": whole.identity, "root": whole.root},
        name=f"{whole.name} {whole.identity[:8]} part {number}",
        tags=[TAG, whole.tag],
        idempotency_key=key,
        work_queue_name=queue_of(priority),
    )


def runs_of_pool(
    client: SyncPrefectClient,
    states: Iterable[str] | None,
    tag: str = "",
    *,
    sort: FlowRunSort | None = None,
    limit: int = 200,
) -> list[FlowRun]:
    """Return the runs of the pool in these states or in any, the oldest first; of a tag, if one is named."""
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

    wanted = None
    if states is not None:
        wanted = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType(state) for state in states]))
    return client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=wanted, tags=FlowRunFilterTags(all_=[tag]) if tag else None),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL])),
        sort=sort or FlowRunSort.START_TIME_ASC,
        limit=limit,
    )


def is_alive(run: FlowRun) -> bool:
    """Return whether a part runs or waits.

    One that a worker took and never began is none: the worker, or the pod that it asked for, is gone.
    """
    if state_of(run) != "PENDING":
        return state_of(run) in GOING_ON
    assert run.state
    return datetime.now(UTC) - run.state.timestamp < timedelta(seconds=BEGINS_WITHIN_S)


def last_of(client: SyncPrefectClient, tag: str) -> FlowRun | None:
    """Return the run of a tag that has ended last; None if none has."""
    from prefect.client.schemas.sorting import FlowRunSort

    ended = runs_of_pool(client, ENDED, tag, sort=FlowRunSort.END_TIME_DESC, limit=1)
    return ended[0] if ended else None


def newest_of(client: SyncPrefectClient, tag: str) -> FlowRun | None:
    """Return the run of a tag that was made last, in whatever state; None if there is none."""
    from prefect.client.schemas.sorting import FlowRunSort

    made = runs_of_pool(client, None, tag, sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=1)
    return made[0] if made else None


def workers_of_pool(client: SyncPrefectClient) -> list[str]:
    """Return the names of the workers of the pool that are there now."""
    workers = client.read_workers_for_work_pool(POOL, limit=200)
    return [worker.name for worker in workers if worker.status.value == "ONLINE"]


def places_of_pool(client: SyncPrefectClient) -> int:
    """Return how many parts the pool can carry out at a time.

    A worker that starts processes has one device and does one part. One of another kind, as of Kubernetes, starts as
    many jobs as the concurrency limit of the pool lets it; without a limit it counts for one.
    """
    pool = client.read_work_pool(POOL)
    limit = 0 if pool.type == "process" else pool.concurrency_limit or 0
    return limit or len(workers_of_pool(client))


def cancel_runs(client: SyncPrefectClient, runs: Iterable[FlowRun]) -> int:
    """Cancel runs, those that wait and those that go on; return their number."""
    from prefect.client.schemas.objects import State, StateType
    from prefect.states import Cancelled

    number = 0
    for run in runs:
        waits = run.state_type is StateType.SCHEDULED
        state = Cancelled() if waits else State(type=StateType.CANCELLING)
        client.set_flow_run_state(run.id, state)
        number += 1
    return number


def state_of(run: FlowRun) -> str:
    """Return the type of a run's state, as `RUNNING`; "" if it has none yet."""
    return run.state_type.value if run.state_type else ""


def tag_of_run(run: FlowRun) -> str:
    """Return the tag of the sweep or training that a run is a part of; "" if it is no part."""
    return next((tag for tag in run.tags if tag.startswith(f"{TAG}:")), "")


def priority_of(run: FlowRun) -> int:
    """Return the priority of a run by the queue that it is in."""
    number = (run.work_queue_name or "").removeprefix("priority-")
    return int(number) if number.isdecimal() else USUAL
