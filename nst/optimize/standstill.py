"""Early stop: finds the pictures of a batch whose losses stand still, and keeps them as they were then.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import torch

from nst.optimize.trace import rows_of

if TYPE_CHECKING:
    from torch import Tensor

    from nst.config.optimizer import EarlyStopConfig
    from nst.losses.objective import Losses

_LOOK_EVERY: Final = 8
"""Steps between two looks at whether every picture has stopped, where a look waits for the device."""


class Standstill:
    """Watches the losses of the pictures of one level; a picture that has stopped never changes again.

    The criterion looks at each picture alone, so that a picture stops at the same step in every batch: at the first
    step at which its lowest loss so far is not lower than it was `patience` steps before by more than the share
    `tolerance` of that earlier value.

    Args:
        config: Tolerance and patience.

    Attributes:
        pictures: Every picture as it was when it stopped, or else as it is now, shape (B, C, H, W).
        last: The losses of every picture at the last step that it took (`nst.optimize.trace.rows_of`).
    """

    pictures: Tensor
    last: Tensor

    def __init__(self, config: EarlyStopConfig) -> None:
        self.config = config
        self._lowest: deque[Tensor] = deque(maxlen=config.patience + 1)
        self._taken_B: Tensor | None = None
        self._stopped_B: Tensor | None = None
        self._step = 0

    def observe(self, step: int, losses: Losses, pictures_BCHW: Tensor) -> None:
        """Take the losses of a step, counted from 1, and what the optimiser would return after the step."""
        rows_PB = rows_of(losses)
        self._step = step
        if self._stopped_B is None or self._taken_B is None:
            self.pictures, self.last, lowest_B = pictures_BCHW, rows_PB, losses.total
            self._stopped_B = torch.zeros_like(lowest_B, dtype=torch.bool)
            self._taken_B = torch.full_like(lowest_B, step, dtype=torch.long)
        else:
            running_B = ~self._stopped_B
            self.pictures = torch.where(running_B[:, None, None, None], pictures_BCHW, self.pictures)
            self.last = torch.where(running_B, rows_PB, self.last)
            self._taken_B = torch.where(running_B, step, self._taken_B)
            lowest_B = torch.fmin(losses.total, self._lowest[-1])  # a loss that is not a number is none
        self._lowest.append(lowest_B)
        if step > self.config.patience:
            before_B = self._lowest[0]
            self._stopped_B = self._stopped_B | (before_B - lowest_B <= self.config.tolerance * before_B.abs())

    def is_complete(self) -> bool:
        """Return whether every picture has stopped; on a GPU it looks at every eighth step only."""
        stopped_B = self._stopped_B
        if stopped_B is None or (stopped_B.device.type != "cpu" and self._step % _LOOK_EVERY):
            return False
        return bool(stopped_B.all())

    def ends(self) -> Tensor:
        """Return the number of steps that each picture took, shape (B,)."""
        assert self._taken_B is not None, "no step was taken"
        return self._taken_B
