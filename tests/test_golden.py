"""Loss curves on record: a change that is not about numbers must not move them.

To record anew after a change that is: `NST_RECORD=1 pytest tests/test_golden.py`, and say why in CHANGELOG.md.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from cells import LAYERS, request, run, small

from nst.config.gatys import GatysConfig
from nst.config.terms import TRAINED
from nst.pictures.images import Pixels

FOLDER = Path(__file__).parent / "golden"

CASES = {
    "gatys_lbfgs": {"optimizer": "lbfgs"},
    "gatys_adam": {"optimizer": "adam", "init": "noise"},
    "gatys_moments": {"optimizer": "lbfgs", "style_representation": "moments", "style_layers": ["relu1_1"]},
    "gatys_pyramid": {"optimizer": {"name": "adam", "ema": 0.9}, "pyramid": {"levels": 2, "warm_start": True}},
}


def waves(period, height=32, width=40):
    """A colourful picture by formula."""
    row, column = np.mgrid[:height, :width]
    phases = (row + 2 * column) / period, (2 * row - column) / period, row * column / (20.0 * period)
    return np.rint(127.5 + 120 * np.sin(np.stack(phases, 2))).astype(np.uint8)


@pytest.mark.parametrize("name", CASES)
def test_loss_curve(name):
    fields = {
        "backbone": {"weights": "random", "name": "vgg16"},
        "steps": 12,
        "trace_every": 1,
        "precision": "float64",  # float32 differs between processors after a few steps
        **LAYERS,
        **CASES[name],
    }
    content, style = (Pixels(f"{period}", waves(period)) for period in (7.0, 2.0))
    (result,) = run(request(small(GatysConfig, **fields), content, [style]))
    curve = [(row.step, row.loss, *(row.parts[part] for part in TRAINED)) for row in result.trace]
    file = FOLDER / f"{name}.txt"
    if os.environ.get("NST_RECORD"):
        lines = ["# step loss content_loss style_loss tv_loss", *(" ".join(map(repr, row)) for row in curve)]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    np.testing.assert_allclose(curve, np.loadtxt(file), rtol=1e-6, atol=1e-12)
