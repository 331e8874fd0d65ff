"""ResNet-18 and ResNet-50 without their classifiers, their layers by name. Knows no loss and no file.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

from nst.backbones.backbone import Backbone
from nst.config.convolutions import convolutions_of

if TYPE_CHECKING:
    from torch import Tensor


class ResNet(Backbone):
    """A ResNet that ends at the deepest layer asked for.

    Its layers are `relu` (the first convolution, rectified), `maxpool`, and the four stages `layer1` to `layer4`, as
    torchvision names them; the blocks before a stage's last are `layer3_1` (torchvision's `layer3.0`), `layer3_2`, ...
    All are rectified. Convolutions of 3 x 3 and 7 x 7 positions continue their input beyond its border (`padding`);
    pooling is over 3 x 3 positions. The batch normalisations are folded into the convolutions, as they are in
    inference.

    Source:
        He et al. 2016, "Deep Residual Learning for Image Recognition", section 3.3 and table 1. As in torchvision, and
        unlike the paper, a block of ResNet-50 has its stride in its convolution of 3 x 3 positions.
    """

    @staticmethod
    def positions(layer: str, positions: int) -> int:
        """Return the number of positions along one side of a layer's map; strides of 2 halve it, rounded up."""
        return -(-positions // _stride(layer))

    def compute(self, layer: str, map_BCHW: Tensor) -> Tensor:
        """Return the feature map of a layer, given the feature map of the layer before."""
        if layer == "relu":
            return functional.relu(self.convolve("conv1", map_BCHW, stride=2), inplace=True)
        if layer == "maxpool":
            return self.pool(map_BCHW, 3, margin=1)
        return self._block(layer, map_BCHW)

    def _block(self, layer: str, map_BCHW: Tensor) -> Tensor:
        names = [convolution.name for convolution in convolutions_of(self.architecture) if convolution.layer == layer]
        inner_BCHW = kept_BCHW = map_BCHW
        strided = "conv2" if self.architecture == "resnet50" else "conv1"
        for name in names:
            if name.endswith("downsample_0"):
                kept_BCHW = self.convolve(name, map_BCHW, stride=_stride(layer))
                continue
            if not name.endswith("conv1"):
                inner_BCHW = functional.relu(inner_BCHW, inplace=True)
            inner_BCHW = self.convolve(name, inner_BCHW, stride=_stride(layer) if name.endswith(strided) else 1)
        return functional.relu(inner_BCHW + kept_BCHW, inplace=True)


def _stride(layer: str) -> int:
    """Return the stride of a layer: that of its map over the stride of the map before it."""
    return 2 if layer in {"relu", "maxpool", "layer2_1", "layer3_1", "layer4_1"} else 1
