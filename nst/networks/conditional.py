"""The network of `conditional`, many styles with a row of norm parameters each (Dumoulin et al. 2017). Knows no loss.

Shape letters: B images, C channels, H rows, W columns, S styles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor, nn

from nst.config.training import ConditionalTraining
from nst.errors import InputError
from nst.networks.johnson import TransformNet
from nst.networks.network import Graph, example_photographs
from nst.networks.norm import InstanceNorm, norms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nst.config.training import Training
    from nst.networks.network import Origin, Painting
    from nst.pictures.masks import Labels


class ConditionalNet(TransformNet):
    """The network of `johnson` with a row of norm parameters for each style.

    Args:
        styles: Number of styles.
        width: Number of filters of the outermost convolutions.
        residual_blocks: Number of residual blocks.

    Source:
        Dumoulin, Shlens & Kudlur 2017, eq. 5 and appendix (nearest upsampling, mirror padding, sigmoid at the end).
    """

    family = "conditional"

    def __init__(self, styles: int, *, width: int = 32, residual_blocks: int = 5) -> None:
        super().__init__(width=width, residual_blocks=residual_blocks, styles=styles, output="sigmoid")
        self.rows_known = styles

    @classmethod
    def from_training(cls, config: Training, origin: Origin) -> Self:
        """Return the network that these settings train, with a row for each style."""
        assert isinstance(config, ConditionalTraining)
        return cls(origin.styles, width=config.width, residual_blocks=config.residual_blocks)

    def paint(self, painting: Painting) -> Tensor:
        """Return the photographs, each in the blend of the styles whose rows have a weight."""
        pictures_B3HW: Tensor = self(painting.photographs, self.rows(painting.rows))
        return pictures_B3HW

    def rows(self, weights: Sequence[Mapping[int, float]]) -> Tensor:
        """Return the weights of all rows for each image as `forward` takes them, shape (B, S); each row adds up to 1.

        Args:
            weights: For each image, the weights of some rows, of any positive sum; other rows have weight 0.
        """
        like = self.last.conv.weight
        rows_BS = torch.zeros(len(weights), self.rows_known)
        for image, blend in enumerate(weights):
            total = sum(blend.values())
            for row, weight in blend.items():
                rows_BS[image, row] = weight / total
        return rows_BS.to(like)

    def row_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that belong to single styles: scales and shifts of the norms."""
        return [part for norm in norms(self) if isinstance(norm, InstanceNorm) for part in (norm.scale, norm.shift)]

    def refusal(self, styles: Sequence[str], mask: Labels | None) -> InputError | None:
        """Return an error if a style has no row, or None."""
        del mask
        unknown = [style[:12] for style in styles if style not in self.styles]
        if not unknown:
            return None
        found = f"it was not trained for the style {', '.join(unknown)}"
        return InputError(found, hint="add the style by a training with this model as parent")

    def adopt(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a parent's tensors with rows for more styles; new rows start as the mean of the parent's rows."""
        wanted = self.state_dict()
        adopted = dict(tensors)
        for key, tensor in tensors.items():
            missing = wanted[key].shape[0] - tensor.shape[0] if key.endswith(("norm.scale", "norm.shift")) else 0
            if missing > 0:
                adopted[key] = torch.cat([tensor, tensor.mean(0, keepdim=True).expand(missing, -1)])
        return adopted

    def graph(self) -> Graph:
        """Return the network as it is traced for ONNX, with inputs `images` and `styles`."""
        photographs_B3HW, free = example_photographs()
        example = photographs_B3HW, torch.ones(len(photographs_B3HW), self.rows_known)
        return Graph(_Blend(self), ("images", "styles"), example, (free, {0: free[0]}))


class _Blend(nn.Module):
    def __init__(self, network: ConditionalNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, styles: Tensor) -> Tensor:
        pictures_BCHW: Tensor = self.network(images, styles / styles.sum(1, keepdim=True))
        return pictures_BCHW
