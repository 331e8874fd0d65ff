"""The Prefect flow of a sweep: the deployment `sweep`, and the part of it that `nst run` shares."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from prefect import flow

from flows.order.request import Request
from flows.order.sweep import SweepSummary, plan_sweep, run_sweep
from flows.prefect_engine import PrefectEngine, in_thread
from tasks.work.workers import find_devices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.planning.sweep import Prepared
    from tasks.work.workers import OnStep


@flow(name="sweep", flow_run_name="sweep {manifest}", persist_result=False)
async def sweep(
    manifest: str, root: str, inputs: str = "", devices: list[str] | None = None, confirmed: bool = False
) -> dict[str, Any]:
    """Run what is not done of a sweep; each chunk of its batches is a task run.

    Args:
        manifest: URI of the manifest.
        root: URI of the root.
        inputs: Folder or URI for relative inputs; "" means the manifest's own folder.
        devices: Devices to use; by default all of the machine.
        confirmed: Whether an estimate above the manifest's budget of hours is accepted.

    Returns:
        The summary (`flows.order.sweep.SweepSummary`).
    """
    request = Request(manifest, root, inputs, tuple(devices or find_devices()), confirmed)
    return asdict(await carry_out(plan_sweep(request), request.devices))


async def carry_out(prepared: Prepared, devices: Sequence[str], on_step: OnStep | None = None) -> SweepSummary:
    """Run a planned sweep inside the current flow run."""
    with PrefectEngine(max_workers=len(devices), key=prepared.plan.name) as engine:
        return await in_thread(engine, lambda: run_sweep(prepared, devices, engine, on_step))
