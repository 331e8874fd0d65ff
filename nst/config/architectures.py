"""The layers of every backbone in order, with the facts that planning needs about them. Never imports torch.

Architectures: Simonyan & Zisserman 2014, table 1, configurations D and E; SqueezeNet 1.1 (Iandola et al. 2016, with
the changes of forresti/SqueezeNet, from which the layer names are taken); ResNet (He et al. 2016, table 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nst.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Architecture:
    """What planning knows about a backbone.

    Attributes:
        strides: Stride of every layer by the layer's name, in order: pixels of the picture from one position of the
            layer's feature map to the next.
        weights: Torchvision's name of the ImageNet weights (`torchvision.models.get_weight`).
        file: Name of the file of those weights; the part after the dash is the beginning of the file's SHA-256.
        megabytes: Size of that file in units of 2^20 bytes, rounded.
        classifies: Whether the backbone ends in scores of classes, in the layer `logits`.
    """

    strides: Mapping[str, int]
    weights: str
    file: str
    megabytes: int
    classifies: bool = False


_DEPTHS: Final = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Number of convolutions in each block of a VGG."""


def _vgg(name: str) -> Iterator[tuple[str, int]]:
    for block, depth in enumerate(_DEPTHS[name], start=1):
        for unit in range(1, depth + 1):
            yield from ((f"{kind}{block}_{unit}", 2 ** (block - 1)) for kind in ("conv", "relu"))
        yield f"pool{block}", 2**block


def _squeezenet() -> Iterator[tuple[str, int]]:
    yield from (("conv1", 2), ("relu1", 2), ("pool1", 4), ("fire2", 4), ("fire3", 4))
    yield from (("pool3", 8), ("fire4", 8), ("fire5", 8), ("pool5", 16))
    yield from ((layer, 16) for layer in ("fire6", "fire7", "fire8", "fire9", "conv10", "relu10", "logits"))


RESNET_DEPTHS: Final = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}
"""Number of blocks in each of the four stages of a ResNet."""


def _resnet(name: str) -> Iterator[tuple[str, int]]:
    yield from (("relu", 2), ("maxpool", 4))
    for stage, depth in enumerate(RESNET_DEPTHS[name], start=1):
        yield from ((f"layer{stage}_{block}", 2 ** (stage + 1)) for block in range(1, depth))
        yield f"layer{stage}", 2 ** (stage + 1)


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
    "resnet18": Architecture(dict(_resnet("resnet18")), "ResNet18_Weights.IMAGENET1K_V1", "resnet18-f37072fd.pth", 45),
    "resnet50": Architecture(dict(_resnet("resnet50")), "ResNet50_Weights.IMAGENET1K_V1", "resnet50-0676ba61.pth", 98),
}
"""The backbones by name; `nst.backbones.BACKBONES` holds the classes that compute them."""

LAYERS: Final = tuple(dict.fromkeys(layer for backbone in ARCHITECTURES.values() for layer in backbone.strides))
"""The layer names of all backbones, each once."""


def layers_of(name: str) -> list[str]:
    """Return the names of a backbone's layers in order."""
    return list(ARCHITECTURES[name].strides)


def deepest(name: str, layers: Collection[str]) -> str:
    """Return which of these layers comes last in the backbone.

    Raises:
        InputError: The backbone does not have one of the layers.
    """
    order = layers_of(name)
    if unknown := sorted(set(layers).difference(order)):
        raise InputError(f"{name} has no layer {', '.join(unknown)}; expected some of {', '.join(order)}")
    return max(layers, key=order.index)


def least_side(name: str, layer: str, positions: int) -> int:
    """Return the smallest side of a picture, in pixels, whose feature map at `layer` is `positions` wide."""
    stride = ARCHITECTURES[name].strides[layer]
    if name in RESNET_DEPTHS:  # every step of stride 2 rounds up
        return stride * (positions - 1) + 1
    # The first convolution of SqueezeNet has stride 2 and no padding.
    return stride * positions + (name == "squeezenet")


def chain(name: str, layer: str) -> tuple[str, ...]:
    """Return one layer per stride of the backbone up to `layer`: the first rectified layer, and last `layer` itself.

    Up to relu4_2 of a VGG these are relu1_1, relu2_1, relu3_1 and relu4_2; up to fire9 of SqueezeNet they are relu1,
    fire2, fire4 and fire9; up to layer3 of a ResNet relu, layer1_1, layer2_1 and layer3.
    """
    strides = ARCHITECTURES[name].strides
    order = list(strides)
    first: dict[int, str] = {}
    for other in order[: order.index(layer)]:
        if other.startswith(("relu", "fire", "layer")):
            first.setdefault(strides[other], other)
    return tuple({**first, strides[layer]: layer}.values())
