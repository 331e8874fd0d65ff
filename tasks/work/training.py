"""Trains one network: prepares its pictures, takes steps, keeps checkpoints, writes weights and its row. No algorithm.

The order is that of a batch: weights first, then the sample pictures, then the loss curve, then the one record that
commits the model. A crash in between means that the steps since the last checkpoint are taken again.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from nst.errors import TransientError
from nst.training import Trainer, Unhealthy
from nst.training.doodles import draw_doodles
from nst.workspace import Workspace
from tasks.jobs import Failure, TrainingJob, TrainingOutcome
from tasks.models.backbone_weights import load_weights
from tasks.models.files import load_model, read_masks, read_styles, write_evidence, write_sample_sheet, write_weights
from tasks.models.trained_style import style_notes
from tasks.work.checkpoints import Checkpoints, Progress
from tasks.work.dataset import Dataset, prepare_dataset
from tasks.work.model_rows import Finished, curve_rows, failed_training_row, model_row
from tasks.work.self_test import acquit
from tasks.work.workplace import reset_peak_memory, workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from nst.config.backbone import BackboneConfig
    from nst.pictures.masks import Labels
    from nst.training import Validation
    from tasks.catalog import Catalog

_CURVE_POINTS: Final = 2000
"""Steps of a training that the `traces` table keeps, evenly spaced."""

_VALIDATION: Final = 4
"""Pictures held out of the training, at most a tenth of all."""


def train(job: TrainingJob, catalog: Catalog, device: str, on_step: Callable[[int, int], None]) -> TrainingOutcome:
    """Train a network and commit its row; a training that fails gets a row in `failures`.

    Args:
        job: What to train.
        catalog: The catalog of the root that receives checkpoints, weights and rows.
        device: A torch device.
        on_step: Called with (steps done, all steps).

    Raises:
        TransientError: The store did not answer; a retry goes on from the last checkpoint.
        DeviceError: The device is broken, and the training is not to blame; a retry goes on as well.
    """
    training, clock = _Training(job, catalog, device), time.perf_counter()
    failure = None
    try:
        training.run(on_step)
    except TransientError:
        raise
    except Exception as error:  # noqa: BLE001  recorded with its trace in the failure's row
        acquit(device, [error])
        failure = training.fail(error)
    return TrainingOutcome(job.spec.model_id, failure, time.perf_counter() - clock)


class _Training:
    def __init__(self, job: TrainingJob, catalog: Catalog, device: str) -> None:
        self.job, self.catalog, self.device = job, catalog, device
        self.config = job.spec.config
        self.checkpoints = Checkpoints(catalog.store, job.spec.model_id)
        self.progress = Progress()
        self.steps = 0
        self.started = datetime.now(UTC)

    def run(self, on_step: Callable[[int, int], None]) -> None:
        styles, masks = read_styles(self.job.spec), read_masks(self.job.spec)
        dataset, pictures, photographs = self._photographs(masks)
        reset_peak_memory(self.device)
        trainer = Trainer(
            self.config,
            styles,
            Workspace(self.device, self._load_weights),
            photographs=photographs,
            parent=load_model(self.job.parent.uri, self.job.parent.digest) if self.job.parent else None,
            masks=masks,
        )
        self._resume(trainer)
        validation = self._take_steps(trainer, pictures, on_step)
        self._commit(
            Finished(
                job=self.job,
                steps=self.steps,
                progress=self.progress,
                dataset=dataset,
                styles=styles,
                photographs=0 if photographs is None else len(photographs),
                pictures=pictures,
                validation=validation,
                weights=self._weights(trainer),
                started=self.started,
                device=self.device,
            )
        )

    def _weights(self, trainer: Trainer) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Return the tensors and the notes of the network's file, with the names and places of its styles.

        A network that began with another one's weights also knows the styles of that one. These have no names here, and
        then the notes say no names and places at all.
        """
        tensors, notes = trainer.weights()
        told = style_notes(self.job.spec.styles)
        return tensors, {**notes, **told} if told["styles"] == notes["styles"] else notes

    def _load_weights(self, backbone: BackboneConfig) -> dict[str, Tensor]:
        return load_weights(backbone, self.job.weights_uri, self.job.spec.weights_digest)

    def _photographs(self, masks: Sequence[Labels]) -> tuple[Dataset | None, list[np.ndarray], np.ndarray | None]:
        """Return the dataset, the validation pictures, and the photographs to learn from."""
        size = self.config.size
        if self.config.masks:
            return None, draw_doodles(masks[0], size, range(_VALIDATION)), None
        if not self.config.photographs:
            return None, [np.zeros((size, size, 3), np.uint8)] * _VALIDATION, None
        dataset = prepare_dataset(self.job.photographs, self.config.photograph_side)
        array = dataset.array
        held_out = min(_VALIDATION, len(array) // 10)
        # Fewer than ten photographs are a trial: the network learns from the validation pictures too.
        pictures = [np.array(array[number]) for number in range(held_out or min(_VALIDATION, len(array)))]
        return dataset, pictures, array[held_out:]

    def _resume(self, trainer: Trainer) -> None:
        saved = self.checkpoints.latest()
        if saved is None:
            return
        trainer.load_state(saved.tensors)
        self.progress = saved.progress
        self.progress.resumed += 1

    def _take_steps(
        self, trainer: Trainer, pictures: Sequence[np.ndarray], on_step: Callable[[int, int], None]
    ) -> Validation:
        config, progress = self.config, self.progress
        every = max(1, config.steps // _CURVE_POINTS)
        validation = None
        self.steps = trainer.steps_done
        clock = time.perf_counter()
        while self.steps < config.steps:
            record = trainer.step()
            self.steps = trainer.steps_done
            if self.steps % every == 0 or self.steps == config.steps:
                progress.curve.append(record)
            on_step(self.steps, config.steps)
            validation = None
            if self.steps % config.validate_every == 0 or self.steps == config.steps:
                progress.seconds += time.perf_counter() - clock
                validation = trainer.validate(pictures)
                write_sample_sheet(self.catalog.store, self.job.spec.model_id, self.steps, pictures, validation.images)
                clock = time.perf_counter()
            if self.steps % config.checkpoint_every == 0:
                progress.seconds += time.perf_counter() - clock
                self.checkpoints.put(self.steps, trainer.state(), progress)
                clock = time.perf_counter()
        progress.seconds += time.perf_counter() - clock
        return validation or trainer.validate(pictures)

    def _commit(self, finished: Finished) -> None:
        spec = self.job.spec
        files = write_weights(self.catalog.store, finished.weights)
        samples = write_sample_sheet(
            self.catalog.store, spec.model_id, finished.steps, finished.pictures, finished.validation.images
        )
        self.catalog.commit("traces", spec.model_id, "trained", curve_rows(spec.model_id, finished.progress.curve))
        row = {**model_row(finished), **files, "samples_uri": samples, "finished_at": datetime.now(UTC)}
        self.catalog.commit("models", spec.model_id, "trained", [row])
        self.checkpoints.clear()

    def fail(self, error: Exception) -> Failure:
        """Record why the training failed. After an unhealthy one, the next attempt begins from the first step."""
        evidence = ""
        if isinstance(error, Unhealthy):
            evidence = write_evidence(self.catalog.store, self.job, error, self.progress.curve)
            self.checkpoints.clear()
        row = failed_training_row(
            self.job, error, {"started_at": self.started, **workplace(self.device)}, evidence=evidence
        )
        self.catalog.commit("failures", self.job.spec.model_id, f"attempt-{self.job.attempt}", [row])
        return Failure.of(self.job.spec.model_id, error)
