"""Stylizes one batch: reads its images, calls the method, writes pictures, commits rows. No algorithm, no fan-out.

The order is the product's promise: pictures first, then the failures, then the one record that commits the batch. A
crash between any two of them means that the batch is done again, and content-addressed pictures make that harmless.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import torch

from nst.errors import InputError, OutOfMemory, TransientError
from nst.methods import stylize_batch
from nst.pictures import images, metrics
from nst.pictures.images import Pixels
from nst.pictures.masks import Labels, plain_labels, read_labels
from nst.workspace import NetworkFile, Recent, Request, Stylized, Workspace
from tasks.catalog import Catalog
from tasks.inputs.uris import read_uri
from tasks.jobs import BatchOutcome, Failure, Job
from tasks.layout import picture_key, thumbnail_key
from tasks.models.backbone_weights import load_weights
from tasks.models.files import load_model
from tasks.store import Store, open_store
from tasks.work.rows import failure_row, failures_id, identity_columns, loss_columns, trace_row
from tasks.work.workplace import peak_memory, reset_peak_memory, versions

if TYPE_CHECKING:
    import numpy as np

    from nst.records import Cell, ImageRef, MaskRef

OnStep = Callable[[int, int], None]
Value = TypeVar("Value")

_DECODED_IMAGES: Final = 64
"""Decoded images kept warm per worker."""


class Stylist:
    """Everything one device worker keeps warm between batches.

    Args:
        root: URI of the root.
        device: A torch device, "cpu", "cuda" or "mps".
        single: Whether the store lacks create-only writes.
    """

    def __init__(self, root: str, device: str, *, single: bool = False) -> None:
        self.store: Store = open_store(root)
        self.catalog = Catalog(self.store, single_publisher=single)
        self.device = device
        self._weights_uri = "random"
        self.workspace = Workspace(device, lambda config: load_weights(config, self._weights_uri))
        self._decoded: OrderedDict[str, Pixels] = OrderedDict()
        self._masks: Recent[Labels] = Recent(_DECODED_IMAGES)

    def run(self, job: Job, on_step: OnStep | None = None) -> BatchOutcome:
        """Stylize the cells of `job` and commit their rows.

        A cell's own fault is a row in `failures`; the other cells go on.

        Raises:
            TransientError: The store gave up; nothing of the batch is committed, and it may be run again.
        """
        started, clock = datetime.now(UTC), time.perf_counter()
        self._weights_uri = job.weights_uri
        reset_peak_memory(self.device)
        failures: list[tuple[Cell, BaseException, str]] = []
        ready = self._read(job, failures)
        stylized = self._stylize([request for _, request in ready], on_step)
        seconds = time.perf_counter() - clock

        about_batch = {
            "batch_seconds": seconds,
            "batch_size": len(ready),
            "seconds": seconds / max(1, len(ready)),
            "cost": job.batch.cost / len(job.batch.cells),
            "peak_memory_bytes": peak_memory(self.device),
            "started_at": started,
            **versions(self.device),
        }
        rows: list[dict[str, Any]] = []
        traces: list[dict[str, Any]] = []
        for (cell, request), outcome in zip(ready, stylized, strict=True):
            if isinstance(outcome, Exception):
                failures.append((cell, outcome, "stylize"))
                continue
            try:
                row = self._write_picture(job, cell, request, outcome)
            except TransientError:
                raise
            except Exception as error:  # noqa: BLE001  one cell's fault must not cost the batch
                failures.append((cell, error, "write"))
                continue
            rows.append({**identity_columns(job, cell), **about_batch, **row, "finished_at": datetime.now(UTC)})
            traces += [trace_row(cell, record) for record in outcome.trace]
        self._commit(job, rows, traces, failures)
        return BatchOutcome(
            batch_id=job.batch.batch_id,
            done=tuple(row["cell_id"] for row in rows),
            failed=tuple(Failure(cell.cell_id, type(error).__name__, str(error)) for cell, error, _ in failures),
            seconds=time.perf_counter() - clock,
            cost=job.batch.cost * len(ready) / max(1, len(job.batch.cells)),
        )

    def _read(self, job: Job, failures: list[tuple[Cell, BaseException, str]]) -> list[tuple[Cell, Request]]:
        """Read and decode the inputs of every cell; a cell with a bad input goes to `failures`."""
        ready = []
        for cell in job.batch.cells:
            try:
                styles = cell.style.images if cell.style else ()
                request = Request(
                    cell_id=cell.cell_id,
                    content=self._pixels(cell.content) if cell.content and cell.content.uri else None,
                    styles=tuple(self._pixels(image) for image in styles),
                    style_weights=cell.style.weights if cell.style else (),
                    mix=cell.style.mix if cell.style else "targets",
                    config=cell.config,
                    content_mask=self._labels(cell.content.mask) if cell.content and cell.content.mask else None,
                    style_masks=tuple(self._labels(image.mask) for image in styles if image.mask),
                    model=self._model(cell),
                )
            except InputError as error:
                failures.append((cell, error, "read"))
            else:
                ready.append((cell, request))
        return ready

    def _pixels(self, ref: ImageRef) -> Pixels:
        if ref.digest in self._decoded:
            self._decoded.move_to_end(ref.digest)
            return self._decoded[ref.digest]
        pixels = _about(ref.uri, lambda: Pixels(ref.digest, images.decode(_read_bytes(ref))))
        self._decoded[ref.digest] = pixels
        if len(self._decoded) > _DECODED_IMAGES:
            self._decoded.popitem(last=False)
        return pixels

    def _model(self, cell: Cell) -> NetworkFile | None:
        if cell.model is None:
            return None
        if not cell.model.uri:
            raise InputError(f"its model {cell.model.identity[:8]} is not trained", hint="see the failures, run again")
        return load_model(cell.model.uri, cell.model.digest)

    def _labels(self, mask: MaskRef) -> Labels:
        if mask.is_color:
            return plain_labels(mask.digest)
        return self._masks.get(
            mask.digest,
            lambda: _about(mask.uri, lambda: read_labels(mask.digest, images.decode(_read_bytes(mask)))),
        )

    def _stylize(self, requests: Sequence[Request], on_step: OnStep | None) -> list[Stylized | Exception]:
        """Stylize all requests together; on too little memory in halves; a fault of all is each one's fault."""
        if not requests:
            return []
        try:
            return [outcome.error or outcome for outcome in stylize_batch(requests, self.workspace, on_step)]
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            if len(requests) == 1:
                message = f"{self.device} has too little memory for one cell at this size"
                return [OutOfMemory(message, hint="choose a smaller size")]
            half = len(requests) // 2
            return self._stylize(requests[:half], on_step) + self._stylize(requests[half:], on_step)
        except TransientError:
            raise
        except Exception as error:  # noqa: BLE001  recorded with its trace in each cell's failure row
            return [error] * len(requests)

    def _write_picture(self, job: Job, cell: Cell, request: Request, outcome: Stylized) -> dict[str, Any]:
        """Write the picture and its thumbnail; return their columns with losses and metrics."""
        image = outcome.image
        assert image is not None
        picture = images.encode(image, cell.output, _provenance(job, cell))
        thumbnail = images.thumbnail(image)
        digest = hashlib.sha256(picture).hexdigest()
        key, small = picture_key(digest, cell.output.format), thumbnail_key(digest)
        self.store.put(key, picture)
        self.store.put(small, thumbnail)
        return {
            **(loss_columns(outcome.losses) if outcome.losses else {}),
            **outcome.report,
            **_measure(image, request),
            "steps_done": outcome.steps,
            "picture_uri": self.store.url(key),
            "picture_digest": digest,
            "picture_bytes": len(picture),
            "picture_width": image.shape[1],
            "picture_height": image.shape[0],
            "picture_format": cell.output.format,
            "thumbnail_uri": self.store.url(small),
        }

    def _commit(
        self,
        job: Job,
        rows: list[dict[str, Any]],
        traces: list[dict[str, Any]],
        failures: list[tuple[Cell, BaseException, str]],
    ) -> None:
        """Commit failures and traces before results: when the results are there, everything is."""
        batch_id = job.batch.batch_id
        if failures:
            failure_rows = [failure_row(job, cell, error, stage) for cell, error, stage in failures]
            self.catalog.commit("failures", job.sweep_id, failures_id(job), failure_rows)
        if traces:
            self.catalog.commit("traces", job.sweep_id, batch_id, traces)
        if rows:
            self.catalog.commit("results", job.sweep_id, batch_id, rows)


def _read_bytes(ref: ImageRef | MaskRef) -> bytes:
    data = read_uri(ref.uri)
    if hashlib.sha256(data).hexdigest() != ref.digest:
        raise InputError("the file has changed since the sweep was planned", hint="plan and run again")
    return data


def _about(uri: str, read: Callable[[], Value]) -> Value:
    """Return what is read, or say of which file the reason tells that it cannot be."""
    try:
        return read()
    except InputError as error:
        raise InputError(f"{uri}: {error.message}", hint=error.hint) from error


def _measure(image: np.ndarray, request: Request) -> dict[str, float]:
    content = request.content.array if request.content else None
    return metrics.measure(image, content, [style.array for style in request.styles], request.style_weights)


def _provenance(job: Job, cell: Cell) -> Mapping[str, str]:
    """Return what the picture itself tells, also far from its catalog. The same for every run: no times, no hosts."""
    return {
        "software": "nst",
        "cell_id": cell.cell_id,
        "sweep": job.sweep_name,
        "content": cell.content.name if cell.content else "",
        "style": cell.style.name if cell.style else "",
        "config": cell.config.model_dump_json(),
    }
