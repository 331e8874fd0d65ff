"""The base of every backbone: a frozen network that returns feature maps and ends at the deepest layer asked for.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from nst.config.architectures import ARCHITECTURES, deepest, layers_of
from nst.config.convolutions import NORM_PARTS, check_shapes, convolutions_of
from nst.config.memory import process_bytes, step_bytes
from nst.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nst.config.convolutions import Convolution
    from nst.config.fields import Precision

Inputs = Literal["torchvision", "caffe", "caffe_bgr"]
Pooling = Literal["max", "average"]
Padding = Literal["zeros", "reflect", "replicate"]

_PRECISIONS: Final[dict[torch.dtype, Precision]] = {torch.bfloat16: "bfloat16", torch.float64: "float64"}
"""Arithmetic by the type of the weights, where it is not float32."""

INPUTS: Final[dict[Inputs, tuple[float, tuple[float, float, float], tuple[float, float, float]]]] = {
    "torchvision": (1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": (255.0, (123.68, 116.779, 103.939), (1.0, 1.0, 1.0)),
    "caffe_bgr": (255.0, (123.68, 116.779, 103.939), (1.0, 1.0, 1.0)),
}
"""Input conventions: the value of white, and the mean and deviation of R, G and B where white has that value. With
`caffe_bgr` the network then sees B, G and R in this order."""


class Backbone(nn.Module, ABC):
    """A network that returns feature maps by layer.

    Args:
        architecture: A key of `nst.config.architectures.ARCHITECTURES`.
        layers: Names of the layers whose feature maps are returned, at least one.
        weights: Tensors under torchvision's names, such as `features.0.weight`; superfluous tensors are ignored. Batch
            normalisations work as in inference, by their running means and variances.
        inputs: Input convention of the weights, a key of `INPUTS`.
        pooling: Whether pooling layers take the maximum or the average.
        padding: How convolutions continue their input beyond its border.

    Raises:
        InputError: A layer is unknown, or its weights are missing, not finite or of another shape.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        architecture: str,
        layers: Iterable[str],
        weights: Mapping[str, Tensor],
        *,
        inputs: Inputs = "torchvision",
        pooling: Pooling = "max",
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.layers = frozenset(layers)
        order = layers_of(architecture)
        self.order = tuple(order[: order.index(deepest(architecture, self.layers)) + 1])
        self.pooling = pooling
        self.padding = padding
        self.sees_bgr = inputs == "caffe_bgr"
        for convolution in check_shapes(architecture, self.layers, {key: tuple(w.shape) for key, w in weights.items()}):
            for key in convolution.shapes:
                if not weights[key].isfinite().all():
                    about = f"{key} ({convolution.layer} of {architecture})"
                    raise InputError(f"{about} holds values that are not finite", hint="is the file damaged?")
            for part, tensor in zip(("weight", "bias"), _folded(convolution, weights), strict=True):
                self.register_buffer(f"{convolution.name}_{part}", tensor.detach().to(torch.float32))
        self.inputs = inputs
        self._set_input(torch.device("cpu"), torch.float32)

    @abstractmethod
    def compute(self, layer: str, map_BCHW: Tensor) -> Tensor:
        """Return the feature map of a layer.

        Args:
            layer: Its name.
            map_BCHW: The feature map of the layer before; may be overwritten unless `layers` names that one.
        """

    def forward(self, images_BCHW: Tensor) -> dict[str, Tensor]:
        """Return the feature maps of the backbone's `layers` by name, shape (B, C, H, W) each.

        Args:
            images_BCHW: RGB pictures in [0, 1]; values outside this range are allowed.
        """
        return dict(self.maps(images_BCHW))

    def maps(self, images_BCHW: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield the name and the feature map of each of the backbone's `layers` as soon as it is computed.

        Args:
            images_BCHW: As in `forward`.
        """
        map_BCHW = (images_BCHW - self.mean) * self.scale
        if self.sees_bgr:
            map_BCHW = map_BCHW.flip(1)
        for layer in self.order:
            map_BCHW = self.compute(layer, map_BCHW)
            if layer in self.layers:
                yield layer, map_BCHW

    def _set_input(self, device: torch.device, dtype: torch.dtype) -> None:
        """Set the mean and the scale of the input, each rounded once, from float64 to `dtype`."""
        white, mean, deviation = INPUTS[self.inputs]
        exact = {"mean": [value / white for value in mean], "scale": [white / value for value in deviation]}
        for name, values in exact.items():
            tensor = torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1)
            self.register_buffer(name, tensor.to(device=device, dtype=dtype))

    def _apply(self, *given: Any, **named: Any) -> Self:
        """Do what `to(...)` asks for, and set mean and scale anew, each rounded once and never to less than float32."""
        super()._apply(*given, **named)  # type: ignore[no-untyped-call]  # torch gives it no types
        self._set_input(self.mean.device, torch.promote_types(self.mean.dtype, torch.float32))
        return self

    @property
    def strides(self) -> Mapping[str, int]:
        """Pixels of the picture from one position of each layer to the next."""
        return ARCHITECTURES[self.architecture].strides

    @property
    def reach(self) -> tuple[int, int] | None:
        """How tiles are cut for it; None for a network whose features in tiles would not be those of the picture.

        The number of pixels at whose multiples tiles begin, and how many pixels beyond a tile its features depend on.
        """
        return None

    def bytes_per_pixel(self, *, gathers: bool = False) -> float:
        """Return the bytes of memory that a step of an optimisation takes for each pixel (`nst.config.memory`).

        Args:
            gathers: Whether the style compares all values of its feature maps by their ranks.
        """
        weights = {convolution: self.get_buffer(f"{convolution.name}_weight") for convolution in self._convolutions()}
        return process_bytes(
            step_bytes(
                self.architecture,
                [convolution._replace(filters=weight.shape[0]) for convolution, weight in weights.items()],
                self.layers,
                precision=_PRECISIONS.get(next(iter(weights.values())).dtype, "float32"),
                pooling=self.pooling,
                gathers=gathers,
            )
        )

    @staticmethod
    @abstractmethod
    def positions(layer: str, positions: int) -> int:
        """Return the number of positions along one side of a layer's map, given that of the layer before it."""

    def grids(self, width: int, height: int) -> dict[str, tuple[int, int]]:
        """Return (width, height) of the feature map of each returned layer, for pictures of this size in pixels."""
        found = {}
        for layer in self.order:
            width, height = self.positions(layer, width), self.positions(layer, height)
            if layer in self.layers:
                found[layer] = (width, height)
        return found

    def cut(self, layers: Iterable[str]) -> Self:
        """Return a backbone that returns other layers and shares the tensors of this one.

        Args:
            layers: Names of the layers to return; none of them deeper than the deepest layer of this backbone.
        """
        shorter = copy.copy(self)
        shorter.layers = frozenset(layers)
        shorter.order = self.order[: max(map(self.order.index, shorter.layers)) + 1]
        dropped = [c.name for c in convolutions_of(self.architecture) if c.layer not in shorter.order]
        shorter._buffers = {  # noqa: SLF001 - of the copy, which must not share this dictionary
            name: tensor
            for name, tensor in self._buffers.items()
            if not name.startswith(tuple(f"{convolution}_" for convolution in dropped))
        }
        return shorter

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights under torchvision's names; batch normalisations are folded into the convolutions."""
        return {f"{key}.{part}": self.get_buffer(f"{name}_{part}") for key, name, part in self._parts()}

    def carrying(self, weights: Mapping[str, Tensor]) -> Self:
        """Return a backbone that computes with other weights, into which gradients flow.

        Args:
            weights: All weights of this backbone, or narrower ones, under torchvision's names.
        """
        other = copy.copy(self)
        replaced = {f"{name}_{part}": weights[f"{key}.{part}"] for key, name, part in self._parts()}
        other._buffers = {**self._buffers, **replaced}  # noqa: SLF001 - of the copy, which must not share this dictionary
        return other

    def _parts(self) -> list[tuple[str, str, str]]:
        """Return torchvision's name of each convolution that is computed, the name here, and `weight` or `bias`."""
        return [(c.key, c.name, part) for c in self._convolutions() for part in ("weight", "bias")]

    def _convolutions(self) -> list[Convolution]:
        """Return the convolutions that are computed."""
        return [c for c in convolutions_of(self.architecture) if c.layer in self.order]

    def convolve(self, name: str, map_BCHW: Tensor, *, stride: int = 1, padded: bool = True) -> Tensor:
        """Return the map after the convolution `name` (`Convolution.name`).

        Args:
            name: The convolution.
            map_BCHW: Its input.
            stride: Positions of the input from one position of the result to the next.
            padded: Whether the input is continued beyond its border by half the kernel.
        """
        weight, bias = getattr(self, f"{name}_weight"), getattr(self, f"{name}_bias")
        margin = weight.shape[-1] // 2 if padded else 0
        if margin == 0 or self.padding == "zeros":
            return functional.conv2d(map_BCHW, weight, bias, stride, padding=margin)
        return functional.conv2d(functional.pad(map_BCHW, (margin,) * 4, mode=self.padding), weight, bias, stride)

    def pool(self, map_BCHW: Tensor, side: int, *, ceil_mode: bool = False, margin: int = 0) -> Tensor:
        """Return the map pooled over squares of `side` x `side` positions, with stride 2.

        Args:
            map_BCHW: The map.
            side: Side of the squares.
            ceil_mode: Whether a last, incomplete square is taken in.
            margin: Positions by which the first squares begin before the border; only positions within it count.
        """
        if self.pooling == "max":
            return functional.max_pool2d(map_BCHW, side, 2, margin, ceil_mode=ceil_mode)
        return functional.avg_pool2d(map_BCHW, side, 2, margin, ceil_mode, count_include_pad=False)


def _folded(convolution: Convolution, weights: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return the weight and the bias of a convolution with its batch normalisation folded into them, if it has one.

    Source: Ioffe & Szegedy 2015, section 3.1, alg. 2: y = weight (x - mean) / sqrt(variance + eps) + bias, eps = 1e-5.
    It is folded in float64.
    """
    weight = weights[f"{convolution.key}.weight"]
    if not convolution.norm:
        return weight, weights[f"{convolution.key}.bias"]
    scale, bias, mean, variance = (weights[f"{convolution.norm}.{part}"].double() for part in NORM_PARTS)
    scale = scale / (variance + 1e-5).sqrt()
    return weight.double() * scale[:, None, None, None], bias - mean * scale
