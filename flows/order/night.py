"""The order of a night's training, written once: every manifest by itself, so that one's fault is not another's."""

from __future__ import annotations

import traceback
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from flows.order.request import Request
from flows.order.training import plan_training, summary_of, train_missing
from nst.errors import NstError
from tasks.maintenance import single_publisher
from tasks.nightly import nightly_manifests, write_report
from tasks.store import open_store
from tasks.work.workers import DevicePool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flows.engine import Engine


@dataclass(frozen=True, slots=True)
class NightRow:
    """What became of one manifest in one night."""

    manifest: str
    trained: int = 0
    trained_before: int = 0
    failed: int = 0
    seconds: float = 0.0
    error: str = ""


class NightFailed(NstError):
    """Something of a night failed: what is trained stays, the next attempt or the next night does the rest."""


def run_night(root: str, folder: str, inputs: str, devices: Sequence[str], engine: Engine) -> list[NightRow]:
    """Train what is new or changed of a night's manifests; each that fails is reported and holds up no other.

    Args:
        root: URI of the root.
        folder: Where the manifests lie (`tasks.nightly.nightly_manifests`).
        inputs: Folder or URI for relative inputs; "" means each manifest's own folder.
        devices: One worker each.
        engine: Carries out the trainings.

    Raises:
        NightFailed: At the end, when all manifests had their turn.
    """
    began, store = datetime.now(UTC), open_store(root)
    with ExitStack() as stack:
        workers = cache(lambda: stack.enter_context(DevicePool(store.uri, devices, single=single_publisher(root))))
        rows = [
            _one(Request(manifest, root, inputs, tuple(devices)), engine, workers)
            for manifest in nightly_manifests(store, folder)
        ]
    report = write_report(store, began, [asdict(row) for row in rows])
    engine.show([asdict(row) for row in rows], None)
    bad = [row for row in rows if row.failed or row.error]
    if bad:
        what = "; ".join(f"{row.manifest}: {row.error or f'{row.failed} failed'}" for row in bad)
        raise NightFailed(f"{len(bad)} of {len(rows)} manifests failed: {what}", hint=f"report: {report}")
    return rows


def _one(request: Request, engine: Engine, workers: Callable[[], DevicePool]) -> NightRow:
    """Return what became of one manifest; the workers are started by the first that needs them."""
    manifest = request.manifest
    try:
        prepared = plan_training(request)
        summary = train_missing(prepared, workers(), engine) if prepared.to_do else summary_of(prepared)
    except Exception as error:
        if engine.stopping.is_set():
            raise
        # Not even a bug holds up the other manifests; the report and the failed flow show its trace.
        known = isinstance(error, NstError)
        text = str(error).splitlines()[0] if known else "".join(traceback.format_exception(error))
        return NightRow(manifest, error=text)
    why = summary.failures[0].message if summary.failures else ""
    return NightRow(manifest, summary.trained, summary.trained_before, summary.failed, summary.seconds, why)
