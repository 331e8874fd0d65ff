"""The network of `doodle_net`: the generator of `texture_net`, given masks instead of a photograph. Knows no loss.

Shape letters: K regions, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from nst.config.training import DoodleNetTraining
from nst.errors import InputError
from nst.networks.texture_net import TextureNet
from nst.pictures.masks import Labels, match_regions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nst.config.training import Training
    from nst.networks.network import Origin, Painting


class DoodleNet(TextureNet):
    """Paints masks of K regions, whose shares of every position are joined to the noise at every scale.

    Args:
        colors: `#rrggbb` of each region, in the order of the network's masks.
        options: Keyword arguments of `TextureNet` other than `guide`.

    Source:
        DmitryUlyanov/online-neural-doodle@9758d9c, which also gives one-hot masks and noise to its network. Differs:
        the pyramid of Ulyanov et al. 2016 in place of an encoder and decoder with skip connections.
    """

    family = "doodle_net"
    gain = 0.1
    """The gain of `nst.networks.johnson`; without it white spots of saturated values came at once and stayed."""
    start = 1.0
    guided_by = "masks"

    def __init__(self, colors: Sequence[str], **options: Any) -> None:
        super().__init__(guide=len(colors), **options)
        self.colors = tuple(colors)

    @classmethod
    def from_training(cls, config: Training, origin: Origin) -> Self:
        """Return the network that these settings train, for the colours of the style's mask."""
        assert isinstance(config, DoodleNetTraining)
        return cls(origin.colors, scales=config.scales, width=config.width, norm=config.norm, padding=config.padding)

    def paint(self, painting: Painting) -> Tensor:
        """Return the pictures that are painted over the masks."""
        pictures_B3HW: Tensor = self(self.draw(*painting.size, painting.seeds), painting.masks)
        return pictures_B3HW

    def refusal(self, styles: Sequence[str], mask: Labels | None) -> InputError | None:
        """Return an error if there is no mask, or if it has a colour that the network does not know, or None."""
        del styles
        if mask is None:
            return InputError("it paints masks, and the content has none", hint="give the content a mask")
        try:
            self.match(mask)
        except InputError as error:
            return InputError(error.message, hint="draw the mask in the colours that the model was trained with")
        return None

    def regions(self, mask: Labels, width: int, height: int) -> np.ndarray:
        """Return the share of every position that belongs to each region of the network, as `Network.regions` says."""
        shares_KHW = np.zeros((len(self.colors), height, width), np.float32)
        for label, region in enumerate(self.match(mask)):
            shares_KHW[region] += mask.shares(label, width, height)
        return shares_KHW

    def match(self, mask: Labels) -> list[int]:
        """Return for each region of a mask the index of the network's region with the nearest colour.

        Raises:
            InputError: The mask has a colour that is like none of the network's colours.
        """
        known = Labels("", self.colors, np.zeros((1, 1), np.uint8))
        return [region for (region,) in match_regions(mask, [known]) if region is not None]
