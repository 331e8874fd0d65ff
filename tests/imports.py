"""Networks of other implementations, imported from files in a folder, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.networks import network_from
from tasks.models.files import parse_tensors
from tasks.models.importing import import_model
from tasks.root import open_root

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from nst.networks import Network


def imported(folder: Path, *files: str) -> Network:
    """Import files of a folder, and return the network that the model's file holds."""
    root = open_root(str(folder / "out"))
    import_model(root.catalog, [str(folder / file) for file in files])
    (key,) = [stat.key for stat in root.store.list("models/") if stat.key.endswith(".safetensors")]
    return network_from(*parse_tensors(key, root.store.get(key)))


def photograph(rows: int = 24, columns: int = 32) -> Tensor:
    return torch.rand(1, 3, rows, columns, generator=torch.Generator().manual_seed(3))
