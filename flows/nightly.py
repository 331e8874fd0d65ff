"""The Prefect flow that trains models every night: the deployment `train-nightly`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from prefect import flow

from flows.order.night import run_night
from flows.prefect_engine import PrefectEngine, in_thread
from tasks.root import open_root
from tasks.work.devices import choose_devices


@flow(name="train-nightly", flow_run_name="night below {root}", persist_result=False)
async def train_nightly(
    root: str, folder: str = "", inputs: str = "", devices: list[str] | None = None
) -> list[dict[str, Any]]:
    """Train the models of the manifests in `manifests/nightly/` of the root or the repository that are new or changed.

    A manifest that fails does not stop the others, and the flow fails at its end. Where the store or a worker failed,
    the manifest is tried once more after the others; nothing else is, since waiting mends no manifest, and a run that
    waits would keep out one that is started by hand. What still fails is in the report below `state/nights/` and in the
    `failures` table, and the next night tries it again.

    Args:
        root: URI of the root.
        folder: Another folder or URI of manifests; "" means those above.
        inputs: Folder or URI for relative inputs; "" means each manifest's own folder.
        devices: Devices to use; by default all devices of the machine.

    Returns:
        A row per manifest (`flows.order.night.NightRow`).
    """
    chosen = choose_devices(devices or ())
    with PrefectEngine(max_workers=len(chosen), key="train-nightly", noun="models") as engine:
        rows = await in_thread(engine, lambda: run_night(open_root(root, probed=True), folder, inputs, chosen, engine))
    return [asdict(row) for row in rows]
