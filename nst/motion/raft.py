"""Optical flow by the networks of torchvision, RAFT. They are built here; their weights are given, never downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch.nn import functional
from torchvision.models import optical_flow

from nst.errors import InputError
from nst.ops import to_tensor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nst.config.flow import RaftPreset

_LEAST_SIDE: Final = 128
"""Shortest side in pixels from which the network's correlation pyramid of four levels can be built."""

_MULTIPLE: Final = 8
"""Sides must be multiples of this, since features are found at an eighth of the size.

torchvision's own check accepts some sides that are not, so that nothing is left to it.
"""


class RaftFlow:
    """Finds the flow between two frames by a network.

    The networks were tried with random weights alone: the weights that torchvision offers are a download that was not
    to be had where this was written.

    Args:
        preset: Which network.
        weights: Its tensors, by torchvision's names.
        device: Where it computes.

    Raises:
        InputError: The tensors are not those of this network.

    Source:
        Teed & Deng 2020, "RAFT: Recurrent all-pairs field transforms for optical flow", in torchvision's
        implementation, with its number of updates (12).
    """

    def __init__(self, preset: RaftPreset, weights: Mapping[str, torch.Tensor], device: str = "cpu") -> None:
        network: torch.nn.Module = getattr(optical_flow, preset)(weights=None, progress=False)
        try:
            network.load_state_dict(dict(weights))
        except RuntimeError as error:
            raise InputError(f"the weights are not those of {preset}: {str(error).splitlines()[-1].strip()}") from error
        self._network = network.eval().to(device)
        self._device = torch.device(device)

    @torch.inference_mode()
    def __call__(self, first_HW3: np.ndarray, second_HW3: np.ndarray) -> np.ndarray:
        """Return the flow from the first frame to the second, float32 of shape (H, W, 2).

        Args:
            first_HW3: A frame, uint8 RGB of any size.
            second_HW3: Another frame of the same size.
        """
        height, width = first_HW3.shape[:2]
        frames_23HW = to_tensor(np.stack([first_HW3, second_HW3]), self._device, torch.float32).mul(2.0).sub(1.0)
        below, right = _missing(height), _missing(width)
        frames_23HW = functional.pad(frames_23HW, (0, right, 0, below), mode="replicate")
        flow_2HW: torch.Tensor = self._network(frames_23HW[:1], frames_23HW[1:])[-1][0, :, :height, :width]
        flow_HW2: np.ndarray = flow_2HW.permute(1, 2, 0).float().contiguous().cpu().numpy()
        return flow_HW2


def _missing(side: int) -> int:
    """Return how many pixels a side lacks to the next size that the network takes."""
    return max(_LEAST_SIDE, -(-side // _MULTIPLE) * _MULTIPLE) - side
