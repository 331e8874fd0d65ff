"""VGG-16 and VGG-19 without their classifiers, their layers by name. Knows no loss and no file.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

from nst.backbones.backbone import Backbone

if TYPE_CHECKING:
    from torch import Tensor


class VGG(Backbone):
    """A VGG that ends at the deepest layer asked for: `relu4_2`, `conv3_1` (before the ReLU), `pool1`, ...

    Every convolution continues its input by one position beyond its border (`padding`); pooling is over 2 x 2
    positions. Weights may be narrower than the architecture: a network that is distilled from a VGG keeps fewer filters
    in each layer.

    Source:
        Simonyan & Zisserman 2014, table 1. Average pooling: Gatys, Ecker & Bethge 2016 section 2.
    """

    @property
    def reach(self) -> tuple[int, int]:
        """A convolution sees one position further on each side; pooling sees the positions that it covers alone."""
        strides = [self.strides[layer] for layer in self.order]
        return max(strides), sum(stride for layer, stride in zip(self.order, strides, strict=True) if "conv" in layer)

    @staticmethod
    def positions(layer: str, positions: int) -> int:
        """Return the number of positions along one side of a layer's map: pooling halves it, rounded down."""
        return positions // 2 if layer.startswith("pool") else positions

    def compute(self, layer: str, map_BCHW: Tensor) -> Tensor:
        """Return the feature map of a layer, given the feature map of the layer before."""
        if layer.startswith("conv"):
            return self.convolve(layer, map_BCHW)
        if layer.startswith("relu"):
            # In place, unless the values before the ReLU are to be returned too.
            return functional.relu(map_BCHW, inplace=f"conv{layer[4:]}" not in self.layers)
        return self.pool(map_BCHW, 2)
