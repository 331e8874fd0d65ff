"""Energies of features on the networks that absolute weights were tuned on, as plain numbers. Never imports torch.

A loss in the units of another implementation grows with the energy of its target (`nst.losses.units`), and energies
differ by powers of ten from network to network. Absolute weights therefore have their author's balance of content,
style and total variation on their author's network alone. On any other network they are converted with the energies
below in place of those of the targets at hand: a weight is then what it is on the author's network for pictures of mean
energy, and relative units carry it over to the network that is used.

The figures are geometric means over 10 photographs, and over 13 pictures of six paintings, with a long side of 512
pixels, as `tests/benchmarks/energies.py` prints them. A single picture differs from its mean by a factor of about 1.5
in the mean square and of about 2.5 in `gram`.

Estimated, since the weights of these layers were not at hand:

- Caffe's VGG-19, relu4_1 and relu5_1: from the losses that jcjohnson/neural-style@14ce513 INSTALL.md prints for its own
  example at the first step, when the picture is grey and the losses are the energies of its painting. They are scaled
  by 8.9, by which our paintings exceed that one at relu3_1. relu4_2: likewise from its content loss, scaled by 0.96.
  Mean squares and `gram` follow from each other as on relu4_1 of the normalised VGG-19. Trust them to a factor of 3.
- Torchvision's VGG-19 beyond relu2_1: the mean square of relu2_1, and of `gram` its share of the largest possible,
  are taken to go on. Trust them to a factor of 5. Most of the style of `crowsonkb` lies in layers that were measured.
- Torchvision's VGG-16: as its VGG-19 throughout. Nothing of it was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from nst.config.architectures import layers_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@dataclass(frozen=True, slots=True)
class LayerEnergy:
    """Energies of the features of one layer.

    Attributes:
        channels: Number of filters C.
        photographs: Mean square of the features of photographs.
        paintings: Mean square of the features of paintings.
        gram: |A|_F^2 of paintings, with A = F F^T / (H W).
        measured: Whether the figures were measured; the others are estimated.
    """

    channels: int
    photographs: float
    paintings: float
    gram: float
    measured: bool = True

    def of_style(self, unit: Literal["gram", "moments", "mean"]) -> float:
        """Return what a style loss of paintings is divided by in relative units.

        Args:
            unit: Which rule converts the style loss (`nst.losses.style.StyleLoss.unit`).
        """
        if unit == "gram":
            return self.gram
        # |m|^2 + tr S is the sum of the mean squares of the channels. The mean square along a direction is that of a
        # channel, on average over directions, and the sliced loss is divided by a third of it.
        return self.channels * self.paintings if unit == "moments" else self.paintings / 3.0


@dataclass(frozen=True, slots=True)
class AuthorNetwork:
    """A network that absolute weights were tuned on.

    Attributes:
        title: What it is called.
        architecture: A key of `nst.config.architectures.ARCHITECTURES`.
        inputs: The kind of input that its weights expect.
        layers: Energies by layer.
        first_weights: Root mean square of the weights of conv1_1, by which a file is told from the weights of another
            network; None where it is not known.

    Example:
        >>> CAFFE_VGG19.estimated(["relu5_1", "relu1_1"])
        ['relu5_1']
    """

    title: str
    architecture: str
    inputs: Literal["torchvision", "caffe"]
    layers: Mapping[str, LayerEnergy]
    first_weights: float | None = None

    def estimated(self, layers: Collection[str]) -> list[str]:
        """Return which of these layers have estimated energies, in the order of the network."""
        return [layer for layer, energy in self.layers.items() if layer in layers and not energy.measured]


_CAFFE: Final = {
    "relu1_1": LayerEnergy(64, 1.589e3, 2.141e3, 5.208e9),
    "relu1_2": LayerEnergy(64, 2.836e4, 3.782e4, 2.118e12),
    "relu2_1": LayerEnergy(128, 3.031e4, 4.955e4, 9.845e12),
    "relu2_2": LayerEnergy(128, 4.507e4, 7.831e4, 9.814e12),
    "relu3_1": LayerEnergy(256, 5.303e4, 8.360e4, 5.878e13),
    "relu4_1": LayerEnergy(512, 9.62e5, 1.27e6, 7.62e16, measured=False),
    "relu4_2": LayerEnergy(512, 4.01e5, 5.28e5, 1.32e16, measured=False),
    "relu5_1": LayerEnergy(512, 7.00e3, 9.21e3, 4.04e12, measured=False),
}

_TORCHVISION: Final = {
    "relu1_1": LayerEnergy(64, 0.3195, 0.4477, 222.2),
    "relu1_2": LayerEnergy(64, 1.198, 1.844, 1872.0),
    "relu2_1": LayerEnergy(128, 2.297, 3.461, 2.430e4),
}

_FILTERS: Final = {"1": 64, "2": 128, "3": 256, "4": 512, "5": 512}
"""Number of filters of a VGG by block."""


def _torchvision(architecture: str, measured: Collection[str]) -> dict[str, LayerEnergy]:
    """Return energies of all rectified layers of a VGG of torchvision's: as measured, and beyond that as at relu2_1."""
    last = _TORCHVISION["relu2_1"]
    share = last.gram / (last.channels * last.paintings) ** 2
    found = {}
    for layer in (layer for layer in layers_of(architecture) if layer.startswith("relu")):
        channels = _FILTERS[layer[4]]
        gram = share * (channels * last.paintings) ** 2
        known = _TORCHVISION.get(layer, LayerEnergy(channels, last.photographs, last.paintings, gram))
        is_measured = layer in measured
        found[layer] = LayerEnergy(channels, known.photographs, known.paintings, known.gram, is_measured)
    return found


CAFFE_VGG19: Final = AuthorNetwork("Caffe's VGG-19", "vgg19", "caffe", _CAFFE, first_weights=0.1914)
TORCHVISION_VGG19: Final = AuthorNetwork(
    "torchvision's VGG-19", "vgg19", "torchvision", _torchvision("vgg19", _TORCHVISION), first_weights=0.2538
)
TORCHVISION_VGG16: Final = AuthorNetwork("torchvision's VGG-16", "vgg16", "torchvision", _torchvision("vgg16", ()))

AUTHORS: Final[Mapping[str, AuthorNetwork]] = {
    "gatys": CAFFE_VGG19,
    "jcjohnson": CAFFE_VGG19,
    "crowsonkb": TORCHVISION_VGG19,
    "pytorch": TORCHVISION_VGG16,
}
"""By `units`, the network that the weights of the implementation were tuned on. The paper gives no figures in its units
that would fit one network."""
