"""What crosses the pipe between the flow's process and a device worker: small frozen records, no tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nst.plan.models import ModelSpec
    from nst.records import Batch, Cell, ImageRef


@dataclass(frozen=True, slots=True)
class Job:
    """One batch to stylize, and where its pictures and rows go."""

    batch: Batch
    root: str
    """URI of the root."""
    sweep_id: str
    sweep_name: str
    weights_uri: str
    """Absolute URI of the backbone's weights, or `random` or `torchvision`."""

    @property
    def key(self) -> str:
        """What progress is told about."""
        return self.batch.batch_id

    def only(self, cells: tuple[Cell, ...], batch_id: str) -> Job:
        """Return the same job for some of its cells, under another batch id."""
        return replace(self, batch=replace(self.batch, batch_id=batch_id, cells=cells))


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one cell failed, as the row tells it."""

    cell_id: str
    error_class: str
    message: str


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What became of a batch: every cell is in `done` or in `failed`, and its rows are committed."""

    batch_id: str
    done: tuple[str, ...]
    failed: tuple[Failure, ...]
    seconds: float
    cost: float


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """One network to train, and what it is made from."""

    spec: ModelSpec
    photographs: tuple[ImageRef, ...]
    weights_uri: str
    """As `Job.weights_uri`."""
    parent_uri: str = ""
    """Absolute URI of the weights that it begins with, "" for none."""
    attempt: int = 1

    @property
    def key(self) -> str:
        """What progress is told about."""
        return self.spec.model_id


@dataclass(frozen=True, slots=True)
class Trained:
    """What became of a training: its row is committed, in `models` or in `failures`."""

    model_id: str
    steps: int
    """Done in all."""
    seconds: float
    """Of this run."""
    failure: Failure | None = None
