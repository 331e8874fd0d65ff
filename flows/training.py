"""The Prefect flow of a training: the deployment `train`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from prefect import flow

from flows.order.request import Request
from flows.order.training import plan_training
from flows.prefect_engine import carry_out, end_of
from tasks.inputs.manifest_source import read_manifest
from tasks.root import open_root
from tasks.work.devices import choose_devices

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


@flow(name="train", flow_run_name="train {manifest}", persist_result=False)
async def train(
    manifest: str, root: str, inputs: str = "", devices: list[str] | None = None
) -> dict[str, Any] | State[Any]:
    """Train the models of a manifest that are not trained yet; each is a task run.

    Args:
        manifest: URI of the manifest.
        root: URI of the root.
        inputs: Folder or URI for relative inputs; "" means the manifest's own folder.
        devices: Devices to use; by default all devices of the machine.

    Returns:
        The summary (`flows.order.summary.TrainingSummary`); the run is Failed if models are missing.
    """
    chosen = choose_devices(devices or ())
    request = Request(manifest, open_root(root, probed=True), inputs, chosen)
    summary = await carry_out(plan_training(request, read_manifest(manifest)))
    return end_of(summary) or asdict(summary)
