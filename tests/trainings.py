"""A training that takes a second: a few small photographs, two styles, a network of some thousand numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from orders import planned

from nst.pictures.images import encode
from nst.records import OutputFormat

if TYPE_CHECKING:
    from pathlib import Path

TRAINING = {
    "family": "johnson",
    "size": 32,
    "photograph_scale": 1.5,
    "steps": 12,
    "batch_size": 2,
    "width": 4,
    "residual_blocks": 0,
    "content_layers": ["relu1_2"],
    "style_layers": ["relu1_1", "relu1_2"],
    "checkpoint_every": 3,
    "validate_every": 6,
    "backbone": {"name": "vgg16", "weights": "random"},
}


def write_pictures(folder: Path, photographs: int = 24) -> None:
    """Write `photographs/*.png` and `styles/{dots,stripes}.png`."""
    rng = np.random.default_rng(0)
    files = {f"photographs/{n}": rng.integers(0, 256, (6, 9, 3), np.uint8).repeat(8, 0).repeat(8, 1)
             for n in range(photographs)}  # fmt: skip
    files["styles/dots"] = rng.integers(0, 256, (12, 12, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    files["styles/stripes"] = np.tile(np.array([[[250, 40, 30]], [[20, 30, 200]]], np.uint8).repeat(4, 0), (6, 48, 1))
    for name, array in files.items():
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(array, OutputFormat(), {}))


def manifest(
    name: str = "tiny", styles: Any = "styles/dots.png", top: dict[str, Any] | None = None, **training: Any
) -> str:
    """Return a training manifest over these pictures, with settings of `training` changed."""
    settings = {**TRAINING, **training}
    photographs = {} if (top or {}).get("photographs", "") is None else {"photographs": "photographs/"}
    document = {"kind": "train", "name": name, **photographs, "styles": styles, "training": settings, **(top or {})}
    return yaml.safe_dump({key: value for key, value in document.items() if value is not None}, sort_keys=False)


def write_manifest(folder: Path, name: str = "tiny", **changes: Any) -> str:
    """Write a training manifest beside its pictures and return its path."""
    path = folder / f"{name}.yaml"
    path.write_text(manifest(name, **changes))
    return str(path)


def train_alone(manifest_file: str, root: Path) -> None:
    """Train the one model of a manifest in this process and publish it."""
    from tasks.maintenance import publish_all
    from tasks.work.training import train

    prepared = planned(manifest_file, root)
    for spec in prepared.to_do:
        assert not (failure := train(prepared.job(spec), prepared.root.catalog, "cpu", lambda *_: None).failure), (
            failure
        )
    publish_all(prepared.root.catalog)
