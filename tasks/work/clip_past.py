"""What a frame of a clip starts from and is held to: the frames of the same cell that are done, as they were saved."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from nst.config.video import MotionBlock, PixelVideoConfig
from nst.motion.closest_first import closest_first
from nst.motion.fill import in_the_colors_of, laid_over
from nst.workspace import FrameBefore
from tasks.work.clip_rest import Rest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasks.work.clip_source import ClipSource


@dataclass(slots=True)
class Past:
    """The past of the frames of one cell.

    Attributes:
        source: The frames of the content, and the motion between them.
        motion: How the method goes on from frame to frame; None for a method that makes each frame by itself.
        made: Returns a frame that is done, uint8 RGB, given its pass and its number.
    """

    source: ClipSource
    motion: MotionBlock | None
    made: Callable[[int, int], np.ndarray]
    _rest: tuple[tuple[int, int], Rest] | None = field(default=None, init=False)
    """What stands still, of the pass and the first frame in its order of the shot that is being made."""

    def before(self, order: Sequence[int], place: int, turn: int) -> tuple[FrameBefore, ...]:
        """Return the frames that a frame is held to, warped to it, closest first.

        What is optimised is held only where the content looks the same, too: an edge that is brought along a wrong
        motion would stay as a streak, and what it covers would be missing. A network sees the whole frame each time.

        Args:
            order: The numbers of the frames of its shot, in the order of the pass.
            place: Its place in the order, which is not the first one.
            turn: The pass, from zero.
        """
        number = order[place]
        optimised = self.motion if isinstance(self.motion, PixelVideoConfig) else None
        reach = optimised.reach if optimised else (1,)
        there = [order[place - back] for back in sorted(reach) if back <= place] or [order[place - 1]]
        if self.made(turn, there[0]).shape != self.source.frame(number).shape:
            return ()  # a network that enlarges makes every frame by itself: the motion is found at the smaller size
        before = [self.source.brought(self.made(turn, other), number, other) for other in there]
        if optimised:
            alike = [self.source.likeness(number, other) for other in there]
            before = [replace(one, weights=one.weights * same) for one, same in zip(before, alike, strict=True)]
        if optimised and there[0] == order[place - 1]:
            before[0] = self._rest_of(order, turn).held(before[0], place)
        weights = closest_first([frame.weights for frame in before])
        return tuple(replace(frame, weights=certain) for frame, certain in zip(before, weights, strict=True))

    def _rest_of(self, order: Sequence[int], turn: int) -> Rest:
        """Return what stands still in a shot, in a pass."""
        key = turn, order[0]
        if self._rest is None or self._rest[0] != key:
            self._rest = key, Rest.begin(self.source, order, lambda number: self.made(turn, number))
        return self._rest[1]

    def start(self, number: int, turn: int, content_HW3: np.ndarray, before: Sequence[FrameBefore]) -> np.ndarray:
        """Return the picture that a frame starts from, uint8 RGB.

        In the first pass it is the frame before, warped, and where that shows nothing of a place the content in its
        colours. Later it is the frame's own last result, half and half with its neighbour's where that shows the place
        (Ruder et al. 2016, eq. 15).

        Args:
            number: The number of the frame.
            turn: The pass, from zero.
            content_HW3: The frame of the content, uint8 RGB.
            before: What `before` returns; nothing for the first frame of a shot.
        """
        share, start_HW3 = 1.0, content_HW3 / np.float32(255.0)
        if turn > 0:
            share, start_HW3 = 0.5, self.made(turn - 1, number) / np.float32(255.0)
        elif before:
            start_HW3 = in_the_colors_of(content_HW3, before[0].picture, before[0].weights)
        past = before[0] if before else FrameBefore(start_HW3, np.zeros(start_HW3.shape[:2], np.float32))
        return laid_over(start_HW3, past.picture, share * past.weights)
