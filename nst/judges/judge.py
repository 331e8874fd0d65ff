"""All judges together: sizes at which pictures are seen, and what is remembered of contents and styles."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import torch

from nst.config.judgement import JUDGEMENTS, SIDE
from nst.errors import NumericalError
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
"""Bytes of what is remembered of contents, and of pairs of a content and a style; at least one of each."""


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
        self._references: Recent[Any] = Recent(_ROOM, bytes_of)

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

        Raises:
            NumericalError: A value is not finite, since the weights of a network are no judge's.
        """
        size = seen_size(picture)
        given = weights or [1.0] * len(styles)
        shares = [weight / sum(given) for weight in given]
        found: dict[str, float] = {}
        for judge in self._judges:
            if not judge.fits(size):
                continue
            seen = judge.describe(self._tensor(resize_to(picture, *size)))
            looked_at = self._describe(judge, content, size) if content else None
            found |= judge.measure(seen, looked_at, self._reference(judge, content, styles, shares, size))
        if wrong := [name for name, value in found.items() if not math.isfinite(value)]:
            raise NumericalError(f"the judge's values are not finite: {', '.join(wrong)}")
        return {name: found[name] for name in JUDGEMENTS if name in found}

    def _reference(
        self,
        judge: AnyJudge,
        content: Pixels | None,
        styles: Sequence[Pixels],
        shares: Sequence[float],
        size: tuple[int, int],
    ) -> Any:
        """Return what a judge compares pictures of a content and styles with; None without a style that is usable."""
        sizes = [_like(style, max(size)) for style in styles]
        if not styles or not all(map(judge.fits, sizes)):
            return None

        def compute() -> Any:
            own = [
                judge.describe(self._tensor(resize_to(style.array, *style_size))).statistics
                for style, style_size in zip(styles, sizes, strict=True)
            ]
            copies = [
                (share, judge.describe(self._tensor(resize_to(style.array, *size))).structure)
                for share, style in zip(shares, styles, strict=True)
            ]
            return judge.reference(
                self._describe(judge, content, size) if content else None, mixed(own, shares), copies
            )

        about = (content.digest if content else "", *(style.digest for style in styles), *shares)
        return self._references.get((type(judge), size, about), compute)

    def _describe(self, judge: AnyJudge, image: Pixels, size: tuple[int, int]) -> Description:
        """Return what a judge sees in a content image at a size, remembered for the next picture."""
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
