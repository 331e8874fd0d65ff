"""Small pictures of a batch on its way, for whoever looks on. They change nothing of what is computed.

Knows no optimiser and no file. Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from nst.config.previews import preview_interval
from nst.ops import resize, to_arrays, to_bytes
from nst.pictures.images import target_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from nst.workspace import Onlooker, Request

PREVIEW_PX: Final = 320
"""The long side of a preview in pixels, at most: that of a thumbnail."""


class Previews:
    """Makes previews of a batch and hands them to the onlooker, without waiting for the device.

    A preview shows the picture as it would be saved, with the colours that it takes from the content at the end. It is
    made smaller first, so that what looks at the neighbours of a pixel (`guided_filter`) is coarser than it will be;
    the last pass through a network (`finish`) is not made.

    Args:
        onlooker: Who looks on.
        requests: The batch.
        steps: All steps of a cell.
        retouch: Changes the pictures before they are saved; None for no change.
    """

    def __init__(
        self,
        onlooker: Onlooker,
        requests: Sequence[Request],
        steps: int,
        retouch: Callable[[Tensor], Tensor] | None,
    ) -> None:
        self._onlooker = onlooker
        self._ids = [request.cell_id for request in requests]
        self._steps = steps
        self._every = preview_interval(onlooker.every, steps)
        self._retouch = retouch

    def is_due(self, step: int) -> bool:
        """Return whether a preview is due after this step of all; after the last one there is the picture itself."""
        return bool(self._every) and step % self._every == 0 and step < self._steps

    @torch.no_grad()
    def show(self, taken: Sequence[int], pictures_B3HW: Tensor) -> None:
        """Show pictures.

        Args:
            taken: How many steps each picture has taken.
            pictures_B3HW: The pictures, of any size.
        """
        pictures_B3HW = pictures_B3HW.to(torch.promote_types(pictures_B3HW.dtype, torch.float32))
        height, width = pictures_B3HW.shape[2:]
        if max(height, width) > PREVIEW_PX:
            width, height = target_size(width, height, PREVIEW_PX)
        small_B3HW = resize(pictures_B3HW, height, width).clamp(0.0, 1.0)
        if self._retouch is not None:
            small_B3HW = self._retouch(small_B3HW)
        bytes_B3HW = to_bytes(small_B3HW)
        self._onlooker.show(dict(zip(self._ids, taken, strict=True)), lambda: to_arrays(bytes_B3HW))


def previews_of(
    onlooker: Onlooker | None,
    requests: Sequence[Request],
    schedule: Sequence[tuple[int, int, int]],
    retouch: Callable[[Tensor], Tensor] | None,
) -> Previews | None:
    """Return what makes the previews of a batch, None if nobody looks on; `schedule` as `nst.methods.descent.progress`.

    Example:
        >>> previews_of(None, [], [(32, 24, 10)], None) is None
        True
    """
    return Previews(onlooker, requests, sum(steps for _, _, steps in schedule), retouch) if onlooker else None
