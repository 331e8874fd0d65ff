"""All judges together: sizes at which pictures are seen, and what is remembered of contents and styles."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Final

import torch

from nst.config.judgement import JUDGEMENTS, SIDE
from nst.judges.description import mixed
from nst.ops import to_tensor
from nst.pictures.images import resize_to
from nst.recent import Recent, bytes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from nst.judges.description import Description
    from nst.judges.neutral import NeutralJudge
    from nst.judges.vgg import VggJudge
    from nst.pictures.images import Pixels

    AnyJudge = NeutralJudge | VggJudge

_ROOM: Final = 2**28
"""Bytes of what is remembered of contents and styles, at least one of each network."""


class Judge:
    """Judges pictures by the networks that are at hand.

    Args:
        judges: The networks, on one device.
        device: That device.
    """

    def __init__(self, judges: Sequence[AnyJudge], device: torch.device | str = "cpu") -> None:
        self._judges = tuple(judges)
        self._device = torch.device(device)
        self._descriptions: Recent[Description] = Recent(_ROOM, bytes_of)

    @torch.no_grad()
    def measure(
        self,
        picture: np.ndarray,
        content: Pixels | None,
        styles: Sequence[Pixels] = (),
        weights: Sequence[float] | None = None,
    ) -> dict[str, float]:
        """Return the `JUDGEMENTS` of a picture by name, without those that lack an image or a network.

        Content and styles are brought to the size at which the picture is seen: the content to its width and height,
        each style to its long side.

        Args:
            picture: The picture, HWC uint8 RGB.
            content: The content image, of any size; None without one.
            styles: The style images, of any sizes.
            weights: Weight of each style image, of any positive sum; None for equal weights.
        """
        size = seen_size(picture)
        given = weights or [1.0] * len(styles)
        shares = [weight / sum(given) for weight in given]
        found: dict[str, float] = {}
        for judge in self._judges:
            if not judge.fits(size):
                continue
            describe = partial(self._describe, judge)
            sizes = [_like(style, max(size)) for style in styles]
            usable = styles if all(map(judge.fits, sizes)) else ()
            own = [describe(style, style_size).statistics for style, style_size in zip(usable, sizes, strict=False)]
            found |= judge.measure(
                judge.describe(self._tensor(resize_to(picture, *size))),
                describe(content, size) if content else None,
                mixed(own, shares) if own else None,
                [(share, describe(style, size).structure) for share, style in zip(shares, usable, strict=False)],
            )
        return {name: found[name] for name in JUDGEMENTS if name in found}

    def _describe(self, judge: AnyJudge, image: Pixels, size: tuple[int, int]) -> Description:
        """Return what a judge sees in a content or style image at a size, remembered for the next picture."""
        key = (type(judge), image.digest, size)
        return self._descriptions.get(key, lambda: judge.describe(self._tensor(resize_to(image.array, *size))))

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return to_tensor(array[None], self._device, torch.float32)


def seen_size(picture: np.ndarray) -> tuple[int, int]:
    """Return the (width, height) in pixels at which a picture is judged.

    Its short side is at most `SIDE`, and its area at most twice the square of it, which bounds what a panorama costs.
    """
    height, width = picture.shape[:2]
    scale = min(1.0, SIDE / min(width, height), SIDE * math.sqrt(2 / (width * height)))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _like(style: Pixels, long_side: int) -> tuple[int, int]:
    """Return (width, height) of a style image whose long side has this length, whatever scale the method gives it."""
    height, width = style.array.shape[:2]
    scale = long_side / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))
