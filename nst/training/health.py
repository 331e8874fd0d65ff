"""Decides when a training must stop, and why. Knows no network.

Shape letters: B pictures, H rows, W columns.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from nst.errors import NumericalError
from nst.ops import to_arrays, to_bytes
from nst.pictures.metrics import CONSTANT

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from nst.records import TrainingRecord

EXPLODED: Final = 20.0
"""A training has exploded once its smoothed loss is more than this many times the smallest so far."""

PATIENCE: Final = 100
"""Number of first steps whose losses never count as exploded: they vary wildly."""

DARK: Final = 2.0 / 255.0
"""A batch of pictures in [0, 1] is black if none of its values reaches this one."""

_MEMORY: Final = 0.95
"""Share of the smoothed loss that is kept at each step."""


class Unhealthy(NumericalError):
    """A training cannot go on: its loss is not finite or exploded, or its pictures are black or constant.

    Attributes:
        step: Number of the step that failed; the weights are still those of the step before.
        evidence: The first picture of that step, HWC uint8, or None.
    """

    def __init__(self, message: str, *, hint: str = "", step: int = 0, evidence: np.ndarray | None = None) -> None:
        super().__init__(message, hint=hint)
        self.step = step
        self.evidence = evidence


class Guard:
    """Watches the losses and pictures of one training.

    Args:
        undecided: Adversarial part of the loss while the critic cannot tell real patches from painted ones; 0 without a
            critic. The smallest loss so far says little about this part, which falls while the network fools the critic
            and rises again as the critic learns.

    Attributes:
        smoothed: Running mean of the loss without its diversity term, which has no zero; NaN before the first step.
        lowest: Smallest running mean so far; infinite before the first step.
    """

    def __init__(self, undecided: float = 0.0) -> None:
        self.undecided = undecided
        self.smoothed = math.nan
        self.lowest = math.inf

    def check(self, record: TrainingRecord, lightest: float, spread: float, pictures_B3HW: Tensor) -> None:
        """Raise if the training cannot go on, else remember the loss of this step.

        Args:
            record: Losses of this step, before the weights change.
            lightest: Largest value in the pictures of this step.
            spread: Largest difference of two values within one of the pictures.
            pictures_B3HW: The pictures of this step, in [0, 1].

        Raises:
            Unhealthy: The training cannot go on.
        """
        parts = f"content {record.content_loss:.3g}, style {record.style_loss:.3g}, tv {record.tv_loss:.3g}"
        loss = record.loss - record.diversity_loss
        smoothed = loss if math.isnan(self.smoothed) else _MEMORY * self.smoothed + (1 - _MEMORY) * loss
        reason = hint = ""
        if not math.isfinite(record.loss):
            reason, hint = f"the loss is not finite: {parts}", "lower learning_rate or the weights"
        elif lightest < DARK:
            reason, hint = f"its pictures are black: {parts}", "lower learning_rate or tv_weight"
        elif spread < CONSTANT:
            reason, hint = f"its pictures are constant: {parts}", "lower tv_weight or learning_rate"
        elif record.step > PATIENCE and smoothed > EXPLODED * max(self.lowest, self.undecided):
            reason = f"the loss exploded: {smoothed:.3g} after {self.lowest:.3g}: {parts}"
            hint = "lower learning_rate"
        if reason:
            message = f"step {record.step}: {reason}"
            raise Unhealthy(message, hint=hint, step=record.step, evidence=to_arrays(to_bytes(pictures_B3HW[:1]))[0])
        self.smoothed, self.lowest = smoothed, min(self.lowest, smoothed)
