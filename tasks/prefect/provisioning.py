"""What a Prefect server has to hold for `nst up`: the work pool, its queues by priority, and the automations.

The automations are about runs with the tag `nst` alone, which our deployments give their runs: a server may be shared.
"""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from tasks.prefect.client import asked
from tasks.prefect.deploying import POOL, TAG

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.events.schemas.automations import AutomationCore

PRIORITIES: Final = range(1, 10)
"""Priorities of sweeps; 1 goes first."""

USUAL: Final = 5
"""Priority of what is submitted without one."""

FAILED_CELLS: Final = "nst.sweep.failed-cells"
"""Event of a sweep that has ended with cells that failed."""

_ZOMBIES: Final = "nst: runs without a heartbeat have crashed"
_TOLD: Final = "nst: tell of runs that failed or crashed"
_TOLD_OF_CELLS: Final = "nst: tell of sweeps with failed cells"
_BLOCK: Final = "nst-notify"
_ENDS: Final = ("Completed", "Failed", "Cancelled", "Crashed")
_OURS: Final = {"prefect.resource.id": f"prefect.tag.{TAG}", "prefect.resource.role": "tag"}
"""What an event of one of our runs is related to."""


def queue_of(priority: int) -> str:
    """Return the name of the work queue of a priority."""
    return f"priority-{priority}"


def prepare_pool(*, heartbeat_s: int, notify: str = "") -> None:
    """Put the work pool, its queues and the automations on the configured server, where they are not there.

    Args:
        heartbeat_s: Seconds between two heartbeats of a flow run; one that misses three of them has crashed.
        notify: Address that failures are told, by a POST of JSON, or as Slack wants it; "" leaves what is there.
    """
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    with asked() as client:
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
        match_related=_OURS,
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
        match_related=_OURS,
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
    from prefect.exceptions import ObjectNotFound

    with asked() as client, contextlib.suppress(ObjectNotFound):
        client.read_deployment_by_name("sweep/sweep")
        return True
    return False


def _post(client: SyncPrefectClient, path: str, body: object) -> Any:
    """Return the answer to a request that the synchronous client has no method for."""
    response = client._client.post(path, json=body)  # noqa: SLF001
    response.raise_for_status()
    return response.json()
