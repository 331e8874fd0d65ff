"""Many styles in one network, a row of norm parameters each (Dumoulin, Shlens & Kudlur 2017). Knows no loss.

Shape letters: B images, C channels, H rows, W columns, S styles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nst.networks.johnson import TransformNet
from nst.networks.norm import InstanceNorm, norms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ConditionalNet(TransformNet):
    """Johnson's network whose norms have a row per style.

    Source:
        Dumoulin, Shlens & Kudlur 2017, eq. 5 and appendix (nearest upsampling, mirror padding, sigmoid at the end).
    """

    family = "conditional"

    def __init__(self, styles: int, *, width: int = 32, residual_blocks: int = 5) -> None:
        super().__init__(width=width, residual_blocks=residual_blocks, styles=styles, output="sigmoid")
        self.rows_known = styles

    def rows(self, weights: Sequence[Mapping[int, float]]) -> Tensor:
        """Return what `forward` takes for images whose styles are blended, shape (B, S).

        Args:
            weights: Per image, the weight of each row; of any positive sum.
        """
        like = self.last.conv.weight
        rows_BS = torch.zeros(len(weights), self.rows_known)
        for image, of_one in enumerate(weights):
            total = sum(of_one.values())
            for row, weight in of_one.items():
                rows_BS[image, row] = weight / total
        return rows_BS.to(like)


def add_rows(tensors: Mapping[str, Tensor], network: ConditionalNet) -> dict[str, Tensor]:
    """Return a trained network's tensors with rows for more styles: new rows start as the mean of the old ones.

    Args:
        tensors: Of a network of fewer styles.
        network: Of the wanted number of styles.
    """
    wanted = network.state_dict()
    found = dict(tensors)
    for key, tensor in tensors.items():
        missing = wanted[key].shape[0] - tensor.shape[0] if key.endswith(("norm.scale", "norm.shift")) else 0
        if missing > 0:
            found[key] = torch.cat([tensor, tensor.mean(0, keepdim=True).expand(missing, -1)])
    return found


def row_parameters(network: ConditionalNet) -> list[Tensor]:
    """Return the parameters that belong to styles and not to the network."""
    return [part for norm in norms(network) if isinstance(norm, InstanceNorm) for part in (norm.scale, norm.shift)]
