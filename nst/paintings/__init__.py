"""Style images painted by code, for people who have none at hand, for the demo and for tests.

Each painter takes the long side in pixels and a seed, and returns HWC uint8 RGB; equal arguments give equal pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nst.paintings.glass import glass
from nst.paintings.points import points
from nst.paintings.swirls import swirls
from nst.paintings.watercolour import watercolour
from nst.paintings.woodblock import woodblock

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

PAINTINGS: Final[dict[str, Callable[[int, int], np.ndarray]]] = {
    "swirls": swirls,
    "points": points,
    "glass": glass,
    "woodblock": woodblock,
    "watercolour": watercolour,
}
"""The painters by name, each called with (long side in pixels, seed)."""
