"""The order of a night of training: one manifest after the other, so that a faulty one does not stop the rest.

manifests of the night -> each: planned, its missing models trained, published -> report
"""

from __future__ import annotations

import traceback
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from flows.counted import counted
from flows.order.request import Request
from flows.order.training import plan_training, summary_of, train_missing
from nst.errors import NstError, Stopped, TransientError
from tasks.inputs.manifest_source import read_manifest
from tasks.nightly import nightly_manifests, write_report
from tasks.work.workers import DevicePool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flows.engine import Engine
    from tasks.root import Root


@dataclass(frozen=True, slots=True)
class NightRow:
    """What became of one manifest in one night; the counts are models."""

    manifest: str
    trained: int = 0
    trained_before: int = 0
    failed: int = 0
    seconds: float = 0.0
    error: str = ""
    may_pass: bool = False
    """Whether what failed may succeed at the next attempt: the store did not answer, or a worker died."""


class NightFailed(NstError):
    """Manifests of a night failed: what is trained stays, the next attempt or the next night does the rest."""


def run_night(root: Root, folder: str, inputs: str, devices: Sequence[str], engine: Engine) -> list[NightRow]:
    """Train the models of a night's manifests that are new or changed; a manifest that fails does not stop the rest.

    Args:
        root: The root, probed.
        folder: Folder or URI of the manifests (`tasks.nightly.nightly_manifests`).
        inputs: Folder or URI for relative inputs; "" means each manifest's own folder.
        devices: One worker each.
        engine: Carries out the trainings.

    Raises:
        NightFailed: At the end, after all manifests, if one of them failed.
    """
    began = datetime.now(UTC)
    with ExitStack() as stack:
        workers = cache(lambda: stack.enter_context(DevicePool(root, devices)))  # started when first needed
        requests = [
            Request(manifest, root, inputs, tuple(devices)) for manifest in nightly_manifests(root.store, folder)
        ]
        rows = [_train_manifest(request, engine, workers) for request in requests]
        rows = [
            _train_manifest(request, engine, workers) if row.may_pass else row
            for request, row in zip(requests, rows, strict=True)
        ]
    report = write_report(root.store, began, [asdict(row) for row in rows])
    engine.show([asdict(row) for row in rows], None)
    failed = [row for row in rows if row.failed or row.error]
    if failed:
        reasons = "; ".join(f"{row.manifest}: {row.error or f'{row.failed} failed'}" for row in failed)
        raise NightFailed(
            f"{len(failed)} of {counted(len(rows), 'manifests')} failed: {reasons}", hint=f"report: {report}"
        )
    return rows


def _train_manifest(request: Request, engine: Engine, workers: Callable[[], DevicePool]) -> NightRow:
    """Train the missing models of one manifest and return what became of it."""
    manifest = request.manifest
    try:
        prepared = plan_training(request, read_manifest(manifest)).prepared
        summary = train_missing(prepared, workers(), engine) if prepared.to_do else summary_of(prepared)
    except Stopped:
        raise
    except TransientError as error:
        return NightRow(manifest, error=str(error).splitlines()[0], may_pass=True)
    except Exception as error:  # noqa: BLE001
        # Not even a bug stops the other manifests; the report and the failed flow show its traceback.
        known = isinstance(error, NstError)
        text = str(error).splitlines()[0] if known else "".join(traceback.format_exception(error))
        return NightRow(manifest, error=text)
    reason = str(summary.failures[0]) if summary.failures else ""
    passing = bool(summary.failures) and all(failure.may_pass for failure in summary.failures)
    return NightRow(manifest, summary.done, summary.done_before, summary.failed, summary.seconds, reason, passing)
