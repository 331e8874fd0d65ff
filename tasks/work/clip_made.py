"""A clip whose frames are made: what passes from a worker's computing to its writing. Needs no extra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.work.clip_source import ClipSource


@dataclass(slots=True)
class ClipMade:
    """A clip of one cell whose frames are all committed.

    Attributes:
        frames: The rows of the frames of its last pass, in order.
        source: The frames of the content, with the motion.
        shots: The numbers of the frames of each shot.
        steps: Number of steps of all frames that were made now or earlier.
        most_steps: Number of steps that they could take; more than `steps` where frames stopped early.
        seconds: Seconds of all frames, those of earlier runs among them.
    """

    frames: list[dict[str, Any]]
    source: ClipSource
    shots: list[list[int]]
    steps: int
    most_steps: int
    seconds: float
