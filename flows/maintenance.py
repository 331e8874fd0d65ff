"""The Prefect flow that keeps a root's catalog tidy: the deployment `compact-nightly`."""

from __future__ import annotations

from prefect import flow

from flows.prefect_engine import PrefectEngine, in_thread
from tasks.maintenance import compact_root


@flow(name="compact", flow_run_name="compact {root}", persist_result=False)
async def compact(root: str) -> dict[str, int]:
    """Publish, merge and clean every table of a root; harmless at any time, also while sweeps run.

    Args:
        root: URI of the root.

    Returns:
        How many files were merged, by table.
    """
    with PrefectEngine(key="compact") as engine:
        return dict(await in_thread(engine, lambda: engine.submit(compact_root, root).result()))
