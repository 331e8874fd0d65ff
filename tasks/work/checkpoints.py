"""Checkpoints of a training below the root: written aside, the last two kept, checked by digest when read.

state/trainings/<model_id>/checkpoint-<steps>-<digest>.safetensors   everything that the training needs to go on
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Final

import torch

from nst.records import TrainingRecord
from tasks.models.tensor_files import dump_tensors, load_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from tasks.store import Store

LOGGER = logging.getLogger("nst.training")

_CURVE: Final = "nst.curve"
KEPT: Final = 2
_NAME: Final = re.compile(r"checkpoint-(\d{9})-([0-9a-f]{16})\.safetensors")


@dataclass(slots=True, eq=False)
class Progress:
    """What is remembered of a training beside its state.

    Attributes:
        curve: Losses of every so many steps.
        seconds: Spent on steps.
        resumed: How often it went on from a checkpoint.
    """

    curve: list[TrainingRecord] = field(default_factory=list)
    seconds: float = 0.0
    resumed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A training as it stood."""

    tensors: dict[str, Tensor]
    progress: Progress


class Checkpoints:
    """The checkpoints of one model."""

    def __init__(self, store: Store, model_id: str) -> None:
        self._store = store
        self._folder = f"state/trainings/{model_id}/"

    def put(self, steps: int, tensors: Mapping[str, Tensor], progress: Progress) -> None:
        """Write a checkpoint; when it is there, remove all but the last two."""
        curve = torch.tensor([astuple(record) for record in progress.curve], dtype=torch.float64)
        notes = {"seconds": repr(progress.seconds), "resumed": str(progress.resumed)}
        data = dump_tensors({**tensors, _CURVE: curve}, notes)
        digest = hashlib.sha256(data).hexdigest()[:16]
        self._store.put(f"{self._folder}checkpoint-{steps:09d}-{digest}.safetensors", data)
        for _, key in self._found()[KEPT:]:
            self._store.delete(key)

    def latest(self) -> Checkpoint | None:
        """Return the newest checkpoint that is whole, None if there is none."""
        for _, key in self._found():
            try:
                data = self._store.get(key)
            except FileNotFoundError:
                continue  # somebody else finished this training just now
            digest = key.rsplit("-", 1)[1].partition(".")[0]
            if hashlib.sha256(data).hexdigest()[:16] != digest:
                LOGGER.warning("%s is damaged, an older one is taken", self._store.url(key))
                continue
            notes, tensors = load_tensors(data)
            curve = [TrainingRecord(int(step), *losses) for step, *losses in tensors.pop(_CURVE).tolist()]
            return Checkpoint(tensors, Progress(curve, float(notes["seconds"]), int(notes["resumed"])))
        return None

    def steps(self) -> int:
        """Return the steps of the newest checkpoint, 0 if there is none."""
        return max((steps for steps, _ in self._found()), default=0)

    def clear(self) -> None:
        """Remove all of them."""
        for stat in self._store.list(self._folder):
            self._store.delete(stat.key)

    def _found(self) -> list[tuple[int, str]]:
        """Return (steps, key), the newest first."""
        prefix = len(self._folder)
        found = [(_NAME.fullmatch(stat.key, prefix), stat.key) for stat in self._store.list(self._folder)]
        return sorted(((int(match[1]), key) for match, key in found if match), reverse=True)
