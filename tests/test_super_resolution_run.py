"""A network of super-resolution through the real steps: trained without styles, measured, run from file and sweep."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from orders import planned
from trainings import train_alone, write_pictures
from typer.testing import CliRunner

from flows.__main__ import app
from nst.errors import UserError
from nst.pictures.fidelity import FIDELITY
from nst.pictures.images import decode
from tasks.models.card import model_card, model_rows
from tasks.models.stylize import Painter, stylize_file
from tasks.root import open_root

pytestmark = pytest.mark.xdist_group("super_resolution_run")  # its network is trained once

TRAINING = """\
kind: train
name: larger
photographs: photographs/
training:
  family: super_resolution
  factor: 2
  size: 32
  width: 4
  residual_blocks: 0
  steps: 3
  batch_size: 2
  content_layers: [relu1_2]
  backbone: {name: vgg16, weights: random}
"""
SWEEP = """\
name: enlarged
contents: photographs/[01].png
method: {name: feedforward, family: super_resolution, model: larger.yaml, size: original}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a root `out` that holds a network and two pictures of a sweep."""
    folder = tmp_path_factory.mktemp("larger")
    write_pictures(folder)
    (folder / "larger.yaml").write_text(TRAINING)
    (folder / "enlarged.yaml").write_text(SWEEP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.chdir(folder)
        train_alone("larger.yaml", folder / "out")
        result = CliRunner().invoke(app, ["run", "enlarged.yaml", "--inline", "--devices", "cpu"])
        assert result.exit_code == 0, result.output
        yield folder


def test_the_row_of_the_model_has_the_measures_beside_those_of_bicubic_interpolation(folder):
    (row,) = pd.read_parquet(folder / "out/catalog/models").to_dict("records")
    assert (row["family"], row["factor"], row["style_names"]) == ("super_resolution", 2, "[]")
    assert (row["photographs"], row["validation_pictures"]) == (22, 2)  # a tenth of 24 is held out
    for name in FIDELITY:
        assert np.isfinite(row[f"validation_{name}"])
    assert row["validation_psnr_y"] < row["validation_psnr_y_bicubic"]  # after three steps
    assert row["style_loss"] == 0
    card = model_card(model_rows(open_root("out").catalog)[0], "x")
    assert "enlarges photographs 2 times" in card
    assert "PSNR of Y" in card
    assert "--style" not in card


def test_cells_without_styles_are_larger_than_their_contents(folder):
    results = pd.read_parquet(folder / "out/catalog/results")
    assert len(results) == 2
    assert results.style_name.isna().all()
    assert set(zip(results.picture_width, results.picture_height, strict=True)) == {(144, 96)}
    assert set(results["size"]) == {72}  # at which the network saw the photographs
    assert planned("enlarged.yaml", folder / "out").plan.to_do == 0


def test_one_photograph_is_enlarged_from_file_to_file(folder):
    catalog = open_root("out").catalog
    target = stylize_file(Painter(catalog, model="larger"), "photographs/3.png", out=folder / "large.png")
    assert decode(target.read_bytes()).shape == (96, 144, 3)
    with pytest.raises(UserError, match="takes no style"):
        Painter(catalog, model="larger", style="styles/dots.png")
