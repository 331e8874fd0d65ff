"""What crosses the pipe between the flow's process and a device worker: small frozen records, no tensors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nst.planning.models import ModelSpec
    from nst.records import Batch, Cell, ImageRef, ModelRef


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """A share of the shots of a clip, which one device makes while others make theirs."""

    number: int
    """From 0."""
    parts: int

    def of(self, shots: Sequence[T]) -> list[T]:
        """Return the shots that belong to the part: every so many."""
        return list(shots[self.number :: self.parts])


@dataclass(frozen=True, slots=True)
class Job:
    """One batch to stylize."""

    batch: Batch
    sweep_id: str
    sweep_name: str
    weights_uri: str
    """Absolute URI of the backbone's weights, or `random` or `torchvision`; "" for methods without a backbone."""
    part: Part | None = None
    """Which shots of a clip are to be made, without the clip itself; None for whole cells."""
    preview_every: int | None = 0
    """Steps between two previews: 0 for none, None for as many as are reasonable (`nst.config.previews`)."""

    @property
    def key(self) -> str:
        """Id of the batch, by which progress is reported."""
        return self.batch.batch_id

    def only(self, cell: Cell, batch_id: str) -> Job:
        """Return the same job for one of its cells, under another batch id."""
        return replace(self, batch=replace(self.batch, batch_id=batch_id, cells=(cell,)))

    def parted(self, parts: int) -> list[Job]:
        """Return jobs that make the shots of its clip, each a share of them; none for stills."""
        content = self.batch.cells[0].content
        if content is None or content.clip is None:
            return []
        ids = (hashlib.blake2b(f"{self.key}/{n}".encode(), digest_size=16).hexdigest() for n in range(parts))
        return [
            replace(self, batch=replace(self.batch, batch_id=batch_id), part=Part(number, parts))
            for number, batch_id in enumerate(ids)
        ]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a cell or a training failed, as its row in `failures` says."""

    cell_id: str
    """Id of the cell, or of the model."""
    error_class: str
    message: str

    @classmethod
    def of(cls, cell_id: str, error: BaseException) -> Failure:
        """Return the failure that an error means."""
        return cls(cell_id, type(error).__name__, str(error))

    @property
    def may_pass(self) -> bool:
        """Whether the next attempt may succeed without a change: `nst.errors.TransientError` and its kinds."""
        return self.error_class in {"TransientError", "StorageError", "WorkerLost"}

    def __str__(self) -> str:
        return f"{self.error_class}: {self.message}"


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What became of a batch: every cell is in `done` or in `failed`, and its rows are committed."""

    batch_id: str
    done: tuple[str, ...]
    """Ids of cells."""
    failed: tuple[Failure, ...]
    seconds: float = 0.0
    """Wall-clock seconds of its optimisation; 0 if they were not measured."""
    rows: tuple[Mapping[str, Any], ...] = field(default=(), repr=False, compare=False)
    """The rows of `done` as they were committed, without empty columns."""

    @property
    def key(self) -> str:
        """Id of the batch, as of its job."""
        return self.batch_id


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """One network to train, and what it is made from."""

    spec: ModelSpec
    photographs: tuple[ImageRef, ...]
    weights_uri: str
    """As `Job.weights_uri`."""
    parent: ModelRef | None = None
    """The model whose weights the training begins with."""
    attempt: int = 1
    """1 + the number of failed attempts on record when it was planned."""

    @property
    def key(self) -> str:
        """Id of the model, by which progress is reported."""
        return self.spec.model_id


@dataclass(frozen=True, slots=True)
class TrainingOutcome:
    """What became of a training: its row is committed, in `models` or in `failures`."""

    model_id: str
    failure: Failure | None = None
    seconds: float = 0.0
    """Wall-clock seconds since it was begun, or begun again, on its device; 0 if they were not measured."""

    @property
    def key(self) -> str:
        """Id of the model, as of its job."""
        return self.model_id

    @property
    def done(self) -> tuple[str, ...]:
        """Id of the model if it is trained."""
        return () if self.failure else (self.model_id,)

    @property
    def failed(self) -> tuple[Failure, ...]:
        """Why it is not."""
        return (self.failure,) if self.failure else ()
