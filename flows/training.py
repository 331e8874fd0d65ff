"""The Prefect flow of a training: the deployment `train`, and the part of it that `nst run` shares."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from prefect import flow

from flows.order.request import Request
from flows.order.training import TrainSummary, plan_training, run_training
from flows.prefect_engine import PrefectEngine, in_thread
from tasks.work.workers import find_devices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.planning.training import PreparedTraining
    from tasks.work.workers import OnStep


@flow(name="train", flow_run_name="train {manifest}", persist_result=False)
async def train(manifest: str, root: str, inputs: str = "", devices: list[str] | None = None) -> dict[str, Any]:
    """Train the models of a manifest that are not trained yet; each is a task run.

    Args:
        manifest: URI of the manifest.
        root: URI of the root.
        inputs: Folder or URI for relative inputs; "" means the manifest's own folder.
        devices: Devices to use; by default all of the machine.

    Returns:
        The summary (`flows.order.training.TrainSummary`).
    """
    request = Request(manifest, root, inputs, tuple(devices or find_devices()))
    return asdict(await carry_out(plan_training(request), request.devices))


async def carry_out(prepared: PreparedTraining, devices: Sequence[str], on_step: OnStep | None = None) -> TrainSummary:
    """Run a planned training inside the current flow run."""
    with PrefectEngine(max_workers=len(devices), key=prepared.name, noun="models") as engine:
        return await in_thread(engine, lambda: run_training(prepared, devices, engine, on_step))
