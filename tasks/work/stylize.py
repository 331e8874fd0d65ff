"""Stylizes one batch: reads its images, calls the method, writes pictures, commits rows. No algorithm, no fan-out.

The order is the product's promise: pictures first, then failures and traces, then the one record that commits the
batch. A crash between any two of them means that the batch is done again, and that is harmless because pictures are
named by their digests.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nst.config.method import PixelMethod
from nst.errors import InputError, TransientError, UserError
from nst.methods.start import picture_size
from nst.pictures import images
from nst.workspace import Request, Stylized, Workspace
from tasks.catalog.cells import identity_columns
from tasks.jobs import BatchOutcome, Failure, Job
from tasks.layout import picture_key, thumbnail_key
from tasks.models.backbone_weights import load_weights
from tasks.work.clip_made import ClipMade
from tasks.work.halving import as_told, stylize_in_memory
from tasks.work.judging import Judging
from tasks.work.measuring import Measuring
from tasks.work.previews import StoredPreviews
from tasks.work.requests import Requests
from tasks.work.rows import actual_columns, failure_row, failures_id, loss_columns, trace_row
from tasks.work.self_test import acquit
from tasks.work.workplace import peak_memory, reset_peak_memory, workplace

if TYPE_CHECKING:
    import numpy as np

    from nst.records import Cell
    from tasks.root import Root
    from tasks.work.previews import Tell

    _Ready = list[tuple[Cell, Request]]

OnStep = Callable[[int, int], None]
"""Called with (step, all steps) of a batch."""


@dataclass(frozen=True, slots=True)
class _FailedCell:
    """A cell that could not be stylized."""

    cell: Cell
    error: BaseException
    stage: str
    """Where it failed: "read", "stylize" or "write"."""


@dataclass(frozen=True, slots=True)
class Computed:
    """A batch whose pictures are computed and not yet written.

    Attributes:
        job: The batch.
        ready: The cells whose inputs could be read, with their requests.
        stylized: What became of each of them.
        failures: The cells whose inputs could not be read.
        previews: The pictures on their way; None of clips.
        here: Columns about where and when it was computed.
        about: Columns about the batch, those of `here` among them.
    """

    job: Job
    ready: list[tuple[Cell, Request]]
    stylized: list[Stylized | ClipMade | Exception]
    failures: list[_FailedCell]
    previews: StoredPreviews | None
    here: Mapping[str, Any]
    about: Mapping[str, Any]


class Stylist:
    """Stylizes batches on one device, and keeps images, backbones and networks warm between them.

    Args:
        root: The root that pictures and rows go to.
        device: A torch device, "cpu", "cuda" or "mps".
    """

    def __init__(self, root: Root, device: str) -> None:
        self.root = root
        self.device = device
        self.workspace = Workspace(device, lambda _: {})  # every batch brings the weights of its backbone
        self._requests = Requests()
        self._measuring = Measuring()
        self._judging = Judging(device)

    def run(self, job: Job, on_step: OnStep | None = None) -> BatchOutcome:
        """Stylize the cells of `job` and commit their rows; errors as `compute` and `commit`."""
        return self.commit(self.compute(job, on_step))

    def compute(self, job: Job, on_step: OnStep | None = None, on_preview: Tell | None = None) -> Computed:
        """Read the inputs of the cells of `job` and stylize them; nothing is written but previews.

        Raises:
            TransientError: The store did not answer.
            DeviceError: The device is broken, and no cell is to blame.
        """
        started, clock = datetime.now(UTC), time.perf_counter()
        reset_peak_memory(self.device)
        failures: list[_FailedCell] = []
        ready = self._read(job, failures)
        here = {"started_at": started, **workplace(self.device)}
        clip = bool(ready and ready[0][0].content and ready[0][0].content.clip)
        previews = None if clip else StoredPreviews(self.root.store, job.preview_every, on_preview)
        stylized = self._stylize(job, ready, here, on_step, previews)
        acquit(self.device, (outcome for outcome in stylized if isinstance(outcome, Exception)))
        seconds = time.perf_counter() - clock
        about = {
            "batch_seconds": seconds,
            "batch_size": len(ready),
            "seconds": seconds / max(1, len(ready)),
            "cost": job.batch.cost / len(job.batch.cells),
            "peak_memory_bytes": peak_memory(self.device),
            **here,
        }
        return Computed(job, ready, stylized, failures, previews, here, about)

    def _stylize(
        self, job: Job, ready: _Ready, here: Mapping[str, Any], on_step: OnStep | None, previews: StoredPreviews | None
    ) -> list[Stylized | ClipMade | Exception]:
        """Return one picture, clip or error per cell; the frames of clips are committed already."""
        workspace = self._workspace(job)
        if previews is None:
            try:
                from tasks.work.clip_frames import ClipWork  # late: it needs the extra `video`

                return [*ClipWork(job, ready, workspace=workspace, root=self.root, here=here, on_step=on_step).run()]
            except Exception as error:
                if _is_the_stores(error):
                    raise
                return [as_told(error, self.device)] * len(ready)
        watched = workspace.watched_by(previews.onlooker)
        return [*stylize_in_memory([request for _, request in ready], watched, on_step)]

    def commit(self, computed: Computed) -> BatchOutcome:
        """Write the pictures of a batch and commit its rows; another thread may compute the next batch meanwhile.

        A cell's own fault is a row in `failures`; the other cells go on.

        Raises:
            TransientError: The store did not answer; nothing of the batch is committed, and it may be run again.
            UserError: The store refuses to write, which every cell would meet; nothing of the batch is committed.
            DeviceError: The device is broken, so that no cell is to blame; nothing of the batch is committed.
        """
        job, failures = computed.job, list(computed.failures)
        rows: list[dict[str, Any]] = []
        traces: list[dict[str, Any]] = []
        if job.part:  # its frames are committed; the clip itself is another job's
            return BatchOutcome(job.batch.batch_id, (), (), computed.about["batch_seconds"])
        if computed.previews:
            computed.previews.ended()
        for (cell, request), outcome in zip(computed.ready, computed.stylized, strict=True):
            if isinstance(outcome, Exception):
                failures.append(_FailedCell(cell, outcome, "stylize"))
                continue
            try:
                if isinstance(outcome, ClipMade):
                    row = self._write_clip(request, outcome)
                else:
                    row = self._write_picture(job, cell, request, outcome)
                    row |= computed.previews.columns(cell.cell_id, outcome.steps) if computed.previews else {}
            except Exception as error:
                if _is_the_stores(error):
                    raise
                failures.append(_FailedCell(cell, as_told(error, self.device), "write"))
                continue
            rows.append({**identity_columns(job, cell), **computed.about, **row, "finished_at": datetime.now(UTC)})
            traces += [trace_row(cell, record) for record in getattr(outcome, "trace", ())]
        acquit(self.device, (failed.error for failed in failures if failed.stage == "write"))
        failed_rows = [failure_row(job, failed.cell, failed.error, failed.stage, computed.here) for failed in failures]
        self._commit(job, rows, traces, failed_rows)
        return BatchOutcome(
            batch_id=job.batch.batch_id,
            done=tuple(row["cell_id"] for row in rows),
            failed=tuple(Failure.of(failed.cell.cell_id, failed.error) for failed in failures),
            seconds=computed.about["batch_seconds"],
            rows=tuple({name: value for name, value in row.items() if value is not None} for row in rows),
        )

    def _workspace(self, job: Job) -> Workspace:
        """Return the warm state of this worker with the weights of the batch's backbone."""
        digest = job.batch.weights_digest
        return self.workspace.with_weights(digest, lambda config: load_weights(config, job.weights_uri, digest))

    def _read(self, job: Job, failures: list[_FailedCell]) -> list[tuple[Cell, Request]]:
        """Read and decode the inputs of every cell; a cell with a bad input goes to `failures`."""
        ready = []
        for cell in job.batch.cells:
            try:
                ready.append((cell, self._requests.of(cell)))
            except InputError as error:
                failures.append(_FailedCell(cell, error, "read"))
        return ready

    def _write_picture(self, job: Job, cell: Cell, request: Request, outcome: Stylized) -> dict[str, Any]:
        """Write the picture and its thumbnail; return their columns, losses and metrics."""
        image = outcome.image
        assert image is not None
        alpha = request.content.alpha if cell.output.alpha and request.content else None
        picture = images.encode(image, cell.output, _provenance(job, cell), alpha)
        thumbnail = images.thumbnail(image)
        digest = hashlib.sha256(picture).hexdigest()
        key, small = picture_key(digest, cell.output.format), thumbnail_key(digest)
        store = self.root.store
        store.put(key, picture)
        store.put(small, thumbnail)
        return {
            **(loss_columns(outcome.losses) if outcome.losses else {}),
            **outcome.report,
            **self._measuring.measure(image, request),
            **self._judging.columns(image, request),
            "steps_done": outcome.steps,
            "tile_side": outcome.tile,
            **actual_columns(
                cell.config, picture_size(request), job.batch.cost / len(job.batch.cells), _share(cell, outcome)
            ),
            "picture_uri": store.url(key),
            "picture_digest": digest,
            "picture_bytes": len(picture),
            "picture_width": image.shape[1],
            "picture_height": image.shape[0],
            "picture_format": cell.output.format,
            "picture_quality": cell.output.quality if cell.output.format != "png" else None,
            "picture_alpha": alpha is not None,
            "thumbnail_uri": store.url(small),
        }

    def _write_clip(self, request: Request, made: ClipMade) -> dict[str, Any]:
        """Write the clip and its thumbnail; return their columns, losses and metrics."""
        from tasks.work.clip_rows import clip_columns  # late: it needs the extra `video`

        def measure(image: np.ndarray, number: int) -> dict[str, float]:
            return self._measuring.measure(image, replace(request, content=made.source.pixels(number)))

        config = request.config
        cost = sum(config.clip_cost(len(shot)) for shot in made.shots)
        return {
            **clip_columns(self.root, made, measure),
            **actual_columns(config, made.source.size, cost, made.steps / made.most_steps if made.most_steps else 1.0),
            "seconds": made.seconds,
        }

    def _commit(
        self, job: Job, rows: list[dict[str, Any]], traces: list[dict[str, Any]], failures: list[dict[str, Any]]
    ) -> None:
        """Commit failures and traces before results: where results are on record, everything is."""
        batch_id, catalog = job.batch.batch_id, self.root.catalog
        if failures:
            catalog.commit("failures", job.sweep_id, failures_id(job), failures)
        if traces:
            catalog.commit("traces", job.sweep_id, batch_id, traces)
        if rows:
            catalog.commit("results", job.sweep_id, batch_id, rows)


def _is_the_stores(error: Exception) -> bool:
    """Return whether an error of writing a picture is no fault of its cell: the store does not answer, or refuses."""
    return isinstance(error, TransientError) or (isinstance(error, UserError) and not isinstance(error, InputError))


def _share(cell: Cell, outcome: Stylized) -> float:
    """Return the share of its steps that a cell did: fewer than all where it may stop early."""
    config = cell.config
    if not (isinstance(config, PixelMethod) and config.stop):
        return 1.0
    return outcome.steps / sum(steps for _, steps in config.pyramid.schedule(config.steps))


def _provenance(job: Job, cell: Cell) -> Mapping[str, str]:
    """Return what is written into the picture's file. It is the same in every run: no times, no hosts."""
    return {
        "software": "nst",
        "cell_id": cell.cell_id,
        "sweep": job.sweep_name,
        "content": cell.content.name if cell.content else "",
        "style": cell.style.name if cell.style else "",
        "config": cell.config.model_dump_json(),
    }
