"""The weights of the networks that find motion, from torch's cache; nst never fetches them. Never imports torch itself.

They are a download of torchvision that could not be tried where this was written.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nst.config.flow import FlowPreset
from nst.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

FILES: Final[dict[FlowPreset, str]] = {
    "raft_small": "raft_small_C_T_V2-01064c6d.pth",
    "raft_large": "raft_large_C_T_V2-1bb1363a.pth",
}
"""Names of the files that torchvision keeps (`Raft_Small_Weights.C_T_V2`, `Raft_Large_Weights.C_T_V2`)."""


def check_flow(preset: FlowPreset) -> None:
    """Refuse a way to find motion whose weights are not at hand.

    Raises:
        InputError: They are not.
    """
    if preset in FILES and not _path(preset).is_file():
        hint = f"put torchvision's file {FILES[preset]} there, or write flow: dis_medium"
        raise InputError(f"{preset} needs weights, which are not in {_path(preset).parent}", hint=hint)


def flow_weights(preset: FlowPreset) -> Mapping[str, torch.Tensor] | None:
    """Return the tensors of a network that finds motion; None for a preset without one.

    Raises:
        InputError: They are not at hand, or the file holds no tensors.
    """
    if preset not in FILES:
        return None
    check_flow(preset)
    import torch

    try:
        tensors: Mapping[str, torch.Tensor] = torch.load(_path(preset), map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"{_path(preset)} holds no tensors: {error}") from error
    return tensors


def _path(preset: FlowPreset) -> Path:
    home = Path(os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch")
    return home.expanduser() / "hub" / "checkpoints" / FILES[preset]
