"""Places of a clip that stand still are held to what they were when they came to rest, and not to the frame before.

Each frame may differ a little from what it is held to. Held to the frame before alone, these differences add up: a
still background drifts, in 100 frames by several levels of 255.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nst.motion.measures import STILL_LEVELS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nst.workspace import FrameBefore
    from tasks.work.clip_source import ClipSource


@dataclass(slots=True)
class Rest:
    """What the places of a shot were when they came to rest; frames are taken in the order of a pass.

    Attributes:
        source: The frames of the content.
        order: Their numbers in the order of the pass.
        made: Returns a stylized frame that is done, as it was saved, given its number.
        place: How many frames are taken into account.
        picture: What each place was when it came to rest, uint8 RGB.
        content: The content there and then.
    """

    source: ClipSource
    order: Sequence[int]
    made: Callable[[int], np.ndarray]
    place: int
    picture: np.ndarray
    content: np.ndarray

    @staticmethod
    def begin(source: ClipSource, order: Sequence[int], made: Callable[[int], np.ndarray]) -> Rest:
        """Return what is known after the first frame: all of it is at rest."""
        return Rest(source, order, made, 1, made(order[0]), source.frame(order[0]))

    def held(self, before: FrameBefore, place: int) -> FrameBefore:
        """Return what a frame is held to: the frame before it, warped, and where it stands still what came to rest.

        Args:
            before: The frame before, warped to the frame.
            place: Place of the frame in the order; it does not become smaller from call to call.
        """
        while self.place < place:
            still_HW1 = self._still()
            self.picture = np.where(still_HW1, self.picture, self.made(self.order[self.place]))
            self.content = np.where(still_HW1, self.content, self.source.frame(self.order[self.place]))
            self.place += 1
        return replace(before, picture=np.where(self._still(), self.picture / np.float32(255.0), before.picture))

    def _still(self) -> np.ndarray:
        """Return which places of the next frame stand still, bool of shape (H, W, 1): no motion, the same content."""
        here, there = self.order[self.place], self.order[self.place - 1]
        flow_HW2, _ = self.source.motion(here, there)
        changed_HW3 = np.abs(self.source.frame(here).astype(np.int16) - self.content)
        still_HW: np.ndarray = ~flow_HW2.any(2) & (changed_HW3.max(2) <= STILL_LEVELS)
        return still_HW[..., None]
