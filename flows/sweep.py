"""The Prefect flow of a sweep: the deployment `sweep`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from prefect import flow

from flows.order.request import Request
from flows.order.sweep import plan_sweep
from flows.prefect_engine import carry_out
from tasks.inputs.manifest_source import read_manifest
from tasks.root import open_root
from tasks.work.devices import choose_devices


@flow(name="sweep", flow_run_name="sweep {manifest}", persist_result=False)
async def sweep(
    manifest: str, root: str, inputs: str = "", devices: list[str] | None = None, confirmed: bool = False
) -> dict[str, Any]:
    """Run the cells of a sweep that are not done yet; each chunk of batches is a task run.

    Args:
        manifest: URI of the manifest.
        root: URI of the root.
        inputs: Folder or URI for relative inputs; "" means the manifest's own folder.
        devices: Devices to use; by default all devices of the machine.
        confirmed: Whether an estimate above the manifest's budget of hours is accepted.

    Returns:
        The summary (`flows.order.summary.SweepSummary`).
    """
    chosen = choose_devices(devices or ())
    request = Request(manifest, open_root(root, probed=True), inputs, chosen, confirmed)
    return asdict(await carry_out(plan_sweep(request, read_manifest(manifest))))
