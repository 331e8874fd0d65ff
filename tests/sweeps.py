"""A folder with small pictures, and sweeps over them that are planned and run in the process of the test."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from cells import blocks
from orders import planned
from PIL import Image

from tasks.work.stylize import Stylist

if TYPE_CHECKING:
    from pathlib import Path

TINY = "size: 32, steps: 2, content_layers: relu1_1, style_layers: relu1_1, backbone: {weights: random}"
"""Settings of a method for a picture in a moment."""


TINY_METHOD: dict[str, Any] = {
    "name": "gatys",
    "size": 32,
    "steps": 2,
    "content_layers": "relu1_1",
    "style_layers": "relu1_1",
    "backbone": {"weights": "random"},
}
TINY_MANIFEST: dict[str, Any] = {
    "name": "tiny",
    "contents": ["cat.png", "dog.png"],
    "styles": "waves.png",
    "method": TINY_METHOD,
    "sweep": {"style_weight": [3, 30]},
}
"""A sweep of four pictures of those that `write_pictures` writes, as a dictionary."""


def write(path: Path, array: np.ndarray) -> str:
    """Write a picture as a PNG, HWC uint8 with or without alpha, and return the SHA-256 of its file."""
    Image.fromarray(array).save(path, "PNG")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_pictures(folder: Path) -> Path:
    """Write the pictures `cat` (40 x 30), `dog` (25 x 50), `waves` (36 x 36) and `start` (20 x 20) into a folder."""
    for seed, (name, width, height) in enumerate(
        [("cat", 40, 30), ("dog", 25, 50), ("waves", 36, 36), ("start", 20, 20)]
    ):
        write(folder / f"{name}.png", blocks(seed, height, width))
    return folder


def plan(folder: Path, manifest: str) -> Any:
    """Return the plan of a manifest that is written into a folder."""
    (folder / "m.yaml").write_text(manifest)
    return planned(folder / "m.yaml", folder / "out")


def run(prepared: Any) -> list[dict[str, Any]]:
    """Run a planned sweep and return the rows of its results in the order of the cells.

    All previews are stored: small pictures have more of them in a moment than a busy machine stores.
    """
    stylist = Stylist(prepared.root, "cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.work.previews._MOST_WAITING", 10_000)
        outcomes = [stylist.run(prepared.job(batch)) for batch in prepared.plan.batches()]
    assert [failure for outcome in outcomes for failure in outcome.failed] == []
    return rows(prepared, "results")


def rows(prepared: Any, table: str) -> list[dict[str, Any]]:
    """Return the published rows of the cells of a sweep, in the order of the cells."""
    prepared.root.catalog.publish(table)
    ids = prepared.plan.cells.ids
    folder = prepared.root.uri.removeprefix("file://")
    found = [row for row in pq.read_table(f"{folder}/catalog/{table}").to_pylist() if row["cell_id"] in ids]
    return sorted(found, key=lambda row: ids.index(row["cell_id"]))


def picture_of(row: dict[str, Any]) -> np.ndarray:
    """Return the picture of a row of results as its file holds it, with alpha if it has any."""
    with Image.open(row["picture_uri"].removeprefix("file://")) as image:
        return np.array(image)
