"""The base of networks that encode pictures by a backbone and decode the features. Knows no loss.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from nst.backbones import BACKBONES, VGG
from nst.config.convolutions import convolutions_of
from nst.config.training import AdainTraining, MganTraining
from nst.errors import InputError
from nst.networks.network import Network, pad_to_multiple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from nst.backbones import Backbone
    from nst.config.backbone import BackboneConfig
    from nst.config.training import Training
    from nst.networks.network import Origin


class EncodingNet(Network):
    """A network whose encoder is a backbone, which is not trained but is part of the model's file.

    Args:
        encoder: A backbone that returns `layer`.
        layer: `relu1_1`, `relu2_1`, `relu3_1` or `relu4_1`.
    """

    encodes = True

    def __init__(self, encoder: Backbone, layer: str = "relu4_1") -> None:
        super().__init__()
        self.encoder = encoder.eval()
        self.layer = layer
        self.multiple = 2 ** (int(layer[4]) - 1)
        self.smallest = 2 * self.multiple

    @classmethod
    def from_training(cls, config: Training, origin: Origin) -> Self:
        """Return the network that these settings train."""
        assert isinstance(config, AdainTraining | MganTraining)
        assert origin.encoder is not None, "it encodes by its backbone"
        return cls(origin.encoder.cut([config.layer]), config.layer)

    def filters_of(self, convolution: str) -> int:
        """Return how many filters a convolution of the encoder has, or the last one before it that there is.

        A VGG-16 has no `conv3_4`: its decoder has as many filters there as the encoder has in `conv3_3`.
        """
        names = [known.layer for known in convolutions_of(self.encoder.architecture) if known.layer <= convolution]
        return self.encoder.get_buffer(f"{names[-1]}_weight").shape[0]

    def encode(self, images_BCHW: Tensor) -> Tensor:
        """Return the features of RGB pictures in [0, 1], whose sides are continued to multiples of `multiple`."""
        features: dict[str, Tensor] = self.encoder(pad_to_multiple(images_BCHW, self.multiple))
        return features[self.layer]


def encoder_from(config: BackboneConfig, layer: str, tensors: Mapping[str, Tensor]) -> VGG:
    """Return the encoder that a model's file holds.

    Args:
        config: Settings of the backbone that the model was trained with.
        layer: Layer at which the encoder ends.
        tensors: Tensors of the file.

    Raises:
        InputError: The file lacks a layer, or the backbone is no VGG.
    """
    if BACKBONES[config.name] is not VGG:
        raise InputError(f"the model's encoder is {config.name}; expected vgg19 or vgg16")
    weights = {
        f"{convolution.key}.{part}": tensors[f"encoder.{convolution.name}_{part}"]
        for convolution in convolutions_of(config.name)
        for part in ("weight", "bias")
        if f"encoder.{convolution.name}_{part}" in tensors
    }
    inputs = config.expected_input
    return VGG(config.name, [layer], weights, inputs=inputs, pooling=config.pooling, padding=config.padding)
