"""SqueezeNet 1.1 with its classifier, its layers by name. Knows no loss and no file.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional

from nst.backbones.backbone import Backbone, Convolution

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

CLASSES: Final = 1000
"""Number of classes of ImageNet 2012."""

_KEYS: Final = {
    "conv1": "features.0", "fire2": "features.3", "fire3": "features.4", "fire4": "features.6", "fire5": "features.7",
    "fire6": "features.9", "fire7": "features.10", "fire8": "features.11", "fire9": "features.12",
    "conv10": "classifier.1",
}  # fmt: skip
"""Torchvision's names of the layers that have weights, by our names."""

_FIRES: Final = {
    "fire2": (16, 64), "fire3": (16, 64), "fire4": (32, 128), "fire5": (32, 128), "fire6": (48, 192),
    "fire7": (48, 192), "fire8": (64, 256), "fire9": (64, 256),
}  # fmt: skip
"""Number of filters of each fire module: of its squeezing convolution, and of each of its two expanding ones."""


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
    def convolutions(architecture: str) -> list[Convolution]:
        """Return every convolution of the architecture, in order."""
        del architecture  # there is only one
        return list(_convolutions())

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

    def compute(self, layer: str, map_BCHW: Tensor, features: Mapping[str, Tensor]) -> Tensor:
        """Return the feature map of a layer, given the feature map of the layer before."""
        del features  # nothing is computed in place
        if layer.startswith("fire"):
            return self._fire(_name(_KEYS[layer]), map_BCHW)
        if layer.startswith("conv"):
            return self.convolve(_name(_KEYS[layer]), map_BCHW, stride=2 if layer == "conv1" else 1)
        if layer.startswith("relu"):
            return functional.relu(map_BCHW)
        if layer == "logits":
            return map_BCHW.mean((2, 3), keepdim=True)
        return self.pool(map_BCHW, 3, ceil_mode=True)

    def _fire(self, name: str, map_BCHW: Tensor) -> Tensor:
        squeezed_BCHW = functional.relu(self.convolve(f"{name}_squeeze", map_BCHW))
        expanded = [self.convolve(f"{name}_expand{kind}", squeezed_BCHW) for kind in ("1x1", "3x3")]
        return functional.relu(torch.cat(expanded, 1))


def _convolutions() -> Iterator[Convolution]:
    yield _convolution("conv1", "features.0", 64, 3, 3)
    channels = 64
    for fire, (squeeze, expand) in _FIRES.items():
        yield _convolution(fire, f"{_KEYS[fire]}.squeeze", squeeze, channels, 1)
        yield _convolution(fire, f"{_KEYS[fire]}.expand1x1", expand, squeeze, 1)
        yield _convolution(fire, f"{_KEYS[fire]}.expand3x3", expand, squeeze, 3)
        channels = 2 * expand
    yield _convolution("conv10", "classifier.1", CLASSES, channels, 1)


def _convolution(layer: str, key: str, filters: int, channels: int, side: int) -> Convolution:
    return Convolution(layer, key, _name(key), filters, channels, side)


def _name(key: str) -> str:
    return key.replace(".", "_")
