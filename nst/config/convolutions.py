"""The convolutions of every backbone and the shapes of their tensors: planning checks weights by them, without torch.

Architectures: Simonyan & Zisserman 2014, table 1, configurations D and E; SqueezeNet 1.1 (Iandola et al. 2016, section
3 and table 1, with the changes of forresti/SqueezeNet); ResNet (He et al. 2016, section 3.3 and table 1).
Torchvision's names of tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from nst.config.architectures import RESNET_DEPTHS, deepest, layers_of
from nst.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

NARROWS: Final = frozenset({"vgg16", "vgg19"})
"""Backbones whose weights may have fewer filters than the architecture, from layer to layer as many as they like."""

_VGG_FILTERS: Final = (64, 128, 256, 512, 512)
"""Number of filters of the convolutions in each block of a VGG."""

CLASSES: Final = 1000
"""Number of classes of ImageNet 2012."""

SQUEEZENET_KEYS: Final = {
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


NORM_PARTS: Final = ("weight", "bias", "running_mean", "running_var")
"""Names of the four tensors of a batch normalisation, which have a number for each filter."""


class Convolution(NamedTuple):
    """One convolution of an architecture."""

    layer: str
    """Name of the layer that the convolution belongs to."""
    key: str
    """Torchvision's name of the convolution, without `.weight` and `.bias`."""
    name: str
    """Prefix of the names of its buffers: `<name>_weight` and `<name>_bias`."""
    filters: int
    """Number of output channels."""
    channels: int
    """Number of input channels."""
    side: int
    """Side of the kernel."""
    norm: str = ""
    """Torchvision's name of the batch normalisation in place of a bias; "" for a convolution with a bias."""
    ends_branch: bool = False
    """Whether its result is added to what the branch of a residual block began from."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of its tensors by torchvision's names: of its weights, and of its bias or batch normalisation."""
        weights = {f"{self.key}.weight": (self.filters, self.channels, self.side, self.side)}
        if self.norm:
            return {**weights, **{f"{self.norm}.{part}": (self.filters,) for part in NORM_PARTS}}
        return {**weights, f"{self.key}.bias": (self.filters,)}


def convolutions_of(architecture: str) -> list[Convolution]:
    """Return every convolution of a backbone, in order."""
    if architecture in RESNET_DEPTHS:
        return list(_resnet(architecture))
    return list(_squeezenet() if architecture == "squeezenet" else _vgg(architecture))


def check_shapes(
    architecture: str, layers: Collection[str], shapes: Mapping[str, tuple[int, ...]]
) -> list[Convolution]:
    """Return the convolutions up to the deepest of some layers, all of whose tensors are there with the right shapes.

    The weights of a VGG may be narrower than the architecture: then the convolutions have fewer filters.

    Args:
        architecture: Name of the backbone.
        layers: Names of the layers that are to be computed.
        shapes: The shape of each tensor of the weights by torchvision's name, such as `features.0.weight`.

    Raises:
        InputError: The architecture does not have a layer, or a tensor is missing or has another shape.
    """
    order = layers_of(architecture)
    needed = order[: order.index(deepest(architecture, layers)) + 1]
    convolutions = convolutions_of(architecture)
    if architecture in NARROWS:
        convolutions = _narrowed(convolutions, shapes)
    wanted = [convolution for convolution in convolutions if convolution.layer in needed]
    for convolution in wanted:
        for key, shape in convolution.shapes.items():
            about = f"{key} ({convolution.layer} of {architecture})"
            if key not in shapes:
                missing = {other.layer for other in convolutions if not other.shapes.keys() <= shapes.keys()}
                present = [layer for layer in dict.fromkeys(c.layer for c in convolutions) if layer not in missing]
                last = present[-1].replace("conv", "relu") if present else ""
                raise InputError(
                    f"the weights hold no {about}; they hold {', '.join(present) or 'none of its layers'}",
                    hint=f"choose layers up to {last}" if present else "are they the weights of another network?",
                )
            if shapes[key] != shape:
                raise InputError(f"{about} has shape {shapes[key]}; expected {shape}")
    return wanted


def _narrowed(convolutions: list[Convolution], shapes: Mapping[str, tuple[int, ...]]) -> list[Convolution]:
    """Return the convolutions of a chain with the numbers of filters of the weights, where these are fewer."""
    narrowed: list[Convolution] = []
    for convolution in convolutions:
        channels = narrowed[-1].filters if narrowed else convolution.channels
        shape = shapes.get(f"{convolution.key}.weight", ())
        filters = min(convolution.filters, shape[0]) if len(shape) == 4 and shape[0] else convolution.filters
        narrowed.append(convolution._replace(filters=filters, channels=channels))
    return narrowed


def _vgg(architecture: str) -> Iterator[Convolution]:
    channels = 3
    # Torchvision numbers all layers of a VGG in `features`.
    for index, layer in enumerate(layers_of(architecture)):
        if layer.startswith("conv"):
            filters = _VGG_FILTERS[int(layer[4]) - 1]
            yield Convolution(layer, f"features.{index}", layer, filters, channels, 3)
            channels = filters


def _squeezenet() -> Iterator[Convolution]:
    yield _convolution("conv1", "features.0", 64, 3, 3)
    channels = 64
    for fire, (squeeze, expand) in _FIRES.items():
        yield _convolution(fire, f"{SQUEEZENET_KEYS[fire]}.squeeze", squeeze, channels, 1)
        yield _convolution(fire, f"{SQUEEZENET_KEYS[fire]}.expand1x1", expand, squeeze, 1)
        yield _convolution(fire, f"{SQUEEZENET_KEYS[fire]}.expand3x3", expand, squeeze, 3)
        channels = 2 * expand
    yield _convolution("conv10", "classifier.1", CLASSES, channels, 1)


def _resnet(architecture: str) -> Iterator[Convolution]:
    yield Convolution("relu", "conv1", "conv1", 64, 3, 7, "bn1")
    channels = 64
    for stage, depth in enumerate(RESNET_DEPTHS[architecture]):
        for block in range(depth):
            layer = f"layer{stage + 1}" if block == depth - 1 else f"layer{stage + 1}_{block + 1}"
            key, width = f"layer{stage + 1}.{block}", 64 * 2**stage
            before = channels
            branch = ((1, 1), (3, 1), (1, 4)) if architecture == "resnet50" else ((3, 1), (3, 1))
            for number, (side, growth) in enumerate(branch, start=1):
                name, norm, last = f"{key}.conv{number}", f"{key}.bn{number}", number == len(branch)
                yield Convolution(layer, name, buffer_name(name), width * growth, channels, side, norm, last)
                channels = width * growth
            if block == 0 and before != channels:
                name, norm = f"{key}.downsample.0", f"{key}.downsample.1"
                yield Convolution(layer, name, buffer_name(name), channels, before, 1, norm)


def _convolution(layer: str, key: str, filters: int, channels: int, side: int) -> Convolution:
    return Convolution(layer, key, buffer_name(key), filters, channels, side)


def buffer_name(key: str) -> str:
    """Return the prefix of the names of a convolution's buffers outside a VGG (`Convolution.name`)."""
    return key.replace(".", "_")
