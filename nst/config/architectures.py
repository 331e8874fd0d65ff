"""The layers of every backbone by name, in order, as planning has to know them. No torch here.

Architectures: Simonyan & Zisserman 2014, table 1, configurations D and E; SqueezeNet 1.1 (Iandola et al. 2016, with
the changes of forresti/SqueezeNet, whose layer names these are).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Architecture:
    """A backbone as planning knows it.

    Attributes:
        strides: Its layers in order, each with the pixels of the picture from one position to the next.
        weights: What torchvision calls its ImageNet weights (`torchvision.models.get_weight`).
        file: The file of those weights; the part after the dash begins its SHA-256.
        megabytes: Size of that file.
        classifies: Whether it ends in scores of classes, layer `logits`.
    """

    strides: Mapping[str, int]
    weights: str
    file: str
    megabytes: int
    classifies: bool = False


DEPTHS: Final = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Convolutions in each block of a VGG."""


def _vgg(name: str) -> Iterator[tuple[str, int]]:
    for block, depth in enumerate(DEPTHS[name], start=1):
        for unit in range(1, depth + 1):
            yield from ((f"{kind}{block}_{unit}", 2 ** (block - 1)) for kind in ("conv", "relu"))
        yield f"pool{block}", 2**block


def _squeezenet() -> Iterator[tuple[str, int]]:
    yield from (("conv1", 2), ("relu1", 2), ("pool1", 4), ("fire2", 4), ("fire3", 4))
    yield from (("pool3", 8), ("fire4", 8), ("fire5", 8), ("pool5", 16))
    yield from ((layer, 16) for layer in ("fire6", "fire7", "fire8", "fire9", "conv10", "relu10", "logits"))


ARCHITECTURES: Final[Mapping[str, Architecture]] = {
    "vgg19": Architecture(dict(_vgg("vgg19")), "VGG19_Weights.IMAGENET1K_V1", "vgg19-dcbb9e9d.pth", 548),
    "vgg16": Architecture(dict(_vgg("vgg16")), "VGG16_Weights.IMAGENET1K_V1", "vgg16-397923af.pth", 528),
    "squeezenet": Architecture(
        dict(_squeezenet()),
        "SqueezeNet1_1_Weights.IMAGENET1K_V1",
        "squeezenet1_1-b8a52dc0.pth",
        5,
        classifies=True,
    ),
}
"""The backbones by name; what computes them is `nst.backbones.BACKBONES`."""

LAYERS: Final = tuple(dict.fromkeys(layer for known in ARCHITECTURES.values() for layer in known.strides))
"""Every name that a layer of some backbone has."""


def layers_of(name: str) -> list[str]:
    """Return the layers of a backbone in order."""
    return list(ARCHITECTURES[name].strides)


def deepest(name: str, layers: Collection[str]) -> str:
    """Return the layer of a backbone that comes last."""
    order = layers_of(name)
    return max(layers, key=order.index)


def least_side(name: str, layer: str, positions: int) -> int:
    """Return the smallest side of a picture that has this many positions at a layer."""
    # The first convolution of SqueezeNet has stride 2 and no padding.
    return ARCHITECTURES[name].strides[layer] * positions + (name == "squeezenet")


def chain(name: str, layer: str) -> tuple[str, ...]:
    """Return one layer for each size of the feature maps up to `layer`: the first rectified one, and `layer` itself.

    Of a VGG these are relu1_1, relu2_1, ..., of SqueezeNet relu1, fire2, fire4, fire6.
    """
    strides = ARCHITECTURES[name].strides
    order = list(strides)
    first: dict[int, str] = {}
    for other in order[: order.index(layer)]:
        if other.startswith(("relu", "fire")):
            first.setdefault(strides[other], other)
    return tuple({**first, strides[layer]: layer}.values())
