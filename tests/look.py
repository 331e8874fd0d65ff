"""A page of nine cells in a browser: three contents by three weights, one of which failed and one is to do."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager

import numpy as np
import pytest
from browser import opened

from nst.config import METHOD_CONFIGS
from nst.pictures.images import encode, thumbnail
from nst.records import OutputFormat
from tasks.catalog import parameters
from tasks.pages.gallery import build_gallery

CONTENTS, WEIGHTS = ("town", "sea", "hill"), (1.0, 10.0, 100.0)


@contextmanager
def looked_at(tmp_path_factory):
    """Give a tab that has the page open; `tab.ids` are its cells."""
    pytest.importorskip("websockets.sync.client")
    root, rows, rng = tmp_path_factory.mktemp("root"), [], np.random.default_rng(0)
    for folder in ("pictures", "gallery"):
        (root / folder).mkdir()
    for content in CONTENTS:
        for weight in WEIGHTS:
            config = METHOD_CONFIGS["gatys"](style_weight=weight)
            cell_id = hashlib.sha256(repr((content, weight)).encode()).hexdigest()
            row = {"cell_id": cell_id, "content_name": content, "style_name": "night", **parameters.flatten(config)}
            if (content, weight) == ("hill", 100.0):
                rows.append(row)
                continue
            if (content, weight) == ("hill", 10.0):
                rows.append({**row, "error_class": "InputError", "error_message": "too small"})
                continue
            picture = rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)
            (root / "pictures" / f"{cell_id}.png").write_bytes(encode(picture, OutputFormat(), {}))
            uri = f"file://{root}/pictures/{cell_id}.png"
            row |= {"picture_uri": uri, "picture_width": 320, "picture_height": 240, "picture_bytes": 1_234_567}
            row |= {"content_loss": weight, "style_loss": 1 / weight, "seconds": 12.5, "psnr_content": 20.0 + weight}
            rows.append(row | {"style_weight_relative": weight * 2})
    page = root / "gallery" / "index.html"
    head = thumbnail(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    page.write_text(build_gallery(rows, title="look", page_uri=str(page), contents={"town": head}), encoding="utf-8")
    with opened(page, tmp_path_factory.mktemp("profile")) as found:
        found.ids = [row["cell_id"] for row in rows]
        yield found
