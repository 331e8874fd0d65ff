"""The layers of every backbone by name, in order, as planning has to know them. No torch here.

Architectures: Simonyan & Zisserman 2014, table 1, configurations D and E; SqueezeNet 1.1 (Iandola et al. 2016, with
the changes of forresti/SqueezeNet, whose layer names these are).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

DEPTHS: Final = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Convolutions in each block of a VGG."""

CLASSIFIERS: Final = frozenset({"squeezenet"})
"""Backbones that end in class scores, layer `logits`."""


def _vgg(depths: tuple[int, ...]) -> Iterator[tuple[str, int]]:
    for block, depth in enumerate(depths, start=1):
        for unit in range(1, depth + 1):
            yield from ((f"{kind}{block}_{unit}", 2 ** (block - 1)) for kind in ("conv", "relu"))
        yield f"pool{block}", 2**block


def _squeezenet() -> Iterator[tuple[str, int]]:
    yield from (("conv1", 2), ("relu1", 2), ("pool1", 4), ("fire2", 4), ("fire3", 4))
    yield from (("pool3", 8), ("fire4", 8), ("fire5", 8), ("pool5", 16))
    yield from ((layer, 16) for layer in ("fire6", "fire7", "fire8", "fire9", "conv10", "relu10", "logits"))


STRIDES: Final[Mapping[str, Mapping[str, int]]] = {
    **{name: dict(_vgg(depths)) for name, depths in DEPTHS.items()},
    "squeezenet": dict(_squeezenet()),
}
"""Per backbone its layers in order, each with the pixels of the picture from one position to the next."""

LAYERS: Final = frozenset(layer for layers in STRIDES.values() for layer in layers)
"""Every name that a layer of some backbone has."""


def deepest(name: str, layers: Collection[str]) -> str:
    """Return the layer of a backbone that comes last."""
    order = list(STRIDES[name])
    return max(layers, key=order.index)


def least_side(name: str, layer: str, positions: int) -> int:
    """Return the smallest side of a picture that has so many positions at a layer."""
    # The first convolution of SqueezeNet has stride 2 and no padding.
    return STRIDES[name][layer] * positions + (name == "squeezenet")


def chain(name: str, layer: str) -> tuple[str, ...]:
    """Return one layer for each size of the feature maps up to `layer`: the first rectified one, and `layer` itself.

    Of a VGG these are relu1_1, relu2_1, ..., of SqueezeNet relu1, fire2, fire4, fire6.
    """
    strides = STRIDES[name]
    order = list(strides)
    first: dict[int, str] = {}
    for other in order[: order.index(layer)]:
        if other.startswith(("relu", "fire")):
            first.setdefault(strides[other], other)
    return tuple({**first, strides[layer]: layer}.values())
