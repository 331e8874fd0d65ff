"""Losses along the steps of a batch, and how many steps each of its pictures took.

Shape letters: B images, P parts of the loss and their sum.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from nst.config.terms import PARTS
from nst.records import TraceRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from nst.losses.objective import Losses


@dataclass(slots=True)
class Trace:
    """Losses at some steps, kept on the device until they are read.

    Attributes:
        steps: (step within its level, level) of each record.
        rows: Losses of each record, shape (P, B): the sum, then the `PARTS`.
        ends: For each level the number of steps that its pictures took: one for all, or one for each, shape (B,).
        last: For levels whose pictures stopped by themselves, their losses at the last step of each, shape (P, B).
    """

    steps: list[tuple[int, int]] = field(default_factory=list)
    rows: list[Tensor] = field(default_factory=list)
    ends: dict[int, int | Tensor] = field(default_factory=dict)
    last: dict[int, Tensor] = field(default_factory=dict)

    def add(self, step: int, level: int, losses: Losses) -> None:
        """Record the losses of a step, counted from 1 within its level."""
        self.steps.append((step, level))
        self.rows.append(rows_of(losses))

    def end(self, level: int, taken: int | Tensor, last: Tensor | None = None) -> None:
        """Record how many steps were taken at a level, and the losses at the last of them where they differ."""
        self.ends[level] = taken
        if last is not None:
            self.last[level] = last

    def taken(self, count: int) -> list[int]:
        """Return the number of steps that each of `count` pictures took at all levels together."""
        return [sum(ends) for ends in zip(*self._ends(count).values(), strict=True)] or [0] * count

    def read(self) -> list[tuple[TraceRecord, ...]]:
        """Return the records of each image, or nothing if there are none; waits for the device once.

        Steps are counted through all levels; what follows the step at which an image stopped is left out.
        """
        if not self.rows:
            return []
        count = self.rows[0].shape[1]
        tensors = [*self.rows, *self.last.values()]
        values = torch.stack(tensors).double().permute(2, 0, 1).tolist()
        images = zip(values, zip(*self._ends(count).values(), strict=True), strict=True)
        return [tuple(self._records(rows, dict(zip(self.ends, ends, strict=True)))) for rows, ends in images]

    def _records(self, rows: Sequence[Sequence[float]], ends: dict[int, int]) -> Iterator[TraceRecord]:
        """Yield the records of one image, given all its rows and its number of steps at each level."""
        lasts = dict(zip(self.last, rows[len(self.rows) :], strict=True))
        before = 0
        for level, end in ends.items():
            kept = {step: row for (step, of), row in zip(self.steps, rows, strict=False) if of == level and step <= end}
            if level in lasts:
                kept[end] = lasts[level]
            for step, (loss, *parts) in kept.items():
                yield TraceRecord(before + step, level, loss, dict(zip(PARTS, parts, strict=True)))
            before += end

    def _ends(self, count: int) -> dict[int, list[int]]:
        return {
            level: [taken] * count if isinstance(taken, int) else [int(end) for end in taken.tolist()]
            for level, taken in self.ends.items()
        }


def rows_of(losses: Losses) -> Tensor:
    """Return the sum of the losses and their `PARTS`, shape (P, B)."""
    return torch.stack([losses.total, *(losses.part(name) for name in PARTS)])
