"""The Prefect flow that trains models every night: the deployment `train-nightly`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from prefect import flow

from flows.order.night import run_night
from flows.prefect_engine import PrefectEngine, in_thread
from tasks.root import open_root
from tasks.work.devices import find_devices


@flow(
    name="train-nightly", flow_run_name="night below {root}", persist_result=False, retries=2, retry_delay_seconds=600
)
async def train_nightly(
    root: str, folder: str = "", inputs: str = "", devices: list[str] | None = None
) -> list[dict[str, Any]]:
    """Train the models of the manifests in `manifests/nightly/` of the root or the repository that are new or changed.

    A manifest that fails does not stop the others; the flow fails at its end then, and tries the missing models again,
    twice. What still fails is in the report below `state/nights/` and in the `failures` table, and the next night tries
    it again.

    Args:
        root: URI of the root.
        folder: Another folder or URI of manifests; "" means those above.
        inputs: Folder or URI for relative inputs; "" means each manifest's own folder.
        devices: Devices to use; by default all devices of the machine.

    Returns:
        A row per manifest (`flows.order.night.NightRow`).
    """
    chosen = tuple(devices or find_devices())
    with PrefectEngine(max_workers=len(chosen), key="train-nightly", noun="models") as engine:
        rows = await in_thread(engine, lambda: run_night(open_root(root, probed=True), folder, inputs, chosen, engine))
    return [asdict(row) for row in rows]
