"""Markovian adversarial networks (Li & Wand 2016): a decoder of features, and its critic of patches. Knows no loss.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from torch import Tensor, nn
from torch.nn import functional

from nst.config.training import MganTraining
from nst.networks.johnson import GAIN
from nst.networks.network import Network, PaddedConv, pad_to_multiple, tanh_picture
from nst.networks.norm import InstanceNorm

if TYPE_CHECKING:
    from nst.backbones import Backbone
    from nst.config.training import Training
    from nst.networks.network import Origin


class MganNet(Network):
    """Encodes by a backbone, and decodes into a picture of the one style that the decoder knows.

    Args:
        encoder: A backbone that returns `layer`; it is not trained.
        layer: `relu1_1` ... `relu4_1`.

    Source:
        Li & Wand 2016, section 3, and chuanli11/MGANs `code/MGAN_wrapper.lua`: a convolution of as many filters as the
        encoder has, then half as many at each doubling, tanh at the end. Differs: nearest upsampling and a convolution
        for transposed ones; instance for batch norm, which needs no large batch; `GAIN`.
    """

    family = "mgan"
    encodes = True

    def __init__(self, encoder: Backbone, layer: str = "relu4_1") -> None:
        super().__init__()
        self.encoder = encoder.eval()
        self.layer = layer
        doublings = int(layer[4]) - 1
        self.multiple = 2**doublings
        self.smallest = 2 * self.multiple
        # At relu4_1 the encoder sees 37 pixels to one side, and the decoder's convolutions 8 + 4 + 2 + 1.
        self.margin = 8 * self.multiple
        widest = 64 * self.multiple
        filters = [*(widest // 2**level for level in range(doublings)), 3]
        channels = [widest, *filters[:-1]]
        self.decoder = nn.ModuleList(PaddedConv(*pair, 3) for pair in zip(channels, filters, strict=True))
        self.norms = nn.ModuleList(InstanceNorm(count) for count in filters[:-1])

    @classmethod
    def from_training(cls, config: Training, origin: Origin) -> Self:
        """Return the network that these settings train."""
        assert isinstance(config, MganTraining)
        assert origin.encoder is not None, "it encodes by its backbone"
        return cls(origin.encoder.cut([config.layer]), config.layer)

    def encode(self, images_BCHW: Tensor) -> Tensor:
        """Return features of RGB pictures in [0, 1]."""
        features: dict[str, Tensor] = self.encoder(pad_to_multiple(images_BCHW, self.multiple))
        return features[self.layer]

    def decode(self, features_BCHW: Tensor) -> Tensor:
        """Return RGB pictures, a little beyond [0, 1]."""
        x_BCHW = features_BCHW
        for conv, norm in zip(self.decoder, self.norms, strict=False):
            x_BCHW = functional.relu(norm(conv(x_BCHW)))
            x_BCHW = functional.interpolate(x_BCHW, scale_factor=2.0, mode="nearest")
        return tanh_picture(GAIN * self.decoder[-1](x_BCHW))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the stylized pictures of RGB pictures in [0, 1]."""
        return self.decode(self.encode(images_BCHW))[..., : images_BCHW.shape[2], : images_BCHW.shape[3]]


LEAST: Final = 0.1
"""Smallest deviation of a channel, over that of all: 2 of 256 at relu3_1 are dead in Starry Night, which must not make
whatever a picture has there hundreds of times as large as the rest."""


class PatchCritic(nn.Module):
    """Scores every patch of 3 x 3 positions of a feature map: positive means real.

    Args:
        mean_1C11: Of each channel of the style's features.
        deviation_1C11: Of each channel. Features are seen in these units, whatever the backbone's are.
        filters: Of the first convolution.

    Source:
        chuanli11/MGANs, the discriminator of `code/MDAN_wrapper.lua`: 3 x 3 to 256 filters, LeakyReLU of 0.2, one
        score. Differs: the style's own fixed statistics for a batch norm after the first convolution, so that no
        picture bears on the score of another and none on what a checkpoint holds; no padding, for its mask of borders.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean_1C11: Tensor, deviation_1C11: Tensor, filters: int = 256) -> None:
        super().__init__()
        self.register_buffer("mean", mean_1C11)
        usual = deviation_1C11.square().mean().sqrt()
        self.register_buffer("deviation", deviation_1C11.clamp_min(float(LEAST * usual)))
        self.patches = nn.Conv2d(mean_1C11.shape[1], filters, 3)
        self.score = nn.Conv2d(filters, 1, 1)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """Return a score for every patch, shape (B, 1, H - 2, W - 2)."""
        x_BCHW = (features_BCHW - self.mean) / self.deviation
        scores_B1HW: Tensor = self.score(functional.leaky_relu(self.patches(x_BCHW), 0.2))
        return scores_B1HW
