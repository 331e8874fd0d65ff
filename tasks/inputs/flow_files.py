"""The files of the networks that find motion: torchvision's, in torch's cache; nst never fetches them. Never torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nst.errors import InputError

if TYPE_CHECKING:
    from nst.config.flow import FlowPreset

_FILES: Final[dict[FlowPreset, str]] = {
    "raft_small": "raft_small_C_T_V2-01064c6d.pth",
    "raft_large": "raft_large_C_T_V2-1bb1363a.pth",
}
"""Names of the files that torchvision keeps (`Raft_Small_Weights.C_T_V2`, `Raft_Large_Weights.C_T_V2`)."""

_SOURCE: Final = "https://download.pytorch.org/models/"
"""Where torchvision offers them."""


def flow_file(preset: FlowPreset) -> Path | None:
    """Return the file of a network that finds motion; None for a preset without one.

    Raises:
        InputError: It is not in torch's cache.
    """
    if preset not in _FILES:
        return None
    home = Path(os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch")
    path = home.expanduser() / "hub" / "checkpoints" / _FILES[preset]
    if not path.is_file():
        hint = f"save {_SOURCE}{path.name} there, or write flow: dis_medium, which needs no weights"
        raise InputError(f"{preset} needs torchvision's weights: {path} does not exist", hint=hint)
    return path
