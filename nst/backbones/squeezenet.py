"""SqueezeNet 1.1 with its classifier, its layers by name. Knows no loss and no file.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from nst.backbones.backbone import Backbone
from nst.config.convolutions import SQUEEZENET_KEYS, buffer_name

if TYPE_CHECKING:
    from torch import Tensor


class SqueezeNet(Backbone):
    """A SqueezeNet 1.1 that ends at the deepest layer asked for.

    Its layers are named in `nst.config.architectures`. The fire modules are rectified. `conv10` is a map of scores for
    each class, before its ReLU; `logits`, shape (B, 1000, 1, 1), are the means of the rectified scores. The 3 x 3
    convolutions of the fire modules continue their input beyond its border (`padding`), the first convolution does not;
    pooling is over 3 x 3 positions.

    Source:
        Iandola et al. 2016, section 3 and table 1; version 1.1 of forresti/SqueezeNet. The features equal
        those of torchvision.models.squeezenet1_1, whose dropout does nothing outside training.
    """

    @staticmethod
    def positions(layer: str, positions: int) -> int:
        """Return the number of positions along one side of a layer's map.

        The first convolution and the pooling have stride 2 over 3 positions; pooling takes in a last, incomplete step.
        """
        if layer == "conv1":
            return (positions - 3) // 2 + 1
        if layer.startswith("pool"):
            return -(-(positions - 3) // 2) + 1
        return 1 if layer == "logits" else positions

    def compute(self, layer: str, map_BCHW: Tensor) -> Tensor:
        """Return the feature map of a layer, given the feature map of the layer before."""
        if layer.startswith("fire"):
            return self._fire(buffer_name(SQUEEZENET_KEYS[layer]), map_BCHW)
        if layer.startswith("conv"):
            first = layer == "conv1"
            return self.convolve(
                buffer_name(SQUEEZENET_KEYS[layer]), map_BCHW, stride=2 if first else 1, padded=not first
            )
        if layer.startswith("relu"):
            return functional.relu(map_BCHW)
        if layer == "logits":
            return map_BCHW.mean((2, 3), keepdim=True)
        return self.pool(map_BCHW, 3, ceil_mode=True)

    def _fire(self, name: str, map_BCHW: Tensor) -> Tensor:
        squeezed_BCHW = functional.relu(self.convolve(f"{name}_squeeze", map_BCHW))
        expanded = [self.convolve(f"{name}_expand{kind}", squeezed_BCHW) for kind in ("1x1", "3x3")]
        return functional.relu(torch.cat(expanded, 1))
