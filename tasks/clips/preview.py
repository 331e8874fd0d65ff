"""A small moving picture of a clip for pages and tables."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from PIL import Image

from nst.pictures.images import resize

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from fractions import Fraction

    import numpy as np

SIDE: Final = 256
"""Longest side in pixels."""

MOST: Final = 48
"""Largest number of frames of an animated preview."""


def preview_frames(count: int, most: int = MOST) -> list[int]:
    """Return which frames of a clip its animated preview shows: at most `most`, evenly spread, the first among them."""
    shown = min(count, most)
    return [position * count // shown for position in range(shown)]


def animated_preview(pictures: Iterable[np.ndarray], moments: Sequence[Fraction], end: Fraction) -> bytes:
    """Return an animated WebP that repeats for ever and lasts as long as the clip: about 100 kB for 48 frames.

    Args:
        pictures: The frames that `preview_frames` names, uint8 RGB of shape (H, W, 3); only small copies are kept.
        moments: When each is shown, in seconds; rising.
        end: When the clip ends, in seconds.
    """
    small = [Image.fromarray(_small(picture)) for picture in pictures]
    ticks = [round((moment - moments[0]) * 1000) for moment in (*moments, end)]
    out = BytesIO()
    small[0].save(
        out,
        "WEBP",
        save_all=True,
        append_images=small[1:],
        duration=[max(1, b - a) for a, b in pairwise(ticks)],
        quality=60,
        method=4,
        minimize_size=False,
        loop=0,
    )
    return out.getvalue()


def _small(picture: np.ndarray) -> np.ndarray:
    return resize(picture, SIDE) if max(picture.shape[:2]) > SIDE else picture
