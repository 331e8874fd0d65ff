"""The weights of the networks that find motion.

They are a download of torchvision that could not be tried where this was written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.errors import InputError
from tasks.inputs.flow_files import flow_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nst.config.flow import FlowPreset


def flow_weights(preset: FlowPreset) -> Mapping[str, torch.Tensor] | None:
    """Return the tensors of a network that finds motion; None for a preset without one.

    Raises:
        InputError: They are not at hand, or the file holds no tensors.
    """
    path = flow_file(preset)
    if path is None:
        return None
    try:
        tensors: Mapping[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"{path} holds no tensors: {error}") from error
    return tensors
