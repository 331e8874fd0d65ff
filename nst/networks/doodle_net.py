"""The generator of `texture_net`, given masks instead of a photograph. Knows no loss.

Shape letters: K regions, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nst.networks.texture_net import TextureNet
from nst.pictures.masks import Labels, match_regions

if TYPE_CHECKING:
    from collections.abc import Sequence


class DoodleNet(TextureNet):
    """Paints masks of K regions: their shares of every position are joined to the noise at every scale.

    Args:
        colors: `#rrggbb` of each region, in the order of the network's masks.
        options: As of `TextureNet`.

    Source:
        DmitryUlyanov/online-neural-doodle@9758d9c, which gives one-hot masks and noise to a network of the author's.
        Differs: the pyramid of Ulyanov et al. 2016 in place of an encoder and decoder with skip connections.
    """

    family = "doodle_net"
    gain = 0.1
    """As in `nst.networks.johnson`: without it, white spots of saturated values came at once and stayed."""

    def __init__(self, colors: Sequence[str], **options: Any) -> None:
        super().__init__(guide=len(colors), **options)
        self.colors = tuple(colors)

    def regions(self, mask: Labels, width: int, height: int) -> np.ndarray:
        """Return how much of every position is each of the network's regions, shape (K, H, W), float32 in [0, 1].

        Raises:
            InputError: The mask has a colour that is like none of the network's.
        """
        shares_KHW = np.zeros((len(self.colors), height, width), np.float32)
        for label, region in enumerate(self.match(mask)):
            shares_KHW[region] += mask.shares(label, width, height)
        return shares_KHW

    def match(self, mask: Labels) -> list[int]:
        """Return which of the network's regions each region of a mask is, by the nearest colour.

        Raises:
            InputError: One is like none of them.
        """
        known = Labels("", self.colors, np.zeros((1, 1), np.uint8))
        return [region for (region,) in match_regions(mask, [known]) if region is not None]
