"""Checkpoints of a training below the root: the last two are kept, and checked by digest when read."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Final

import torch

from nst.records import TrainingRecord
from tasks.layout import CheckpointKey, checkpoint_key, checkpoints, parse_checkpoint_key
from tasks.models.tensor_files import dump_tensors, load_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from tasks.store import Store

LOGGER = logging.getLogger("nst.training")

KEPT: Final = 2
_CURVE: Final = "nst.curve"
"""Name of the tensor that holds the loss curve."""


@dataclass(slots=True, eq=False)
class Progress:
    """What a training remembers besides the state of its networks.

    Attributes:
        curve: Losses of evenly spaced steps.
        seconds: Wall-clock seconds spent on steps.
        resumed: Number of times the training went on from a checkpoint.
    """

    curve: list[TrainingRecord] = field(default_factory=list)
    seconds: float = 0.0
    resumed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """The state of a training after some step."""

    tensors: dict[str, Tensor]
    progress: Progress


class Checkpoints:
    """The checkpoints of one model."""

    def __init__(self, store: Store, model_id: str) -> None:
        self._store = store
        self._model_id = model_id

    def put(self, steps: int, tensors: Mapping[str, Tensor], progress: Progress) -> None:
        """Write a checkpoint, then remove all but the last two."""
        curve = torch.tensor([astuple(record) for record in progress.curve], dtype=torch.float64)
        notes = {"seconds": repr(progress.seconds), "resumed": str(progress.resumed)}
        data = dump_tensors({**tensors, _CURVE: curve}, notes)
        digest = hashlib.sha256(data).hexdigest()
        self._store.put(checkpoint_key(self._model_id, steps, digest), data)
        for key, _ in self._found()[KEPT:]:
            self._store.delete(key)

    def latest(self) -> Checkpoint | None:
        """Return the newest checkpoint that is not damaged, None if there is none."""
        for key, parsed in self._found():
            try:
                data = self._store.get(key)
            except FileNotFoundError:
                continue  # another process finished this training just now
            if not hashlib.sha256(data).hexdigest().startswith(parsed.digest):
                LOGGER.warning("%s is damaged; an older checkpoint is used", self._store.url(key))
                continue
            notes, tensors = load_tensors(data)
            curve = [TrainingRecord(int(step), *losses) for step, *losses in tensors.pop(_CURVE).tolist()]
            return Checkpoint(tensors, Progress(curve, float(notes["seconds"]), int(notes["resumed"])))
        return None

    def clear(self) -> None:
        """Remove all checkpoints of the model."""
        for stat in self._store.list(checkpoints(self._model_id)):
            self._store.delete(stat.key)

    def _found(self) -> list[tuple[str, CheckpointKey]]:
        """Return the keys of the checkpoints, the newest first."""
        found = [(stat.key, parse_checkpoint_key(stat.key)) for stat in self._store.list(checkpoints(self._model_id))]
        return sorted(((key, parsed) for key, parsed in found if parsed), reverse=True)
