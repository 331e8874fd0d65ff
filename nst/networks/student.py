"""The network of `student`, a VGG with fewer filters whose file serves as the weights of a backbone. Knows no loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Self

import torch
from torch import nn

from nst.config.convolutions import convolutions_of
from nst.config.training import StudentTraining, refuse_to_paint
from nst.networks.network import Network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nst.config.training import Training
    from nst.networks.network import Origin


class StudentNet(Network):
    """The weights of a VGG with fewer filters, under torchvision's names: `features.0.weight`, `features.0.bias`, ...

    A `Backbone` computes with them (`Backbone.carrying`); by itself the network makes no pictures.

    Args:
        architecture: `vgg16` or `vgg19`.
        filters: Number of filters of each convolution, from the first one on.
    """

    family = "student"
    stored = torch.float16

    def __init__(self, architecture: str, filters: Sequence[int]) -> None:
        super().__init__()
        self.features = nn.ModuleDict()
        channels = 3
        for convolution, count in zip(convolutions_of(architecture), filters, strict=False):
            self.features[convolution.key.removeprefix("features.")] = nn.Conv2d(channels, count, convolution.side)
            channels = count

    @classmethod
    def from_training(cls, config: Training, origin: Origin) -> Self:
        """Return the network that these settings train."""
        del origin
        assert isinstance(config, StudentTraining)
        return cls(config.backbone.name, config.filters)

    def forward(self, *inputs: object) -> NoReturn:
        """Refuse to make pictures.

        Raises:
            InputError: Always.
        """
        del inputs
        refuse_to_paint(self.family)
        raise AssertionError("a student makes no pictures")
