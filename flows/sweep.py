"""The Prefect flow of a sweep: the deployment `sweep`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect import flow

from flows.order.request import Request
from flows.order.sweep import plan_sweep
from flows.part import part_name, shown, submit_and_take_part, take_part_in
from tasks.inputs.manifest_source import read_manifest
from tasks.root import open_root
from tasks.work.devices import choose_devices

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


@flow(name="sweep", flow_run_name=part_name, persist_result=False)
async def sweep(  # noqa: PLR0917  Prefect calls it by name
    manifest: str = "",
    root: str = "",
    inputs: str = "",
    devices: list[str] | None = None,
    confirmed: bool = False,
    plan: str = "",
) -> dict[str, Any] | State[Any]:
    """Run the cells of a sweep that are not done yet; each chunk of batches is a task run.

    Args:
        manifest: URI of the manifest; "" for a sweep that is submitted already.
        root: URI of the root.
        inputs: Folder or URI for relative inputs; "" means the manifest's own folder.
        devices: Devices to use; by default those of the worker.
        confirmed: Whether an estimate above the manifest's budget of hours is accepted.
        plan: Id of a submitted sweep, of which this run does a part.

    Returns:
        The summary (`flows.order.summary.SweepSummary`), empty if the sweep is not open any more.
    """
    opened, chosen = open_root(root, probed=True), choose_devices(devices or ())
    if plan:
        return shown(await take_part_in("sweep", plan, opened, inputs, chosen))
    order = plan_sweep(Request(manifest, opened, inputs, chosen, confirmed), read_manifest(manifest))
    return shown(await submit_and_take_part(order, opened))
