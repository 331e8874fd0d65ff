"""VGG-16 and VGG-19 without their classifiers, every layer by name. Knows no loss and no file.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from nst.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CHANNELS: Final = (64, 128, 256, 512, 512)
"""Filters of the convolutions of each block."""

DEPTHS: Final = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Convolutions in each block: configurations D and E of Simonyan & Zisserman 2014, table 1."""

INPUTS: Final[dict[str, tuple[float, tuple[float, float, float], tuple[float, float, float]]]] = {
    "torchvision": (1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": (255.0, (123.68, 116.779, 103.939), (1.0, 1.0, 1.0)),
}
"""Input conventions: range of a white pixel, mean and deviation of R, G and B in that range."""


def layer_indices(name: str) -> dict[str, int]:
    """Return every layer's index in torchvision's `features`, in order: conv1_1 0, relu1_1 1, conv1_2 2, ..."""
    indices: dict[str, int] = {}
    for block, depth in enumerate(DEPTHS[name], start=1):
        for unit in range(1, depth + 1):
            indices[f"conv{block}_{unit}"] = len(indices)
            indices[f"relu{block}_{unit}"] = len(indices)
        indices[f"pool{block}"] = len(indices)
    return indices


def conv_shapes(name: str) -> dict[str, tuple[int, int]]:
    """Return (filters, input channels) of every 3 x 3 convolution by name."""
    shapes: dict[str, tuple[int, int]] = {}
    channels = 3
    for block, (depth, filters) in enumerate(zip(DEPTHS[name], CHANNELS, strict=True), start=1):
        for unit in range(1, depth + 1):
            shapes[f"conv{block}_{unit}"] = (filters, channels)
            channels = filters
    return shapes


class VGG(nn.Module):
    """A VGG cut off after the deepest layer that is asked for.

    Args:
        name: `vgg16` or `vgg19`.
        layers: Names of the layers to return, such as `relu4_2`, `conv3_1` (before the ReLU) or `pool1`.
        weights: Tensors under torchvision's names, `features.0.weight`; more than needed is fine.
        inputs: What the weights expect, a key of `INPUTS`.
        pooling: `max` or `average`, 2 x 2.
        padding: How every convolution continues its input by one pixel.

    Raises:
        InputError: A layer is unknown, or its weights are absent or of another shape.

    Source:
        Simonyan & Zisserman 2014, table 1. Average pooling: Gatys, Ecker & Bethge 2016 section 2.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        name: Literal["vgg16", "vgg19"],
        layers: Iterable[str],
        weights: Mapping[str, Tensor],
        *,
        inputs: Literal["torchvision", "caffe"] = "torchvision",
        pooling: Literal["max", "average"] = "max",
        padding: Literal["zeros", "reflect", "replicate"] = "zeros",
    ) -> None:
        super().__init__()
        indices = layer_indices(name)
        self.layers = tuple(sorted(set(layers), key=lambda layer: indices.get(layer, -1)))
        self.pooling = pooling
        self.padding = padding
        if not self.layers or self.layers[0] not in indices:
            raise InputError(f"{name} has no layer {self.layers[:1]}; expected some of {', '.join(indices)}")
        self.order = tuple(layer for layer, index in indices.items() if index <= indices[self.layers[-1]])
        for conv in (layer for layer in self.order if layer.startswith("conv")):
            for part, tensor in _pick(name, conv, weights).items():
                self.register_buffer(f"{conv}_{part}", tensor.detach().to(torch.float32))
        white, mean, deviation = INPUTS[inputs]
        self.register_buffer("mean", torch.tensor(mean).div(white).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor([white / value for value in deviation]).view(1, 3, 1, 1))

    def forward(self, images_BCHW: Tensor) -> dict[str, Tensor]:
        """Return the feature maps of the layers asked for.

        Args:
            images_BCHW: RGB pictures, [0, 1]; values outside are allowed.
        """
        features: dict[str, Tensor] = {}
        map_BCHW = (images_BCHW - self.mean) * self.scale
        for layer in self.order:
            if layer.startswith("conv"):
                map_BCHW = self._convolve(layer, map_BCHW)
            elif layer.startswith("relu"):
                # In place only where nobody asked for the values before the ReLU.
                map_BCHW = functional.relu(map_BCHW, inplace=f"conv{layer[4:]}" not in features)
            elif self.pooling == "max":
                map_BCHW = functional.max_pool2d(map_BCHW, 2)
            else:
                map_BCHW = functional.avg_pool2d(map_BCHW, 2)
            if layer in self.layers:
                features[layer] = map_BCHW
        return features

    def _convolve(self, conv: str, map_BCHW: Tensor) -> Tensor:
        weight, bias = getattr(self, f"{conv}_weight"), getattr(self, f"{conv}_bias")
        if self.padding == "zeros":
            return functional.conv2d(map_BCHW, weight, bias, padding=1)
        return functional.conv2d(functional.pad(map_BCHW, (1, 1, 1, 1), mode=self.padding), weight, bias)


def _pick(name: str, conv: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weight and bias of one convolution, checked."""
    indices = layer_indices(name)
    filters, channels = conv_shapes(name)[conv]
    found: dict[str, Tensor] = {}
    for part, shape in (("weight", (filters, channels, 3, 3)), ("bias", (filters,))):
        key = f"features.{indices[conv]}.{part}"
        if key not in weights:
            there = [one for one in conv_shapes(name) if f"features.{indices[one]}.weight" in weights]
            last = there[-1] if there else "none"
            raise InputError(
                f"the weights hold no {key} ({conv} of {name}); they hold {', '.join(there) or 'no layer of it'}",
                hint=f"choose layers up to {last.replace('conv', 'relu')}" if there else "are they of another network?",
            )
        if tuple(weights[key].shape) != shape:
            raise InputError(f"{key} has shape {tuple(weights[key].shape)}; {conv} of {name} needs {shape}")
        if not weights[key].isfinite().all():
            raise InputError(f"{key} ({conv} of {name}) holds values that are not finite", hint="is the file damaged?")
        found[part] = weights[key]
    return found
