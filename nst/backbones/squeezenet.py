"""SqueezeNet 1.1 with its classifier, every layer by name. Knows no loss and no file.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from nst.backbones.vgg import INPUTS
from nst.config.architectures import STRIDES
from nst.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Shape = tuple[int, int, int]
    """Filters, input channels, side of the kernel."""

CLASSES: Final = 1000
"""Classes of ImageNet."""

_INDICES: Final = {
    "conv1": "features.0", "fire2": "features.3", "fire3": "features.4", "fire4": "features.6", "fire5": "features.7",
    "fire6": "features.9", "fire7": "features.10", "fire8": "features.11", "fire9": "features.12",
    "conv10": "classifier.1",
}  # fmt: skip
"""Torchvision's names of the layers that have weights."""

_FIRES: Final = {
    "fire2": (16, 64), "fire3": (16, 64), "fire4": (32, 128), "fire5": (32, 128), "fire6": (48, 192),
    "fire7": (48, 192), "fire8": (64, 256), "fire9": (64, 256),
}  # fmt: skip
"""Filters of each fire module: those that squeeze, and those of each of the two that expand."""


def conv_shapes() -> dict[str, dict[str, Shape]]:
    """Return per layer with weights its convolutions: torchvision's name to filters, input channels and side."""
    shapes: dict[str, dict[str, Shape]] = {"conv1": {"features.0": (64, 3, 3)}}
    channels = 64
    for fire, (squeeze, expand) in _FIRES.items():
        shapes[fire] = {
            f"{_INDICES[fire]}.squeeze": (squeeze, channels, 1),
            f"{_INDICES[fire]}.expand1x1": (expand, squeeze, 1),
            f"{_INDICES[fire]}.expand3x3": (expand, squeeze, 3),
        }
        channels = 2 * expand
    shapes["conv10"] = {"classifier.1": (CLASSES, channels, 1)}
    return shapes


class SqueezeNet(nn.Module):
    """A SqueezeNet 1.1 cut off after the deepest layer that is asked for.

    Args:
        layers: Names of the layers to return: `conv1`, `fire4` (rectified, as all fire modules), `conv10` (a map of
            scores per class, before its ReLU) or `logits`, shape (B, 1000, 1, 1): the means of the rectified maps.
        weights: Tensors under torchvision's names, `features.3.squeeze.weight`; more than needed is fine.
        inputs: What the weights expect, a key of `INPUTS`.
        pooling: `max` or `average`, 3 x 3 with stride 2.
        padding: How the 3 x 3 convolutions of the fire modules continue their input; the first has no padding.

    Raises:
        InputError: A layer is unknown, or its weights are absent, damaged or of another shape.

    Source:
        Iandola et al. 2016, section 3 and table 1; version 1.1 of forresti/SqueezeNet. The same numbers as
        torchvision.models.squeezenet1_1; its dropout does nothing here.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        layers: Iterable[str],
        weights: Mapping[str, Tensor],
        *,
        inputs: Literal["torchvision", "caffe"] = "torchvision",
        pooling: Literal["max", "average"] = "max",
        padding: Literal["zeros", "reflect", "replicate"] = "zeros",
    ) -> None:
        super().__init__()
        order = list(STRIDES["squeezenet"])
        self.layers = frozenset(layers)
        if not self.layers or not self.layers <= set(order):
            unknown = ", ".join(sorted(self.layers - set(order))) or "of no name"
            raise InputError(f"squeezenet has no layer {unknown}; expected some of {', '.join(order)}")
        self.order = tuple(order[: max(map(order.index, self.layers)) + 1])
        self.pooling = pooling
        self.padding = padding
        for layer, convs in conv_shapes().items():
            if layer in self.order:
                for key, tensor in _pick(layer, convs, weights):
                    self.register_buffer(key.replace(".", "_"), tensor.detach().to(torch.float32))
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
            if layer.startswith("fire"):
                map_BCHW = self._fire(_INDICES[layer], map_BCHW)
            elif layer.startswith("conv"):
                map_BCHW = self._convolve(_INDICES[layer], map_BCHW, stride=2 if layer == "conv1" else 1)
            elif layer.startswith("relu"):
                map_BCHW = functional.relu(map_BCHW)
            elif layer == "logits":
                map_BCHW = map_BCHW.mean((2, 3), keepdim=True)
            elif self.pooling == "max":
                map_BCHW = functional.max_pool2d(map_BCHW, 3, 2, ceil_mode=True)
            else:
                map_BCHW = functional.avg_pool2d(map_BCHW, 3, 2, ceil_mode=True)
            if layer in self.layers:
                features[layer] = map_BCHW
        return features

    def _fire(self, key: str, map_BCHW: Tensor) -> Tensor:
        squeezed_BCHW = functional.relu(self._convolve(f"{key}.squeeze", map_BCHW))
        expanded = [self._convolve(f"{key}.expand{kind}", squeezed_BCHW) for kind in ("1x1", "3x3")]
        return functional.relu(torch.cat(expanded, 1))

    def _convolve(self, key: str, map_BCHW: Tensor, *, stride: int = 1) -> Tensor:
        name = key.replace(".", "_")
        weight, bias = getattr(self, f"{name}_weight"), getattr(self, f"{name}_bias")
        if stride > 1 or weight.shape[-1] == 1:
            return functional.conv2d(map_BCHW, weight, bias, stride)
        if self.padding == "zeros":
            return functional.conv2d(map_BCHW, weight, bias, padding=1)
        return functional.conv2d(functional.pad(map_BCHW, (1, 1, 1, 1), mode=self.padding), weight, bias)


def _pick(layer: str, convs: Mapping[str, Shape], weights: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield the weights and biases of one layer, checked."""
    for conv, (filters, channels, side) in convs.items():
        for part, shape in (("weight", (filters, channels, side, side)), ("bias", (filters,))):
            key = f"{conv}.{part}"
            if key not in weights:
                there = [one for one, inner in conv_shapes().items() if all(f"{c}.weight" in weights for c in inner)]
                raise InputError(
                    f"the weights hold no {key} ({layer} of squeezenet); they hold {', '.join(there) or 'none of it'}",
                    hint=f"choose layers up to {there[-1]}" if there else "are they of another network?",
                )
            if tuple(weights[key].shape) != shape:
                raise InputError(f"{key} has shape {tuple(weights[key].shape)}; {layer} of squeezenet needs {shape}")
            if not weights[key].isfinite().all():
                raise InputError(f"{key} ({layer} of squeezenet) holds values that are not finite", hint="a bad file?")
            yield key, weights[key]
