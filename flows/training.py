"""The Prefect flow of a training: the deployment `train`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect import flow

from flows.order.request import Request
from flows.order.training import plan_training
from flows.part import part_name, shown, submit_and_take_part, take_part_in
from tasks.inputs.manifest_source import read_manifest
from tasks.root import open_root
from tasks.work.devices import choose_devices

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


@flow(name="train", flow_run_name=part_name, persist_result=False)
async def train(
    manifest: str = "", root: str = "", inputs: str = "", devices: list[str] | None = None, plan: str = ""
) -> dict[str, Any] | State[Any]:
    """Train the models of a manifest that are not trained yet; each is a task run.

    Args:
        manifest: URI of the manifest; "" for a training that is submitted already.
        root: URI of the root.
        inputs: Folder or URI for relative inputs; "" means the manifest's own folder.
        devices: Devices to use; by default those of the worker.
        plan: Id of a submitted training, of which this run does a part.

    Returns:
        The summary (`flows.order.summary.TrainingSummary`), empty if the training is not open any more; the run is
        Failed if models are missing.
    """
    opened, chosen = open_root(root, probed=True), choose_devices(devices or ())
    if plan:
        return shown(await take_part_in("train", plan, opened, inputs, chosen))
    order = plan_training(Request(manifest, opened, inputs, chosen), read_manifest(manifest))
    return shown(await submit_and_take_part(order, opened))
